"""How a finding reads and what it is worth: a match in, title, severity and annotations out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from intel.entities import Entity, Kind, entity, masked
from intel.errors import ReadError
from tasks.pivot.hubs import annotate
from tasks.watch.lapse_words import EVIDENCE, lapse_words
from tasks.watch.registrants import annotate_registrant
from tasks.watch.rules import BY_NAME, Rule

FLOOR: Final = 10
"""What a finding is worth whose certificate is expected."""
SHARED: Final = "shared"
"""What an annotation is about where the parts of a finding have a hub in common."""

_LONGEST: Final = 120
_LONGEST_TITLE: Final = 600
_MATCHES: Final = {
    "scope": "the watched domain {}",
    "subtree": "the watched name {}",
    "network": "the watched address {}",
    "entity": "the watched {}",
}
_ENTITIES: Final[Mapping[str, str]] = {
    Kind.CERTIFICATE: "the watched certificate {}",
    Kind.PUBLIC_KEY: "the watched key {}",
}
_PATTERNS: Final = {
    "lookalike": "{}",
    "keyword": "the keyword {}",
    "issuer": "an issuer like {}",
    "subject": "a subject like {}",
    "serial": "the watched certificate of issuer and serial number {}",
}
EXPECTED: Final = frozenset({"expected", "wrong-chain"})
"""What is noted of certificates: the hubs of those annotations."""
ENDED: Final = frozenset({"ended"})
"""What is noted of a domain that is no longer whose it was."""
_ENDED_TAKES: Final = 40
_ENDED_BY: Final = {
    "re-registered": "somebody registered it anew",
    "expired": "its registration expired",
    "seized": "it was seized",
    "sinkholed": "it was sinkholed",
}
_FIELDS: Final = {
    "email": "e-mail",
    "name": "name",
    "organisation": "organisation",
    "phone": "phone",
    "handle": "handle",
}
_SHARED: Final[Mapping[str, str]] = {Kind.EMAIL: "e-mail", Kind.PHONE: "phone", Kind.HANDLE: "handle"}
_WITH: Final = {"transfer": ", with a transfer to another registrar", "renewal": ", with a renewal"}
_EXPECTED: Final = {
    "certificate": "expected: a certificate {}",
    "key": "expected: a certificate with a key {}",
    "renewal": "expected: the renewal of a certificate {}, with its key and for its domains",
}
_BY_WHOM: Final = {True: "of our own", False: "that the watch expects"}
_WRONG_CHAIN: Final = "the log's chain is not this certificate's"


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a finding besides what it matched. `severity`: 0 to 100, annotations taken off."""

    title: str
    lapse: bool
    severity: int
    annotations: tuple[dict[str, Any], ...]

    @property
    def annotations_json(self) -> str:
        """The annotations as JSON."""
        return msgspec.json.encode(self.annotations).decode()


class Versions(msgspec.Struct, frozen=True, kw_only=True):
    """What a finding over versions of a registration says besides: the fields, in which way, from when (`began`), and
    when it changed (`at`); event times, UTC. Of a lapse, `how` is what `lapse_words` reads.
    """

    fields: tuple[str, ...] = ()
    how: tuple[str, ...] = ()
    began: datetime | None = None
    at: datetime

    def words(self) -> dict[str, str]:
        """What titles take of it."""
        how = set(self.how) - {""}
        return {
            "day": f"{self.at.astimezone(UTC):%Y-%m-%d}",
            "began": "" if self.began is None else f"{self.began.astimezone(UTC):%Y-%m-%d}",
            "fields": ", ".join(words for name, words in _FIELDS.items() if name in self.fields),
            "how": next((words for name, words in _WITH.items() if name in how), "; ".join(sorted(how))),
        }


def describe(
    rule: str,
    *,
    subject: Entity | None,
    other: Entity | None,
    item: tuple[str, str, str],
    name: str = "",
    why: str = "",
    registrant: Entity | None = None,
    versions: Versions | None = None,
) -> Description:
    """The description of a match of `rule`; `item` is (match, kind, value) of the watched item.

    `name` is what of the subject matched, `why` in which way; `registrant` whom two domains have in common; `versions`
    what a rule over versions says besides. What a list says of subject, other, name and registrant lowers the severity
    by the most that any of them takes away; nothing is dropped for it.
    """
    entry = BY_NAME[rule]
    match, kind, value = item
    said = [
        {"about": about, **msgspec.to_builtins(annotation)}
        for about, touched in (("subject", subject), ("other", other), ("name", _domain(name)))
        if touched is not None
        for annotation in annotate(touched)
    ]
    lapse = None if versions is None else lapse_words(rule, versions.how)
    if lapse is not None:
        said += lapse.notes
    if registrant is not None:
        said += [{"about": "registrant", **msgspec.to_builtins(one)} for one in annotate_registrant(registrant)]
    # What is watched may be what was found: it doesn't stand on itself.
    itself = subject is not None and match != "entity" and subject.value == value
    title = _title(entry, subject, kind, itself=itself).format(
        subject=_named(subject),
        other=_named(other),
        item=item_words(match, kind, value),
        name=shown(Kind.DOMAIN, name),
        why=_cut(why, 2 * _LONGEST),
        shared=_shared(rule, registrant),
        **{
            **(versions.words() if versions is not None else {}),
            **({"how": lapse.how, "ranges": lapse.ranges} if lapse is not None else {}),
        },
    )
    return Description(
        title=_cut(title, _LONGEST_TITLE), lapse=entry.lapse, severity=_severity(rule, said), annotations=tuple(said)
    )


