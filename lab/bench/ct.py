"""`ct`: how fast certificates are read, verified and matched, beside certspotter on the same log.

In one run, on the same loopback server and the same two cores: Debian's certspotter and Lapsewatch over RFC 6962 with
5, 10,000 and 100,000 watched domains, Lapsewatch over tiles beside them, and Lapsewatch with 100,000 things in each
list at once and the archive on. Lapsewatch commits into a real PostgreSQL, certspotter writes its files. Both verify
what they read against the log's signed head; a run that read fewer entries than there are, or missed a certificate that
names what is watched, is void. `entries_per_s_*` are wall-clock rates from a monitor's first request for entries until
the last is verified and that is stored; CPU is user and system of the monitor's processes, PostgreSQL's is apart.

Where more entries are wanted than were made, over RFC 6962, they begin anew; the tree is that of them all.
LAPSEWATCH_BENCH_CT_ENTRIES=5000000 reads so many instead, archived, with 5 domains and with everything watched, and
says how memory went. It wants 2 GB in the folder for temporary files.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from intel.errors import ReadError
from lab.bench import _ct_certspotter, _ct_lapsewatch
from lab.bench._ct_lapsewatch import Followed
from lab.bench._ct_lists import domains, everything, only_domains, special
from lab.bench._ct_measured import MB, Measured
from lab.bench._ct_processes import Sampler
from lab.bench.result import Result, Table
from lab.ct import Protocol
from lab.ct_big import BigLog, make_big, serve_big

ENTRIES: Final = 1 << 18
ROUNDS: Final = 3
CERTSPOTTER_ENTRIES: Final = {5: ENTRIES, 10_000: 1 << 16, 100_000: 1 << 13}
"""certspotter looks at its list from one end to the other for each name: with long ones it gets fewer entries."""
MANY: Final = 100_000
LONG: Final = 1 << 20
"""Entries for the run with everything watched over RFC 6962: a run builds its indexes once, and lasts ten minutes."""
_PATIENCE: Final = 900.0


def run() -> Result:
    """Measure, and show where the time goes."""
    _two_cores()
    wanted = int(os.environ.get("LAPSEWATCH_BENCH_CT_ENTRIES", "0"))
    if wanted:
        return memory(wanted)
    path, version = _ct_certspotter.installed()
    with big_log() as log:
        five = [_checked(log, one) for one in _five(path, log)]
        few = {
            name: _median([one for one in five if (one.system, one.protocol) == name])
            for name in (("certspotter", "rfc6962"), ("Lapsewatch", "rfc6962"), ("Lapsewatch", "static"))
        }
        more: list[Measured] = []
        for items in (10_000, MANY):
            more += [_certspotter(path, log, items), _domains(log, items)]
        full, full_static = (
            _everything(log, LONG, "rfc6962").measured,
            _everything(log, ENTRIES, "static").measured,
        )
        more = [_checked(log, one) for one in [*more, full, full_static]]
    ours = [one for one in [*five, *more] if one.system == "Lapsewatch"]
    return Result(
        tables=(
            _table(f"certspotter {version}; medians of {ROUNDS} rounds for 5 domains", [*few.values(), *more]),
            _where([few["Lapsewatch", "rfc6962"], few["Lapsewatch", "static"], full, full_static]),
            Table(title="watched at once", columns=("lists",), rows=((full.lists,),)),
        ),
        figures={
            "entries_per_s_5": round(few["Lapsewatch", "rfc6962"].rate),
            "static_entries_per_s_5": round(few["Lapsewatch", "static"].rate),
            "certspotter_entries_per_s_5": round(few["certspotter", "rfc6962"].rate),
            "entries_per_s_10k": round(more[1].rate),
            "certspotter_entries_per_s_10k": round(more[0].rate),
            "entries_per_s_100k": round(more[3].rate),
            "certspotter_entries_per_s_100k": round(more[2].rate),
            "entries_per_s_100k_all_lists_archive": round(full.rate),
            "static_entries_per_s_100k_all_lists_archive": round(full_static.rate),
            "cpu_us_per_entry_5": round(few["Lapsewatch", "rfc6962"].each, 1),
            "static_cpu_us_per_entry_5": round(few["Lapsewatch", "static"].each, 1),
            "certspotter_cpu_us_per_entry_5": round(few["certspotter", "rfc6962"].each, 1),
            "peak_mb": round(max(one.largest for one in ours) / MB),
            "peak_mb_together": round(max(one.together for one in ours) / MB),
        },
    )


def _five(path: str, log: BigLog) -> Iterator[Measured]:
    """The rounds with five domains: one monitor after the other, so that what else goes on meets them all."""
    for _ in range(ROUNDS):
        yield _certspotter(path, log, 5)
        yield _domains(log, 5)
        yield _domains(log, 5, protocol="static")


def _certspotter(path: str, log: BigLog, items: int) -> Measured:
    entries = CERTSPOTTER_ENTRIES[items]
    return _ct_certspotter.measure(path, log, entries=entries, domains=domains(items), patience=_PATIENCE)


def _domains(log: BigLog, items: int, *, protocol: Protocol = "rfc6962") -> Measured:
    return _ct_lapsewatch.measure(
        log, entries=ENTRIES, watched=f"{items:,} domains", rows=only_domains(items), protocol=protocol
    ).measured


def _everything(log: BigLog, entries: int, protocol: Protocol) -> Followed:
    watched = f"{MANY:,} in each list, archived"
    return _ct_lapsewatch.measure(
        log, entries=entries, watched=watched, rows=everything(MANY), protocol=protocol, archive=True
    )


def _five_archived(log: BigLog, entries: int) -> Followed:
    return _ct_lapsewatch.measure(
        log, entries=entries, watched="5 domains, archived", rows=only_domains(5), archive=True
    )


def _checked(log: BigLog, one: Measured) -> Measured:
    """Raises ReadError where it missed a certificate that names what is watched."""
    # Where the entries begin anew, so do those that name something.
    again, rest = divmod(one.entries, log.about.entries)
    expected = again * len(log.about.special) + sum(number < rest for number in log.about.special)
    if one.hits < expected:
        raise ReadError(f"couldn't measure {one.system}: it found {one.hits} of {expected} watched certificates")
    return one


def _median(many: Sequence[Measured]) -> Measured:
    middle = statistics.median_low([one.rate for one in many])
    return next(one for one in many if one.rate == middle)


def _table(title: str, many: Sequence[Measured]) -> Table:
    rows = tuple(
        (
            f"{one.system}, {one.protocol}",
            one.watched,
            one.entries,
            round(one.rate),
            round(one.each, 1),
            round(one.database / one.entries * 1e6, 1),
            round(one.server / one.seconds * 100, 1),
            round(one.largest / MB),
            round(one.together / MB),
            one.hits,
        )
        for one in many
    )
    columns = (
        *("monitor, log", "watched", "entries", "entries/s", "CPU us/entry", "PostgreSQL us/entry"),
        *("log's server, % of a core", "largest process, MB", "all together, MB", "found"),
    )
    return Table(title=title, columns=columns, rows=rows)


def _where(many: Sequence[Measured]) -> Table:
    """CPU by process. `tasks/load/ct_reader.py` reads and matches, the follower asks, verifies and commits."""
    rows: list[tuple[str | float, ...]] = []
    for one in many:
        parts = {**one.parts, "PostgreSQL": one.database, "server": one.server}
        rows += [
            (f"{one.protocol}, {one.watched}", part, round(cpu / one.entries * 1e6, 1), round(cpu / one.seconds * 100))
            for part, cpu in sorted(parts.items())
        ]
    return Table(title="where the CPU goes", columns=("run", "process", "us/entry", "% of a core"), rows=tuple(rows))


def memory(wanted: int) -> Result:
    """Read `wanted` entries in one go, twice, and say how memory went: with 5 domains, and with everything watched."""
    entries = -(-wanted // 256) * 256
    with big_log() as log:
        runs = {"5 domains": _five_archived(log, entries), "all lists": _everything(log, entries, "rfc6962")}
    tables: list[Table] = []
    figures: dict[str, int | float | str] = {"entries": entries}
    for name, found in runs.items():
        rows, growth = _over_time(found.sampler)
        one = found.measured
        title = f"MB resident at most, {entries:,} entries, {round(one.rate):,} a second; watched: {one.lists}"
        tables.append(Table(title=title, columns=("process", "first half", "second half", "ratio"), rows=rows))
        suffix = "" if name == "5 domains" else "_all_lists"
        figures |= {
            f"entries_per_s{suffix}": round(one.rate),
            f"peak_mb{suffix}": round(one.largest / MB),
            f"growth{suffix}": round(growth, 3),
        }
    return Result(tables=tuple(tables), figures=figures)


def _over_time(sampler: Sampler) -> tuple[tuple[tuple[str | float, ...], ...], float]:
    """A row for each process that lived in both halves, and the largest ratio of the second to the first."""
    half = sampler.history[-1][0] / 2
    rows: list[tuple[str | float, ...]] = []
    growth = 0.0
    for pid, use in sampler.uses.items():
        before, after = (
            max((resident.get(pid, 0) for seconds, resident in sampler.history if (seconds < half) is first), default=0)
            for first in (True, False)
        )
        if before and after:
            growth = max(growth, after / before)
            rows.append((use.command[:60], round(before / MB), round(after / MB), round(after / before, 3)))
    return tuple(rows), growth


@contextmanager
def big_log() -> Iterator[BigLog]:
    """The log that is read: made anew, so that a run needs nothing from another."""
    with tempfile.TemporaryDirectory(prefix="lapsewatch-bench-log-") as name:
        make_big(Path(name), ENTRIES, special=special)
        with serve_big(Path(name)) as log:
            yield log


def _two_cores() -> None:
    """Let this process and all that it starts, the log's server and PostgreSQL among them, share two cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
