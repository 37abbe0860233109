"""Versions of a registration: what one voice (source and tier) said of a domain, answer after answer. Pure.

In: when each fact about a domain began and ceased to be stated (`Statement`), and when the voice was heard (`Look`).
Out: `Chronicle`s. A version stands from the look that brought it until a later look says otherwise; looks that changed
nothing are kept too, because they bound the time in which a change must have happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

import msgspec

from intel.facts import Predicate, State

CREATED: Final = "created"
UPDATED: Final = "updated"
EXPIRES: Final = "expires"
REGISTRAR: Final = "registrar"
NAME_SERVERS: Final = "name servers"
STATUS: Final = "status"
DNSSEC: Final = "DNSSEC"
MAIL_HOST: Final = "mail host"
SOA_CONTACT: Final = "SOA contact"
DATES: Final = (CREATED, UPDATED, EXPIRES)
PARTS: Final = ("name", "organisation", "email", "phone", "handle")
REGISTRANT: Final = tuple(f"registrant {part}" for part in PARTS)
FIELDS: Final = (CREATED, UPDATED, EXPIRES, REGISTRAR, *REGISTRANT, NAME_SERVERS, STATUS, DNSSEC)
"""The fields of a record, in the order in which they are shown. Mail hosts and SOA contacts are the DNS's to say."""
SIGNED: Final = "signed delegation"
UNSIGNED: Final = "unsigned delegation"
_EARLIEST: Final = datetime(2, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9998, 12, 31, tzinfo=UTC)
HIDING: Final = frozenset({State.REDACTED, State.PLACEHOLDER, State.PROXY, State.ABSENT})
"""States in which a record does not say who the registrant is."""

_PLAIN: Final = {
    Predicate.CREATED: CREATED,
    Predicate.UPDATED: UPDATED,
    Predicate.EXPIRES: EXPIRES,
    Predicate.REGISTERED_THROUGH: REGISTRAR,
    Predicate.USES_NAME_SERVERS: NAME_SERVERS,
    Predicate.USES_MAIL_HOST: MAIL_HOST,
    Predicate.HAS_SOA_CONTACT: SOA_CONTACT,
}
PREDICATES: Final = tuple(str(one) for one in (*_PLAIN, Predicate.REGISTERED_BY, Predicate.HAS_STATUS))
"""The predicates of the facts that fields are made of."""
_SETS: Final = frozenset({NAME_SERVERS, STATUS})
# RFC 8056 section 2: what EPP calls a status, RDAP writes with spaces, and these three otherwise.
_STATUSES: Final = {"ok": "active", "linked": "associated", "inactive": "inactive"}
_WHOSE: Final = ("client", "server", "pending")
_HEADS: Final = (*_WHOSE, "auto", "add", "renew", "transfer")


