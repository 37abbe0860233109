"""The monitor of watches' own rules: batches that nobody has judged and rules that are new come in, findings go out.

What a rule means stands in intel/rules/__init__.py. What arrives is judged by the matcher: the subjects that a batch
touches, by themselves or by their neighbours, are loaded with their whole history, and findings that no longer hold are
withdrawn. History is judged by the rule's statement (db/rules_sql.py), and again when the rule changes, when items that
it asks for do, when populations are counted anew, when a registrar's names are learned, and once a day where it waits
for something not to come. So is, once for all batches that wait, a burst when somebody who fulfils the rest arrives
(whom it is with stands anywhere in the warehouse), and a rule for which a batch touches more than `MOST_TOUCHED`
subjects, as one fact about a hub does.

Guarantees are those of tasks/watch/monitor.py, and hold for the same reasons: each batch and each rule is a transaction
with its mark, under the lock `monitor:rules`. A batch that commits before a rule is added is seen by the sweep of the
rule; one that commits after it is judged with the rule in sight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine, select, text

from db import rules_store, runs, watch_rules
from db.models import Watch
from db.rules_load import load_histories
from db.watch_rules import OwnRule
from intel.errors import ConfigError, ReadError, WarehouseError
from intel.match.rules import match
from intel.rules import read_rule, rule_digest
from intel.rules.histories import Step, tested
from intel.rules.records import Rule
from tasks.watch import own_rules_history
from tasks.watch.monitor import PENDING, Monitored, prepare
from tasks.watch.own_rules_history import DryRun, chunks, dry_run, explain, judge_history, without_burst
from tasks.watch.own_rules_named import with_registrars
from tasks.watch.own_rules_store import write
from tasks.watch.pieces import Pieces, in_transaction
from tasks.watch.rules import BY_NAME

__all__ = ["DryRun", "add_rule", "check_name", "dry_run", "monitor", "read_own"]

MONITOR: Final = "rules"
MOST_TOUCHED: Final = 20_000
"""Subjects that a batch may touch for a rule, and still be judged one by one."""
_VERSION: Final = "1"
"""Another one when rules mean something else than they did: all are looked backwards for again."""


def add_rule(connection: Connection, watch: int | str, rule: Rule, origin: str) -> int:
    """Give a watch a rule, and return its id; the same again changes nothing. `watch` is its id or name.

    `origin` is command or pattern; rules of files come with the files. Raises ConfigError where there is no such watch,
    the name is a built-in rule's, or another origin made a rule of that name.
    """
    named = Watch.id == watch if isinstance(watch, int) else Watch.name == watch
    watch_id = connection.execute(select(Watch.id).where(named, Watch.active)).scalar_one_or_none()
    if watch_id is None:
        raise ConfigError(f"couldn't add rule {rule.name}: there is no watch {watch}; nothing is changed")
    check_name(rule)
    return watch_rules.put_rule(connection, int(watch_id), rule, origin=origin)


def check_name(rule: Rule) -> None:
    """Raises ConfigError where a built-in rule has the name."""
    if rule.name in BY_NAME:
        raise ConfigError(f"couldn't use rule {rule.name}: a built-in rule is called so; it needs another name")


def monitor(engine: Engine) -> Monitored:
    """Judge what is due.

    Raises BusyError where another process is at it, and WarehouseError where batches or rules could not be judged: by
    then everything else that was due is done.
    """
    batches, swept, findings = 0, 0, 0
    pieces = Pieces(engine, MONITOR)
    with runs.exclusive(engine, f"monitor:{MONITOR}"):
        while True:
            with engine.connect() as connection:
                pending = connection.execute(text(PENDING), {"monitor": MONITOR}).scalars().all()
                known = watch_rules.list_rules(connection, active=True)
                due = [
                    own
                    for own in known
                    if own.swept != _mark(connection, own) and f"rule {own.id}" not in pieces.failed
                ]
            for own in due:
                found = pieces.judge(f"rule {own.id}", partial(_sweep, rule_id=own.id))
                findings, swept = findings + (found or 0), swept + (found is not None)
            batch_ids = [one for one in pending if f"batch {one}" not in pieces.failed]
            if len(due) == len(known) and not pieces.failed:
                # Those batches were committed before the first of the sweeps began: each has seen them.
                in_transaction(engine, partial(_judged, batch_ids=batch_ids))
                batches += len(batch_ids)
            else:
                for batch_id in batch_ids:
                    found = pieces.judge(f"batch {batch_id}", partial(_judge, batch_id=batch_id))
                    findings, batches = findings + (found or 0), batches + (found is not None)
            if not due and not batch_ids:
                break
    pieces.tell("batches or rules")
    return Monitored(monitor=MONITOR, batches=batches, items=swept, findings=findings)


def read_own(own: OwnRule) -> Rule:
    """The rule of a row. Raises ConfigError where an older version wrote it in words that are none any more."""
    try:
        return read_rule(own.definition)
    except ReadError as error:
        raise ConfigError(
            f"couldn't read rule {own.name} of watch {own.watch}: {error}; it is not evaluated"
        ) from error


def _is_readable(own: OwnRule) -> bool:
    """Whether a rule can be evaluated; its sweep says so where it can not."""
    try:
        read_own(own)
    except ConfigError:
        return False
    return True


def _begin(connection: Connection) -> None:
    prepare(connection)
    connection.exec_driver_sql(rules_store.TEMPORARY)


def _mark(connection: Connection, own: OwnRule) -> UUID:
    """What history is judged with: another one, and it is judged again."""
    try:
        rule = with_registrars(connection, read_own(own))
    except ConfigError:
        return UUID(int=0)
    parts = [_VERSION, rule_digest(rule).hex()]
    tests = [one for _, one in tested(rule)]
    if any(one.watched is not None for one in tests):
        parts.append(watch_rules.items_mark(connection, own.watch_id))
    if any(one.rarer_than is not None for one in tests):
        parts.append(watch_rules.populations_mark(connection))
    if rule.waits:
        parts.append(f"{datetime.now(UTC):%Y-%m-%d}")
    return UUID(bytes=hashlib.sha256(" ".join(parts).encode()).digest()[:16])


class _Touched(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and the ids of the subjects that a batch touches for it."""

    own: OwnRule
    rule: Rule
    ids: set[int]


