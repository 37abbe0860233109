"""Findings on their way to people: what is new goes into the outbox, and what is due is sent, once.

Comes in: findings that became new or were reopened, and the channels of configs/notify.yaml. Goes out: messages, each
at most once. Three things see to that:

- What a message is about is its key: a finding and how often new evidence reopened it, or a day's digest. The outbox
  holds each key once for a channel. An update of a finding (title, severity, evidence) is none, so it sends nothing.
- The cursor moves in the transaction that puts messages in. It is a time before which everything is committed.
- "Sending" is committed before anything leaves. A process that dies between sending and saying so leaves a claim that
  runs out, and nobody can know whether the message had left: it is *not* sent again, and is shown as in doubt, until a
  person retries it. The choice is between perhaps never and perhaps twice. A finding stays in the queue whether or not
  its message arrived, and the doubt is said in `lapsewatch status`; a message that comes twice looks like news, and
  nobody would know that it is none. For the same reason a time-out after the message left is a doubt and no failure.
  Only what certainly did not arrive is tried again, later each time, and given up after `ATTEMPTS`.

A channel gets what is worth its `minimum_severity` (or is a lapse) at once, as far as the day's budget of the watch
reaches; what is beyond, or worth at least `digest_from`, is held for the digest. What was closed, or became stricter
than the channel may have, before its message left is dropped; what was withdrawn, and is stated again, is said then.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import Connection, Engine

from db import outbox, runs
from db.outbox import Claimed, Put
from intel.config.notify import Channel, Notify
from intel.errors import ConfigError
from intel.facts import TLP
from tasks.publish.outbox_send import Attempt, Outcome, open_channel, send
from tasks.publish.outbox_text import Message, of_digest, of_finding

if TYPE_CHECKING:
    import apprise

Address = Callable[[Channel], str]
"""Gives a channel's address, which is a secret. Raises ConfigError where there is none."""

