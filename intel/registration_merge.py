"""RDAP and WHOIS, registry and registrar: one view of a domain at a moment, and who said what in each field. Pure.

The rule between RDAP and WHOIS is DomainTools': where both were gathered within three days of each other the fuller
leads (RDAP where they are as full), otherwise the newer. *Fuller* is the record with a value in more of the fields of
`FIELDS`; a redaction, a proxy's wording or a placeholder is no value. One protocol's record is what its registry and
its registrar say together: the registrar of the registrant, the registry of all else.

The rule is about records; a field goes on from there. Of those who speak of it, all that were heard within three days
of the last are taken to speak of the same moment, and the first of them that has a value gives it, in the order: the
leading protocol before the other, the tier that knows before the other. So a redaction in the fuller record hides no
value of the other; but a value that somebody else gave as well, and was heard to change or hide after, is not believed
for having been heard before. Of several dates of the last update the latest counts, since each record has its own.
Somebody who was heard before those three days gives the field only where nobody spoke of it
since: what has been hidden since stays hidden in this view, and what the older one said stands beside it. Whoever says
otherwise is kept in `others`, and where his value differs it is a conflict.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from intel.facts import State
from intel.registrars import Registrars
from intel.registration_versions import (
    CREATED,
    DATES,
    FIELDS,
    NOTHING,
    REGISTRANT,
    REGISTRAR,
    UPDATED,
    Chronicle,
    Look,
    Said,
    Sighting,
    Version,
    Voice,
)

CLOSE: Final = timedelta(days=3)
_DAY: Final = timedelta(days=1)
_PROTOCOLS: Final = ("rdap", "whois")


class Testimony(msgspec.Struct, frozen=True, kw_only=True):
    """What one voice says of a field: since when (event time), what it `was` before, and when it was last heard."""

    voice: Voice
    said: Said
    since: datetime
    heard: datetime
    was: Said = NOTHING
    server: str = ""
    location: str = ""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """One field of the view: who gives it, and what the others say of it. `conflict`: another value, close in time."""

    field: str
    best: Testimony
    others: tuple[Testimony, ...] = ()
    conflict: bool = False


class View(msgspec.Struct, frozen=True, kw_only=True):
    """A domain's registration at a moment (event time).

    `registered` is None where nobody has said. `leads` is the protocol whose record leads and `because` says why; both
    are empty where there is none. `disputed`: of two registries' answers, close in time, one knows no such domain.
    """

    moment: datetime
    registered: bool | None
    disputed: bool = False
    leads: str = ""
    because: str = ""
    fields: tuple[Merged, ...] = ()

    def field(self, name: str) -> Merged | None:
        """The field of that name, None where nobody speaks of it."""
        return next((one for one in self.fields if one.field == name), None)


class _Heard(msgspec.Struct, frozen=True, kw_only=True):
    """A version that stands at the moment, with the last look that gave it."""

    chronicle: Chronicle
    version: Version
    look: Look


def merge(
    chronicles: Sequence[Chronicle], moment: datetime, book: Registrars, *, sightings: Sequence[Sighting] = ()
) -> View:
    """The view at `moment` (event time) of all that had been said by then.

    `sightings` (feeds, imports) give a field of which no answer to a look-up speaks.
    """
    heard = [
        _Heard(chronicle=chronicle, version=version, look=look)
        for chronicle in chronicles
        if (version := chronicle.version_at(moment)) is not None and (look := chronicle.look_at(moment)) is not None
    ]
    registered, disputed, floor = _registered(heard)
    standing = [one for one in heard if one.version.registered and (floor is None or one.look.at >= floor)]
    if not registered:
        standing = []
    leads, because = _leading(standing)
    fields = []
    for field in FIELDS:
        told = _ordered(field, standing, leads)
        seen = [one for one in sightings if one.field == field and one.first <= moment]
        merged = _field(field, told, _testimonies(seen, moment) if registered is not False else [], book)
        if merged is not None:
            fields.append(merged)
    return View(
        moment=moment, registered=registered, disputed=disputed, leads=leads, because=because, fields=tuple(fields)
    )


def fullness(versions: Iterable[Version]) -> int:
    """How full a record is that several tiers make up: in how many fields one of them has a value."""
    told = list(versions)
    return sum(any(one.said(field).state is State.VALUE for one in told) for field in FIELDS)


def _registered(heard: Sequence[_Heard]) -> tuple[bool | None, bool, datetime | None]:
    """(whether it is registered, whether that is disputed, the moment before which answers speak of what is gone)."""
    judges = [one for one in heard if one.version.voice.tier != "registrar"] or list(heard)
    if not judges:
        return None, False, None
    newest = max(one.look.at for one in judges)
    close = [one for one in judges if newest - one.look.at <= CLOSE]
    registered = any(one.version.registered for one in close)
    disputed = registered and not all(one.version.registered for one in close)
    floors = [one.look.at for one in judges if not one.version.registered and one not in close]
    # A domain that was registered again is another's: what was last heard before that is of the owner before. A date
    # that lies ahead of the answer that gives it tells of no owner.
    created = [at for one in close if (at := one.version.said(CREATED).at) is not None and at <= one.look.at + _DAY]
    floors += [max(created) - _DAY] if created else []
    return registered, disputed, max(floors, default=None)


def _leading(standing: Sequence[_Heard]) -> tuple[str, str]:
    """The protocol whose record leads, and why."""
    records = {
        name: told for name in _PROTOCOLS if (told := [one for one in standing if one.version.voice.source == name])
    }
    if not records:
        return "", ""
    if len(records) == 1:
        return next(iter(records)), "nothing else was answered"
    times = {name: max(one.look.at for one in told) for name, told in records.items()}
    if abs(times["rdap"] - times["whois"]) > CLOSE:
        newer = max(times, key=lambda name: times[name])
        return newer, f"it is newer by more than {CLOSE.days} days"
    full = {name: fullness(one.version for one in told) for name, told in records.items()}
    if full["whois"] > full["rdap"]:
        return "whois", f"it is fuller: {full['whois']} fields have a value, of RDAP's {full['rdap']}"
    if full["rdap"] > full["whois"]:
        return "rdap", f"it is fuller: {full['rdap']} fields have a value, of WHOIS's {full['whois']}"
    return "rdap", f"both are as full: {full['rdap']} fields have a value"


def _ordered(field: str, standing: Sequence[_Heard], leads: str) -> list[Testimony]:
    """Those who speak of a field, in the order in which they are believed."""
    knows = "registrar" if field in REGISTRANT else "registry"
    told = [one for one in standing if one.version.said(field).state is not State.ABSENT]
    # That a record is silent is said by whoever should know, where nobody says more.
    silent = [one for one in standing if field in one.version.fields and one not in told]
    order = sorted(
        told, key=lambda one: (one.version.voice.source != leads, one.version.voice.tier != knows, one.version.voice)
    )
    return [_testimony(field, one) for one in (*order, *silent)]


def _testimony(field: str, one: _Heard) -> Testimony:
    since, was = one.chronicle.since(field, one.version)
    return Testimony(
        voice=one.version.voice,
        said=one.version.said(field),
        since=since,
        was=was,
        heard=one.look.at,
        server=one.look.server or one.version.look.server,
        location=one.look.location or one.version.look.location,
    )


def _testimonies(seen: Sequence[Sighting], moment: datetime) -> list[Testimony]:
    return [
        Testimony(voice=Voice(source=one.source), said=one.said, since=one.first, heard=min(one.last, moment))
        for one in sorted(seen, key=lambda one: one.last, reverse=True)
        if one.ended is None or one.ended > moment
    ]


def _field(field: str, told: list[Testimony], seen: list[Testimony], book: Registrars) -> Merged | None:
    if not told and not seen:
        return None
    speaking = told or seen
    newest = max(one.heard for one in speaking)
    close = [one for one in speaking if newest - one.heard <= CLOSE]
    current = [one for one in close if not _taken_back(field, one, close, book)] or close
    valued = [one for one in current if one.said.state is State.VALUE]
    best = next(iter(valued or current))
    if field == UPDATED and valued:
        best = max(valued, key=lambda one: (one.said.at is not None, one.said.at or one.heard))
    others = tuple(one for one in (*told, *seen) if one is not best)
    conflict = field != UPDATED and any(not alike(field, best.said, one.said, book) for one in valued)
    return Merged(field=field, best=best, others=others, conflict=conflict)


def _taken_back(field: str, one: Testimony, close: Sequence[Testimony], book: Registrars) -> bool:
    """Whether somebody else said the same, and was heard to say otherwise after this one was heard last."""
    return any(
        one.said.state is State.VALUE
        and other.was.state is State.VALUE
        and other.since > one.heard
        and alike(field, other.was, one.said, book)
        for other in close
    )


def alike(field: str, one: Said, other: Said, book: Registrars) -> bool:
    """Whether two values say the same: dates to the day, since servers cut and shift them; registrars by identity."""
    if field in DATES and one.at is not None and other.at is not None:
        return abs(one.at - other.at) <= _DAY
    if field == REGISTRAR:
        return book.same(one.value, other.value)
    return {value.casefold() for value in one.values} == {value.casefold() for value in other.values}
