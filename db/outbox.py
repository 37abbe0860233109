"""The outbox in the warehouse: what is to be said to whom about findings, and what became of it.

Comes in: candidates that a channel decides on (tasks/publish/outbox.py), claims and outcomes. Goes out: rows of
`delivery`, unique by channel and key. Raw SQL for its sets, SKIP LOCKED and its clock: all times are the database's.

The states of a delivery:
  waiting    due_at, no claim           sent when due
  sending    due_at, a claim            committed before anything leaves; past its time, the sender has died
  in doubt   no due_at, a claim         it may or may not have arrived; it is not sent again
  given up   no due_at, an error        refused too often
  dropped    the same, before sending   no longer to be said: closed, or above the channel's TLP
  held       no due_at, nothing else    waits for the digest; `digest_id` names the one that said it
  sent       sent_at
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

DOUBT: Final = "it may or may not have arrived, and is not sent again"
WITHDRAWN: Final = "no longer to be said: the finding is withdrawn"

# One at a time decides what is sent: budgets are counted, then spent. With it goes the clock.
_LOCK: Final = "SELECT pg_advisory_xact_lock(19543, hashtext('outbox'))"

# The time that nothing uncommitted was written before: whoever still writes began later. Read before the findings are,
# so that what commits between has its time after the cursor. What another role's session hides counts as an hour old.
_SEEN: Final = """
SELECT least(clock_timestamp(), min(coalesce(xact_start, clock_timestamp() - interval '1 hour'))) AS seen,
    clock_timestamp() AS now
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
    AND (backend_xid IS NOT NULL OR (xact_start IS NULL AND usename IS DISTINCT FROM current_user))
"""

# Open findings that became new or were reopened since, which the channel has not been told of in this generation: how
# often new evidence reopened it. The best first, since a budget may not reach for all. Uses ix_finding_status,
# ix_finding_event_finding_id and uq_delivery_channel_key.
_CANDIDATES: Final = """
SELECT f.id AS finding, f.watch_id, w.name AS watch, f.severity, f.lapse, g.generation,
    concat('finding:', f.id, ':', g.generation) AS key,
    greatest(coalesce(i.tlp, 0), coalesce((SELECT max(greatest(a.tlp, s.tlp)) FROM finding_fact ff
        JOIN fact a ON a.id = ff.fact_id JOIN source s ON s.id = a.source_id WHERE ff.finding_id = f.id), 4)) AS tlp
FROM finding f
JOIN watch w ON w.id = f.watch_id
LEFT JOIN incident i ON i.id = w.incident_id
CROSS JOIN LATERAL (
    SELECT 1 + count(*) AS generation FROM finding_event v WHERE v.finding_id = f.id AND v.status = 'reopened'
) g
WHERE f.status = 'open' AND coalesce(f.evidence_at, f.found_at) >= :since
    AND NOT EXISTS (SELECT FROM delivery d
        WHERE d.channel = :channel AND d.key = concat('finding:', f.id, ':', g.generation))
ORDER BY f.severity DESC, f.lapse DESC, f.id
"""

# What of a day's budget is spent, by watch: all that left or will leave by itself. Uses uq_delivery_channel_key.
_SPENT: Final = """
SELECT watch_id, count(*) AS spent FROM delivery
WHERE channel = :channel AND day = :day AND finding_id IS NOT NULL
    AND (due_at IS NOT NULL OR sent_at IS NOT NULL OR claimed_until IS NOT NULL OR error <> '')
GROUP BY watch_id
"""

# The same message is put here once, whoever comes first. Uses uq_delivery_channel_key.
_PUT: Final = """
INSERT INTO delivery (channel, key, finding_id, watch_id, kind, day, due_at)
SELECT :channel, v.key, v.finding_id, v.watch_id, v.kind, :day, CASE WHEN v.at_once THEN clock_timestamp() END
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    v (key text, finding_id bigint, watch_id bigint, kind text, at_once boolean)
ON CONFLICT (channel, key) DO NOTHING
"""

# What was dropped because its finding was withdrawn, and stands again: nobody was told. Uses uq_delivery_channel_key
# and pk_finding.
_BACK: Final = """
UPDATE delivery d SET due_at = clock_timestamp(), error = '' FROM finding f
WHERE d.channel = :channel AND d.error = :error AND d.due_at IS NULL AND d.sent_at IS NULL AND f.id = d.finding_id
    AND f.status = 'open'
