"""Staging: facts between normalisation and load, in tables of their own.

Comes in: facts and rejects, one by one. Goes out: for each chunk of at most `CHUNK` facts a pair of tables
`staging.entity_RUN_N` and `staging.fact_RUN_N`, and `staging.reject_RUN`, which `db.load` moves into the warehouse
and drops in one transaction. A run that dies leaves its tables; `sweep` drops them.

Entities are told apart here, per chunk, so that the database sees each of them once. Raw SQL, because COPY has no
other form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC
from types import TracebackType
from typing import Final, Self

import psycopg
from psycopg import sql

from intel.entities import Entity
from intel.facts import MAX_EXCERPT, Fact, RawDocument, Reject, fact_key

CHUNK: Final = 100_000

_ENTITY: Final = "(digest uuid, kind text, value text, scope text, address inet)"
_FACT: Final = (
    "(key uuid, subject uuid, predicate text, object uuid, state text, qualifiers jsonb, reference text,"
    " tlp smallint, confidence smallint, personal boolean, event_time timestamptz, ends boolean,"
    " document_id bigint, locator text)"
)
_REJECT: Final = "(document_id bigint, locator text, reason text, excerpt text)"
_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\ufffd"})


class Staging:
    """Writes the facts of one run; use as a context manager, which commits chunk by chunk.

    `source` and `tlp` are the source's name and default TLP. Counts are of what was staged, duplicates left out.
    """

    def __init__(self, connection: psycopg.Connection, *, run_id: int, source: str, tlp: int) -> None:
        self._connection = connection
        self._run_id = run_id
        self._source = source
        self._tlp = tlp
        self.facts = 0
        self.rejects = 0
        self.chunks = 0
        self._clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        if kind is None:
            self.flush()

    def add(self, document: RawDocument, records: Iterable[Fact | Reject]) -> None:
        """Stage what normalisation made of `document`."""
        for record in records:
            if isinstance(record, Fact):
                self._fact(document, record)
            else:
                self._reject(document, record)

    def flush(self) -> None:
        """Write what is pending as a chunk, and commit."""
        if not self._fact_rows and not self._reject_rows:
            return
        with self._connection.transaction():
            if self._fact_rows:
                self._copy(f"entity_{self._run_id}_{self.chunks}", _ENTITY, self._entity_rows)
                self._copy(f"fact_{self._run_id}_{self.chunks}", _FACT, self._fact_rows)
                self.chunks += 1
            if self._reject_rows:
                self._copy(f"reject_{self._run_id}", _REJECT, self._reject_rows)
        self._clear()

    def _clear(self) -> None:
        self._entities: set[bytes] = set()
        self._keys: set[tuple[bytes, object, bool, int, bool]] = set()
        self._entity_rows: list[str] = []
        self._fact_rows: list[str] = []
        self._reject_rows: list[str] = []

    def _copy(self, table: str, columns: str, rows: list[str]) -> None:
        name = sql.Identifier("staging", table)
        create = sql.SQL("CREATE TABLE IF NOT EXISTS {} {}").format(name, sql.SQL(columns))
        self._connection.execute(create)
        with self._connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(name)) as copy:
            for start in range(0, len(rows), 2_000):
                copy.write("".join(rows[start : start + 2_000]).encode("utf-8", "replace"))

    def _entity(self, item: Entity) -> None:
        if item.digest in self._entities:
            return
        self._entities.add(item.digest)
        self._entity_rows.append(
            f"{item.digest.hex()}\t{item.kind}\t{item.value.translate(_ESCAPES)}\t{item.scope}"
            f"\t{item.address or chr(92) + 'N'}\n"
        )

    def _fact(self, document: RawDocument, fact: Fact) -> None:
        key = fact_key(self._source, fact)
        event_time = fact.event_time or document.as_of
        tlp = self._tlp if fact.tlp is None else fact.tlp
        identity = (key, event_time, fact.ends, tlp, fact.personal)
        if identity in self._keys:
            return
        self._keys.add(identity)
        self._entity(fact.subject)
        said = "\\N"
        if fact.object is not None:
            self._entity(fact.object)
            said = fact.object.digest.hex()
        qualifiers = "\\N"
        if fact.qualifiers:
            qualifiers = json.dumps(dict(fact.qualifiers), ensure_ascii=False).translate(_ESCAPES)
        confidence = "\\N" if fact.confidence is None else fact.confidence
        self._fact_rows.append(
            f"{key.hex()}\t{fact.subject.digest.hex()}\t{fact.predicate}\t{said}\t{fact.state}\t{qualifiers}"
            f"\t{fact.reference.translate(_ESCAPES)}\t{tlp}\t{confidence}\t{fact.personal}"
            f"\t{event_time.astimezone(UTC).isoformat()}\t{fact.ends}\t{document.document_id}"
            f"\t{fact.locator.translate(_ESCAPES)}\n"
        )
        self.facts += 1
        if len(self._fact_rows) >= CHUNK:
            self.flush()

    def _reject(self, document: RawDocument, reject: Reject) -> None:
        self._reject_rows.append(
            f"{document.document_id}\t{reject.locator.translate(_ESCAPES)}\t{reject.reason.translate(_ESCAPES)}"
            f"\t{reject.excerpt[:MAX_EXCERPT].translate(_ESCAPES)}\n"
        )
        self.rejects += 1
        if len(self._reject_rows) >= CHUNK:
            self.flush()


def tables(connection: psycopg.Connection, run_id: int | None = None) -> list[str]:
    """The staging tables of `run_id`, or all of them."""
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'staging' ORDER BY 1").fetchall()
    return [name for (name,) in rows if run_id is None or name.split("_")[1] == str(run_id)]


def sweep(connection: psycopg.Connection, run_id: int | None = None) -> int:
    """Drop the staging tables of `run_id`, or of all runs that are not running. Returns how many."""
    dropped = 0
    with connection.transaction():
        # Tables first: a run that begins in between has none in this list.
        found = tables(connection, run_id)
        live = {
            str(number) for (number,) in connection.execute("SELECT id FROM run WHERE outcome = 'running'").fetchall()
        }
        for name in found:
            if run_id is None and name.split("_")[1] in live:
                continue
            connection.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier("staging", name)))
            dropped += 1
    return dropped
