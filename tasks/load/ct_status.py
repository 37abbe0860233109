"""How each log stands: the rows of db/ct_status.py in, one verdict for each out.

Lag is what is left to read, in entries and in time: how long before the head's signing the last verified entry was
logged. A log that no longer publishes (stale) and one that we are behind (backlogged) are different alarms, and so are
one that nobody asked and one that is not believed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from db import ct_status
from intel.config.ct import Alarms
from intel.ct import at_milliseconds

_MMD: Final = {"static": 60, "hybrid": 86_400, "rfc6962": 86_400}
"""Maximum merge delay, seconds, of a log that no list speaks of (the policies of Chrome and Apple)."""
_GOOD: Final = frozenset({"ok", "unchanged", "partial", "running", "interrupted"})
_NO_LONGER_GROW: Final = frozenset({"readonly", "retired", "rejected"})


class LogStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One log. Positions are of the next entry; times are aware UTC.

    `state` is the first alarm, or following, ended (a log that will not grow and is read), left (it was read and is no
    longer chosen), or new. `verified` is how far it was read, checked, matched and committed; `downloaded` how far
    received. `lag_seconds` is 0 where nothing is left to read.
    """

    source: str
    protocol: str
    operator: str = ""
    state: str
    alarms: tuple[str, ...] = ()
    head: int | None = None
    head_at: datetime | None = None
    verified: int | None = None
    downloaded: int | None = None
    lag_entries: int | None = None
    lag_seconds: float | None = None
    rate: float | None = None
    in_flight: int | None = None
    throttled: int | None = None
    asked_at: datetime | None = None
    error: str = ""


def log_statuses(
    connection: Connection,
    protocols: Mapping[str, str],
    alarms: Alarms,
    now: datetime | None = None,
    *,
    left: Collection[str] = (),
) -> list[LogStatus]:
    """How the logs of these sources stand; `protocols` has their names, `left` those that are no longer chosen."""
    moment = now or datetime.now(UTC)
    rows = ct_status.logs(connection, list(protocols))
    return [log_status(row, protocols[row["source"]], alarms, moment, chosen=row["source"] not in left) for row in rows]


def log_status(
    row: Mapping[str, Any], protocol: str, alarms: Alarms, now: datetime, *, chosen: bool = True
) -> LogStatus:
    """How one log stands, from its row."""
    known: Mapping[str, Any] = row["known"] or {}
    pace: Mapping[str, Any] = known.get("pace") or {}
    verified = (row["position"] or {}).get("position")
    head = known.get("head_size")
    head_at = at_milliseconds(known["head_at"]) if known.get("head_at") else None
    left = max(0, head - verified) if head is not None and verified is not None else None
    status = LogStatus(
        source=row["source"],
        protocol=protocol,
        operator=row["operator"] or "",
        state="new" if verified is None else "following",
        head=head,
        head_at=head_at,
        verified=verified,
        downloaded=known.get("downloaded"),
        lag_entries=left,
        lag_seconds=_lag(left, known.get("logged_at") or 0, head_at),
        rate=known.get("rate"),
        in_flight=pace.get("in_flight"),
        throttled=pace.get("throttled"),
        asked_at=datetime.fromisoformat(known["asked_at"]) if known.get("asked_at") else None,
        error=row["error"] or "",
    )
    found = tuple(_alarms(status, row, alarms, now))
    if not chosen:
        # That nobody asks it is what was wanted; that it was not believed stays to be looked at.
        found = tuple(alarm for alarm in found if alarm.startswith("halted:"))
    if found:
        return msgspec.structs.replace(status, alarms=found, state=found[0].partition(":")[0])
    if left == 0 and row["state"] in _NO_LONGER_GROW:
        return msgspec.structs.replace(status, state="ended")
    if not chosen:
        return msgspec.structs.replace(status, state="left")
    return status


def _lag(left: int | None, logged_at: int, head_at: datetime | None) -> float | None:
    if left is None or head_at is None:
        return None
    if not left:
        return 0.0
    # Before the first entry was read, there is no time to tell it from.
    return max(0.0, (head_at - at_milliseconds(logged_at)).total_seconds()) if logged_at else None


def _alarms(status: LogStatus, row: Mapping[str, Any], alarms: Alarms, now: datetime) -> Iterator[str]:
    halted = (row["known"] or {}).get("halted")
    if halted:
        yield f"halted: what it said on {halted['at'][:16]} did not add up ({halted['reason']})"
    elif row["outcome"] is not None and row["outcome"] not in _GOOD:
        yield f"failing: {row['error']}"
    if status.asked_at is not None and now - status.asked_at > timedelta(minutes=alarms.unasked_minutes):
        yield f"unasked: nobody has had a head of it since {status.asked_at:%Y-%m-%d %H:%M}"
    elif status.head_at is not None and status.asked_at is not None and row["state"] not in _NO_LONGER_GROW:
        delay = timedelta(seconds=row["mmd"] or _MMD[status.protocol])
        if status.asked_at - status.head_at > delay + timedelta(minutes=alarms.stale_minutes):
            yield f"stale: its newest head was signed at {status.head_at:%Y-%m-%d %H:%M}"
    if (status.lag_seconds or 0) > alarms.backlogged_minutes * 60:
        lag = timedelta(seconds=int(status.lag_seconds or 0))
        yield f"backlogged: what was verified last was logged {lag} before its head"
