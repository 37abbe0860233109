"""From matches to findings: what the rules found in (`watch_found`), findings with titles and annotations out.

Each function works on the tables of one transaction of a monitor (db/watching_match.py).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from db import (
    finding_queue,
    finding_suppressions,
    ownership,
    ownership_effects,
    watching_expected,
    watching_match,
    watching_store,
)
from db.rows import driver
from intel.entities import Entity, digest
from tasks.watch import queue_suppress
from tasks.watch.describe import (
    ENDED,
    EXPECTED,
    SHARED,
    Description,
    Versions,
    annotated,
    describe,
    ended_note,
    restated,
)

_HUB: Final[dict[str, Any]] = {
    "about": SHARED,
    "list": "",
    "hub": "shared",
    "takes": 40,
    "why": f"at least {watching_match.HUB:,} facts name the registrant or key in common: so many share it that it says"
    " little about any of them, and not all were compared",
}


def store(connection: Connection) -> int:
    """Write what was found. Returns how many findings are new."""
    connection.execute(text(finding_suppressions.LOCK_SHARED))
    told = connection.execute(text(watching_store.TOLD_FINDINGS)).all()
    connection.execute(text(watching_store.REFRESH_FINDINGS))
    new: list[tuple[int, str, Any, Description]] = []
    retitled: list[dict[str, Any]] = []
    noted: list[tuple[int, list[dict[str, Any]], list[dict[str, Any]], int]] = []
    for watch_id, rule, novelty, *rest in told:
        said = describe(
            rule,
            subject=_entity(*rest[:4]),
            other=_entity(*rest[4:8]),
            item=tuple(rest[8:11]),
            name=rest[11],
            why=rest[12],
            registrant=_entity(*rest[14:18]),
            versions=_versions(*rest[18:22]),
        )
        finding_id, title, before = rest[22:25]
        if finding_id is None:
            new.append((watch_id, rule, novelty, _of_hub(said) if rest[13] else said))
        elif title != said.title:
            retitled.append({"id": finding_id, "title": said.title})
        if finding_id is not None:
            noted.append((finding_id, before, *restated(rule, before, said)))
    if new:
        with driver(connection).cursor().copy("COPY watch_new FROM STDIN") as copy:
            for watch_id, rule, novelty, said in new:
                copy.write_row((watch_id, rule, novelty, said.lapse, said.title, said.severity, said.annotations_json))
        connection.exec_driver_sql("ANALYZE watch_new")
        connection.execute(text(watching_store.INSERT_FINDINGS))
    if retitled:
        connection.execute(text(watching_store.RETITLE), retitled)
    _write(connection, noted)
    # Before the evidence is written: what is new to a finding shows by what it has.
    connection.execute(text(finding_queue.REOPEN))
    connection.execute(text(watching_store.INSERT_EVIDENCE))
    if new:
        connection.execute(text(watching_store.KNOWN_CLAIMS))
    queue_suppress.of_found(connection)
    return len(new)


def annotate(connection: Connection, statements: Sequence[str]) -> None:
    """Let the findings that were found say what is known of their certificates now."""
    for statement in statements:
        connection.execute(text(statement))
    connection.exec_driver_sql("ANALYZE watch_note")
    noted = connection.execute(text(watching_expected.NOTED)).all()
    _write(
        connection,
        [(finding_id, before, *annotated(rule, before, notes, EXPECTED)) for finding_id, rule, before, notes in noted],
    )


def say_ends(connection: Connection) -> None:
    """Let findings say that what they speak of came after the domain ceased to be whose it was, or no longer say so."""
    found = connection.execute(text("SELECT EXISTS (SELECT FROM watch_found)")).scalar_one()
    if not found and not connection.execute(text(ownership.ANY)).scalar_one():
        return
    noted = connection.execute(text(ownership_effects.NOTED)).all()
    changed = []
    for finding_id, rule, before, ended_at, reason, worth in noted:
        notes = [] if reason is None else [ended_note(reason, ended_at)]
        changed.append((finding_id, before, *annotated(rule, before, notes, ENDED, worth)))
    _write(connection, changed)


def _write(connection: Connection, told: Sequence[tuple[int, list[dict[str, Any]], list[dict[str, Any]], int]]) -> None:
    changed = [
        {"id": finding_id, "annotations": json.dumps(now), "severity": severity}
        for finding_id, before, now, severity in told
        if now != before
    ]
    if changed:
        connection.execute(text(watching_expected.ANNOTATE), changed)


def _versions(
    fields: list[str] | None, how: list[str] | None, began: datetime | None, at: datetime | None
) -> Versions | None:
    if fields is None or at is None:
        return None
    return Versions(fields=tuple(fields), how=tuple(how or ()), began=began, at=at)


def _of_hub(said: Description) -> Description:
    """The description of a finding whose parts have a hub in common, which takes from it what a list would."""
    return msgspec.structs.replace(
        said, severity=max(0, said.severity - _HUB["takes"]), annotations=(*said.annotations, _HUB)
    )


def _entity(kind: str | None, value: str, scope: str, address: str | None) -> Entity | None:
    return None if kind is None else Entity(kind, value, scope, address or "", digest(kind, value))
