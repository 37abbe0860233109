"""Benchmark `feeds`: all real data of actors/, feeds/ and stix/ through collection, normalisation and load.

Against: every file is either ingested, its records refused one by one with a reason, or refused as a whole with one
(`files_unexplained` is 0); and the four shapes of one feed state the same entities on the days that they share, but for
differences whose cause was checked one by one (`tweetfeed_unexplained` is 0).
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, text

from db import documents, runs
from intel.config.sources import Source
from intel.errors import ConfigError
from intel.facts import Fact, RawDocument
from intel.settings import CHECKOUT, settings
from lab import data
from lab.bench import _tweetfeed as tweetfeed
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.load.load import load_batch
from tasks.normalize.formats import read_document
from tasks.normalize.stage import stage


@dataclass(kw_only=True)
class Ingested:
    """What became of one source. `records` are facts and rejects by file, relative to the data's root."""

    source: str
    documents: int = 0
    facts: int = 0
    facts_new: int = 0
    rejects: int = 0
    seconds: float = 0.0
    problems: tuple[str, ...] = ()
    reasons: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)


def run() -> Result:
    """Ingest everything. Raises ConfigError where there is no data."""
    root = Path(os.environ.get("LAPSEWATCH_DATA") or CHECKOUT.parent / "shared" / "data")
    if not any((root / name).is_dir() for name in data.FOLDERS):
        raise ConfigError(f"couldn't run the benchmark feeds: there is no data in {root}; set LAPSEWATCH_DATA")
    return measure(root, data.sources())


def measure(root: Path, sources: Mapping[str, Source]) -> Result:
    """Ingest the files below `root` as `sources` say, into a warehouse of its own."""
    started = time.perf_counter()
    with fresh_warehouse(root) as engine:
        # A part of the data is data too: a source whose folder is not there has nothing to say.
        found = [ingest(engine, source, root) for source in sources.values() if data.files_of(source, root)]
        compared = tweetfeed.compare(engine, root)
    unexplained = unexplained_files(root, found)
    differences = [item for comparison in compared for item in comparison.differences]
    uncaused = [item for item in differences if not item.cause]
    return Result(
        tables=(_sources_table(found), _refused_table(root), *_outcome_tables(compared, unexplained)),
        figures={
            "sources": len(found),
            "sources_without_files": len(sources) - len(found),
            "documents": sum(item.documents for item in found),
            "facts": sum(item.facts for item in found),
            "rejects": sum(item.rejects for item in found),
            "problems": sum(len(item.problems) for item in found),
            "files": len(data.all_files(root)),
            "files_unexplained": len(unexplained),
            "tweetfeed_compared": sum(item.entities for item in compared),
            "tweetfeed_differences": len(differences),
            "tweetfeed_unexplained": len(uncaused),
            "seconds": round(time.perf_counter() - started, 1),
        },
    )


def ingest(engine: Engine, source: Source, root: Path) -> Ingested:
    """Collect, normalise and load one source, as its flow does, slice by slice."""
    result = Ingested(source=source.name)
    started = time.perf_counter()
    problems: list[str] = []
    with open_run(engine, source) as opened:
        while True:
            collected = collect_slice(engine, source, opened)
            problems += collected.problems
            result.facts_new += load_batch(engine, stage(engine, source, collected)).facts_new
            if not collected.more:
                break
    result.seconds = time.perf_counter() - started
    result.problems = tuple(problems)
    with engine.connect() as connection:
        row = connection.execute(
            text("SELECT documents, facts, rejects FROM run WHERE id = :run"), {"run": opened.run_id}
        ).one()
        result.documents, result.facts, result.rejects = row
        result.reasons.update(
            dict(
                connection.execute(
                    text("SELECT reason, count(*) FROM reject WHERE run_id = :run GROUP BY 1"), {"run": opened.run_id}
                ).all()
            )
        )
        ids = connection.execute(text("SELECT id FROM document WHERE run_id = :run"), {"run": opened.run_id})
        rows = runs.documents(connection, [number for (number,) in ids])
    for document in rows:
        result.records[_file(source, root, document.location)] += _records(source, document)
    return result


def _records(source: Source, row: object) -> int:
    """How many facts and rejects a stored document gives. The warehouse keeps a fact's first document only."""
    document = RawDocument(
        document_id=row.id,  # type: ignore[attr-defined]  # a row of table document
        location=row.location,  # type: ignore[attr-defined]
        body=documents.get(settings().document_store, row.sha256),  # type: ignore[attr-defined]
        as_of=row.as_of,  # type: ignore[attr-defined]
    )
    return sum(isinstance(record, Fact) or bool(record.reason) for record in read_document(document, source))


def _file(source: Source, root: Path, location: str) -> str:
    place = root / source.location
    return ((place.parent if place.is_file() else place) / location).relative_to(root).as_posix()


def unexplained_files(root: Path, found: Iterable[Ingested]) -> list[str]:
    """Files that gave neither fact nor reject, and that nothing refuses with a reason."""
    records: Counter[str] = Counter()
    for item in found:
        records += item.records
    relative = [path.relative_to(root) for path in data.all_files(root)]
    return [path.as_posix() for path in relative if not records[path.as_posix()] and data.refused(path) is None]


def _sources_table(found: Iterable[Ingested]) -> Table:
    return Table(
        title="Sources",
        columns=("source", "documents", "facts", "new", "rejects", "seconds", "most common reasons"),
        rows=tuple(
            (
                item.source,
                item.documents,
                item.facts,
                item.facts_new,
                item.rejects,
                round(item.seconds, 2),
                "\n".join(f"{count} x {reason[:90]}" for reason, count in item.reasons.most_common(2)),
            )
            for item in found
        ),
    )


def _refused_table(root: Path) -> Table:
    reasons = Counter(
        reason for path in data.all_files(root) if (reason := data.refused(path.relative_to(root))) is not None
    )
    return Table(title="Files refused as a whole", columns=("reason", "files"), rows=tuple(reasons.most_common()))


def _outcome_tables(compared: list[tweetfeed.Comparison], unexplained: list[str]) -> list[Table]:
    tables = [
        Table(
            title="TweetFeed: its shapes against its daily tables",
            columns=("shape", "days shared", "entities", "differences", "without cause"),
            rows=tuple(
                (
                    one.shape,
                    one.days,
                    one.entities,
                    len(one.differences),
                    sum(not item.cause for item in one.differences),
                )
                for one in compared
            ),
        ),
        Table(
            title="TweetFeed: every difference",
            columns=("day", "shape", "difference", "what", "cause"),
            rows=tuple(
                (item.day, item.shape, item.what, item.shown, item.cause or "none found")
                for one in compared
                for item in one.differences
            ),
        ),
    ]
    if unexplained:
        rows = tuple((name,) for name in unexplained)
        tables.append(Table(title="Files without explanation", columns=("file",), rows=rows))
    return tables
