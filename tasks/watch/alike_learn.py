"""What a watch's known domains teach, and how far that was applied: cursors and warehouse in, models out.

The cursor `alike:WATCH` holds the operating point and of what it was made, or why there is none, and how far all of
history was looked through with it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, text

from db import alike, pattern_rows, runs
from db.profiles import profiles
from intel.config.patterns import read_settings
from intel.patterns.background import FEW, Names
from intel.patterns.rank import Ranker
from intel.patterns.rolling import Learned, Strangers, newest, operating_point, too_few
from intel.settings import settings
from tasks.watch.alike_found import Model
from tasks.watch.patterns import factor
from tasks.watch.patterns import strangers as strangers_of

_VERSION: Final = "1"
"""Another one when the same would be scored otherwise: everything is learned and looked through anew."""
FRESH: Final = timedelta(days=1)
"""For how long an operating point holds when strangers alone have changed."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """The cursor of a watch. `limit` in bits; None: nothing is shown, for the reason `why`; `learned` recorded time.

    `known` and `others` are digests of what was learned from, `strangers` how many those are. Of all of history the
    entity `at` was looked at last; then come those to the end and, where `again` is not 0, those from the beginning to
    there, `until` which is what it then becomes. `done`: all was looked through.
    """

    limit: float | None
    why: str
    known: str
    others: str
    strangers: int
    learned: datetime
    at: int = 0
    again: int = 0
    until: int = 0
    done: bool = False


def cursor(watch_id: int) -> str:
    """What the cursor of a watch is called."""
    return f"{alike.NAME}:{watch_id}"


def read_state(connection: Connection, watch_id: int) -> State | None:
    """How far a watch is; None where nobody has looked."""
    value = runs.read_cursor(connection, cursor(watch_id))
    return None if value is None else msgspec.convert(value, State)


def write_state(connection: Connection, watch_id: int, state: State) -> None:
    """Move the cursor of a watch, in the transaction that writes what was found."""
    runs.write_cursor(connection, cursor(watch_id), msgspec.to_builtins(state), None)


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A watch and how far it is."""

    watch: str
    state: State


def states(connection: Connection) -> list[Said]:
    """The active watches that were looked at, by name: what is shown for each, or why nothing is."""
    found = []
    for row in connection.execute(text(alike.WATCHES), {"rule": alike.RULE}):
        state = read_state(connection, row.id)
        if state is not None:
            found.append(Said(watch=row.name, state=state))
    return sorted(found, key=lambda one: one.watch)


def glance(connection: Connection) -> str:
    """Another text once watches, what they know, or ends of ownership have changed; cheap, and asked at each run."""
    found = hashlib.sha256(_VERSION.encode())
    found.update(msgspec.json.encode(read_settings(settings().configs)))
    for row in connection.execute(text(alike.WATCHES), {"rule": alike.RULE}):
        found.update(f"\n{row.id} {pattern_rows.known_domains(connection, row.id)}".encode())
    found.update(str(connection.execute(text(alike.ENDS)).scalar_one()).encode())
    return found.hexdigest()


def learn(engine: Engine) -> list[Model]:
    """The models of all watches that have an operating point; cursors are brought up to date."""
    chosen = read_settings(settings().configs)
    with engine.connect() as connection:
        watches = {row.id: row.name for row in connection.execute(text(alike.WATCHES), {"rule": alike.RULE})}
        known = {one: pattern_rows.known_domains(connection, one) for one in watches}
        ids = sorted({one for some in known.values() if len(some) >= chosen.least_known for one in some})
        named = alike.names(connection, ids)
        listed = {named[one.domain]: one for one in profiles(connection, ids)}
        others = strangers_of(connection, ids, list(listed.values())) if ids else Strangers([], Names())
        states = {one: read_state(connection, one) for one in watches}
        now = alike.clock(connection)
    of_others = _digest(others.whole.called, sorted(map(repr, others.profiles)), others.names.total)
    models = []
    for watch_id, name in watches.items():
        mine = newest([listed[one] for one in known[watch_id] if one in listed])
        of_known = _digest(_VERSION, chosen, len(known[watch_id]), mine)
        state = states[watch_id]
        if state is None or not _holds(state, of_known, of_others, others.total, now):
            few = len(known[watch_id]) < chosen.least_known
            learned = too_few(len(known[watch_id]), chosen) if few else operating_point(mine, others, chosen, factor)
            state = _learn_one(
                engine, watch_id, state, learned, known=of_known, others=of_others, strangers=others.total
            )
        if state.limit is not None:
            models.append(
                Model(
                    watch_id=watch_id,
                    watch=name,
                    known={one: listed[one] for one in known[watch_id] if one in listed},
                    ranker=Ranker(mine, others.whole, chosen, factor),
                    limit=state.limit,
                )
            )
    return models


def _holds(state: State | None, of_known: str, of_others: str, strangers_now: int, now: datetime) -> bool:
    if state is None or state.known != of_known:
        return False
    if state.others == of_others:
        return True
    # Once there are enough strangers to compare with, nobody waits for the next day.
    return now - state.learned < FRESH and not state.strangers < FEW <= strangers_now


def _learn_one(
    engine: Engine, watch_id: int, before: State | None, learned: Learned, *, known: str, others: str, strangers: int
) -> State:
    """Write what was learned; all of history is to be looked through with it, or what was found goes."""
    with engine.begin() as connection:
        # From where the last look got to, round to there: a large warehouse is looked through even if this happens
        # again before the end.
        again = before.at if before is not None and not before.done else 0
        state = State(
            limit=learned.limit,
            why=learned.why,
            known=known,
            others=others,
            strangers=strangers,
            learned=alike.clock(connection),
            at=again,
            again=again,
            done=learned.limit is None,
        )
        if learned.limit is None:
            values = {"rule": alike.RULE, "watch_id": watch_id, "reason": f"nothing is shown: {learned.why}"}
            connection.execute(text(alike.WITHDRAW_ALL), values)
        write_state(connection, watch_id, state)
    return state


def _digest(*parts: object) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(repr(part).encode() + b"\n")
    return found.hexdigest()
