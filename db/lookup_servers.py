"""How servers of look-ups may be asked: a token bucket, a breaker and a day's budget for each, shared by all who ask.

In: a server's key (`intel.config.lookups.server_key`), its pace, the time. Out: `Turn`: when the question may go, or
why it has to wait. The row of the server is locked for the moment in which that is decided, so that any number of
workers in any number of processes keep to one pace. The bucket is a time, which each question moves on (GCRA, as in
ITU-T I.371).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import Connection, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from db.models import LookupServer
from intel.config.lookups import Manners, Pace

SLOWEST: Final = 64.0
"""A server that throttled is asked at most this many times more slowly than its pace allows."""
_RECOVERY: Final = 0.9
_DAY_LOCK: Final = 0x6C77_6461_79
PROBE_SECONDS: Final = 30.0
"""For so long one question is alone on its way to a server that has rested; after that another may try."""

Why = Literal["", "its turn", "it asked for patience", "its budget of the day is spent"]

# What each server was asked today, the busiest first. A sequential scan: a few hundred rows.
SERVERS: Final = """
SELECT server, CASE WHEN day = :today THEN asked ELSE 0 END AS asked,
    CASE WHEN day = :today THEN throttled ELSE 0 END AS throttled,
    slowed, failures, CASE WHEN not_before > :now THEN not_before END AS rests_until, last_asked, last_outcome
FROM lookup_server ORDER BY 2 DESC, server
"""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """When a question may be asked (aware UTC, recorded time). `why` is empty where the turn was taken.

    `alone_until` is until when the others wait for what becomes of it, where it finds out whether a server is back.
    """

    at: datetime
    why: Why = ""
    alone_until: datetime | None = None


def take(connection: Connection, server: str, pace: Pace, *, now: datetime, patience: float) -> Turn:
    """Take the next turn at `server` where it comes within `patience` seconds; otherwise say when to come back.

    The turn is the caller's from then on: whoever asks next gets a later one. Uses pk_lookup_server.
    """
    today = now.astimezone(UTC).date()
    connection.execute(upsert(LookupServer).values(server=server, next_at=now, day=today).on_conflict_do_nothing())
    row = connection.execute(_row(server)).one()
    asked = row.asked if row.day == today else 0
    if row.not_before is not None and row.not_before > now:
        return Turn(at=row.not_before, why="it asked for patience")
    if asked >= pace.per_day:
        return Turn(
            at=datetime.combine(today + timedelta(days=1), datetime.min.time(), UTC),
            why="its budget of the day is spent",
        )
    every = timedelta(seconds=60 / pace.per_minute * row.slowed)
    # A server that said "too fast" gets no bursts until it has answered well for a while.
    full = every * (pace.burst - 1 if row.slowed <= 1 else 0)
    at = max(now, row.next_at - full)
    if at > now + timedelta(seconds=patience):
        return Turn(at=at, why="its turn")
    values: dict[str, Any] = {
        "next_at": max(at, row.next_at) + every,
        "day": today,
        "asked": asked + 1,
        "throttled": row.throttled if row.day == today else 0,
        "last_asked": at,
    }
    # After a rest one question finds out whether it is back; the others wait for what becomes of it.
    alone_until = None if row.not_before is None else at + timedelta(seconds=PROBE_SECONDS)
    values["not_before"] = alone_until
    connection.execute(update(LookupServer).where(LookupServer.server == server).values(values))
    return Turn(at=at, alone_until=alone_until)


def _row(server: str) -> Select[Any]:
    return select(LookupServer.__table__).where(LookupServer.server == server).with_for_update()


def rests(connection: Connection, server: str, *, now: datetime) -> datetime | None:
    """Until when `server` is left alone, None where it may be asked. Uses pk_lookup_server."""
    until = connection.execute(
        select(LookupServer.not_before).where(LookupServer.server == server)
    ).scalar_one_or_none()
    return until if until is not None and until > now else None


def answered(
    connection: Connection,
    server: str,
    manners: Manners,
    *,
    outcome: str,
    now: datetime,
    retry_after: float | None = None,
) -> None:
    """Write down how a question to `server` ended; `retry_after` is in seconds, as the server said it.

    Throttled: it rests, for as long as it says, and is asked twice as slowly. Blocked: it rests long. No answer, or
    rubbish, several times in a row: it rests, and one question finds out whether it is back. Uses pk_lookup_server.
    """
    row = connection.execute(_row(server)).one_or_none()
    if row is None:
        return
    values: dict[str, Any] = {"last_outcome": outcome}
    # What was on its way when the server asked for patience says nothing of that: the rest stands, at its longest. Only
    # the question that went alone, to find out whether the server is back, may end it.
    alone = row.last_asked is not None and row.not_before == row.last_asked + timedelta(seconds=PROBE_SECONDS)
    rests = row.not_before if row.not_before is not None and row.not_before > now and not alone else None
    if outcome in {"throttled", "blocked"}:
        failures = row.failures + 1
        first = manners.rest if outcome == "throttled" else manners.rest * 60
        rest = retry_after if retry_after is not None else first * 2 ** min(failures - 1, 16)
        values |= {
            "failures": failures,
            "not_before": max(now + timedelta(seconds=max(1.0, min(rest, manners.longest_rest))), rests or now),
            "throttled": row.throttled + (outcome == "throttled"),
            "slowed": min(row.slowed * 2, SLOWEST),
        }
    elif outcome in {"timeout", "malformed"}:
        failures = row.failures + 1
        values["failures"] = failures
        if failures >= manners.failures:
            rest = manners.rest * 2 ** min(failures - manners.failures, 16)
            values["not_before"] = max(now + timedelta(seconds=min(rest, manners.longest_rest)), rests or now)
        else:
            values["not_before"] = rests
    elif rests is not None:
        values["not_before"] = rests
    else:
        values |= {"failures": 0, "not_before": None, "slowed": max(1.0, row.slowed * _RECOVERY)}
    connection.execute(update(LookupServer).where(LookupServer.server == server).values(values))


def within_day(connection: Connection, most: int, *, now: datetime) -> bool:
    """Whether fewer than `most` questions were asked on the UTC day of `now`, of all servers.

    Who asks this is alone with it until the transaction ends, so that two do not take the last one.
    """
    connection.execute(select(func.pg_advisory_xact_lock(_DAY_LOCK)))
    return asked_today(connection, now=now) < most


def asked_today(connection: Connection, *, now: datetime) -> int:
    """Questions that were asked on the UTC day of `now`, of all servers."""
    statement = select(func.coalesce(func.sum(LookupServer.asked), 0)).where(
        LookupServer.day == now.astimezone(UTC).date()
    )
    return int(connection.execute(statement).scalar_one())


def servers(connection: Connection, *, now: datetime) -> list[dict[str, Any]]:
    """A row for each server that was ever asked: today's questions, how it is slowed, until when it rests."""
    rows = connection.execute(text(SERVERS), {"now": now, "today": now.astimezone(UTC).date()})
    return [dict(row) for row in rows.mappings()]
