"""The matcher of watches' own rules: histories in, matches out. What a rule means stands in intel/rules/__init__.py.

db/rules_sql.py says the same in SQL, for history; a property test holds the two together.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import islice, product
from typing import Final, TypeAlias
from uuid import UUID

import msgspec

from intel.facts import Predicate, State
from intel.match.rule_tests import created_at, subject_test
from intel.match.rule_witnesses import Witness, witnesses
from intel.rules.histories import Histories, Thing, shifted
from intel.rules.records import Burst, Rule

EVIDENCE: Final = 5
"""Witnesses of each condition that a match names."""

_Occasions: TypeAlias = "dict[str, list[list[Witness]]]"


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A subject that a rule matches, and since when (event time).

    `key` is what makes it new besides the subject, or empty; `facts` what it rests on, `found` what it met, `count`
    how many a burst has (0 without one).
    """

    subject: Thing
    key: str
    event_time: datetime
    facts: tuple[int, ...]
    found: tuple[Thing, ...] = ()
    count: int = 0

    @property
    def what_is_new(self) -> str:
        """The text whose digest is the novelty: of stable values only."""
        return f"{UUID(bytes=self.subject.entity.digest)} {self.key}"

    @property
    def novelty(self) -> UUID:
        """The digest of what is new: 128 bits of SHA-256."""
        return UUID(bytes=hashlib.sha256(self.what_is_new.encode()).digest()[:16])


def match(rule: Rule, histories: Histories) -> list[Match]:
    """The subjects of the histories that a rule matches, in their order. All that it reads must be in them."""
    matcher = _matcher(rule)
    found = [one for subject in histories.subjects for one in matcher(subject, histories)]
    return found if rule.burst is None else _bursts(rule.burst, found, histories)


@lru_cache(maxsize=256)
def _matcher(rule: Rule) -> Callable[[Thing, Histories], list[Match]]:
    """What finds the matches of one subject, a burst left out of account."""
    about = frozenset(rule.about)
    tests = [subject_test(one) for one in rule.timeless]
    seek = [witnesses(one) for one in rule.timed]
    occasion = rule.occasion
    over = None if rule.over is None else timedelta(seconds=rule.over)

    def found(subject: Thing, histories: Histories) -> list[Match]:
        if subject.entity.kind not in about:
            return []
        if not all(test(subject, histories) for test in tests):
            return []
        seen: list[list[Witness]] = []
        for sought in seek:
            witnessed = sought(subject, histories)
            if not witnessed:
                return []
            seen.append(witnessed)
        matches = []
        for key, of_key in _occasions(seen, occasion).items():
            at = _whole(of_key, over)
            if at is not None:
                matches.append(_match(subject, key, at, of_key, over))
        return matches

    return found


def _occasions(seen: list[list[Witness]], occasion: int | None) -> _Occasions:
    """The witnesses for each thing that may be new."""
    if occasion is None:
        return {"": seen}
    keys = sorted({witness.key for witness in seen[occasion]})
    return {
        key: [
            [one for one in each if one.key == key] if number == occasion else each for number, each in enumerate(seen)
        ]
        for key in keys
    }


def _whole(seen: Sequence[Sequence[Witness]], over: timedelta | None) -> datetime | None:
    """The earliest time at which each condition has a witness that is no older than `over`."""
    if over is None:
        return max(min(one.at for one in each) for each in seen)
    times = [sorted(one.at for one in each) for each in seen]
    for at in sorted({one for each in times for one in each}):
        if all(bisect_left(each, shifted(at, -over)) < bisect_right(each, at) for each in times):
            return at
    return None


def _match(subject: Thing, key: str, at: datetime, seen: Iterable[Sequence[Witness]], over: timedelta | None) -> Match:
    facts: dict[int, None] = {}
    found: dict[int, Thing] = {}
    since = None if over is None else shifted(at, -over)
    for each in seen:
        meant = sorted(
            (one for one in each if one.at <= at and (since is None or one.at >= since)),
            key=lambda one: (one.at, one.facts),
        )
        for one in islice(meant, EVIDENCE):
            facts.update(dict.fromkeys(one.facts))
            if one.found is not None:
                found[one.found.id] = one.found
    return Match(subject=subject, key=key, event_time=at, facts=tuple(facts), found=tuple(found.values()))


def _bursts(burst: Burst, found: Sequence[Match], histories: Histories) -> list[Match]:
    """Those of the matches that came with so many others."""
    members: dict[tuple[int, ...], dict[int, datetime]] = {}
    facts: dict[int, list[int]] = {}
    for one in found:
        for group, at in _memberships(burst, one, histories):
            of_group = members.setdefault(group, {})
            of_group[one.subject.id] = min(at, of_group.get(one.subject.id, at))
        facts[one.subject.id] = _shared(burst, one.subject, histories)
    full: dict[int, tuple[datetime, int]] = {}
    for of_group in members.values():
        for subject_id, at, count in _dense(burst, of_group):
            known = full.get(subject_id)
            if known is None or at < known[0]:
                full[subject_id] = (at, count)
    return [
        msgspec.structs.replace(
            one,
            event_time=max(one.event_time, full[one.subject.id][0]),
            facts=tuple(dict.fromkeys((*one.facts, *facts[one.subject.id]))),
            count=full[one.subject.id][1],
        )
        for one in found
        if one.subject.id in full
    ]


def _memberships(burst: Burst, one: Match, histories: Histories) -> Iterable[tuple[tuple[int, ...], datetime]]:
    """(what is shared, when) of one match."""
    at: datetime | None = one.event_time
    if burst.created:
        at = min(created_at(one.subject, histories), default=None)
    if at is None:
        return
    sides: list[list[tuple[int, datetime]]] = []
    for predicate in burst.sharing:
        first: dict[int, datetime] = {}
        for fact in histories.of.get((one.subject.id, predicate), ()):
            if fact.state == State.VALUE and fact.object is not None:
                first[fact.object.id] = min(fact.begin, first.get(fact.object.id, fact.begin))
        sides.append(list(first.items()))
    for combination in product(*sides):
        group = tuple(object_id for object_id, _ in combination)
        yield group, at if burst.created else max((at, *(begin for _, begin in combination)))


def _shared(burst: Burst, subject: Thing, histories: Histories) -> list[int]:
    return [
        fact.fact_id
        for predicate in (*burst.sharing, *([Predicate.CREATED.value] if burst.created else []))
        for fact in islice(histories.of.get((subject.id, predicate), ()), EVIDENCE)
        if fact.state == State.VALUE
    ]


def _dense(burst: Burst, of_group: dict[int, datetime]) -> Iterable[tuple[int, datetime, int]]:
    """(subject, when there were enough, how many then) of the members of one group."""
    within = timedelta(seconds=burst.within)
    times = sorted(of_group.values())
    enough: list[tuple[datetime, int]] = []
    for at in dict.fromkeys(times):
        count = bisect_right(times, at) - bisect_left(times, shifted(at, -within))
        if count >= burst.at_least:
            enough.append((at, count))
    ends = [at for at, _ in enough]
    for subject_id, at in of_group.items():
        first = bisect_left(ends, at)
        if first < len(ends) and ends[first] <= shifted(at, within):
            yield subject_id, *enough[first]
