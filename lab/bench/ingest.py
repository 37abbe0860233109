"""`ingest`: how many facts a second go from bytes to committed rows, links included, and what a full warehouse costs.

The real path: the document is stored, its row written, its records normalised and staged, and loaded in a transaction
with cursor and run. Every document is new: no name comes twice, so each record makes an entity, a fact, its history and
a link. fsync, synchronous_commit and full_page_writes are on; all tables of the warehouse are logged.

`growth_10m` is the CSV rate with 10 million facts there over the rate with 1 million. `csv_copy_ratio` is our rate over
that of a bare COPY of the same CSV into a table of text columns, with the warehouse as full, in the same run.
`LAPSEWATCH_BENCH_FACTS` changes the 10 million, for a quick look.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine, text

from db import documents, runs
from db.rows import driver
from intel.config.sources import Source
from intel.settings import settings
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from tasks.collect.session import open_run
from tasks.load.load import load_batch
from tasks.normalize.stage import stage
from tasks.records import Collected

ROWS: Final = 100_000
MEASURED: Final = 9
FULL: Final = int(os.environ.get("LAPSEWATCH_BENCH_FACTS", "10000000"))
EARLY: Final = FULL // 10
_NOW: Final = datetime(2026, 6, 1, tzinfo=UTC)
_LICENCE: Final = {"name": "none", "commercial_use": True, "redistribution": True}


def run() -> Result:
    """Fill, and measure at a tenth and at the whole."""
    with fresh_warehouse(settings().data) as engine:
        bench = _Bench(engine)
        first = bench.measure(CSV)
        bench.fill(EARLY)
        early = {kind.name: bench.measure(kind) for kind in KINDS}
        bench.fill(FULL)
        late = {kind.name: bench.measure(kind) for kind in KINDS}
        copied = bench.copy_rate()
        facts = bench.facts()
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    ) / 1024
    rows: list[tuple[str | float, ...]] = [("csv, empty warehouse", round(first), "-", "-")]
    for kind in KINDS:
        before, after = early[kind.name], late[kind.name]
        rows.append((kind.name, round(before), round(after), round(after / before, 2)))
    rows.append(("bare COPY of the CSV", "-", round(copied), "-"))
    return Result(
        tables=(
            Table(
                title=f"facts per second, bytes to committed rows; {facts:,} facts at the end",
                columns=("input", f"at {EARLY:,}", f"at {FULL:,}", "ratio"),
                rows=tuple(rows),
            ),
        ),
        figures={
            "csv_facts_per_s": round(late["csv"]),
            "list_facts_per_s": round(late["list"]),
            "stix_facts_per_s": round(late["stix"]),
            "csv_rows_per_s": round(late["csv"]),
            "csv_copy_ratio": round(late["csv"] / copied, 3),
            "growth_10m": round(late["csv"] / early["csv"], 3),
            "facts": facts,
            "peak_mb": round(peak),
        },
    )


class Kind:
    """A kind of input: the entry of its source, and a document of `ROWS` records of which none came before."""

    def __init__(self, name: str, entry: dict[str, object], make: Callable[[int], bytes]) -> None:
        self.name = name
        self.source = Source.model_validate(
            {
                "name": f"bench-{name}",
                "title": name,
                "transport": "folder",
                "format": name,
                "location": "x",
                "semantics": "stream",
                "cadence": "manual",
                "reliability": "C",
                "tlp": "GREEN",
                "licence": _LICENCE,
                "enabled": False,
                **entry,
            }
        )
        self.make = make


def _value(number: int) -> tuple[str, str]:
    """A name or URL that no other number gives; names spread over the key space as real ones do."""
    name = f"h{number}.d{number * 7919 % 10_000_019}.example"
    return ("url", f"https://{name}/p/{number}") if number % 2 else ("domain", name)


def _csv(start: int) -> bytes:
    lines = ["date,type,value,tag,reference"]
    for number in range(start, start + ROWS):
        kind, value = _value(number)
        lines.append(
            f"2026-05-{number % 28 + 1:02d} 10:00:00,{kind},{value},phishing,https://posts.example/{number // 5}"
        )
    return "\n".join(lines).encode()


def _list(start: int) -> bytes:
    return "\n".join(_value(number)[1] for number in range(start, start + ROWS)).encode()


def _stix(start: int) -> bytes:
    objects = []
    for number in range(start, start + ROWS):
        kind, value = _value(number)
        pattern = f"[{'url' if kind == 'url' else 'domain-name'}:value = '{value}']"
        objects.append(
            f'{{"type":"indicator","spec_version":"2.1","id":"indicator--00000000-0000-4000-8000-{number:012d}",'
            f'"created":"2026-05-01T10:00:00.000Z","modified":"2026-05-01T10:00:00.000Z","name":"n","pattern":"{pattern}",'
            '"pattern_type":"stix","valid_from":"2026-05-01T10:00:00Z","indicator_types":["malicious-activity"],'
            '"confidence":70}'
        )
    return (
        '{"type":"bundle","id":"bundle--00000000-0000-4000-8000-000000000000","objects":[' + ",".join(objects) + "]}"
    ).encode()


_MAPPING: Final = {
    "statements": [
        {
            "subject": {"column": "value", "kind_from": "type", "kinds": {"url": "url", "domain": "domain"}},
            "object": {"column": "tag", "kind": "label"},
        }
    ],
    "event_time": {"column": "date"},
    "reference": {"column": "reference"},
}
CSV: Final = Kind("csv", {"options": {"mapping": _MAPPING}}, _csv)
KINDS: Final = (CSV, Kind("list", {}, _list), Kind("stix", {}, _stix))


class _Bench:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._next = 0

    def facts(self) -> int:
        with self._engine.connect() as connection:
            return int(connection.execute(text("SELECT count(*) FROM fact")).scalar_one())

    def fill(self, facts: int) -> None:
        """Ingest CSV until there are that many facts, then let the server settle as it would overnight."""
        while self.facts() < facts:
            self._ingest(CSV, self._body(CSV))
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
            connection.exec_driver_sql("CHECKPOINT")

    def measure(self, kind: Kind) -> float:
        """The median rate of some documents, in facts per second; the first of them pay for the checkpoint before."""
        rates = []
        for _ in range(MEASURED):
            body = self._body(kind)
            before = time.perf_counter()
            facts = self._ingest(kind, body)
            rates.append(facts / (time.perf_counter() - before))
        return statistics.median(rates)

    def copy_rate(self) -> float:
        """Rows per second of a bare COPY of the same CSV into text columns."""
        rates = []
        with self._engine.connect() as connection:
            connection.exec_driver_sql(
                "CREATE TABLE bench_copy (date text, type text, value text, tag text, reference text)"
            )
            connection.commit()
            for _ in range(MEASURED):
                body = self._body(CSV)
                before = time.perf_counter()
                with driver(connection).cursor().copy("COPY bench_copy FROM STDIN (FORMAT csv, HEADER)") as copy:
                    copy.write(body)
                connection.commit()
                rates.append(ROWS / (time.perf_counter() - before))
            connection.exec_driver_sql("DROP TABLE bench_copy")
            connection.commit()
        return statistics.median(rates)

    def _body(self, kind: Kind) -> bytes:
        start, self._next = self._next, self._next + ROWS
        return kind.make(start)

    def _ingest(self, kind: Kind, body: bytes) -> int:
        """One document, as a collection takes it: kept, written down, normalised, staged, loaded."""
        with open_run(self._engine, kind.source) as run:
            digest = documents.put(settings().document_store, body)
            with self._engine.begin() as connection:
                document = runs.new_document(
                    connection,
                    source_id=run.source_id,
                    run_id=run.run_id,
                    location=f"{kind.name}/{self._next}",
                    sha256=digest,
                    size=len(body),
                    as_of=_NOW,
                    fetched_at=_NOW,
                )
            collected = Collected(
                source=kind.source.name,
                source_id=run.source_id,
                run_id=run.run_id,
                snapshot=False,
                documents=(document,),
            )
            return load_batch(self._engine, stage(self._engine, kind.source, collected)).facts_new
