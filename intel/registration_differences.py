"""What changed between two versions of a registration: differences in the field's words. Pure.

In: two versions of what one voice (source and tier) said. Out: `Difference`s, each with the interval in which it must
have happened: after the last look that still said otherwise, and no later than the look that first said so; the
record's own "updated" date narrows it where it lies between the two, and a creation date says when a domain was
registered again. Applying the differences to the first version gives the second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import msgspec

from intel.facts import State
from intel.registrars import Registrars
from intel.registration_versions import (
    CREATED,
    DNSSEC,
    EXPIRES,
    FIELDS,
    HIDING,
    NAME_SERVERS,
    NOTHING,
    REGISTRANT,
    REGISTRAR,
    SIGNED,
    STATUS,
    UPDATED,
    Look,
    Said,
    Version,
    Voice,
)

RECORD: Final = "record"
"""The field of a difference that is about the whole record: whether there is such a domain."""
_DAY: Final = timedelta(days=1)
_YES: Final = Said(state=State.VALUE, values=("registered",))
_NO: Final = Said(state=State.VALUE, values=("not registered",))
_Pair = tuple[Version, Version]


class Change(StrEnum):
    """What happened, in the words of registration."""

    REGISTERED_AGAIN = "re-registered"
    DELETED = "deleted"
    DROPPED = "no longer known to its registrar"
    KNOWN_AGAIN = "known to its registrar again"
    HIDDEN = "registrant hidden"
    EXPOSED = "registrant exposed"
    REGISTRANT = "registrant changed"
    COVER = "registrant hidden in another way"
    TRANSFERRED = "transferred to another registrar"
    RENAMED = "registrar renamed"
    RENEWED = "renewed"
    SHORTENED = "expiry moved back"
    EXPIRED = "expired"
    CORRECTED = "creation date corrected"
    UPDATED = "record updated"
    MOVED = "name servers moved"
    STATUS_SET = "status set"
    STATUS_CLEARED = "status cleared"
    SIGNED = "DNSSEC signed"
    UNSIGNED = "DNSSEC no longer signed"
    STATED = "stated for the first time"
    ANEW = "stated anew"
    WITHDRAWN = "no longer stated"


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One change in what one voice says of one field.

    Event times: `at` is that of the look that first said so; the change happened after `since` (None: it is not known
    that it was ever otherwise looked at) and by `until`. `dated`: the record's own dates narrowed that.
    """

    change: Change
    field: str
    before: Said
    after: Said
    voice: Voice
    look: Look
    since: datetime | None
    until: datetime
    dated: bool = False

    @property
    def at(self) -> datetime:
        """When it was first so said (event time)."""
        return self.look.at


def differences(before: Version, after: Version, *, since: datetime | None, book: Registrars) -> tuple[Difference, ...]:
    """What changed between two versions of one voice; `since` is the last look that still gave the first one."""
    return tuple(_differences(before, after, since, book))


def apply(version: Version, changes: Iterable[Difference]) -> Version:
    """The version that differences lead to."""
    fields = dict(version.fields)
    registered, look = version.registered, version.look
    for one in changes:
        look = one.look
        if one.field == RECORD:
            registered = one.after == _YES
            fields = {}
        elif one.change is Change.EXPIRED:
            continue
        elif one.field == STATUS and one.change in (Change.STATUS_SET, Change.STATUS_CLEARED):
            had = set(fields.get(STATUS, NOTHING).values)
            had = had | set(one.after.values) if one.change is Change.STATUS_SET else had - set(one.before.values)
            fields[STATUS] = Said(state=State.VALUE, values=tuple(sorted(had))) if had else NOTHING
        elif one.after.state is State.ABSENT:
            fields.pop(one.field, None)
        else:
            fields[one.field] = one.after
    return Version(voice=version.voice, look=look, registered=registered, fields=fields)


def _differences(before: Version, after: Version, since: datetime | None, book: Registrars) -> Iterator[Difference]:
    if before.registered != after.registered:
        yield from _whole(before, after, since)
        return
    again = _registered_again(before, after)
    for field in FIELDS:
        one, other = before.said(field), after.said(field)
        if one.content == other.content:
            continue
        if field == STATUS and {one.state, other.state} <= {State.VALUE, State.ABSENT}:
            yield from _statuses(one, other, (before, after), since)
            continue
        change = _change(field, one, other, again=again, book=book)
        yield _difference(change, field, (one, other), (before, after), since)


