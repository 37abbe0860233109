"""Benchmark `maltrail`: every actor of the Maltrail trails followed through 2026, day by day, against an oracle.

The baseline of 2026-01-03 is loaded and each actor followed; then each day's changes are loaded and the monitors run.
The oracle uses nothing of the project's: sets, the `publicsuffixlist` package, and the list `dynamic-dns` of
`pymispwarninglists`. It names the pairs (actor, indicator) that must raise a finding: an indicator that was added on a
day, on a registrable domain or address of something that the actor was known to have on an earlier day. What was
removed and comes back is the same statement again, and no addition.

Figures: `expected` pairs; `found` of them; `extra` findings that the oracle does not name and `extra_unexplained` of
them; `wrong_actor` findings for an actor that never had that domain or address; `overlaps` pairs expected although the
addition was another actor's; `recall_all`, the share of all additions that raised a finding for their actor.
"""

from __future__ import annotations

import csv
import io
import ipaddress
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Final

from publicsuffixlist import PublicSuffixList
from sqlalchemy import Engine, text

from db import runs
from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.entities import guess
from intel.errors import ConfigError, ReadError
from intel.facts import RawDocument
from intel.settings import CHECKOUT
from lab import data
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from tasks.normalize.formats import read_document
from tasks.watch import certificates, registrations
from tasks.watch.items import add_watch

BASELINE: Final = datetime(2026, 1, 3, tzinfo=UTC)
_FOLDER: Final = Path("actors") / "maltrail_apt"
_FOUND: Final = """
SELECT w.name, e.value, n.rule FROM finding n JOIN watch w ON w.id = n.watch_id JOIN entity e ON e.id = n.subject_id
WHERE n.status <> 'withdrawn'
"""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A row of the timeline. `at` is UTC, `actor` the stem of its trail file."""

    at: datetime
    actor: str
    op: str
    indicator: str


class Oracle:
    """Registrable domains and addresses by actor, with the first day of each. Nothing of the project's."""

    def __init__(self) -> None:
        self._psl = PublicSuffixList()
        path = resources.files("pymispwarninglists").joinpath("data/misp-warninglists/lists/dynamic-dns/list.json")
        lines = json.loads(path.read_text("utf-8"))["list"]
        self._shared = {line.strip().strip(".").lower() for line in lines}
        self.known: dict[str, dict[str, str]] = defaultdict(dict)
        self.expected: set[tuple[str, str]] = set()

    def place(self, indicator: str) -> str:
        """The registrable domain or address that an indicator stands on; empty for a path or a word without a host."""
        if not indicator or indicator[0] in "/?" or any(mark.isspace() for mark in indicator):
            return ""
        host = indicator.partition("://")[2] or indicator
        host = host.partition("/")[0].rpartition("@")[2].lower().rstrip(".")
        if host.count(":") == 1:
            host = host.partition(":")[0]
        try:
            return str(ipaddress.ip_address(host.strip("[]")))
        except ValueError:
            return self._registrable(host) if "." in host else ""

    def _registrable(self, host: str) -> str:
        labels = host.split(".")
        for start in range(len(labels)):
            if ".".join(labels[start:]) in self._shared:
                mine = ".".join(labels[max(start - 1, 0) :])
                public = self._psl.privatesuffix(host) or host
                return max(mine, public, key=len)
        return self._psl.privatesuffix(host) or host

    def add(self, actor: str, indicator: str, day: str) -> None:
        """Something that an actor is known to have from a day on."""
        at = self.place(indicator)
        if not at:
            return
        self.known[at][actor] = min(self.known[at].get(actor, day), day)

    def owners(self, value: str) -> dict[str, str]:
        """Who had something on the place of an indicator, since when; a URL without a scheme begins with `//`."""
        return self.known.get(self.place(value.removeprefix("//")), {})

    def expect(self, indicator: str, day: str) -> None:
        """An indicator was added: whoever had its domain or address on an earlier day must hear of it."""
        self.expected.update((actor, indicator) for actor, since in self.owners(indicator).items() if since < day)


