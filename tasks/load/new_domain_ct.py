"""Names of logged certificates as the third channel of new domains: archived entries in, first sights out.

What the archive holds beyond where the last look ended is read, log by log and segment by segment, its names reduced to
registrable domains; each is seen when the first certificate that names it was logged. Where a look ended is an index of
the log, not a segment, so that compaction in between changes nothing. The cursor moves with what it covers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Engine

from db import runs
from db.archive_duckdb import readable
from db.archive_manifest import Held, begun, held
from db.archive_store import Store, need, open_store
from intel.config.ct import read_ct
from intel.config.newdomains import read_new_domains
from intel.config.sources import Source
from intel.errors import ReadError
from intel.names import canonical_name, default_suffixes
from intel.new_domains import Arrival, Channel
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.load.new_domain_work import Ranker, Work, open_work
from tasks.load.new_domains import Arrived, load_arrivals
from tasks.records import Run

CT_NAMES: Final = Source.model_validate(
    {
        "name": "ct-names",
        "title": "Names in Certificate Transparency, as a channel of new domains",
        "transport": "ct",
        "format": "ct",
        "location": "archive:",
        "semantics": "stream",
        "cadence": "manual",
        "reliability": "A",
        "tlp": "TLP:CLEAR",
        "licence": {"name": "none", "commercial_use": True, "redistribution": True},
        "enabled": True,
    }
)
"""Whose runs these looks are."""

ENTRIES: Final = 200_000
"""Entries of one transaction: their names are held in memory."""
_BATCH: Final = 16_384
_REMEMBERED: Final = 1 << 19  # names whose registrable domain is known already, of one look


class Looked(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What a look at the archive brought. `more`: there was no time for all of it. `problems` could not be read."""

    entries: int = 0
    arrived: Arrived
    more: bool = False
    problems: tuple[str, ...] = ()


def see_certificates(
    engine: Engine, *, ranker: Ranker | None = None, max_seconds: float = 480.0, flow_run: str = ""
) -> Looked | None:
    """Take in the names that were archived since the last look, for `max_seconds`; what is left waits for the next.

    None where configs/newdomains.yaml wants none, or nothing was ever archived. Raises BusyError where another process
    is at it, ConfigError where the extra `archive` is not installed.
    """
    configs = settings().configs
    wanted = read_new_domains(configs).ct_names
    with engine.connect() as connection:
        if wanted == "none" or not begun(connection):
            return None
    stop = time.monotonic() + max_seconds
    store = open_store(read_ct(configs).archive, settings().home)
    with open_run(engine, CT_NAMES, flow_run=flow_run) as run:
        look = _Look(engine, run, store, open_work(engine, ranker), only_known=wanted == "known")
        looked = look.take(stop)
        with engine.begin() as connection:
            runs.finish(connection, run.run_id, outcome="ok" if looked.arrived.new else "unchanged")
        return looked


class _Look:
    """One look: the segments in the order of their logs, piece by piece."""

    def __init__(self, engine: Engine, run: Run, store: Store, work: Work, *, only_known: bool) -> None:
        self._engine, self._run, self._store, self._work = engine, run, store, work
        self._only_known = only_known
        self._registrable: dict[str, str] = {}

    def take(self, stop: float) -> Looked:
        with self._engine.connect() as connection:
            position: dict[str, int] = dict(runs.read_cursor(connection, f"source:{CT_NAMES.name}") or {})
            segments = [one for one in held(connection) if one.next > position.get(one.log, 0)]
        done = Looked(arrived=Arrived(run_id=self._run.run_id, source=CT_NAMES.name))
        broken: set[str] = set()
        for segment in segments:
            if segment.log in broken:
                continue
            first = max(position.get(segment.log, 0), segment.first)
            try:
                for reached, seen in self._pieces(segment, first):
                    position = {**position, segment.log: reached}
                    done = self._load(done, seen, position, entries=reached - first)
                    first = reached
                    if time.monotonic() >= stop:
                        return msgspec.structs.replace(done, more=reached < segment.next or segment is not segments[-1])
            except ReadError as error:
                # The log is left there until the segment can be read: a position beyond it would hide the gap.
                broken.add(segment.log)
                done = msgspec.structs.replace(done, problems=(*done.problems, str(error)))
                with self._engine.begin() as connection:
                    runs.warn(connection, self._run.run_id, str(error))
        return done

    def _load(self, done: Looked, seen: dict[str, datetime], position: dict[str, int], *, entries: int) -> Looked:
        arrived = load_arrivals(
            self._engine,
            CT_NAMES,
            self._run,
            Channel.CT,
            (Arrival(name=name, seen_at=at) for name, at in seen.items()),
            cursor=dict(position),
            location="archive:",
            work=self._work,
            only_known=self._only_known,
            last=False,
        )
        return msgspec.structs.replace(done, entries=done.entries + entries, arrived=done.arrived.plus(arrived))

    def _pieces(self, segment: Held, first: int) -> Iterator[tuple[int, dict[str, datetime]]]:
        """(index behind the piece, registrable domains with when they were first logged) from `first` on."""
        parquet = need("pyarrow.parquet")
        seen: dict[str, int] = {}
        entries = 0
        with (
            readable([segment]),
            self._store.open(segment.path) as raw,
            parquet.ParquetFile(raw, page_checksum_verification=True) as file,
        ):
            for batch in file.iter_batches(_BATCH, columns=["index", "timestamp", "names"]):
                columns = batch.to_pydict()
                reached = self._add(columns, first, seen)
                entries += batch.num_rows
                if entries >= ENTRIES and reached > first:
                    yield reached, _times(seen)
                    seen, entries, first = {}, 0, reached
        # What could not be parsed has no row, so the end is the segment's, whatever the last row says.
        yield segment.next, _times(seen)

    def _add(self, columns: dict[str, list[Any]], first: int, seen: dict[str, int]) -> int:
        """Add the names of entries from `first` on; returns the index behind the last."""
        known = self._registrable
        if len(known) > _REMEMBERED:
            known.clear()
        last = first - 1
        for index, timestamp, names in zip(columns["index"], columns["timestamp"], columns["names"], strict=True):
            if index < first:
                continue
            last = index
            for name in names.split("\n") if names else ():
                one = known.get(name)
                if one is None:
                    one = known[name] = _registrable(name)
                if one and timestamp < seen.get(one, timestamp + 1):
                    seen[one] = timestamp
        return last + 1


def _registrable(name: str) -> str:
    """The registrable domain of a certificate's name; empty where nobody registered one, as for `*.co.uk`."""
    try:
        bare = canonical_name(name.removeprefix("*."))
    except ReadError:
        return ""
    suffixes = default_suffixes()
    one = suffixes.registrable(bare)
    return "" if one == bare and suffixes.is_suffix(bare) else one


def _times(seen: dict[str, int]) -> dict[str, datetime]:
    now = int(time.time() * 1000)  # a log may say that it is later, and its names would be the newest for ever
    return {name: datetime.fromtimestamp(min(at, now) / 1000, UTC) for name, at in seen.items()}
