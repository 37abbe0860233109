"""The queue and timetable of look-ups: what is wanted, who is at it, when it is asked about next. Table `lookup`.

In: ids of entities, wishes. Out: `Wanted` rows to work on. One row for each thing: however many want it, it is asked
about once, at the most urgent wish's priority. A row is claimed for a while; a dead worker's claim ends by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

NEVER_SOONER: Final = timedelta(minutes=10)
"""What said nothing is asked about again after so long, then twice as long, and so on, up to a day."""
LONGEST: Final = timedelta(days=1)


class Priority(IntEnum):
    """Whose questions go first; a smaller number goes before a larger one."""

    INCIDENT = 0
    FINDING = 1
    NEW_DOMAIN = 2
    WATCH = 3
    REFRESH = 4


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed row: the thing, and who wants to know. `asked_at` is when it was answered last, None: never;
    `wanted_at` when it was wanted, or wanted more urgently.
    """

    entity_id: int
    kind: str
    value: str
    priority: int
    reason: str
    reach: str
    attempts: int
    asked_at: datetime | None
    wanted_at: datetime
    every: float | None


# A wish: the more urgent one wins, and nothing that is due earlier is put off. Uses pk_lookup.
WANT: Final = """
INSERT INTO lookup AS l (entity_id, priority, due_at, reason, reach)
SELECT e.id, :priority, :due_at, :reason, :reach FROM unnest(CAST(:ids AS bigint[])) e (id)
ON CONFLICT (entity_id) DO UPDATE SET
    due_at = least(l.due_at, excluded.due_at),
    priority = CASE WHEN l.due_at IS NULL THEN excluded.priority ELSE least(l.priority, excluded.priority) END,
    reason = CASE WHEN l.due_at IS NULL OR excluded.priority < l.priority THEN excluded.reason ELSE l.reason END,
    reach = CASE WHEN l.due_at IS NULL OR excluded.priority < l.priority THEN excluded.reach ELSE l.reach END,
    attempts = CASE WHEN excluded.priority < l.priority THEN 0 ELSE l.attempts END,
    wanted_at = clock_timestamp()
WHERE l.due_at IS NULL OR excluded.due_at < l.due_at OR excluded.priority < l.priority
RETURNING 1
"""

# The next things to ask about: by priority, then by when they were due. Each priority's part of ix_lookup_due begins
# with what is due, so nothing of what is not due yet is read. Who looks ahead takes what is due in time only: not what
# a server has put off, nor what was answered since he began. SKIP LOCKED: workers never wait for one another.
CLAIM: Final = """
WITH next AS (
    SELECT q.entity_id FROM (VALUES (0), (1), (2), (3), (4)) p (priority)
    CROSS JOIN LATERAL (
        SELECT l.entity_id, l.due_at FROM lookup l
        WHERE l.priority = p.priority AND l.due_at <= :horizon
            AND (l.claimed_until IS NULL OR l.claimed_until <= :now)
            AND (l.due_at <= :now OR (l.attempts = 0 AND l.outcome <> 'later'
                AND (l.asked_at IS NULL OR l.asked_at < :began)))
        ORDER BY l.due_at LIMIT :count
        FOR UPDATE SKIP LOCKED
    ) q
    ORDER BY p.priority, q.due_at LIMIT :count
)
UPDATE lookup l SET claimed_until = :until FROM next n, entity e
WHERE l.entity_id = n.entity_id AND e.id = l.entity_id
RETURNING l.entity_id, e.kind, e.value, l.priority, l.reason, l.reach, l.attempts, l.asked_at, l.wanted_at,
    l.every, l.due_at
"""

# The same for given things, due or not, as long as nobody else is at them. Uses pk_lookup.
CLAIM_THESE: Final = """
WITH next AS (
    SELECT l.entity_id FROM lookup l
    WHERE l.entity_id = ANY(CAST(:ids AS bigint[])) AND l.due_at IS NOT NULL
        AND (l.claimed_until IS NULL OR l.claimed_until <= :now)
    FOR UPDATE SKIP LOCKED
)
UPDATE lookup l SET claimed_until = :until FROM next n, entity e
WHERE l.entity_id = n.entity_id AND e.id = l.entity_id
RETURNING l.entity_id, e.kind, e.value, l.priority, l.reason, l.reach, l.attempts, l.asked_at, l.wanted_at,
    l.every, l.due_at
"""

# A claim goes on, as long as nobody has taken the thing over. Uses pk_lookup.
RENEW: Final = """
UPDATE lookup SET claimed_until = :until
WHERE entity_id = ANY(CAST(:ids AS bigint[])) AND claimed_until = :held
RETURNING entity_id
"""

# Answered: what is refreshed is due again after its time, anything else is done. A more urgent wish that came meanwhile
# stands: it may reach farther, and what was just answered is used again. Uses pk_lookup.
DONE: Final = """
UPDATE lookup SET claimed_until = NULL, attempts = 0, outcome = :outcome, asked_at = :now, every = :every,
    changed_at = CASE WHEN :changed THEN :now ELSE changed_at END,
    due_at = CASE WHEN wanted_at > :wanted_at THEN due_at
        ELSE CAST(:now AS timestamptz) + :every * interval '1 day' END,
    priority = CASE WHEN wanted_at > :wanted_at THEN priority ELSE :priority END,
    reason = CASE WHEN wanted_at > :wanted_at OR CAST(:every AS float8) IS NULL THEN reason ELSE 'watch' END,
    reach = CASE WHEN wanted_at > :wanted_at OR CAST(:every AS float8) IS NULL THEN reach ELSE :reach END
WHERE entity_id = :id
"""

