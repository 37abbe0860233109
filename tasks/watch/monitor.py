"""A monitor: batches that nobody has judged and items that nobody has looked backwards for come in, findings go out.

Each batch is one transaction: what it claims of followed actors becomes items, the rules are evaluated over its facts,
findings and the judgement row are written together. Then items that are new to this monitor are evaluated over the
whole warehouse, a chunk of items per transaction, with their marks. Kill it anywhere: what was committed is marked as
done, the rest is done again from the start, and a finding is unique by what is new.

Nothing falls between the two directions:
- A batch is judged while a watch is being added: it may not see the new items. They are unmarked, and the sweep that
  marks them begins after the batch was committed, so it sees the batch's facts.
- A batch commits after a sweep has read: it has no judgement row yet, since only this process writes those (it holds
  the lock `monitor:NAME`), and it is judged later with the items in sight.
- An item turns out to be known from an earlier day: whoever lowers `since` clears the marks under the lock on the watch
  set, which a sweep holds from reading its chunk to marking it. So no mark outlives the `since` that it was made for.
- Two monitors at once follow the same claims: the items are the same rows, and the lock on the watch set orders them.

A batch that cannot be judged spares the others: it has no judgement row, every run tries it again and fails for it at
its end, and `lapsewatch status` shows it.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine, text

from db import ownership, ownership_effects, runs, watching_match, watching_store, watching_versions
from db.watching import lock_items
from db.watching_rules import MENTIONS
from intel.names import default_suffixes
from tasks.watch import store
from tasks.watch.lapses import Judging
from tasks.watch.pieces import Pieces, in_transaction
from tasks.watch.rules import of_monitor

CHUNK: Final = 5_000
"""Items of one backward sweep's transaction."""

PENDING: Final = """
SELECT b.id FROM batch b
WHERE NOT EXISTS (SELECT FROM judgement j WHERE j.batch_id = b.id AND j.monitor = :monitor) ORDER BY b.id
"""
_UNFOLLOWED: Final = """
SELECT id FROM watch w WHERE follows_actor AND active AND actor_id IS NOT NULL
    AND NOT EXISTS (SELECT FROM cursor c WHERE c.name = 'follow:' || w.id) ORDER BY id
"""
_JUDGED: Final = """
INSERT INTO judgement (batch_id, monitor, items)
VALUES (:batch_id, :monitor, (SELECT coalesce(max(id), 0) FROM watch_item))
"""
_CLAIMED: Final = """
SELECT EXISTS (SELECT FROM watch_candidate c JOIN watch w ON w.actor_id = c.object_id AND w.follows_actor AND w.active
               WHERE c.predicate = 'attributed-to')
"""


class Monitor(msgspec.Struct, frozen=True, kw_only=True):
    """What a monitor looks at.

    `predicates` are those of the facts that its rules read; `widen` the statements that add known facts to them,
    `known` those that say more of what is looked for, `withdraw` those that take back what no longer holds, `notes`
    those that say more of what was found. `ends`: who takes domains away, where this monitor concludes whose domains
    are (None: it does not). `lapses`: whether it judges the rules that are judged whole (`Judging`). `mark` goes to
    `watch_item.swept`: it changes when the rules do, and all items are looked backwards for again.
    """

    name: str
    mark: str
    predicates: tuple[str, ...]
    widen: tuple[str, ...]
    known: tuple[str, ...] = ()
    withdraw: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    ends: tuple[ownership.Taker, ...] | None = None
    lapses: bool = False