def _whole(before: Version, after: Version, since: datetime | None) -> Iterator[Difference]:
    if not after.registered:
        yield Difference(
            change=Change.DELETED, field=RECORD, before=_YES, after=_NO, voice=after.voice, look=after.look,
            since=since, until=after.at,
        )  # fmt: skip
        return
    low, high, dated = _from_creation(after, since)
    yield Difference(
        change=Change.REGISTERED_AGAIN, field=RECORD, before=_NO, after=_YES, voice=after.voice, look=after.look,
        since=low, until=high, dated=dated,
    )  # fmt: skip
    for field in FIELDS:
        if (said := after.said(field)) != NOTHING:
            yield _difference(Change.STATED, field, (NOTHING, said), (before, after), since)


def _registered_again(before: Version, after: Version) -> bool:
    """Whether the creation date moved on by more than two ways of writing one moment may differ."""
    one, other = before.said(CREATED), after.said(CREATED)
    return one.until is not None and other.at is not None and other.at > one.until + _DAY


def _statuses(one: Said, other: Said, pair: _Pair, since: datetime | None) -> Iterator[Difference]:
    had, has = set(one.values), set(other.values)
    for gone in sorted(had - has):
        said = msgspec.structs.replace(one, values=(gone,))
        yield _difference(Change.STATUS_CLEARED, STATUS, (said, NOTHING), pair, since)
    for new in sorted(has - had):
        said = msgspec.structs.replace(other, values=(new,))
        yield _difference(Change.STATUS_SET, STATUS, (NOTHING, said), pair, since)


def _change(field: str, one: Said, other: Said, *, again: bool, book: Registrars) -> Change:
    if field == CREATED and again:
        return Change.REGISTERED_AGAIN
    if field in REGISTRANT:
        # Another owner's registrant exposes and hides nothing of the one before.
        return _registrant(one, other) if not again else _appeared(one, other)
    if again or one.state is not State.VALUE or other.state is not State.VALUE:
        return _appeared(one, other)
    if field == REGISTRAR:
        return Change.RENAMED if book.same(one.value, other.value) else Change.TRANSFERRED
    if field == EXPIRES:
        moved = one.at is None or other.at is None or other.at > one.at
        return Change.RENEWED if moved else Change.SHORTENED
    if field == DNSSEC:
        return Change.SIGNED if SIGNED in other.values else Change.UNSIGNED
    return {CREATED: Change.CORRECTED, UPDATED: Change.UPDATED, NAME_SERVERS: Change.MOVED}.get(field, Change.ANEW)


def _appeared(one: Said, other: Said) -> Change:
    if other.state is State.ABSENT:
        return Change.WITHDRAWN
    return Change.STATED if one.state is State.ABSENT else Change.ANEW


def _registrant(one: Said, other: Said) -> Change:
    if one.state is State.VALUE and other.state is State.VALUE:
        return Change.REGISTRANT
    if one.state is State.VALUE and other.state in HIDING:
        return Change.HIDDEN
    if other.state is State.VALUE and one.state in HIDING:
        return Change.EXPOSED
    if one.state in HIDING and other.state in HIDING:
        return Change.COVER
    return _appeared(one, other)


def _difference(change: Change, field: str, said: tuple[Said, Said], pair: _Pair, since: datetime | None) -> Difference:
    before, after = pair
    if change is Change.REGISTERED_AGAIN:
        low, high, dated = _from_creation(after, since)
    else:
        low, high, dated = _from_update(before, after, since)
    return Difference(
        change=change, field=field, before=said[0], after=said[1], voice=after.voice, look=after.look,
        since=low, until=high, dated=dated,
    )  # fmt: skip


def _from_creation(after: Version, since: datetime | None) -> tuple[datetime | None, datetime, bool]:
    """The interval of a new registration: that of its creation date, where that is later than the last look."""
    said = after.said(CREATED)
    if said.at is None or said.until is None or said.at > after.at or (since is not None and said.until < since):
        return since, after.at, False
    return (said.at if since is None else max(since, said.at)), min(said.until, after.at), True


def _from_update(before: Version, after: Version, since: datetime | None) -> tuple[datetime | None, datetime, bool]:
    """The interval of a change: until the record's last update, where that is new and later than the last look."""
    said = after.said(UPDATED)
    if said.until is None or said.content == before.said(UPDATED).content or said.until >= after.at:
        return since, after.at, False
    if since is not None and said.until <= since:
        return since, after.at, False
    return since, said.until, True