"""

# A digest of all that is held for a channel, once a day; none where nothing is. What is withdrawn stays held: it may be
# stated again. Uses uq_delivery_channel_key and pk_finding.
_DIGEST: Final = """
WITH held AS (
    SELECT id FROM delivery WHERE channel = :channel AND due_at IS NULL AND sent_at IS NULL AND claimed_until IS NULL
        AND error = '' AND digest_id IS NULL
        AND finding_id IN (SELECT id FROM finding WHERE status <> 'withdrawn') FOR UPDATE
), made AS (
    INSERT INTO delivery (channel, key, kind, day, due_at)
    SELECT :channel, concat('digest:', CAST(:day AS date)), 'digest', :day, clock_timestamp()
    WHERE EXISTS (SELECT FROM held)
    ON CONFLICT (channel, key) DO NOTHING RETURNING id
)
UPDATE delivery d SET digest_id = made.id FROM held, made WHERE d.id = held.id RETURNING d.id
"""

# The next that is due, claimed: nobody else takes it, and if its sender dies it is in doubt, since nobody knows whether
# it had left. Uses ix_delivery_due_at.
_CLAIM: Final = """
UPDATE delivery SET claimed_until = clock_timestamp() + make_interval(secs => :seconds)
WHERE id = (
    SELECT id FROM delivery WHERE due_at <= clock_timestamp() AND sent_at IS NULL AND claimed_until IS NULL
        AND channel = ANY(:channels) ORDER BY due_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, channel, key, kind, finding_id, watch_id, day, attempts, due_at
"""

# Uses pk_delivery.
_SENT: Final = """
UPDATE delivery SET sent_at = clock_timestamp(), due_at = NULL, claimed_until = NULL, error = ''
WHERE id = :id AND sent_at IS NULL
"""

# It certainly did not arrive: it is due again later, or given up. Uses pk_delivery.
_FAILED: Final = """
UPDATE delivery SET attempts = attempts + 1, error = :error, claimed_until = NULL,
    due_at = CASE WHEN :again THEN clock_timestamp() + make_interval(secs => :seconds) END
WHERE id = :id AND sent_at IS NULL
"""

# Nobody knows whether it arrived. Uses pk_delivery.
_DOUBTED: Final = """
UPDATE delivery SET due_at = NULL, attempts = attempts + 1, error = :error WHERE id = :id AND sent_at IS NULL
"""

# Claims of senders that died. Uses ix_delivery_due_at.
_DIED: Final = """
UPDATE delivery SET due_at = NULL, attempts = attempts + 1, error = :error
WHERE due_at IS NOT NULL AND sent_at IS NULL AND claimed_until < clock_timestamp() RETURNING id
"""

# It is no longer to be said; nothing was sent. Uses pk_delivery.
_DROPPED: Final = """
UPDATE delivery SET due_at = NULL, claimed_until = NULL, attempts = 0, error = :error WHERE id = :id AND sent_at IS NULL
"""

# What a person wants sent once more: what was given up, or is in doubt. Uses pk_delivery.
_RETRY: Final = """
UPDATE delivery SET due_at = clock_timestamp(), claimed_until = NULL, attempts = 0, error = ''
WHERE id = ANY(:ids) AND due_at IS NULL AND sent_at IS NULL AND error <> '' RETURNING id
"""

# Newest first, each with its state.
_LIST: Final = """
SELECT * FROM (
    SELECT d.id AS delivery, d.channel, d.kind, d.finding_id AS finding, coalesce(w.name, '') AS watch,
        CASE WHEN d.sent_at IS NOT NULL THEN 'sent'
            WHEN d.claimed_until IS NOT NULL AND (d.due_at IS NULL OR d.claimed_until < clock_timestamp())
                THEN 'in doubt'
            WHEN d.claimed_until IS NOT NULL THEN 'sending'
            WHEN d.due_at IS NOT NULL THEN 'waiting'
            WHEN d.error <> '' AND d.attempts = 0 THEN 'dropped'
            WHEN d.error <> '' THEN 'given up'
            WHEN d.digest_id IS NOT NULL THEN 'in a digest'
            ELSE 'held' END AS state,
        d.day, d.due_at, d.attempts, d.error, d.sent_at, d.created_at, d.digest_id AS digest
    FROM delivery d LEFT JOIN watch w ON w.id = d.watch_id
) d
WHERE (:state = '' OR d.state = :state) AND (:channel = '' OR d.channel = :channel)
ORDER BY d.delivery DESC LIMIT :limit
"""

# What a message says of a finding: as it stands when the message leaves. Uses pk_finding and pk_finding_fact.
_SAID: Final = """
SELECT f.id AS finding, f.title, f.severity, f.lapse, f.rule, f.status, f.event_time, f.found_at, f.evidence_at,
    w.name AS watch, e.kind AS subject_kind, e.value AS subject, coalesce(v.reason, '') AS reopened,
    greatest(coalesce(i.tlp, 0), coalesce((SELECT max(greatest(a.tlp, s.tlp)) FROM finding_fact ff
        JOIN fact a ON a.id = ff.fact_id JOIN source s ON s.id = a.source_id WHERE ff.finding_id = f.id), 4)) AS tlp
FROM finding f
JOIN watch w ON w.id = f.watch_id
JOIN entity e ON e.id = f.subject_id
LEFT JOIN incident i ON i.id = w.incident_id
LEFT JOIN LATERAL (SELECT reason FROM finding_event v WHERE v.finding_id = f.id AND v.status = 'reopened'
    ORDER BY v.id DESC LIMIT 1) v ON true
WHERE f.id = ANY(:ids) OR f.id IN (SELECT finding_id FROM delivery WHERE digest_id = :digest_id)
ORDER BY f.severity DESC, f.lapse DESC, f.id
"""


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery that this process is to send; `due_at` recorded time, UTC."""

    id: int
    channel: str
    key: str
    kind: str
    finding_id: int | None
    watch_id: int | None
    day: date
    attempts: int
    due_at: datetime


class Put(msgspec.Struct, frozen=True, kw_only=True):
    """A message to put into the outbox: `at_once`, or held for the digest."""

    key: str
    finding_id: int
    watch_id: int
    kind: str
    at_once: bool


def lock(connection: Connection) -> tuple[datetime, datetime]:
    """Decide alone until commit; returns (the time that everything older is committed by, the time now), UTC."""
    connection.execute(text(_LOCK))
    row = connection.execute(text(_SEEN)).one()
    return row.seen or row.now, row.now


def candidates(connection: Connection, channel: str, since: datetime) -> list[Any]:
    """Open findings, new or reopened since then (recorded time), that the channel was not told of, the best first."""
    return list(connection.execute(text(_CANDIDATES), {"channel": channel, "since": since}))


def spent(connection: Connection, channel: str, day: date) -> dict[int, int]:
    """How many messages of a UTC day's budget are spent, by watch."""
    rows = connection.execute(text(_SPENT), {"channel": channel, "day": day})
    return {row.watch_id: int(row.spent) for row in rows}


def put(connection: Connection, channel: str, day: date, messages: Sequence[Put]) -> int:
    """Put messages into the outbox; those that are there already stay as they are. Returns how many are new."""
    if not messages:
        return 0
    rows = msgspec.json.encode(messages).decode()
    return connection.execute(text(_PUT), {"channel": channel, "day": day, "rows": rows}).rowcount


def back(connection: Connection, channel: str) -> int:
    """Let what was dropped as withdrawn be sent where its finding stands again; returns how many."""
    return connection.execute(text(_BACK), {"channel": channel, "error": WITHDRAWN}).rowcount


def digest(connection: Connection, channel: str, day: date) -> int:
    """Put a channel's digest of the day into the outbox; returns how many messages it stands for."""
    return len(connection.execute(text(_DIGEST), {"channel": channel, "day": day}).all())


def claim(connection: Connection, channels: Sequence[str], seconds: float) -> Claimed | None:
    """The next delivery that is due, claimed for so long; commit before anything is sent."""
    row = connection.execute(text(_CLAIM), {"channels": list(channels), "seconds": seconds}).mappings().one_or_none()
    return None if row is None else Claimed(**row)


def sent(connection: Connection, delivery_id: int) -> None:
    """Say that it was sent."""
    connection.execute(text(_SENT), {"id": delivery_id})


def failed(connection: Connection, delivery_id: int, error: str, *, again: float | None) -> None:
    """Say that it certainly did not arrive; it is due again after `again` seconds, or given up."""
    values = {"id": delivery_id, "error": error, "again": again is not None, "seconds": again or 0.0}
    connection.execute(text(_FAILED), values)


def doubted(connection: Connection, delivery_id: int, error: str) -> None:
    """Say that nobody knows whether it arrived."""
    connection.execute(text(_DOUBTED), {"id": delivery_id, "error": f"{error}: {DOUBT}"})


def dropped(connection: Connection, delivery_id: int, why: str) -> None:
    """Say that it is no longer to be said; nothing was sent."""
    connection.execute(text(_DROPPED), {"id": delivery_id, "error": why})


def settle_died(connection: Connection) -> int:
    """Put what senders had claimed that died into doubt; returns how many."""
    said = f"its sender ended before it said how it went: {DOUBT}"
    return len(connection.execute(text(_DIED), {"error": said}).all())


def retry(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Let deliveries be sent once more that were given up or are in doubt; returns which."""
    return sorted(connection.execute(text(_RETRY), {"ids": list(ids)}).scalars())


def listed(connection: Connection, *, state: str = "", channel: str = "", limit: int = 50) -> list[dict[str, Any]]:
    """Deliveries with their state, the newest first; recorded times."""
    values = {"state": state, "channel": channel, "limit": limit}
    return [dict(row) for row in connection.execute(text(_LIST), values).mappings()]


def counts(connection: Connection) -> list[dict[str, Any]]:
    """How many deliveries there are of each channel in each state."""
    statement = f"SELECT channel, state, count(*) AS deliveries FROM ({_LIST}) d GROUP BY 1, 2 ORDER BY 1, 2"  # noqa: S608 - put together from constants
    values = {"state": "", "channel": "", "limit": None}
    return [dict(row) for row in connection.execute(text(statement), values).mappings()]


def said(connection: Connection, *, finding_id: int | None = None, digest_id: int | None = None) -> list[Any]:
    """What a message says of a finding, or of those of a digest, as they stand now, the best first."""
    values = {"ids": [] if finding_id is None else [finding_id], "digest_id": digest_id}
    return list(connection.execute(text(_SAID), values))