def _title(entry: Rule, subject: Entity | None, kind: str, *, itself: bool) -> str:
    of_host = entry.title_of_host and subject is not None and subject.kind != Kind.CERTIFICATE
    if of_host and kind != Kind.CERTIFICATE:
        return entry.title_of_host
    return (entry.title_of_itself if itself else entry.title_of_key if kind == Kind.PUBLIC_KEY else "") or entry.title


def _shared(rule: str, registrant: Entity | None) -> str:
    if registrant is None:
        return "a registrant"
    if rule == "shared-handle":
        return {Kind.EMAIL: "an e-mail", Kind.PHONE: "a phone"}.get(Kind(registrant.kind), "a handle")
    return f"the registrant's {_SHARED.get(registrant.kind, 'name')}"


def annotated(
    rule: str,
    annotations: Sequence[dict[str, Any]],
    notes: Sequence[Mapping[str, Any]],
    hubs: frozenset[str],
    worth: int | None = None,
) -> tuple[list[dict[str, Any]], int]:
    """The annotations of a finding with `notes` in the place of those of `hubs`, and its severity with them.

    `worth` is what a rule of a watch's own is worth before lists take their part; built-in ones know it.

    A note is what `db/watching_expected.py` says of a certificate, or an `ended_note`.
    """
    kept = [annotation for annotation in annotations if annotation.get("hub") not in hubs]
    kept += [dict(note) for note in notes if note["hub"] == "ended"]
    expected = [note for note in notes if note["hub"] == "expected"]
    if expected:
        # What is known by most, then by the plainest: one says it.
        order = tuple(_EXPECTED)
        first = min(expected, key=lambda note: (not note["everywhere"], order.index(note["what"]), note["list"]))
        why = _EXPECTED[first["what"]].format(_BY_WHOM[first["everywhere"]])
        takes = max(0, BY_NAME[rule].severity - FLOOR)
        kept.append({"about": "subject", "list": first["list"], "hub": "expected", "takes": takes, "why": why})
    wrong = sorted(note["list"] for note in notes if note["hub"] == "wrong-chain")
    kept += [{"about": "subject", "list": log, "hub": "wrong-chain", "takes": 0, "why": _WRONG_CHAIN} for log in wrong]
    return kept, _severity(rule, kept, worth)


def restated(rule: str, annotations: Sequence[dict[str, Any]], said: Description) -> tuple[list[dict[str, Any]], int]:
    """The annotations of a finding with what is said of its evidence now, and its severity with them."""
    kept = [annotation for annotation in annotations if annotation["about"] != EVIDENCE]
    kept += [annotation for annotation in said.annotations if annotation["about"] == EVIDENCE]
    return kept, _severity(rule, kept)


def ended_note(reason: str, ended_at: datetime) -> dict[str, Any]:
    """The annotation of what a domain did after it ceased to be whose it was (event time)."""
    why = f"no longer the actor's since {ended_at.astimezone(UTC):%Y-%m-%d}: {_ENDED_BY[reason]}"
    return {"about": "subject", "list": reason, "hub": "ended", "takes": _ENDED_TAKES, "why": why}


def item_words(match: str, kind: str, value: str) -> str:
    """A watched item as titles name it."""
    if match == "entity" and kind == Kind.PATTERN:
        by, _, rest = value.partition(":")
        return _PATTERNS.get(by, "{}").format(shown(kind, rest))
    words = _ENTITIES.get(kind, _MATCHES[match]) if match == "entity" else _MATCHES[match]
    return words.format(shown(kind, value))


def shown(kind: str, value: str, *, personal: bool = False) -> str:
    """The value as titles and explanations show it: people's data masked, at most 120 characters."""
    return _cut(masked(kind, value, personal=personal), _LONGEST)


def _domain(name: str) -> Entity | None:
    try:
        return entity(Kind.DOMAIN, name.removeprefix("*.")) if name else None
    except ReadError:  # what matched may be a distinguished name, or no name at all
        return None


def _severity(rule: str, annotations: Sequence[Mapping[str, Any]], worth: int | None = None) -> int:
    """What a finding is worth once the most that a list takes is taken, and what a hub takes that ties it together."""
    listed = max((one["takes"] for one in annotations if one["about"] != SHARED), default=0)
    shared = sum(one["takes"] for one in annotations if one["about"] == SHARED)
    return int(max(0, (BY_NAME[rule].severity if worth is None else worth) - listed - shared))


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _named(item: Entity | None) -> str:
    return "something watched" if item is None else shown(item.kind, item.value)