def run() -> Result:
    """Replay the real timeline. Raises ConfigError where there is no data."""
    root = Path(os.environ.get("LAPSEWATCH_DATA") or CHECKOUT.parent / "shared" / "data")
    if not (root / _FOLDER).is_dir():
        raise ConfigError(f"couldn't run the benchmark maltrail: there is no data in {root}; set LAPSEWATCH_DATA")
    return measure(root)


def measure(root: Path) -> Result:
    """Replay the timeline below `root` in a warehouse of its own."""
    entries = data.sources()
    trails, timeline = entries["data-maltrail"], entries["data-maltrail-timeline"]
    files = sorted((root / _FOLDER).glob("baseline_*/*.txt"))
    header, days = read_days(next((root / _FOLDER).glob("timeline_*.csv")))
    started = time.perf_counter()
    oracle = Oracle()
    with fresh_warehouse(root) as engine:
        documents = [(path.name, path.read_bytes()) for path in files]
        _ingest(engine, trails, documents, BASELINE)
        actors = {path.stem for path in files} | {change.actor for rows in days.values() for change, _ in rows}
        for actor in sorted(actors):
            with engine.begin() as connection:
                add_watch(connection, actor, (), actor=f"maltrail:{actor}", follow_actor=True)
        registrations.monitor(engine)
        certificates.monitor(engine)
        baseline_findings = _count(engine)
        ready = time.perf_counter()
        for day, rows in sorted(days.items()):
            body = header + "".join(line for _, line in rows)
            _ingest(engine, timeline, [(f"{day}.csv", body.encode())], datetime.fromisoformat(day).replace(tzinfo=UTC))
            registrations.monitor(engine)
            certificates.monitor(engine)
        finished = time.perf_counter()
        with engine.connect() as connection:
            found = {(actor, value): rule for actor, value, rule in connection.execute(text(_FOUND))}
    _tell(oracle, documents, days)
    return _compare(oracle, found, days, baseline_findings, (ready - started, finished - ready))


def read_days(path: Path) -> tuple[str, dict[str, list[tuple[Change, str]]]]:
    """The header line, and the rows of each UTC day as read and as they stand in the file."""
    header, *lines = path.read_text("utf-8").splitlines(keepends=True)
    names = next(csv.reader([header]))
    days: dict[str, list[tuple[Change, str]]] = defaultdict(list)
    for values in csv.reader(lines):
        row = dict(zip(names, values, strict=True))
        at = datetime.fromisoformat(row["date"]).astimezone(UTC)
        change = Change(at=at, actor=f"apt_{row['actor']}", op=row["op"], indicator=row["indicator"])
        line = io.StringIO()
        csv.writer(line).writerow(values)
        days[at.date().isoformat()].append((change, line.getvalue()))
    return header, days


def _ingest(engine: Engine, source: Source, documents: list[tuple[str, bytes]], as_of: datetime) -> None:
    with engine.begin() as connection:
        source_id = runs.ensure_source(
            connection,
            name=source.name,
            title=source.title,
            reliability=str(source.reliability),
            tlp=int(source.default_tlp),
            snapshot=False,
            redistribution=True,
            commercial_use=True,
        )
        run_id = runs.begin(connection, source_id)
        ids = [
            runs.new_document(
                connection,
                source_id=source_id,
                run_id=run_id,
                location=name,
                sha256=b"\0" * 32,
                size=len(body),
                as_of=as_of,
                fetched_at=as_of,
            )
            for name, body in documents
        ]
    with engine.connect() as connection:
        with Staging(driver(connection), run_id=run_id, source=source.name, tlp=int(source.default_tlp)) as staging:
            for number, (name, body) in zip(ids, documents, strict=True):
                document = RawDocument(document_id=number, location=name, body=body, as_of=as_of)
                staging.add(document, read_document(document, source))
        connection.commit()
    batch = Batch(
        source=source.name,
        source_id=source_id,
        run_id=run_id,
        documents=tuple(ids),
        facts=staging.facts,
        rejects=staging.rejects,
        as_of=as_of,
    )
    with engine.begin() as connection:
        load(connection, batch)


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM finding")).scalar_one())


