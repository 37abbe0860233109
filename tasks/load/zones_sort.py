"""Sorts delegations of any number in bounded memory: names and their servers in, blocks of sorted lines out.

Registries give zones sorted, or nearly so. A window over what comes is sorted again and again, and its lower part goes
straight to the file that is to be; only names that come later than the window is wide go to files of their own, which
are merged in the end. A zone in no order at all costs one pass more.

A line is a name, a tab and its servers; as a tab sorts before all that a name may hold, lines sort as their names do.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from intel.zone_plain import Delegations, join_hosts
from tasks.load.zones_file import LineWriter, read_blocks

WINDOW: Final = 25_000
"""Lines that the window keeps when it is turned, which it is when it holds four times as many."""
_TURNED: Final = 4
MAX_RUNS: Final = 32
"""Files of late names that are merged at once: each takes a megabyte while it is read."""
_STEP: Final = 1 << 17


class Sorter:
    """Takes delegations in any order, a name more than once; `finish` leaves them sorted in the file `path`.

    There each name is once. Beside that file it writes others, whose names begin with the same name. Raises
    UnavailableError where the disk does not take them.
    """

    def __init__(self, path: Path, *, window: int = WINDOW, max_runs: int = MAX_RUNS) -> None:
        self.names = 0
        self.sha256 = b""
        self._path = path
        self._window_size = window
        self._max_runs = max_runs
        self._window: list[bytes] = []
        self._names: set[bytes] = set()
        self._twice = False  # whether a name may be in the window more than once
        self._behind = b""  # no line that sorts before this is written any more
        self._main = LineWriter(self._beside("main"))
        self._writing: LineWriter | None = self._main
        self._runs: list[Path] = []
        self._made = 0

    def add(self, delegations: Delegations) -> None:
        """Take some more."""
        names = delegations.names
        there = len(self._names)
        self._names.update(names)
        self._twice |= len(self._names) < there + len(names)
        self._window += map(b"\t".join, zip(names, delegations.hosts, strict=True))
        if len(self._window) >= _TURNED * self._window_size:
            self._turn(keep=self._window_size)

    def finish(self) -> None:
        """Write what is left, merge what came late, and flush `path` to the disk."""
        self._turn(keep=0)
        self.sha256 = self._main.finish()
        self.names = self._main.lines
        self._writing = None
        if not self._runs:
            self._main.path.replace(self._path)
            return
        writer = self._merge([self._main.path, *self._runs], self._path)
        self.names = writer.lines

    def abandon(self) -> None:
        """Remove all that was written."""
        if self._writing is not None:
            self._writing.abandon()
        for path in self._path.parent.glob(f"{self._path.name}*"):
            path.unlink(missing_ok=True)

    def _beside(self, what: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{what}")

    def _turn(self, *, keep: int) -> None:
        lines = self._window
        lines.sort()
        if self._twice:
            lines = _joined(lines)
        late = bisect_left(lines, self._behind)
        if late:
            self._late(lines[:late])
        end = max(late, len(lines) - keep)
        if end > late:
            self._main.write(lines[late:end])
            self._behind = upper(lines[end - 1])
        self._window = lines[end:]
        self._names = {line[: line.index(b"\t")] for line in self._window}
        self._twice = False

    def _late(self, lines: list[bytes]) -> None:
        if len(self._runs) >= self._max_runs:
            self._made += 1
            together = self._beside(f"run{self._made}")
            self._merge(self._runs, together)
            self._runs = [together]
        self._made += 1
        writer = LineWriter(self._beside(f"run{self._made}"))
        writer.write(lines)
        writer.finish()
        self._runs.append(writer.path)

    def _merge(self, paths: list[Path], into: Path) -> LineWriter:
        writer = LineWriter(into)
        try:
            for lines in merged([read_blocks(path, step=_STEP) for path in paths]):
                writer.write(lines)
            self.sha256 = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        for path in paths:
            path.unlink(missing_ok=True)
        return writer


def merged(runs: Iterable[Iterator[list[bytes]]]) -> Iterator[list[bytes]]:
    """Sorted lines of several sorted runs, each of which has a name once; servers of a name in several are joined."""
    heads = [(block, run) for run in runs if (block := next(run, []))]
    while heads:
        # All lines up to the least of the last names are here; sorting runs that are sorted only merges them.
        bound = upper(min(block[-1] for block, _ in heads))
        taken: list[bytes] = []
        left = []
        for block, run in heads:
            cut = bisect_left(block, bound)
            taken += block[:cut]
            rest = block[cut:] or next(run, [])
            if rest:
                left.append((rest, run))
        several = len(heads) > 1
        heads = left
        taken.sort()
        yield _joined(taken) if several else taken


def upper(line: bytes) -> bytes:
    """What comes after all lines of this line's name, and before those of the next: a newline sorts behind a tab."""
    return line[: line.index(b"\t")] + b"\n"


def _joined(lines: list[bytes]) -> list[bytes]:
    if len({line[: line.index(b"\t")] for line in lines}) == len(lines):
        return lines
    found: dict[bytes, list[bytes]] = {}
    for line in lines:
        name, _, hosts = line.partition(b"\t")
        found.setdefault(name, []).append(hosts)
    # Joined once, whatever their number: a name may have a line for each of any number of servers.
    return [
        b"%b\t%b" % (name, hosts[0] if len(hosts) == 1 else join_hosts(b" ".join(hosts).split(b" ")))
        for name, hosts in found.items()
    ]