class Voice(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """Who says so: a source, and the tier (registry, registrar) that it asked; without a tier, a feed or an import."""

    source: str
    tier: str = ""

    @property
    def label(self) -> str:
        """`rdap registrar`."""
        return f"{self.source} {self.tier}".strip()


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a voice says in one field.

    `values` are canonical and sorted, empty in any state but VALUE; dates are `YYYY-MM-DD` or `YYYY-MM-DDTHH:MM:SSZ`.
    `text` is the wording that stood in a value's place. `where` says where it stood, `reader` who read it. `facts` are
    ids in the warehouse.
    """

    state: State = State.ABSENT
    values: tuple[str, ...] = ()
    text: str = ""
    where: str = ""
    reader: str = ""
    personal: bool = False
    facts: tuple[int, ...] = ()

    @property
    def content(self) -> tuple[str, ...]:
        """What makes two of these the same: another wording of a redaction is not news, another proxy is."""
        return (self.state, *self.values, *([self.text.casefold()] if self.state is State.PROXY else []))

    @property
    def value(self) -> str:
        """The value as one text, empty where there is none."""
        return " ".join(self.values)

    @property
    def at(self) -> datetime | None:
        """The value of a date: event time, aware UTC; the start of the day where only that is known."""
        return read_date(self.values[0])[0] if self.values else None

    @property
    def until(self) -> datetime | None:
        """The end of what the value of a date may mean: a day's end, or the second itself."""
        if not self.values or (read := read_date(self.values[0]))[0] is None:
            return None
        return read[0] + (timedelta(days=1) if read[1] == "day" else timedelta())


NOTHING: Final = Said()


class Look(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One conclusive answer of a voice: `at` is the time that it speaks of (event time), `recorded_at` when it came."""

    at: datetime
    registered: bool | None = None
    server: str = ""
    location: str = ""
    recorded_at: datetime | None = None


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """What a voice said from `look` on. `registered` false: there is no such domain, and no field is stated."""

    voice: Voice
    look: Look
    registered: bool
    fields: Mapping[str, Said] = {}

    @property
    def at(self) -> datetime:
        """When it was first so said (event time)."""
        return self.look.at

    def said(self, field: str) -> Said:
        """What it says in a field; absent where it is silent."""
        return self.fields.get(field, NOTHING)

    @property
    def unheard(self) -> bool:
        """Whether another voice ended it all, and this one was not asked."""
        return not self.registered and self.look.registered is None

    @property
    def content(self) -> tuple[object, ...]:
        """What makes two versions the same."""
        stated = ((name, said.content) for name, said in self.fields.items() if said.state is not State.ABSENT)
        return (self.registered, *sorted(stated))


class Chronicle(msgspec.Struct, frozen=True, kw_only=True):
    """All that one voice said: its versions, each unlike the one before, and every look, in order of event time.

    What a registry says can end all that a registrar said: a version of that kind is `unheard`, and no look.
    """

    voice: Voice
    versions: tuple[Version, ...]
    looks: tuple[Look, ...]

    def version_at(self, moment: datetime) -> Version | None:
        """The version that stood at a moment (event time)."""
        return next((one for one in reversed(self.versions) if one.at <= moment), None)

    def since(self, field: str, version: Version) -> tuple[datetime, Said]:
        """Since when (event time) a version's field has been as it is, other changes apart, and what it was before."""
        since = version.at
        for one in reversed(self.versions[: self.versions.index(version)]):
            if one.registered != version.registered or one.said(field).content != version.said(field).content:
                return since, one.said(field)
            since = one.at
        return since, NOTHING

    def look_at(self, moment: datetime) -> Look | None:
        """The last look at or before a moment (event time)."""
        return next((one for one in reversed(self.looks) if one.at <= moment), None)


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """That a fact began to be stated at a time (event time), or ceased to be (`ended`)."""

    fact: int
    voice: Voice
    field: str
    at: datetime
    ended: bool = False
    state: State = State.VALUE
    value: str = ""
    locator: str = ""
    personal: bool = False


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What a source without tiers (feed, import, zone, passive DNS) says of a field, from when until when it said so.

    Event times; `ended` is when it was no longer so, None where nobody said that.
    """

    field: str
    said: Said
    source: str
    reliability: str = ""
    reference: str = ""
    first: datetime
    last: datetime
    ended: datetime | None = None


def field_of(predicate: str, qualifiers: Mapping[str, str] | None) -> str:
    """The field that a registration fact is about, empty where it is about none."""
    told = qualifiers or {}
    if predicate == Predicate.REGISTERED_BY:
        # A feed that names a registrant does not say which part of a record that is.
        part = told.get("field", "name")
        return f"registrant {part}" if told.get("role", "registrant") == "registrant" and part in PARTS else ""
    if predicate == Predicate.HAS_STATUS:
        return DNSSEC if told.get("of") == "dnssec" else STATUS
    return _PLAIN.get(Predicate(predicate), "") if predicate in set(Predicate) else ""


def chronicles(statements: Iterable[Statement], looks: Mapping[Voice, Iterable[Look]]) -> tuple[Chronicle, ...]:
    """What each voice said, from when its facts began and ended. Statements and looks may come in any order."""
    by_voice: dict[Voice, list[Statement]] = {}
    for one in statements:
        by_voice.setdefault(one.voice, []).append(one)
    return tuple(
        _chronicle(voice, by_voice.get(voice, []), looks.get(voice, ())) for voice in sorted({*by_voice, *looks})
    )


def read_date(text: str) -> tuple[datetime | None, str]:
    """(event time, its precision: second or day) of a date as facts state it; (None, "") where it is none.

    Dates at the ends of the calendar, which some registries write for "never", are drawn in by a year, so that a day
    can be added to them.
    """
    for form, precision in (("%Y-%m-%dT%H:%M:%SZ", "second"), ("%Y-%m-%d", "day")):
        try:
            return _within(datetime.strptime(text, form).replace(tzinfo=UTC)), precision
        except ValueError:
            continue
    try:
        # What a feed wrote: any form of ISO 8601; without a zone it is taken as UTC.
        read = datetime.fromisoformat(text)
        return _within(read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)), "second"
    except (ValueError, OverflowError):
        return None, ""


def _within(at: datetime) -> datetime:
    return min(max(at, _EARLIEST), _LATEST)


def status_of(text: str) -> str:
    """A status in RDAP's words: `clientTransferProhibited` and `client transfer prohibited` are one (RFC 8056)."""
    # Some servers write where a status is explained behind it: `clientHold (https://icann.org/epp#clientHold)`.
    text = text.partition("http")[0].rstrip(" (") or text
    bare = text.replace(" ", "").replace("_", "").replace("-", "").casefold()
    if bare in _STATUSES:
        return _STATUSES[bare]
    head = next((head for head in _HEADS if bare.startswith(head)), "")
    tail = bare.removeprefix(head)
    end = next((end for end in ("prohibited", "period") if tail.endswith(end)), "")
    # Only these say whose status it is; `address` is no `add` of anything.
    if not end and (head not in _WHOSE or not tail):
        return text if " " in text else bare
    return " ".join(part for part in (head, tail.removesuffix(end) if end else tail, end) if part)


def values_of(field: str, value: str) -> tuple[str, ...]:
    """The values of a field that the object of one fact makes up: a name-server set is its hosts."""
    if field == NAME_SERVERS:
        return tuple(sorted(value.split()))
    return (status_of(value),) if field == STATUS else (value,)


def _chronicle(voice: Voice, statements: list[Statement], looks: Iterable[Look]) -> Chronicle:
    heard = {look.at: look for look in sorted(looks, key=lambda one: (one.at, one.recorded_at or one.at))}
    for one in statements:
        heard.setdefault(one.at, Look(at=one.at))
    standing: dict[int, Statement] = {}
    # At one moment, what ends does so after what is stated: db/lookups.py reads the last row in the same order.
    ordered = sorted(statements, key=lambda one: (one.at, one.ended))
    changes = {at: list(group) for at, group in groupby(ordered, key=lambda one: one.at)}
    versions: list[Version] = []
    for at, look in sorted(heard.items()):
        for one in changes.get(at, ()):
            if one.ended:
                standing.pop(one.fact, None)
            else:
                standing[one.fact] = one
        registered = bool(standing) if look.registered is None else look.registered
        fields = dict(_fields(standing.values())) if registered else {}
        version = Version(voice=voice, look=look, registered=registered, fields=fields)
        if not versions or versions[-1].content != version.content:
            versions.append(version)
    unheard = {one.at for one in versions if one.unheard}
    return Chronicle(
        voice=voice, versions=tuple(versions), looks=tuple(heard[at] for at in sorted(heard) if at not in unheard)
    )


def _fields(standing: Iterable[Statement]) -> Iterator[tuple[str, Said]]:
    by_field: dict[str, list[Statement]] = {}
    for one in standing:
        by_field.setdefault(one.field, []).append(one)
    for field in FIELDS:
        if found := by_field.get(field):
            yield field, _said(field, found)


def _said(field: str, found: list[Statement]) -> Said:
    valued = [one for one in found if one.state is State.VALUE and one.value]
    # A record states one of these; two stand where an end was never written down, and the later one is it.
    told = valued if field in _SETS and valued else [max(valued or found, key=lambda one: (one.at, one.fact))]
    first = told[0]
    where, _, reader = first.locator.rpartition("by ") if "by " in first.locator else (first.locator, "", "")
    if first.state is not State.VALUE or not first.value:
        state = first.state if first.state is not State.VALUE else State.UNPARSED
        return Said(state=state, text=first.value, where=where.strip(), reader=reader, facts=(first.fact,))
    return Said(
        state=State.VALUE,
        values=tuple(sorted({value for one in told for value in values_of(field, one.value)})),
        where=where.strip(),
        reader=reader,
        personal=any(one.personal for one in told),
        facts=tuple(sorted(one.fact for one in told)),
    )
