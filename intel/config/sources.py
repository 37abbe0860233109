"""Sources: what to pull, from where, how to read it, and what its licence allows. One entry each in configs/sources/.

A new feed of a known format is an entry, never code.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from intel.config.ct import Protocol, Start
from intel.config.read import Strict, TLPLabel, check, read_yaml
from intel.entities import Kind
from intel.errors import ConfigError
from intel.facts import TLP, Predicate


def _kind(value: str) -> str:
    return value if value == "auto" else Kind(value).value


def _dates(value: str) -> str:
    """An expression that finds a date, or none."""
    if not value:
        return value
    try:
        named = set(re.compile(value).groupindex)
    except re.error as error:
        raise ValueError(f"it is no regular expression: {error}") from None
    if not {"year", "month", "day"} <= named <= {"year", "month", "day", "hour", "minute"}:
        raise ValueError("its named groups have to be year, month and day, and hour and minute where it says them")
    return value


KindName = Annotated[str, AfterValidator(_kind)]
"""A kind of entity, or `auto`, which tells by the form."""


class Format(StrEnum):
    """How a document is read: the name of its module in tasks/normalize/."""

    LIST = "list"
    CSV = "csv"
    JSON = "json"
    MISP = "misp"
    STIX = "stix"
    MALTRAIL = "maltrail"
    GALAXY = "galaxy"
    CT = "ct"
    PDNS = "pdns"
    """Passive DNS, Common Output Format (NDJSON)."""
    DNSDB = "dnsdb"
    """Passive DNS, CSV exports of DNSDB."""
    ZEEK = "zeek"
    NFDUMP = "nfdump"
    """Flow records, CSV as nfdump writes it."""
    SCAN = "scan"
    """Exports of scan services: which certificates and fingerprints endpoints present, JSON or CSV."""
    DOMAINS = "domains"
    """New domains, one a line, or a ZIP of such a file: matched and remembered in bulk, facts only of what matches."""
    ZONE = "zone"
    """Zone files (RFC 1035 section 5): compared with the one before in bulk."""
    WARNINGLIST = "warninglist"
    """A newer copy of a list of misp-warninglists, which says what is shared; it states no facts."""
    LOOKUP = "lookup"
    """Answers to single questions; tasks/enrich/ asks them and reads them."""


class Licence(Strict):
    """What a source's terms allow. `None` means that they do not say: the source starts switched off."""

    name: str
    url: str = ""
    commercial_use: bool | None
    redistribution: bool | None


class Term(Strict):
    """Where one value of a record comes from: a column or JSON path, or a constant, and how it is read.

    `kind` is a kind of entity (`auto` tells by the form), or `kind_from` names the column that says it, translated by
    `kinds`; a value that `kinds` does not know is a reject. `split` cuts one cell into several values. `prefix` is put
    before each value (the naming authority of an actor's id, say).
    """

    column: str | int | None = None
    value: str | None = None
    kind: KindName = "auto"
    kind_from: str | int | None = None
    kinds: dict[str, KindName] = Field(default_factory=dict)
    split: str | None = Field(default=None, min_length=1)
    prefix: str = ""


class Statement(Strict):
    """One kind of fact that each record makes."""

    subject: Term
    predicate: Predicate = Predicate.LISTED
    object: Term | None = None
    """None only for `listed`: the label that the source's options name."""
    qualifiers: dict[str, Term] = Field(default_factory=dict)
    optional: bool = False
    """Whether a record without this subject or object makes no fact and no reject."""


class Mapping(Strict):
    """How records of a CSV, JSON or plain list become facts."""

    statements: tuple[Statement, ...]
    event_time: Term | None = None
    reference: Term | None = None
    confidence: Term | None = None
    tlp: Term | None = None
    ends: dict[str, str] = Field(default_factory=dict)
    """Column and the value in it that says that from then on it is no longer so."""
    skip: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Column and the values in it that mark a record as none of ours (a comment row, say): no fact and no reject."""


class Options(Strict):
    """How the documents of a source are found and read."""

    pattern: str = "*"
    """Which files of a folder."""
    documents: Literal["together", "sequence"] = "together"
    """A folder's files: parts of one statement, or one whole snapshot after another in the order of their times."""
    as_of: Annotated[str, AfterValidator(_dates)] = ""
    """Regular expression with groups year, month, day, hour, minute in a document's location: its event time."""
    comment: str = "#"
    """What comments begin with; several beginnings are parted by white space (`# ; //`)."""
    value_ends_at: str = ""
    """Plain lists: characters that end the value of a line; what follows is ignored. A space is any white space."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)
    header: bool = True
    """CSV: whether the first line names the columns; otherwise columns are numbers, from 0."""
    quote: str = Field(default='"', max_length=1)
    encoding: str = "utf-8"
    records: str = ""
    """JSON: path of the list of records (`data.*.items`); empty for the document itself or JSON lines. `*` is each
    value of an object or list; the key of the innermost object so taken is the column `$key`, the record itself
    `$value`."""
    label: str = ""
    """What the list says of its members: the object of `listed`."""
    kind: KindName = "auto"
    """Plain lists: the kind of all lines."""
    mapping: Mapping | None = None
    naming_authority: str = ""
    """Prefix of the actors' ids that the source claims: `maltrail`, `misp-galaxy`, `mitre`."""
    catch_up_days: int = Field(default=7, ge=1, le=31)
    """HTTP whose location names a day (`{day}` or `{day.zip:base64}`): how many missed days are asked for again."""
    collection: str = ""
    """TAXII: id or alias of the collection."""
    api_root: str = ""
    """TAXII: API root; empty takes `location`."""
    username: str = ""
    """TAXII and HTTP: user of HTTP Basic, whose password is in the environment variable `secret`."""
    protocol: Protocol = "rfc6962"
    """CT: how the log is read."""
    follow: Start = "head"
    """CT: where to begin with a log never read before: `head`, `start`, an index, or a time of ISO 8601."""
    log_key: str = ""
    """CT: the log's public key, DER, base64."""
    submission_url: str = ""
    """CT: a static log's submission prefix; it is read at its monitoring prefix, `location`."""


