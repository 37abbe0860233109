"""`faults`: processes and PostgreSQL are killed while the invented world's story is told; the end must not differ.

A child process (_faults_child.py) collects, watches and publishes, day after day, against a lab that this process
serves. It is killed with SIGKILL at random moments of each phase, and started again until it comes to the day's end;
the warehouse in the end (_faults_dump.py) is compared with that of a story that nobody disturbed. In further stories
PostgreSQL is killed (SIGKILL to the postmaster) or stopped (fast) in the middle instead, and started again. The server
is an embedded one, with fsync and all that keeps data safe on.

`differences` counts rows that are missing or too many, over all stories, and failures that nobody caused; it must be 0.
`LAPSEWATCH_BENCH_KILLS` changes the 200 kills.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal

from db.engine import open_engine
from db.migrate import upgrade
from intel.config.watches import read_watches
from intel.errors import WarehouseError
from lab.bench._faults_child import DONE, PHASES
from lab.bench._faults_dump import Dump, differences, dump
from lab.bench._faults_lab import DAYS, StoryLab, story_lab
from lab.bench._faults_processes import Child, Server, running_server
from lab.bench.result import Result, Table
from lab.configs import write_configs
from tasks.watch import items

KILLS: Final = int(os.environ.get("LAPSEWATCH_BENCH_KILLS", "200"))
RESTARTS: Final = 18
SEED: Final = 20260302
_DAY: Final = (PHASES[0], PHASES[0], *PHASES)
"""Phases that are hit on each day of a story: ingestion, the longest, more than once."""
_SHOWN: Final = 20

What = Literal["process", "kill server", "stop server"]


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """`what` is hit when `share` of the usual time of a phase has passed."""

    phase: str
    share: float
    what: What = "process"


@dataclass(kw_only=True)
class Told:
    """How stories went: strokes that hit something, by what and phase, and what was wrong in the end."""

    stories: int = 0
    hits: Counter[tuple[What, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def count(self, *named: What) -> int:
        """Strokes that hit one of these."""
        return sum(count for (what, _), count in self.hits.items() if what in named)


def run() -> Result:
    """Tell the story undisturbed, twice; then with kills; then with a server that goes and comes."""
    began = time.monotonic()
    with stage() as place:
        expected = place.undisturbed()
        again, _ = place.story({})
        told = Told(wrong=differences(expected, again))
        kills(place, expected, told, wanted=KILLS, seed=SEED)
        restarts(place, expected, told, wanted=RESTARTS, seed=SEED)
    rows = [(what, phase, count) for (what, phase), count in sorted(told.hits.items())]
    tables = [Table(title="strokes that hit something", columns=("what", "during", "times"), rows=tuple(rows))]
    if told.wrong:
        shown = tuple((line[:300],) for line in told.wrong[:_SHOWN])
        tables.append(Table(title=f"the first of {len(told.wrong)} differences", columns=("difference",), rows=shown))
    return Result(
        tables=tuple(tables),
        figures={
            "kills": told.count("process"),
            "differences": len(told.wrong),
            "postgres_restarts": told.count("kill server", "stop server"),
            **{f"kills_{phase}": told.hits["process", phase] for phase in PHASES},
            "stories": told.stories,
            "rows_compared": sum(bag.total() for bag in expected.values()),
            "seconds": round(time.monotonic() - began),
        },
    )


def kills(place: Place, expected: Dump, told: Told, *, wanted: int, seed: int) -> None:
    """Tell stories until a process was killed `wanted` times; what differs in the end is added to `told.wrong`."""
    random = Random(seed)
    before = told.count("process")
    while (left := wanted - (told.count("process") - before)) > 0:
        plan = {day: [Stroke(phase=phase, share=random.random()) for phase in _DAY] for day in range(len(DAYS))}
        _tell(place, expected, told, plan, most=left)


def restarts(place: Place, expected: Dump, told: Told, *, wanted: int, seed: int) -> None:
    """Tell stories until the server went and came `wanted` times, by turns killed and stopped."""
    random = Random(seed)
    turns: Iterator[What] = itertools.cycle(("kill server", "stop server"))
    before = told.count("kill server", "stop server")
    while (left := wanted - (told.count("kill server", "stop server") - before)) > 0:
        plan = {
            day: [Stroke(phase=phase, share=random.random(), what=next(turns)) for phase in PHASES]
            for day in range(len(DAYS))
        }
        _tell(place, expected, told, plan, most=left)


def _tell(place: Place, expected: Dump, told: Told, plan: Mapping[int, Sequence[Stroke]], *, most: int) -> None:
    found, went = place.story(plan, most=most)
    told.stories += 1
    told.hits += went.hits
    told.wrong += went.wrong
    told.wrong += differences(expected, found)


@contextmanager
def stage(settings: Mapping[str, str] | None = None) -> Iterator[Place]:
    """A server, a lab and configs to tell stories with, gone when the block ends. `settings` are PostgreSQL's."""
    folder = Path(tempfile.mkdtemp(prefix="lapsewatch-faults-"))
    # The server's account, where root lends it one, must get there.
    folder.chmod(0o711)
    try:
        with story_lab() as lab, running_server(folder / "postgres", settings or {}) as server:
            write_configs(folder / "configs", lab.addresses)
            yield Place(folder=folder, server=server, lab=lab)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Place:
    """Where stories are told, each on a database of its own."""

    def __init__(self, *, folder: Path, server: Server, lab: StoryLab) -> None:
        self._folder = folder
        self._server = server
        self._lab = lab
        self._numbers = itertools.count(1)
        self._usual: dict[tuple[int, str], float] = {}
        server.administer("CREATE DATABASE template_story TEMPLATE template0")
        upgrade(server.url("template_story"))
        # The watches are there before the story begins: STIX ids are made of their row ids.
        engine = open_engine(server.url("template_story"))
        with engine.begin() as connection:
            items.sync_files(connection, read_watches(folder / "configs"))
        engine.dispose()

    def undisturbed(self) -> Dump:
        """Tell the story without a stroke; how long each phase takes is kept for the strokes of later stories.

        Raises WarehouseError where even that fails.
        """
        found, told = self.story({}, clock=self._usual)
        if told.wrong:
            raise WarehouseError(f"couldn't tell the story undisturbed: {told.wrong[0]}; no process is killed then")
        return found

    def story(
        self,
        plan: Mapping[int, Sequence[Stroke]],
        *,
        most: int | None = None,
        clock: dict[tuple[int, str], float] | None = None,
    ) -> tuple[Dump, Told]:
        """Tell the story with the strokes of `plan`, by day, of which `most` may hit."""
        name = f"story_{next(self._numbers)}"
        self._server.administer(f"CREATE DATABASE {name} TEMPLATE template_story")
        home = self._folder / name
        environment = {
            "LAPSEWATCH_HOME": str(home),
            "LAPSEWATCH_CONFIGS": str(self._folder / "configs"),
            "LAPSEWATCH_DATABASE_URL": self._server.url(name),
        }
        told = Told()
        self._lab.restart()
        for number, day in enumerate(DAYS):
            self._lab.move(day)
            for stroke in plan.get(number, ()):
                if most is None or told.hits.total() < most:
                    usual = self._usual.get((number, stroke.phase), 0.0)
                    self._strike(stroke, Child(environment), told, after=stroke.share * usual)
            last = Child(environment)
            took = last.finish()
            if last.phase != DONE:
                told.wrong.append(f"did not come to the end of day {number + 1}: {last.failure or 'it hung or died'}")
            if clock is not None:
                clock |= {(number, phase): seconds for phase, seconds in took.items()}
        engine = open_engine(self._server.url(name))
        found = dump(engine)
        engine.dispose()
        self._server.administer(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(home, ignore_errors=True)
        return found, told

    def _strike(self, stroke: Stroke, child: Child, told: Told, *, after: float) -> None:
        """Let a child come to the phase, wait, and hit; a child that was done by then is no hit."""
        child.reach(stroke.phase)
        child.read_for(after)
        if stroke.what == "process":
            phase = child.kill()
        else:
            phase = child.phase if not child.ended else ""
            self._server.kill() if stroke.what == "kill server" else self._server.stop()
            # Without its database it ends by itself, with an error or, at the very end, well.
            if not child.wait():
                told.wrong.append(f"a process hung after: {stroke.what} during {phase}")
            self._server.start()
        if phase:
            told.hits[stroke.what, phase] += 1
        elif child.failure:
            told.wrong.append(f"failed before it was hit: {child.failure}")