def _sweep(connection: Connection, *, rule_id: int) -> int:
    """Judge history with a rule. Returns how many findings are new."""
    _begin(connection)
    own = watch_rules.lock_rule(connection, rule_id)
    if own is None:
        return 0
    mark = _mark(connection, own)
    rule = with_registrars(connection, read_own(own))
    as_of = datetime.now(UTC)
    matched = judge_history(connection, rule, watch_id=own.watch_id, as_of=as_of)
    if len(matched) > own_rules_history.MOST_MATCHES:
        raise ConfigError(
            f"couldn't judge history with rule {own.name} of watch {own.watch}: it finds more than"
            f" {own_rules_history.MOST_MATCHES} things; none of these is written until it says more of what it means"
        )
    new, explained = 0, 0
    for matches in explain(connection, rule, matched, watch_id=own.watch_id, as_of=as_of):
        new += write(connection, own, rule, matches)
        explained += len(matches)
    if explained < len(matched):
        # A batch that was committed in between may have changed what holds: then the next try says so.
        raise WarehouseError(
            f"couldn't explain {len(matched) - explained} of {len(matched)} matches of rule {own.name} of watch"
            f" {own.watch}: its matcher does not find what its statement does; of history nothing is written"
        )
    connection.exec_driver_sql("ANALYZE rule_found")
    connection.execute(text(rules_store.WITHDRAW_REST), {"rule_id": own.id})
    watch_rules.mark_swept(connection, rule_id, mark)
    return new


def _judge(connection: Connection, *, batch_id: int) -> int:
    """Judge what a batch touches. Returns how many findings are new."""
    _begin(connection)
    new = 0
    rules = [
        (own, with_registrars(connection, read_own(own)))
        for own in watch_rules.list_rules(connection, active=True)
        if _is_readable(own)
    ]
    if rules:
        wanted = rules_store.predicates(rule for _, rule in rules)
        connection.execute(text(rules_store.STATED), {"batch_id": batch_id, "predicates": wanted})
        connection.exec_driver_sql("ANALYZE rule_stated")
        known: dict[tuple[Step, ...], set[int]] = {}
        by_watch: dict[int, list[_Touched]] = {}
        for own, rule in rules:
            ids = rules_store.touched(connection, rule, known, most=MOST_TOUCHED)
            if len(ids) > MOST_TOUCHED:
                # The mark is gone with the batch's judgement in one transaction: the sweep follows in this run or next.
                watch_rules.mark_swept(connection, own.id, None)
            elif ids:
                by_watch.setdefault(own.watch_id, []).append(_Touched(own=own, rule=rule, ids=ids))
        new = sum(_judge_subjects(connection, watch_id, touched) for watch_id, touched in by_watch.items())
    _judged(connection, batch_ids=[batch_id])
    return new


def _judge_subjects(connection: Connection, watch_id: int, touched: Sequence[_Touched]) -> int:
    """Judge the subjects that a batch touches with the rules of one watch: their histories are read once for all."""
    new = 0
    as_of = datetime.now(UTC)
    alone = {one.own.id: without_burst(one.rule) for one in touched}
    whole: set[int] = set()
    for chunk in chunks(sorted(set().union(*(one.ids for one in touched)))):
        histories = load_histories(connection, list(alone.values()), chunk, as_of=as_of, watch_id=watch_id)
        for one in touched:
            if one.own.id in whole:
                continue
            subjects = tuple(thing for thing in histories.subjects if thing.id in one.ids)
            matches = match(alone[one.own.id], msgspec.structs.replace(histories, subjects=subjects))
            values = {"ids": [thing.id for thing in subjects], "rule_id": one.own.id}
            if one.rule.burst is None:
                new += write(connection, one.own, one.rule, matches)
                connection.execute(text(rules_store.WITHDRAW_JUDGED), values)
            elif matches or connection.execute(text(rules_store.HAS_FOUND), values).scalar_one():
                whole.add(one.own.id)
                watch_rules.mark_swept(connection, one.own.id, None)
    return new


def _judged(connection: Connection, *, batch_ids: Iterable[int]) -> int:
    values = {"monitor": MONITOR, "ids": list(batch_ids)}
    return connection.execute(text(rules_store.JUDGED), values).rowcount