class Limits(Strict):
    """What a source may cost."""

    bytes: int = 268_435_456
    seconds: float = 300
    expansion: float = 100
    pages: int = 10_000
    retries: int = Field(default=3, ge=0)
    """How often one request is tried again where that may help."""
    wait: float = 120
    """Longest pause that a server may ask for, in seconds; one that asks for more is left until the next run."""
    max_shrink: float = 0.5
    """Share of a snapshot's standing facts that may be missing in the next; more is an alarm and ends nothing."""


class Source(Strict):
    """One source, as its entry says."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    title: str
    transport: Literal["http", "folder", "taxii", "misp", "ct", "lookup"]
    format: Format
    location: str
    """URL, or folder or file; a relative folder is below LAPSEWATCH_DATA."""
    semantics: Literal["snapshot", "stream"]
    cadence: Literal["continuous", "hourly", "six-hourly", "daily", "weekly", "manual"]
    reliability: Literal["A", "B", "C", "D", "E", "F"]
    tlp: TLPLabel
    licence: Licence
    enabled: bool
    secret: str = ""
    """Name of the environment variable that holds its key; the key itself is never in a file."""
    secret_header: str = ""
    active: bool = False
    """Whether look-ups that the actor can see are allowed for what it names."""
    options: Options = Options()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _snapshots_come_whole(self) -> Self:
        # These bring what is new, slice by slice: as snapshots, each slice would end what the others state.
        if self.snapshot and self.transport not in {"http", "folder"}:
            raise ValueError(f"transport {self.transport} brings what is new, never all: its semantics are stream")
        return self

    @property
    def default_tlp(self) -> TLP:
        """Its TLP, for statements that carry none."""
        return TLP.parse(self.tlp)

    @property
    def snapshot(self) -> bool:
        """Whether each time it states all it knows."""
        return self.semantics == "snapshot"

    def row(self) -> dict[str, Any]:
        """The columns of its row in the warehouse."""
        return {
            "name": self.name,
            "title": self.title,
            "reliability": self.reliability,
            "tlp": int(self.default_tlp),
            "snapshot": self.snapshot,
            "redistribution": self.licence.redistribution is True,
            "commercial_use": self.licence.commercial_use is True,
        }


class SourceFile(Strict):
    """A file of configs/sources/."""

    sources: tuple[Source, ...]


class NetworkConfig(Strict):
    """configs/network.yaml: which private addresses may be reached."""

    allow: tuple[str, ...] = ()
    """`address:port` pairs that may be reached although they are private or loopback; set by the lab alone."""


def read_sources(configs: Path) -> dict[str, Source]:
    """All sources by name, from configs/sources/*.yaml.

    Raises ConfigError for a wrong file, a name used twice, and a source switched on whose licence is unstated.
    """
    found: dict[str, Source] = {}
    for path in sorted((configs / "sources").glob("*.yaml")):
        for source in check(path, SourceFile, read_yaml(path)).sources:
            if source.name in found:
                raise ConfigError(f"couldn't use {path}: source {source.name} is entered twice; rename one")
            if source.enabled and (source.licence.commercial_use is None or source.licence.redistribution is None):
                raise ConfigError(
                    f"couldn't use {path}: source {source.name} is switched on and its licence does not say whether"
                    " commercial use and redistribution are allowed; find out, or switch it off"
                )
            found[source.name] = source
    return found


def read_network(configs: Path) -> NetworkConfig:
    """configs/network.yaml; nothing private may be reached where there is none."""
    path = configs / "network.yaml"
    return check(path, NetworkConfig, read_yaml(path) or {}) if path.exists() else NetworkConfig()