class Monitored(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of a monitor did: batches judged, items looked backwards for, findings made."""

    monitor: str
    batches: int = 0
    items: int = 0
    findings: int = 0


def watch(engine: Engine, monitor: Monitor, *, chunk: int = CHUNK) -> Monitored:
    """Judge what is due.

    Raises BusyError where another process runs this monitor, and WarehouseError where batches could not be judged: by
    then everything else that was due is done.
    """
    batches, items, findings = 0, 0, 0
    pieces = Pieces(engine, monitor.name)
    with runs.exclusive(engine, f"monitor:{monitor.name}"):
        while True:
            _follow_new(engine)
            with engine.connect() as connection:
                pending = connection.execute(text(PENDING), {"monitor": monitor.name}).scalars().all()
            due = [batch_id for batch_id in pending if f"batch {batch_id}" not in pieces.failed]
            for batch_id in due:
                found = pieces.judge(f"batch {batch_id}", partial(_judge, monitor=monitor, batch_id=batch_id))
                findings, batches = findings + (found or 0), batches + (found is not None)
            swept = 0
            while True:
                taken, found = in_transaction(engine, partial(_sweep, monitor=monitor, size=chunk))
                findings += found
                swept += taken
                if taken < chunk:
                    break
            items += swept
            if not due and not swept:
                break
    pieces.tell("batches")
    return Monitored(monitor=monitor.name, batches=batches, items=items, findings=findings)


def prepare(connection: Connection) -> None:
    """The monitor's tables, for this transaction."""
    connection.exec_driver_sql("SET LOCAL jit = off")
    connection.exec_driver_sql("SET LOCAL work_mem = '64MB'")
    connection.exec_driver_sql(watching_match.TEMPORARY)


def _follow_new(engine: Engine) -> None:
    """Read all claims about the actors of watches that are new or changed."""
    with engine.connect() as connection:
        due = connection.execute(text(_UNFOLLOWED)).scalars().all()
    for watch_id in due:
        with engine.begin() as connection:
            lock_items(connection)
            prepare(connection)
            connection.execute(text(watching_match.CLAIMS), {"watch_id": watch_id})
            connection.exec_driver_sql("ANALYZE watch_candidate")
            _follow(connection)
            runs.write_cursor(connection, f"follow:{watch_id}", {"followed": True}, None)


def _follow(connection: Connection) -> None:
    """Make items of the claims among the candidates."""
    connection.execute(text(watching_match.FOLLOW))


def _judge(connection: Connection, *, monitor: Monitor, batch_id: int) -> int:
    prepare(connection)
    known = {"batch_id": batch_id, "predicates": list(monitor.predicates)}
    connection.execute(text(watching_match.BATCH_FACTS), {name: known[name] for name in ("batch_id", "predicates")})
    restated = connection.execute(text(watching_match.RESTATED_FACTS), known).rowcount
    if monitor.ends is not None:
        ownership.fill_takers(connection, monitor.ends)
        connection.execute(text(watching_versions.TOUCHED), {"batch_id": batch_id})
    connection.exec_driver_sql("ANALYZE watch_candidate")
    if connection.execute(text(_CLAIMED)).scalar_one():
        lock_items(connection)
        _follow(connection)
    found = _evaluate(connection, monitor, batch_id)
    if restated:
        connection.execute(text(watching_store.WITHDRAW_KNOWN), {"batch_id": batch_id})
    connection.execute(text(_JUDGED), {"batch_id": batch_id, "monitor": monitor.name})
    return found


def _sweep(connection: Connection, *, monitor: Monitor, size: int) -> tuple[int, int]:
    """(items looked backwards for, findings) of one chunk."""
    lock_items(connection)
    prepare(connection)
    taken = connection.execute(text(watching_match.TAKE_CHUNK), {"mark": monitor.mark, "size": size}).rowcount
    if not taken:
        return 0, 0
    _scope_chunk(connection)
    connection.exec_driver_sql("ANALYZE watch_chunk")
    for statement in (watching_match.SWEEP_ENTITY, watching_match.SWEEP_SCOPE, watching_match.SWEEP_NETWORK):
        connection.execute(text(statement))
    connection.exec_driver_sql("ANALYZE watch_swept_entity")
    connection.execute(text(watching_match.SWEPT_FACTS), {"predicates": list(monitor.predicates)})
    if monitor.ends is not None:
        ownership.fill_takers(connection, monitor.ends)
        connection.execute(text(watching_versions.SWEPT_DOMAINS))
    found = _evaluate(connection, monitor, None)
    connection.execute(text(watching_match.MARK_CHUNK), {"mark": monitor.mark})
    return taken, found


def _scope_chunk(connection: Connection) -> None:
    """Say under which registrable domain the chunk's names stand, which is what the index knows."""
    connection.exec_driver_sql("UPDATE watch_chunk SET scope = value WHERE match = 'scope'")
    names = connection.execute(text("SELECT value FROM watch_chunk WHERE match = 'subtree'")).scalars().all()
    for name in names:
        connection.execute(
            text("UPDATE watch_chunk SET scope = :scope WHERE match = 'subtree' AND value = :name"),
            {"scope": default_suffixes().registrable(name), "name": name},
        )


def _evaluate(connection: Connection, monitor: Monitor, batch_id: int | None) -> int:
    """Evaluate the rules over the candidates and store what they find. Returns how many findings are new."""
    connection.exec_driver_sql("ANALYZE watch_candidate")
    for statement in monitor.widen:
        if connection.execute(text(statement)).rowcount:
            connection.exec_driver_sql("ANALYZE watch_candidate")
    if monitor.ends is not None:
        _conclude(connection)
    found = _find(connection, monitor, Judging(connection, batch_id) if monitor.lapses else None)
    store.say_ends(connection)
    return found


def _conclude(connection: Connection) -> None:
    """Conclude when domains ceased to be whose they were, and then of those with which they share a registrant."""
    connection.execute(text(watching_versions.CANDIDATE_DOMAINS))
    if not connection.execute(text("SELECT EXISTS (SELECT FROM watch_domain)")).scalar_one():
        return
    ownership.conclude(connection)
    for statement in (ownership_effects.REGISTRANTS, watching_match.SAME_REGISTRANT):
        if connection.execute(text(statement)).rowcount:
            connection.exec_driver_sql("ANALYZE watch_candidate")
    if connection.execute(text(watching_versions.CANDIDATE_DOMAINS)).rowcount:
        ownership.conclude(connection)


def _find(connection: Connection, monitor: Monitor, judging: Judging | None) -> int:
    # What is empty is not assumed to be large, either.
    connection.exec_driver_sql("ANALYZE watch_domain")
    connection.execute(text(watching_match.HUBS))
    connection.execute(text(watching_match.ENTITIES))
    connection.exec_driver_sql("ANALYZE watch_entity")
    if judging is not None:
        judging.reach()
    connection.execute(text(watching_match.HITS))
    connection.exec_driver_sql("ANALYZE watch_hit")
    if judging is not None:
        judging.reach_on()
    if not connection.execute(text("SELECT EXISTS (SELECT FROM watch_hit)")).scalar_one():
        return 0
    connection.exec_driver_sql("ANALYZE watch_hit")
    for statement in (*monitor.known, MENTIONS):
        connection.execute(text(statement))
    connection.exec_driver_sql("ANALYZE watch_mention")
    statements = [statement for rule in of_monitor(monitor.name) for statement in rule.statements]
    matched = sum(connection.execute(text(statement)).rowcount for statement in statements)
    matched += judging.find() if judging is not None else 0
    connection.exec_driver_sql("ANALYZE watch_match, watch_judged")
    for statement in monitor.withdraw:
        connection.execute(text(statement))
    if not matched:
        return 0
    connection.execute(text(watching_store.COLLAPSE))
    connection.exec_driver_sql("ANALYZE watch_found")
    if monitor.ends is None:
        connection.execute(text(ownership.LOCK_SHARED))
    found = store.store(connection)
    if monitor.notes:
        store.annotate(connection, monitor.notes)
    return found