def _tell(oracle: Oracle, documents: list[tuple[str, bytes]], days: dict[str, list[tuple[Change, str]]]) -> None:
    """Tell the oracle what the warehouse was told, in the same order."""
    for name, body in documents:
        for line in body.decode("utf-8", "replace").splitlines():
            indicator = line.partition("#")[0].strip()
            if indicator and not indicator.startswith("/"):
                oracle.add(name.removesuffix(".txt"), indicator, BASELINE.date().isoformat())
    for day, rows in sorted(days.items()):
        for change, _ in rows:
            if change.op == "add":
                oracle.expect(change.indicator, day)
        for change, _ in rows:
            if change.op != "remove":
                oracle.add(change.actor, change.indicator, day)


def _named(indicator: str) -> str:
    """What the warehouse calls an indicator, only to know which finding is about which row."""
    try:
        return guess(indicator).value
    except ReadError:
        return ""


def _compare(
    oracle: Oracle,
    found: dict[tuple[str, str], str],
    days: dict[str, list[tuple[Change, str]]],
    baseline_findings: int,
    seconds: tuple[float, float],
) -> Result:
    changes = [change for rows in days.values() for change, _ in rows if change.op == "add"]
    expected = {(actor, _named(indicator)) for actor, indicator in oracle.expected}
    added = {(change.actor, _named(change.indicator)) for change in changes}
    extra = sorted(set(found) - expected)
    causes = Counter(_cause(oracle, pair, added) or "unexplained" for pair in extra)
    missed = sorted(expected - set(found))
    wrong = [(actor, value) for actor, value in found if actor not in oracle.owners(value)]
    own = added & set(found)
    return Result(
        tables=(
            Table(
                title="Followed actors",
                columns=("actor", "added", "expected", "found"),
                rows=tuple(_rows(changes, expected, found)),
            ),
            Table(
                title="Findings that the oracle does not name, by cause",
                columns=("cause", "findings"),
                rows=tuple(causes.most_common()),
            ),
            Table(
                title="Missed",
                columns=("actor", "kind"),
                rows=tuple((actor, "unreadable" if not value else "read") for actor, value in missed[:20]),
            ),
        ),
        figures={
            "additions": len(added),
            "hostless": sum(not oracle.place(change.indicator) for change in changes),
            "expected": len(expected),
            "found": len(expected & set(found)),
            "missed": len(missed),
            "extra": len(extra),
            "extra_unexplained": causes["unexplained"],
            "wrong_actor": len(wrong),
            "overlaps": len(expected - added),
            "baseline_findings": baseline_findings,
            "recall_all": round(len(own) / max(len(added), 1), 4),
            "days": len(days),
            "seconds_baseline": round(seconds[0], 1),
            "seconds_replay": round(seconds[1], 1),
        },
    )


def _rows(
    changes: list[Change], expected: set[tuple[str, str]], found: dict[tuple[str, str], str]
) -> Iterator[tuple[str, int, int, int]]:
    for actor, count in Counter(change.actor for change in changes).most_common():
        mine = {pair for pair in expected if pair[0] == actor}
        yield actor, count, len(mine), sum(pair in found for pair in mine)


def _cause(oracle: Oracle, pair: tuple[str, str], added: set[tuple[str, str]]) -> str:
    """Why a finding was made that the oracle does not name, as the data show; empty where they do not."""
    actor, value = pair
    if actor in oracle.owners(value) and all(value != named for _, named in added):
        return "on a domain or address of the actor, named by other text than the addition's"
    return ""
