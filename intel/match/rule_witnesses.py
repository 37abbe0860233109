"""Witnesses of a condition: the times at which it came to be so of a subject, with the facts that say so.

What each condition means stands in intel/rules/__init__.py; db/rules_conditions.py says the same in SQL.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from intel.facts import Predicate, State
from intel.match.rule_tests import entity_test, read_time
from intel.rules import records
from intel.rules.histories import Histories, Stated, Thing, shifted
from intel.rules.records import Condition, Link


class Witness(msgspec.Struct, frozen=True):
    """That a condition was so from `at` on (event time). `key`: what was new, or empty; `found`: what it met."""

    at: datetime
    facts: tuple[int, ...]
    key: str = ""
    found: Thing | None = None


Seek: TypeAlias = Callable[[Thing, Histories], list[Witness]]

_NONE: Final[Sequence[Stated]] = ()
_SAYINGS: Final = 6
"""Facts that a witness names."""


def witnesses(condition: Condition) -> Seek:
    """What finds the witnesses of a condition with a time."""
    match condition:
        case Link():
            return _merged(condition)
        case records.Dated():
            return _dated(condition)
        case records.Changed():
            return _changed(condition)
        case records.Hidden():
            return _hidden(condition)
        case records.Renewed():
            return _renewed
        case records.Absent():
            return _absent(condition)
        case records.AnyOf():
            each = [witnesses(one) for one in condition.of]
            return lambda subject, histories: [
                msgspec.structs.replace(one, key="") for seek in each for one in seek(subject, histories)
            ]
        case _:
            raise TypeError(f"{condition!r} has no time")


def _merged(link: Link) -> Seek:
    """One witness for each thing at the other end, since anybody first said so: who says it again later adds none."""
    step = _link(link)

    def seek(subject: Thing, histories: Histories) -> list[Witness]:
        first: dict[tuple[int | None, ...], Witness] = {}
        for path, one in step(subject, histories):
            known = first.get(path)
            if known is None:
                first[path] = one
                continue
            early, late = sorted((known, one), key=lambda each: (each.at, each.facts))
            facts = tuple(dict.fromkeys((*early.facts, *late.facts)))[:_SAYINGS]
            first[path] = msgspec.structs.replace(early, facts=facts)
        return list(first.values())

    return seek


def _link(link: Link) -> Callable[[Thing, Histories], Iterator[tuple[tuple[int | None, ...], Witness]]]:
    """What finds each saying, with the ids of what it leads to on the way."""
    predicate, states = link.predicate, frozenset(link.states)
    roles, types, fields = frozenset(link.roles), frozenset(link.types), frozenset(link.fields)
    test = None if link.tests.is_empty() else entity_test(link.tests, predicate)
    inner = None if link.where is None else _link(link.where)

    def seek(subject: Thing, histories: Histories) -> Iterator[tuple[tuple[int | None, ...], Witness]]:
        known = histories.naming if link.inverse else histories.of
        for fact in known.get((subject.id, predicate), _NONE):
            if fact.state not in states or (roles and fact.role not in roles):
                continue
            if (types and fact.type not in types) or (fields and fact.field not in fields):
                continue
            other = fact.subject if link.inverse else fact.object
            if test is not None and (other is None or not test(other, histories)):
                continue
            here = None if other is None else other.id
            if inner is None:
                yield (here,), Witness(fact.begin, (fact.fact_id,), "", other)
            elif other is not None:
                for path, one in inner(other, histories):
                    facts = (fact.fact_id, *one.facts)
                    yield (here, *path), Witness(max(fact.begin, one.at), facts, "", one.found)

    return seek


def _dated(condition: records.Dated) -> Seek:
    within = None if condition.within is None else timedelta(seconds=condition.within)

    def passes(fact: Stated, value: str) -> bool:
        moment = read_time(value)
        if moment is None:
            return False
        hours = condition.hours
        return (
            (within is None or fact.begin - moment <= within)
            and (not condition.after or value[:10] >= condition.after)
            and (not condition.before or value[:10] < condition.before)
            and (hours is None or (len(value) > 10 and hours[0] <= int(value[11:13]) <= hours[1]))
        )

    def seek(subject: Thing, histories: Histories) -> list[Witness]:
        return [
            Witness(fact.begin, (fact.fact_id,))
            for fact in histories.of.get((subject.id, condition.predicate), _NONE)
            if fact.state == State.VALUE and fact.object is not None and passes(fact, fact.object.entity.value)
        ]

    return seek


def _changed(condition: records.Changed) -> Seek:
    old, new = (entity_test(tests, condition.predicate) for tests in (condition.old, condition.new))

    def seek(subject: Thing, histories: Histories) -> list[Witness]:
        stated = [
            fact
            for fact in histories.of.get((subject.id, condition.predicate), _NONE)
            if fact.state == State.VALUE and fact.object is not None
        ]
        if len(stated) < 2:
            return []
        found = []
        earlier: dict[tuple[int, str], list[Stated]] = {}
        for one in sorted(stated, key=lambda one: (one.begin, one.fact_id)):
            if old(one.object, histories):  # type: ignore[arg-type]  # has one
                earlier.setdefault((one.source_id, one.tier), []).append(one)
        for after in (one for one in stated if new(one.object, histories)):  # type: ignore[arg-type]  # has one
            group = earlier.get((after.source_id, after.tier), [])
            told: set[datetime] = set()
            for before in reversed(group[: bisect_left(group, after.begin, key=lambda one: one.begin)]):
                at = _took_place(before, after)
                if at is not None and at not in told and after.object is not None:
                    told.add(at)
                    key = str(UUID(bytes=after.object.entity.digest))
                    found.append(Witness(at, (before.fact_id, after.fact_id), key, after.object))
                    # All that a stream said before give this time: thousands of addresses are millions of pairs.
                    if not after.spans and not before.spans:
                        break
        return found

    return seek


def _took_place(before: Stated, after: Stated) -> datetime | None:
    """When one value was in the place of the other; None where it was not."""
    if before.object == after.object or (before.source_id, before.tier) != (after.source_id, after.tier):
        return None
    if before.begin >= after.begin or (before.spans and before.gone is None):
        return None
    return max(after.begin, before.gone) if before.spans and before.gone is not None else after.begin


def _hidden(condition: records.Hidden) -> Seek:
    kept_back = frozenset(records.HIDING)
    roles, fields = frozenset(condition.roles), frozenset(condition.fields)

    def seek(subject: Thing, histories: Histories) -> list[Witness]:
        stated = [
            fact
            for fact in histories.of.get((subject.id, condition.predicate), _NONE)
            if (not roles or fact.role in roles) and (not fields or fact.field in fields)
        ]
        shown = [fact for fact in stated if fact.state == State.VALUE]
        back = [fact for fact in stated if fact.state in kept_back]
        first, then = (back, shown) if condition.exposed else (shown, back)
        earliest: dict[tuple[int, str, str, str], Stated] = {}
        for one in sorted(first, key=lambda one: (one.begin, one.fact_id)):
            earliest.setdefault(_place(one), one)
        return [
            Witness(after.begin, (before.fact_id, after.fact_id), f"{after.role} {after.field}")
            for after in then
            if (before := earliest.get(_place(after))) is not None and before.begin < after.begin
        ]

    return seek


def _place(fact: Stated) -> tuple[int, str, str, str]:
    return fact.source_id, fact.tier, fact.role, fact.field


def _renewed(subject: Thing, histories: Histories) -> list[Witness]:
    """A certificate with a key and a name that one had which was valid from an earlier time."""
    found = []
    for key, name, since, known, facts in list(_validities(subject, histories)):
        for other in _with_key(key, histories):
            for other_key, other_name, other_since, other_known, other_facts in _validities(other, histories):
                if (other_key.id, other_name) == (key.id, name) and other_since < since:
                    found.append(Witness(max(known, other_known), (*facts, *other_facts), "", key))
    return found


def _with_key(key: Thing, histories: Histories) -> list[Thing]:
    """The certificates with a key."""
    stated = histories.naming.get((key.id, Predicate.HAS_KEY.value), _NONE)
    return list({fact.subject.id: fact.subject for fact in stated}.values())


def _validities(
    certificate: Thing, histories: Histories
) -> Iterator[tuple[Thing, int, datetime, datetime, tuple[int, ...]]]:
    """(key, name, valid from, known since, facts) of a certificate."""
    times = [
        (moment, fact)
        for fact in _values(certificate, Predicate.VALID_FROM, histories)
        if fact.object is not None and (moment := read_time(fact.object.entity.value)) is not None
    ]
    for key in _values(certificate, Predicate.HAS_KEY, histories):
        for name in _values(certificate, Predicate.NAMES, histories):
            for moment, valid in times:
                if key.object is not None and name.object is not None:
                    known = max(key.begin, name.begin, valid.begin)
                    facts = (key.fact_id, name.fact_id, valid.fact_id)
                    yield key.object, name.object.id, moment, known, facts


def _values(subject: Thing, predicate: Predicate, histories: Histories) -> list[Stated]:
    return [
        fact
        for fact in histories.of.get((subject.id, predicate.value), _NONE)
        if fact.state == State.VALUE and fact.object is not None
    ]


def _absent(condition: records.Absent) -> Seek:
    after, no = witnesses(condition.after), witnesses(condition.no)
    within = timedelta(seconds=condition.within)

    def seek(subject: Thing, histories: Histories) -> list[Witness]:
        came = [one for one in after(subject, histories) if shifted(one.at, within) <= histories.as_of]
        if not came:
            return []
        times = [one.at for one in no(subject, histories)]
        return [
            Witness(one.at + within, one.facts, "", one.found)
            for one in came
            if not any(one.at <= at <= one.at + within for at in times)
        ]

    return seek