ATTEMPTS: Final = 8
"""Attempts that a message gets; with `BACKOFF`, over about ten hours."""
BACKOFF: Final = (60.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0)
"""Seconds until the next attempt."""
CLAIM: Final = 300.0
"""Seconds after which a claim's sender counts as dead; several times what the longest attempt takes."""
_STANDING: Final = frozenset({"open", "acknowledged", "confirmed"})


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """What was put into the outbox: to be sent at once, held for the digest, digests."""

    at_once: int = 0
    held: int = 0
    digests: int = 0


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of what was due. `problems`: channels that cannot be used, and why."""

    sent: int = 0
    failed: int = 0
    doubted: int = 0
    dropped: int = 0
    problems: tuple[str, ...] = ()


def enqueue(connection: Connection, notify: Notify, *, now: datetime | None = None) -> Enqueued:
    """Put what is new for each channel into the outbox, and the digest where its hour has come; moves the cursors.

    A channel hears of what is found from its first time on. `now` (UTC) is the database's clock unless given.
    """
    at_once = held = digests = 0
    seen, clock = outbox.lock(connection)
    now = (now or clock).astimezone(UTC)
    for channel in notify.channels:
        cursor = runs.read_cursor(connection, f"notify:{channel.name}")
        if cursor is not None:
            since = datetime.fromisoformat(cursor["since"])
            messages = _messages(connection, channel, since, now)
            outbox.put(connection, channel.name, now.date(), messages)
            at_once += sum(one.at_once for one in messages)
            held += sum(not one.at_once for one in messages)
            at_once += outbox.back(connection, channel.name)
        runs.write_cursor(connection, f"notify:{channel.name}", {"since": seen.astimezone(UTC).isoformat()}, None)
        if now.hour >= channel.digest_hour:
            digests += outbox.digest(connection, channel.name, now.date()) > 0
    return Enqueued(at_once=at_once, held=held, digests=digests)


def _messages(connection: Connection, channel: Channel, since: datetime, now: datetime) -> list[Put]:
    spent = outbox.spent(connection, channel.name, now.date())
    messages = []
    for row in outbox.candidates(connection, channel.name, since):
        urgent = row.severity >= channel.minimum_severity or (channel.lapses and row.lapse)
        if (
            row.tlp > channel.ceiling
            or not channel.about(row.watch)
            or not (urgent or row.severity >= channel.digest_from)
        ):
            continue
        within = spent.get(row.watch_id, 0) < channel.budget
        if urgent and within:
            spent[row.watch_id] = spent.get(row.watch_id, 0) + 1
        messages.append(
            Put(
                key=row.key,
                finding_id=row.finding,
                watch_id=row.watch_id,
                kind="new" if row.generation == 1 else "reopened",
                at_once=urgent and within,
            )
        )
    return messages


def send_due(engine: Engine, notify: Notify, address: Address, *, claim_seconds: float = CLAIM) -> Sent:
    """Send what is due, one message after the other, until nothing is. Another process may do the same meanwhile."""
    with engine.begin() as connection:
        died = outbox.settle_died(connection)
    services, problems = _services(notify, address)
    counts = {"sent": 0, "failed": 0, "doubted": died, "dropped": 0}
    while services:
        with engine.begin() as connection:
            claimed = outbox.claim(connection, list(services), claim_seconds)
        if claimed is None:
            break
        counts[_deliver(engine, claimed, services[claimed.channel])] += 1
    return Sent(problems=tuple(problems), **counts)


def _services(notify: Notify, address: Address) -> tuple[dict[str, tuple[Channel, apprise.NotifyBase]], list[str]]:
    """The channels that can be used, and what is wrong with the others: those keep what they have waiting."""
    services, problems = {}, []
    for channel in notify.channels:
        try:
            services[channel.name] = (channel, open_channel(channel.name, address(channel)))
        except ConfigError as error:
            problems.append(str(error))
    return services, problems


def _deliver(engine: Engine, claimed: Claimed, to: tuple[Channel, apprise.NotifyBase]) -> str:
    """Send what was claimed, and say what became of it. The claim is committed."""
    channel, service = to
    with engine.connect() as connection:
        message, why_not = _message(connection, claimed, channel)
    if message is None:
        with engine.begin() as connection:
            outbox.dropped(connection, claimed.id, why_not)
        return "dropped"
    attempt = send(service, message)
    with engine.begin() as connection:
        return _settle(connection, claimed, attempt)


def _settle(connection: Connection, claimed: Claimed, attempt: Attempt) -> str:
    if attempt.outcome is Outcome.SENT:
        outbox.sent(connection, claimed.id)
        return "sent"
    said = f"couldn't send: {attempt.why}"
    if attempt.outcome is Outcome.DOUBTED:
        outbox.doubted(connection, claimed.id, said)
        return "doubted"
    again = BACKOFF[claimed.attempts] if claimed.attempts + 1 < ATTEMPTS else None
    outbox.failed(connection, claimed.id, said, again=again)
    return "failed"


def _message(connection: Connection, claimed: Claimed, channel: Channel) -> tuple[Message | None, str]:
    """(the message as things stand now, why there is none)."""
    if claimed.finding_id is not None:
        [row] = outbox.said(connection, finding_id=claimed.finding_id)
        if row.status not in _STANDING:
            closed = f"no longer to be said: the finding is {row.status}"
            return None, outbox.WITHDRAWN if row.status == "withdrawn" else closed
        if row.tlp > channel.ceiling:
            return None, f"not for this channel: {TLP(row.tlp).label} is stricter than {channel.ceiling.label}"
        return of_finding(row, kind=claimed.kind), ""
    rows = outbox.said(connection, digest_id=claimed.id)
    left = [row for row in rows if row.status in _STANDING and row.tlp <= channel.ceiling]
    if not left:
        return None, "no longer to be said: all that it was to say is closed, or may not be sent here"
    return of_digest(left, day=claimed.day, left_out=len(rows) - len(left)), ""
