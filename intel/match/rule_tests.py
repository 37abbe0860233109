"""Tests of one entity, as rules have them: `Tests` in, a function out that says whether a thing passes.

What each means stands in intel/rules/__init__.py; db/rules_conditions.py says the same in SQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final, TypeAlias

from intel import traits
from intel.entities import Kind
from intel.facts import Predicate, State
from intel.names import default_suffixes
from intel.rules import records
from intel.rules.histories import Histories, Thing, host_of, is_below, within
from intel.rules.records import Condition, Tests
from intel.rules.words import TIME_FORM, lowered

Test: TypeAlias = Callable[[Thing, Histories], bool]

_TIME: Final = re.compile(TIME_FORM)


def entity_test(tests: Tests, predicate: str) -> Test:
    """Whether a thing at the other end of a link of `predicate` (empty: the subject itself) passes."""
    checks: list[Test] = []
    if tests.kinds:
        kinds = frozenset(tests.kinds)
        checks.append(lambda thing, _: thing.entity.kind in kinds)
    if tests.values:
        values = frozenset(tests.values)
        checks.append(lambda thing, _: (thing.entity.kind, thing.entity.value) in values)
    if tests.networks:
        networks = tests.networks
        checks.append(
            lambda thing, _: (
                bool(thing.entity.address) and any(within(thing.entity.address, network) for network in networks)
            )
        )
    if tests.below:
        checks.append(_below(tests.below, predicate))
    if tests.matches:
        patterns = [shell(text) for text in tests.matches]
        checks.append(lambda thing, _: any(pattern.match(lowered(thing.entity.value)) for pattern in patterns))
    if tests.watched is not None:
        wanted = tests.watched
        checks.append(lambda thing, histories: (thing.entity in histories.watched) is wanted)
    if tests.rarer_than is not None:
        checks.append(_rarer(tests.rarer_than, predicate))
    return lambda thing, histories: all(check(thing, histories) for check in checks)


def subject_test(condition: Condition) -> Test:
    """Whether a subject is as a condition without a time says."""
    if isinstance(condition, records.Suffix):
        suffixes = frozenset(condition.suffixes)
        return lambda thing, _: _suffix(thing.entity.scope) in suffixes
    if isinstance(condition, records.Label):
        return _label(condition)
    if isinstance(condition, records.Own):
        return entity_test(condition.tests, "")
    if isinstance(condition, records.AnyOf):
        each = [subject_test(one) for one in condition.of]
        return lambda thing, histories: any(test(thing, histories) for test in each)
    if isinstance(condition, records.Never):
        return _never(condition.condition)
    raise TypeError(f"{condition!r} has a time")


def shell(pattern: str) -> re.Pattern[str]:
    """A shell pattern (`*`, `?`), anchored. Each part is found once and kept, so that none is tried again."""
    first, *rest = ("".join("." if mark == "?" else re.escape(mark) for mark in part) for part in pattern.split("*"))
    if not rest:
        return re.compile(rf"\A(?s:{first})\Z")
    between = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(rf"\A(?s:{first}{between}.*{rest[-1]})\Z")


def read_time(value: str) -> datetime | None:
    """The time that a literal says; None where it says none that SQL would read."""
    if _TIME.match(value) is None or value.endswith("\n"):
        return None
    moment = datetime.fromisoformat(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def created_at(subject: Thing, histories: Histories) -> Iterator[datetime]:
    """When a subject was created, as anybody states."""
    for fact in histories.of.get((subject.id, Predicate.CREATED.value), ()):
        if fact.state == State.VALUE and fact.object is not None:
            moment = read_time(fact.object.entity.value)
            if moment is not None:
                yield moment


def scopes_below(name: str) -> str:
    """The registrable domain on which all stands that counts as below a name; empty for a public suffix, below which
    it is every hand's.
    """
    suffixes = default_suffixes()
    return "" if suffixes.is_suffix(name) else suffixes.registrable(name)


def _below(names: tuple[str, ...], predicate: str) -> Test:
    scoped = [(name, scopes_below(name)) for name in names]
    if predicate == Predicate.USES_NAME_SERVERS:
        return lambda thing, _: any(
            is_below(host, name) for host in thing.entity.value.split(" ") for name, _scope in scoped
        )

    def below(thing: Thing, _: Histories) -> bool:
        host = host_of(thing.entity)
        return bool(host) and any(
            is_below(host, name) and (not scope or thing.entity.scope == scope) for name, scope in scoped
        )

    return below


def _rarer(limit: float, predicate: str) -> Test:
    def rarer(thing: Thing, histories: Histories) -> bool:
        counted = histories.rarity.get((predicate, thing.id))
        return counted is not None and counted < limit

    return rarer


def _suffix(scope: str) -> str:
    return traits.suffix(scope)


def _label(condition: records.Label) -> Test:
    shapes, words = frozenset(condition.shapes), frozenset(condition.words)
    patterns = [shell(text) for text in condition.matches]

    def like(thing: Thing, _: Histories) -> bool:
        scope = thing.entity.scope
        name = traits.label(scope)
        return (
            bool(name)
            and (not shapes or traits.shape(scope) in shapes)
            and (not words or not words.isdisjoint(traits.words(scope)))
            and (not patterns or any(pattern.match(name) for pattern in patterns))
            and (condition.length is None or condition.length[0] <= len(name) <= condition.length[1])
            and (condition.digits is None or condition.digits is any(mark.isdigit() for mark in name))
            and (condition.hyphens is None or condition.hyphens is ("-" in name))
        )

    return like


def _never(condition: Condition) -> Test:
    if records.is_timeless(condition):
        test = subject_test(condition)
        return lambda thing, histories: not test(thing, histories)
    # Witnesses are made of tests, so that their module imports this one.
    from intel.match.rule_witnesses import witnesses  # noqa: PLC0415 - see above

    seek = witnesses(condition)
    return lambda thing, histories: not seek(thing, histories)


__all__ = ["Kind", "Test", "created_at", "entity_test", "read_time", "scopes_below", "shell", "subject_test"]
