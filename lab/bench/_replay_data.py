"""The data of the benchmark `replay`: campaigns and noise as profiles, from the exports and feeds of the real data.

In: the data folder. Out: `Row`s, whose profile holds what was the domain's while it was whose it was: what a seizing or
sinkholing party's values replaced is not in it, and the party stands in `ended_by`. Values are told from redactions and
proxies by the words of configs/registration.yaml, registrars by configs/registrars.yaml, takers by configs/hubs.yaml.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from intel.config.registrars import read_registrars
from intel.entities import Kind, entity
from intel.errors import ConfigError, ReadError
from intel.names import canonical_name
from intel.registrars import registrars
from intel.registration_words import email_field, name_field, read_words
from intel.settings import CHECKOUT
from intel.traits import Profile, provider
from tasks.watch.takers import takers

CAMPAIGNS: Final = ("TEPCO", "SpotifyJobSeeker", "LummaC2")
_KEY: Final = Path("keys") / "iris_pivots.csv"
_EXPORTS: Final = Path("actors") / "domaintools"
_NAME_LISTS: Final = (
    "2023/SVB-Related-Domains/SVB-Related-Domains.csv",
    "2023/Starbucks-NFT/starbucks-nft-campaign.csv",
    "2023/Starbucks-NFT/starbucks-nft-campaign-2.csv",
    "2024/Manipulaters/2015-2018_Domains.csv",
    "2024/Retail_Targeted_Campaigns/retail_targeted_campaign_domains.csv",
    "2024/Octo2/octo2_dga_domains.csv",
)
# General words, no values: hosts that say what happened, and holders that are authorities or act for them.
_TAKEN: Final = ("seizure", "seized", "sinkhole")
_AUTHORITIES: Final = ("staatsanwaltschaft", "prosecut", "police", "department of justice", "registrar of last resort")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A domain of a campaign, or of the noise (`campaign` is then where it is from). `half` is 1, 2, or 0 for noise.

    `raw` is the profile as exported, `profile` without what a taker left; `seized` says that a taker left all of it.
    """

    campaign: str
    half: int
    day: date | None
    profile: Profile
    raw: Profile
    seized: bool = False


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Everything: campaigns' rows; noise with attributes of registration; and names of which nothing else is known."""

    rows: tuple[Row, ...]
    noise: tuple[Row, ...]
    names: tuple[str, ...]


def half_of(domain: str) -> int:
    """Which part of the noise a domain belongs to: 1 to learn from, 2 to be judged."""
    return 1 + hashlib.sha256(domain.encode()).digest()[0] % 2


def read_replay(root: Path) -> Replay:
    """Read all of it. Raises ConfigError where it is not there."""
    if not (root / _KEY).is_file():
        raise ConfigError(f"couldn't run the benchmark replay: there is no {_KEY} in {root}; set LAPSEWATCH_DATA")
    reader = _Reader()
    exported: dict[tuple[str, str], dict[str, str]] = {}
    keys = list(csv.DictReader((root / _KEY).read_text("utf-8").splitlines()))
    for name in sorted({key["source_file"] for key in keys}):
        text = (root / _EXPORTS / name).read_text("utf-8-sig")
        exported.update(((name, row["domain"]), row) for row in csv.DictReader(text.splitlines()))
    rows = tuple(reader.row(key, exported[key["source_file"], key["domain"]]) for key in keys)
    noise = (
        *reader.domainmeta(root / "feeds" / "tweetfeed" / "domainmeta.json"),
        *_dnsdb(root / "network" / "dnsdb_defi"),
    )
    taken = {row.profile.domain for row in rows}
    names = {name for name in _names(root) if name not in taken}
    return Replay(
        rows=rows,
        noise=tuple(row for row in noise if row.profile.domain not in taken),
        names=tuple(sorted(names)),
    )


