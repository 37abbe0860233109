"""What processes cost, from /proc (proc(5)): a tree of processes in, its CPU seconds and memory out, by kind.

A process that ends is counted with what it had used when it was looked at last.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_EVERY: Final = 0.1


class Use(msgspec.Struct, kw_only=True):
    """What one process used: seconds of CPU, user and system, and octets of memory at its peak."""

    command: str
    cpu: float = 0.0
    peak: int = 0


class Sampler:
    """Looks at trees of processes ten times a second. `roots` are the ids of their first ones."""

    def __init__(self, roots: Iterable[int]) -> None:
        self._roots = tuple(roots)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._began = time.monotonic()
        self.uses: Final[dict[int, Use]] = {}
        self.sum_peak = 0
        """Octets resident in all of them at once, at most; what they share counts for each."""
        self.history: Final[list[tuple[float, dict[int, int]]]] = []
        """(seconds, octets resident by process), at each look."""

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def cpu(self) -> float:
        """Seconds of CPU so far."""
        self._look()
        return sum(use.cpu for use in self.uses.values())

    def largest(self) -> int:
        """The peak of the largest process, in octets."""
        return max((use.peak for use in self.uses.values()), default=0)

    def _run(self) -> None:
        while not self._stop.wait(_EVERY):
            self._look()

    def _look(self) -> None:
        resident: dict[int, int] = {}
        for pid in _tree(self._roots):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
                status = Path(f"/proc/{pid}/status").read_text("utf-8")
                if pid not in self.uses:
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
                    self.uses[pid] = Use(command=command)
            except (OSError, IndexError):
                continue  # it has ended
            use = self.uses[pid]
            use.cpu = (int(fields[11]) + int(fields[12])) / _TICKS
            use.peak = max(use.peak, _octets(status, "VmHWM:"))
            resident[pid] = _octets(status, "VmRSS:")
        self.sum_peak = max(self.sum_peak, sum(resident.values()))
        self.history.append((time.monotonic() - self._began, resident))


def _octets(status: str, field: str) -> int:
    _, found, rest = status.partition(field)
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0


def _tree(roots: Iterable[int]) -> list[int]:
    children: dict[int, list[int]] = defaultdict(list)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_text("utf-8").rpartition(")")[2].split()
            except OSError:
                continue
            children[int(fields[1])].append(int(entry.name))
    found, waiting = [], list(roots)
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def parent(pid: int) -> int | None:
    """The parent of a process; None where it cannot be seen."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return None