# Nobody would say, or its turn is later. A more urgent wish that came meanwhile stands. Uses pk_lookup.
AGAIN: Final = """
UPDATE lookup SET claimed_until = NULL, outcome = :outcome,
    attempts = CASE WHEN wanted_at > :wanted_at THEN 0 ELSE :attempts END,
    due_at = CASE WHEN wanted_at > :wanted_at AND CAST(:due_at AS timestamptz) IS NULL THEN due_at ELSE :due_at END
WHERE entity_id = :id
"""

# Which of these a worker is at. Uses pk_lookup.
UNDER_WAY: Final = """
SELECT entity_id FROM lookup WHERE entity_id = ANY(CAST(:ids AS bigint[])) AND claimed_until > :now
"""

# When the next thing is due. Uses ix_lookup_due.
NEXT: Final = """
SELECT min(q.due_at) FROM (VALUES (0), (1), (2), (3), (4)) p (priority)
CROSS JOIN LATERAL (
    SELECT l.due_at FROM lookup l
    WHERE l.priority = p.priority AND l.due_at IS NOT NULL AND (l.claimed_until IS NULL OR l.claimed_until <= :now)
    ORDER BY l.due_at LIMIT 1
) q
"""

# What waits, by priority. Uses ix_lookup_due.
WAITING: Final = """
SELECT priority, count(*) FILTER (WHERE due_at <= :now) AS due, count(*) FILTER (WHERE due_at > :now) AS later,
    min(due_at) AS first_due
FROM lookup WHERE due_at IS NOT NULL GROUP BY priority ORDER BY priority
"""


def want(
    connection: Connection,
    entity_ids: Sequence[int],
    *,
    priority: Priority,
    reason: str,
    reach: str,
    due_at: datetime,
) -> int:
    """Wish to know about registrable domains, addresses or ASes from `due_at` (recorded time) on.

    `reach` is a label of `intel.config.lookups.Reach`. Returns how many are wanted anew, or more urgently.
    """
    values = {"ids": list(entity_ids), "priority": priority, "reason": reason, "reach": reach, "due_at": due_at}
    return len(connection.execute(text(WANT), values).all())


def claim(
    connection: Connection,
    count: int,
    *,
    now: datetime,
    until: datetime,
    horizon: datetime | None = None,
    began: datetime | None = None,
) -> list[Wanted]:
    """Claim the next `count` things that are due, until then (recorded times).

    `horizon` takes what is due in time by then as well, but for what was answered since `began` (default: `now`).
    """
    values = {"count": count, "now": now, "until": until, "horizon": horizon or now, "began": began or now}
    return _wanted(connection, CLAIM, values)


def next_due(connection: Connection, *, now: datetime) -> datetime | None:
    """When the next thing is due that nobody is at; None where there is none."""
    return connection.execute(text(NEXT), {"now": now}).scalar_one_or_none()


def claim_these(connection: Connection, entity_ids: Sequence[int], *, now: datetime, until: datetime) -> list[Wanted]:
    """Claim those of these things that are wanted and that nobody is at."""
    return _wanted(connection, CLAIM_THESE, {"ids": list(entity_ids), "now": now, "until": until})


def renew(connection: Connection, entity_ids: Sequence[int], *, held: datetime, until: datetime) -> frozenset[int]:
    """Keep what was claimed until `held` for longer; returns what nobody else has taken over."""
    values = {"ids": list(entity_ids), "held": held, "until": until}
    return frozenset(connection.execute(text(RENEW), values).scalars())


def under_way(connection: Connection, entity_ids: Sequence[int], *, now: datetime) -> list[int]:
    """Which of these things a worker is at just now. Uses pk_lookup."""
    return list(connection.execute(text(UNDER_WAY), {"ids": list(entity_ids), "now": now}).scalars())


def done(
    connection: Connection,
    wanted: Wanted,
    *,
    outcome: str,
    now: datetime,
    changed: bool,
    every: float | None,
    reach: str,
) -> None:
    """It is answered: due again after `every` days, or not at all where that is None."""
    values = {
        "id": wanted.entity_id,
        "outcome": outcome,
        "now": now,
        "changed": changed,
        "every": every,
        "priority": Priority.REFRESH if every is not None else wanted.priority,
        "reach": reach,
        "wanted_at": wanted.wanted_at,
    }
    connection.execute(text(DONE), values)


def again(connection: Connection, wanted: Wanted, *, outcome: str, due_at: datetime | None, attempts: int) -> None:
    """It is not answered yet: due at `due_at`, or given up where that is None."""
    values = {"id": wanted.entity_id, "outcome": outcome, "due_at": due_at, "attempts": attempts}
    connection.execute(text(AGAIN), values | {"wanted_at": wanted.wanted_at})


def pause(attempts: int) -> timedelta:
    """How long to wait after so many attempts in a row that said nothing."""
    times = 1 << min(max(attempts - 1, 0), 16)
    return min(NEVER_SOONER * times, LONGEST)


def waiting(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """How much is due and how much is due later, by priority."""
    return [dict(row) for row in connection.execute(text(WAITING), {"now": now}).mappings()]


def _wanted(connection: Connection, sql: str, values: dict[str, Any]) -> list[Wanted]:
    rows = sorted(connection.execute(text(sql), values).mappings(), key=lambda row: (row["priority"], row["due_at"]))
    return [Wanted(**{name: row[name] for name in Wanted.__struct_fields__}) for row in rows]
