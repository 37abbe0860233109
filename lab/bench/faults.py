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
import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final, Literal

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from db import embedded
from db.engine import open_engine
from db.migrate import upgrade
from intel.config.watches import read_watches
from intel.errors import WarehouseError
from lab.bench._faults_child import DONE, FAILED, PHASES, play
from lab.bench._faults_dump import Dump, differences, dump
from lab.bench._faults_lab import DAYS, StoryLab, story_lab
from lab.bench.result import Result, Table
from lab.configs import write_configs
from tasks.watch import items

KILLS: Final = int(os.environ.get("LAPSEWATCH_BENCH_KILLS", "200"))
RESTARTS: Final = 18
SEED: Final = 20260302
_DAY: Final = (PHASES[0], PHASES[0], *PHASES)
"""Phases that are hit on each day of a story: ingestion, the longest, more than once."""
_SILENCE_SECONDS: Final = 120.0
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

    def count(self, *whats: What) -> int:
        """Strokes that hit one of these."""
        return sum(count for (what, _), count in self.hits.items() if what in whats)


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
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([play.__module__])
    try:
        with story_lab() as lab, _server(folder / "postgres", settings or {}) as server:
            write_configs(folder / "configs", lab.addresses)
            yield Place(folder=folder, server=server, lab=lab)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """An embedded PostgreSQL that may be killed and stopped."""

    def __init__(self, data: Path, settings: Mapping[str, str]) -> None:
        self._data = data
        self._settings = settings
        self._lease = embedded.acquire(data, databases=(), settings=settings)

    def url(self, database: str) -> str:
        """Of a database on it; the same after every start."""
        return self._lease.server.url(database)

    def administer(self, statement: str) -> None:
        """Run a statement that belongs to no database."""
        engine = create_engine(self.url("postgres"), poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))

    def kill(self) -> None:
        """SIGKILL to the postmaster; its backends go by themselves."""
        pid = embedded.status(self._data).pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)

    def stop(self) -> None:
        """A fast shutdown."""
        embedded.stop(self._data)

    def start(self) -> None:
        """Start it again, through recovery where it was killed."""
        before, self._lease = self._lease, embedded.acquire(self._data, databases=(), settings=self._settings)
        before.release()

    def leave(self) -> None:
        """Stop it for good."""
        self._lease.release()


@contextmanager
def _server(data: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    server = Server(data, settings)
    try:
        yield server
    finally:
        server.leave()


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
                    self._strike(stroke, _Child(environment), told, after=stroke.share * usual)
            _Child(environment).finish(told, {} if clock is None else clock, number)
        engine = open_engine(self._server.url(name))
        found = dump(engine)
        engine.dispose()
        self._server.administer(f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(home, ignore_errors=True)
        return found, told

    def _strike(self, stroke: Stroke, child: _Child, told: Told, *, after: float) -> None:
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


class _Child:
    """A process that plays a day. `phase` is the last that it said it began; `failure` its traceback."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        context = multiprocessing.get_context("forkserver")
        self._said, theirs = context.Pipe(duplex=False)
        self._process = context.Process(target=play, args=(dict(environment), theirs))
        self._process.start()
        theirs.close()
        self.phase = ""
        self.failure = ""
        self.ended = False

    def reach(self, phase: str) -> None:
        """Wait until it begins `phase`, or ends."""
        until = time.monotonic() + _SILENCE_SECONDS
        while not self.ended and self.phase != phase and time.monotonic() < until:
            self._read(until - time.monotonic())

    def read_for(self, seconds: float) -> None:
        """Listen for so long, or until it ends."""
        until = time.monotonic() + seconds
        while not self.ended and (left := until - time.monotonic()) > 0:
            self._read(left)

    def kill(self) -> str:
        """SIGKILL; the phase that it was in, empty where it had ended."""
        self._process.kill()
        self._process.join()
        self.read_for(0.5)
        killed = self._process.exitcode == -signal.SIGKILL and not self.failure
        self._said.close()
        return self.phase if killed and self.phase != DONE else ""

    def wait(self) -> bool:
        """Wait for its end; whether it came. One that does not come is killed."""
        self._process.join(_SILENCE_SECONDS)
        came = self._process.exitcode is not None
        if not came:
            self._process.kill()
            self._process.join()
        self.read_for(0.5)
        self._said.close()
        return came

    def finish(self, told: Told, clock: dict[tuple[int, str], float], day: int) -> None:
        """Let it play to the end, and note how long each phase took; that it fails is wrong."""
        for phase, following in itertools.pairwise((*PHASES, DONE)):
            self.reach(phase)
            began = time.monotonic()
            self.reach(following)
            clock[day, phase] = time.monotonic() - began
        if self.phase != DONE:
            told.wrong.append(f"did not come to the end of day {day + 1}: {self.failure or 'it hung or died'}")
        self.wait()

    def _read(self, seconds: float) -> None:
        try:
            if not self._said.poll(max(seconds, 0.0)):
                return
            phase, failure = self._said.recv()
        except (EOFError, OSError):
            self.ended = True
            return
        if phase == FAILED:
            self.failure = failure
        else:
            self.phase = phase
        self.ended = phase in {FAILED, DONE}
