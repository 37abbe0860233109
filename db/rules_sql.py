"""A rule as one statement over history: `compile_rule(rule)` gives SQL and its bound parameters.

The statement gives a row for each match: subject_id, key (what is new besides the subject, or empty), event_time. What
a rule means stands in intel/rules/__init__.py; intel/match/rules.py says the same for what arrives.

The condition that an index answers best comes first; the others are asked of its subjects only. Witnesses become rows
of one set, over which windows say when all conditions came together, and then how many did at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from db.rules_conditions import BEGIN, Conditions
from db.rules_tests import WATCHED, Parameters, time_of
from intel.facts import Predicate
from intel.rules import records
from intel.rules.histories import tested
from intel.rules.records import Burst, Condition, Link, Own, Rule, Tests


class Compiled(msgspec.Struct, frozen=True):
    """A statement for `sqlalchemy.text` and its parameters."""

    sql: str
    parameters: dict[str, Any]


def compile_rule(
    rule: Rule, *, watch_id: int | None = None, as_of: datetime | None = None, burst: bool = True
) -> Compiled:
    """The statement of a rule.

    `watch_id`: whose items are watched (none without). `as_of`: until when an absence has been waited for (event time,
    now where not given). Without `burst`, that condition is left out.
    """
    parameters = Parameters()
    conditions = Conditions(parameters, as_of or datetime.now(UTC))
    ctes = []
    if any(tests.watched is not None for _, tests in tested(rule)):
        # The one value whose name is its own, since the statement that it stands in is a constant.
        parameters.values["watch_id"] = watch_id
        ctes.append(f"watched AS MATERIALIZED ({WATCHED})")
    timed = rule.timed
    order = sorted(range(len(timed)), key=lambda at: (_rank(timed[at]), at))
    test = " AND ".join(
        [
            f"s.kind = ANY({parameters.add(list(rule.about), 'text[]')})",
            *(f"({conditions.test(one, 's')})" for one in rule.timeless),
        ]
    )
    known = ""
    if _of_subject(rule.timeless) < _rank(timed[order[0]]):
        ctes.append(f"subject AS MATERIALIZED (SELECT s.id FROM entity s WHERE {test})")  # noqa: S608 - bound
        known = "IN (SELECT id FROM subject)"
    for at in order:
        query = conditions.query(timed[at], known)
        if known:
            ctes.append(f"c{at} AS MATERIALIZED ({query})")
        else:
            ctes.append(
                f"c{at} AS MATERIALIZED (SELECT q.* FROM ({query}) q JOIN entity s ON s.id = q.id WHERE {test})"  # noqa: S608 - bound
            )
        known = f"IN (SELECT id FROM c{at})"  # noqa: S608 - bound
    ctes += _together(rule, parameters)
    last = "matched"
    if burst and rule.burst is not None:
        ctes += _burst(rule.burst, parameters)
        last = "at_once"
    sql = f"WITH {', '.join(ctes)} SELECT id AS subject_id, key, at AS event_time FROM {last}"  # noqa: S608 - bound
    return Compiled(sql, parameters.values)


def _together(rule: Rule, parameters: Parameters) -> list[str]:
    """When all conditions had come together, for each thing that may be new."""
    count = len(rule.timed)
    each = []
    for at in range(count):
        if rule.occasion is None:
            each.append(f"SELECT id, '' AS key, {at} AS n, at FROM c{at}")  # noqa: S608 - bound
        elif at == rule.occasion:
            each.append(f"SELECT id, key, {at} AS n, at FROM c{at}")  # noqa: S608 - bound
        else:
            keys = f"(SELECT DISTINCT id, key FROM c{rule.occasion})"  # noqa: S608 - bound
            each.append(f"SELECT c.id, k.key, {at} AS n, c.at FROM c{at} c JOIN {keys} k ON k.id = c.id")  # noqa: S608 - constants
    event = f"event AS ({' UNION ALL '.join(each)})"
    if rule.over is None:
        return [
            event,
            f"""matched AS (SELECT id, key, max(at) AS at FROM (
                SELECT id, key, n, min(at) AS at FROM event GROUP BY id, key, n) f
                GROUP BY id, key HAVING count(*) = {count})""",  # noqa: S608 - constants
        ]
    over = parameters.add(timedelta(seconds=rule.over), "interval")
    whole = " AND ".join(f"count(*) FILTER (WHERE n = {at}) OVER w > 0" for at in range(count))
    return [
        event,
        f"""matched AS (SELECT id, key, min(at) AS at FROM (
            SELECT id, key, at, {whole} AS whole FROM event
            WINDOW w AS (PARTITION BY id, key ORDER BY at RANGE BETWEEN {over} PRECEDING AND CURRENT ROW)) j
            WHERE whole GROUP BY id, key)""",  # noqa: S608 - values are bound
    ]


def _burst(burst: Burst, parameters: Parameters) -> list[str]:
    """Those that came with enough others, and when there were enough."""
    within = parameters.add(timedelta(seconds=burst.within), "interval")
    at_least = parameters.add(burst.at_least)
    shared, groups, begins = [], [], []
    for number, predicate in enumerate(burst.sharing):
        name = parameters.add(predicate)
        shared.append(
            f"JOIN LATERAL (SELECT f.object_id, min(b.begin) AS begin FROM fact f {BEGIN.format('f', 'b')}"  # noqa: S608 - bound
            f" WHERE f.subject_id = m.id AND f.predicate = {name} AND f.state = 'value' AND f.object_id IS NOT NULL"
            f" AND b.begin IS NOT NULL GROUP BY f.object_id) g{number} ON true"
        )
        groups.append(f"g{number}.object_id")
        begins.append(f"g{number}.begin")
    at = "m.at"
    if burst.created:
        shared.insert(
            0,
            f"JOIN LATERAL (SELECT min({time_of('o', parameters)}) AS at FROM fact f"  # noqa: S608 - bound
            f" JOIN entity o ON o.id = f.object_id {BEGIN.format('f', 'b')} WHERE f.subject_id = m.id"
            f" AND f.predicate = '{Predicate.CREATED}' AND f.state = 'value' AND b.begin IS NOT NULL) t"
            " ON t.at IS NOT NULL",
        )
        at = "t.at"
    elif begins:
        at = f"greatest(m.at, {', '.join(begins)})"
    group = f"ARRAY[{', '.join(groups)}]::bigint[]"
    return [
        f"""member AS (SELECT m.id, {group} AS shared, min({at}) AS at
            FROM (SELECT id, min(at) AS at FROM matched GROUP BY id) m {" ".join(shared)} GROUP BY 1, 2)""",  # noqa: S608 - bound
        f"""dense AS (SELECT id, shared, at, count(*) OVER (PARTITION BY shared ORDER BY at
            RANGE BETWEEN {within} PRECEDING AND CURRENT ROW) AS so_many FROM member)""",  # noqa: S608 - bound
        # The next time from then on at which there were enough: from the last one back, so that no frame is read twice.
        f"""full_then AS (SELECT id, at AS own, min(at) FILTER (WHERE so_many >= {at_least})
            OVER (PARTITION BY shared ORDER BY at DESC RANGE UNBOUNDED PRECEDING) AS at FROM dense)""",  # noqa: S608 - bound
        f"""at_once AS (SELECT m.id, m.key, greatest(m.at, min(t.at)) AS at
            FROM matched m JOIN full_then t ON t.id = m.id AND t.at <= t.own + {within} GROUP BY m.id, m.key, m.at)""",  # noqa: S608 - bound
    ]


def _rank(condition: Condition) -> int:
    """How well an index answers a condition: 0 best. Of equals, the one that the author named first."""
    match condition:
        case Link():
            ranks = [_of_tests(condition.tests, condition.predicate)]
            if condition.where is not None:
                ranks.append(_rank(condition.where) + 1)
            return min(ranks)
        case records.Changed():
            return 1 + min(_of_tests(tests, condition.predicate) for tests in (condition.old, condition.new))
        case records.AnyOf():
            return max(_rank(one) for one in condition.of)
        case records.Absent():
            return _rank(condition.after)
        case _:
            return 9


def _of_subject(conditions: Sequence[Condition]) -> int:
    return min((_of_tests(one.tests, "") for one in conditions if isinstance(one, Own)), default=9)


def _of_tests(tests: Tests, predicate: str) -> int:
    if tests.values:
        return 0
    if tests.networks or tests.watched:
        return 1
    if tests.below:
        return 2 if predicate != Predicate.USES_NAME_SERVERS else 5
    return 8
