"""What a rule finds in history: all matches by its statement, what they rest on by its matcher, and the dry run.

Nothing is written here. Comes in: a rule, of a watch or of none yet. Goes out: matches, or a `DryRun` that says what
the rule would find, how much of it is known to be good, and examples.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, text

from db.rules_load import load_histories, load_things
from db.rules_sql import compile_rule
from intel.match.rules import Match, match
from intel.rules.records import Burst, Rule
from tasks.pivot.hubs import annotate
from tasks.watch.own_rules_named import with_registrars
from tasks.watch.own_rules_store import describe_match

CHUNK: Final = 2_000
"""Subjects whose histories are in memory at once."""
MOST_EXAMPLES: Final = 1_000
MOST_MATCHES: Final = 100_000
"""Matches that are read of one rule: one that finds more says nothing."""
PATIENCE: Final = 600
"""Seconds that a rule's statement may take."""
_KNOWN_GOOD: Final = "known-good"

# For this transaction.
_LIMIT: Final = "SELECT set_config('statement_timeout', :limit, true)"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One of the findings that a rule would make. `event_time` is UTC; `hubs` the classes that lists put it in."""

    title: str
    event_time: datetime
    severity: int
    hubs: tuple[str, ...]


class DryRun(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would find in all that is known.

    `more`: there are more findings than were read, and all counts are of those that were. `unexplained`: examples that
    the rule's matcher does not find, which is an error of ours. `known_good`: findings whose subject a list knows as
    good; `hubs`: findings by the class of shared thing that their subject is; `by_month`: findings by the month (UTC)
    of their event time. `examples` are the newest.
    """

    findings: int
    known_good: int
    hubs: Mapping[str, int]
    by_month: Mapping[str, int]
    examples: tuple[Example, ...]
    seconds: float
    more: bool = False
    unexplained: int = 0


def dry_run(
    connection: Connection,
    rule: Rule,
    *,
    watch_id: int | None = None,
    examples: int = 5,
    known_good: bool = False,
    as_of: datetime | None = None,
) -> DryRun:
    """Evaluate a rule over history and write nothing. With `known_good`, the examples are of those."""
    started = time.perf_counter()
    now = as_of or datetime.now(UTC)
    rule = with_registrars(connection, rule)
    found = judge_history(connection, rule, watch_id=watch_id, as_of=now)
    more, found = len(found) > MOST_MATCHES, found[:MOST_MATCHES]
    listed: dict[int, frozenset[str]] = {}
    for ids in chunks(list({one[0] for one in found})):
        for thing in load_things(connection, ids).values():
            listed[thing.id] = frozenset(one.hub for one in annotate(thing.entity))
    wanted = [one for one in found if not known_good or _KNOWN_GOOD in listed[one[0]]]
    newest = sorted(wanted, key=lambda one: (one[2], one[0]), reverse=True)[: min(examples, MOST_EXAMPLES)]
    shown = (
        [one for matches in explain(connection, rule, newest, watch_id=watch_id, as_of=now) for one in matches]
        if newest
        else []
    )
    return DryRun(
        findings=len(found),
        known_good=sum(_KNOWN_GOOD in listed[one[0]] for one in found),
        hubs=dict(Counter(hub for one in found for hub in sorted(listed[one[0]])).most_common()),
        by_month=dict(sorted(Counter(f"{one[2].astimezone(UTC):%Y-%m}" for one in found).items())),
        examples=tuple(_example(rule, one) for one in sorted(shown, key=lambda one: one.event_time, reverse=True)),
        seconds=time.perf_counter() - started,
        more=more,
        unexplained=len(newest) - len(shown),
    )


def _example(rule: Rule, found: Match) -> Example:
    said = describe_match(rule, found)
    hubs = dict.fromkeys(str(one["hub"]) for one in said.annotations)
    return Example(title=said.title, event_time=found.event_time, severity=said.severity, hubs=tuple(hubs))


def judge_history(
    connection: Connection, rule: Rule, *, watch_id: int | None, as_of: datetime
) -> list[tuple[int, str, datetime]]:
    """What a rule finds in the warehouse: (subject's id, what is new, event time).

    At most one more than `MOST_MATCHES`. Raises what the database raises where it takes longer than `PATIENCE`.
    """
    statement = compile_rule(rule, watch_id=watch_id, as_of=as_of)
    before = connection.execute(text("SELECT current_setting('statement_timeout')")).scalar_one()
    connection.execute(text(_LIMIT), {"limit": f"{PATIENCE}s"})
    rows = connection.execute(text(f"{statement.sql} LIMIT {MOST_MATCHES + 1}"), statement.parameters).all()
    connection.execute(text(_LIMIT), {"limit": before})
    return [(row[0], row[1], row[2]) for row in rows]


def explain(
    connection: Connection,
    rule: Rule,
    found: Sequence[tuple[int, str, datetime]],
    *,
    watch_id: int | None,
    as_of: datetime,
) -> Iterator[list[Match]]:
    """What history's matches rest on, a chunk of subjects at a time: those of them that the matcher finds too."""
    alone = without_burst(rule)
    by_subject: dict[int, dict[str, datetime]] = {}
    for subject_id, key, at in found:
        by_subject.setdefault(subject_id, {})[key] = at
    at_least = rule.burst.at_least if rule.burst is not None else 0
    for ids in chunks(list(by_subject)):
        histories = load_histories(connection, [alone], ids, as_of=as_of, watch_id=watch_id)
        yield [
            msgspec.structs.replace(one, event_time=by_subject[one.subject.id][one.key], count=at_least)
            for one in match(alone, histories)
            if one.key in by_subject[one.subject.id]
        ]


def without_burst(rule: Rule) -> Rule:
    """The rule for one subject alone."""
    return msgspec.structs.replace(rule, when=tuple(one for one in rule.when if not isinstance(one, Burst)))


def chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """So many ids at a time."""
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