class _Reader:
    """Exported rows to profiles."""

    def __init__(self) -> None:
        configs = CHECKOUT / "configs"
        self._words = read_words((configs / "registration.yaml").read_bytes())
        self._registrars = registrars(read_registrars(configs).by_number)
        self._takers = takers().takers

    def row(self, key: dict[str, str], row: dict[str, str]) -> Row:
        """A row of the key with its row of the export."""
        number = row.get("registrar iana id", "")
        emails = _values(row, "registrant contact email", "")
        people = (row.get("registrant contact name", ""), row.get("registrant name", ""), row.get("registrant org", ""))
        raw = profile = Profile(
            domain=row["domain"],
            created=datetime.fromisoformat(key["create_date"]).replace(tzinfo=UTC),
            registrar=self._registrar(f"iana:{number}" if number else row["registrar"]),
            emails=_once(one.value.lower() for text in emails if (one := self._email(text)).value),
            registrants=_once(one.value.lower() for text in people if (one := self._name(text)).value),
            name_servers=_hosts(_values(row, "name server", "host")),
            mail_hosts=_hosts(_values(row, "mx", "host")),
            addresses=_once(_values(row, "ip", "address")),
            networks=_once(f"AS{one}" for number in range(1, 9) for one in _values(row, f"ip {number} - asn", "")),
            certificates=_once(_values(row, "ssl", "hash")),
            issuers=_once(_values(row, "ssl", "issuer common name")),
            soa_contacts=_once(_values(row, "soa email", "")),
        )
        reason, how = self._taken(profile)
        seized = reason == "seized" or _says(_AUTHORITIES, (*profile.registrants, row["registrar"].lower()))
        if reason or seized:
            how = how or "an authority holds it"
            profile = Profile(domain=profile.domain, created=profile.created, ended_by=how, ended_at=profile.created)
        elif _says(_TAKEN, profile.name_servers):
            # Who changed the name servers did not change the registration: it is as the one before left it.
            profile = Profile(
                domain=profile.domain,
                created=profile.created,
                registrar=profile.registrar,
                emails=profile.emails,
                registrants=profile.registrants,
                ended_by="its name servers say that it was taken",
                ended_at=profile.created,
            )
        return Row(
            campaign=key["campaign"],
            half=int(key["half"]),
            day=date.fromisoformat(key["create_date"]),
            profile=profile,
            raw=raw,
            seized=seized,
        )

    def domainmeta(self, path: Path) -> Iterator[Row]:
        """Domains of the feed whose registration was found."""
        for domain, entry in json.loads(path.read_text("utf-8"))["entries"].items():
            if entry.get("status") != "ok":
                continue
            raw = profile = Profile(
                domain=domain,
                registrar=self._registrar(entry.get("registrar") or ""),
                name_servers=_hosts(entry.get("ns") or ()),
                addresses=_once(entry.get("ips") or ()),
                networks=_once([entry["asn"]] if entry.get("asn") else []),
            )
            reason, how = self._taken(profile)
            if reason:
                profile = Profile(domain=domain, ended_by=how)
            yield Row(campaign="tweetfeed", half=0, day=None, profile=profile, raw=raw)

    def _registrar(self, text: str) -> str:
        return self._registrars.identity(text) if text.strip() else ""

    def _email(self, text: str) -> Any:
        return email_field(text, self._words, where="", reader="export")

    def _name(self, text: str) -> Any:
        return name_field(text, self._words, where="", reader="export")

    def _taken(self, profile: Profile) -> tuple[str, str]:
        """Why a domain is no longer whose it was, and how (of whose values it has); empty where it is."""
        people = {*profile.emails, *profile.registrants}
        for taker in self._takers:
            if taker.match == "registrant" and taker.value in people:
                return taker.reason, taker.how
            if taker.match == "name-server" and any(
                host == taker.value or host.endswith("." + taker.value) for host in profile.name_servers
            ):
                return taker.reason, taker.how
            if taker.match == "address" and taker.value.partition("/")[0] in profile.addresses:
                return taker.reason, taker.how
        return "", ""


def _values(row: dict[str, str], begin: str, end: str) -> list[str]:
    """The values of numbered columns: `ip 1 - address`, `soa email 2`."""
    return [
        value
        for column, value in row.items()
        if value
        and column.startswith(begin + " ")
        and column.endswith(end)
        and column[len(begin) :].removesuffix(end).strip(" -").isdigit()
    ]


def _says(words: Iterable[str], values: Iterable[str]) -> bool:
    return any(word in value for value in values for word in words)


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value.strip() for value in values if value.strip()}))


def _hosts(values: Iterable[str]) -> tuple[str, ...]:
    found = set()
    for value in values:
        try:
            found.add(canonical_name(value))
        except ReadError:
            continue
    return tuple(sorted(found))


def _dnsdb(folder: Path) -> Iterator[Row]:
    """Ordinary domains of which the name servers are known."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted(folder.glob("DNSDB_*.csv")):
        for row in csv.DictReader(path.read_text("utf-8").splitlines()):
            if row.get("rrtype") != "NS":
                continue
            try:
                name = canonical_name(row["rrname"])
                if provider(name) == name:
                    found[name].add(canonical_name(row["rdata"].split()[0]))
            except (ReadError, IndexError):
                continue
    for domain, hosts in sorted(found.items()):
        profile = Profile(domain=domain, name_servers=tuple(sorted(hosts)))
        yield Row(campaign="defi", half=0, day=None, profile=profile, raw=profile)


def _names(root: Path) -> Iterator[str]:
    """Names alone: other published campaigns and lists of new domains."""
    paths = [root / _EXPORTS / name for name in _NAME_LISTS]
    paths += sorted((root / "registration" / "nrd").glob("shreshta_*.csv"))
    for path in paths:
        if not path.is_file():
            continue
        for line in path.read_text("utf-8", "replace").splitlines():
            text = line.split(",")[0].strip().strip('"')
            try:
                name = entity(Kind.DOMAIN, text)
            except ReadError:
                continue
            if name.scope == name.value:
                yield name.value
