"""A folder that a registry's zone files come to, and the runs that compare them."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from db import zones
from intel.config.sources import Source
from tasks.collect.session import open_run
from tasks.collect.zones import next_zone
from tasks.load.zones import Compared, compare
from tasks.load.zones_snapshot import sort
from tests.zones import MONDAY, zone_source, zone_text


@dataclass(kw_only=True)
class ZoneFolder:
    """`put` a day's file, then `run`."""

    engine: Engine
    folder: Path
    source: Source
    days: int = 0
    ran: list[Compared] = field(default_factory=list)

    def put(self, names: dict[str, str], *, serial: int | None = None, at: datetime | None = None, **more: Any) -> Path:
        """The zone's file of the next day."""
        self.days += 1
        body = zone_text(names, serial=self.days if serial is None else serial, **more)
        return self.raw(gzip.compress(body), at=at)

    def raw(self, body: bytes, *, at: datetime | None = None) -> Path:
        """A file as it is."""
        path = self.folder / f"day{self.days}.gz"
        path.write_bytes(body)
        when = (at or MONDAY + timedelta(days=self.days)).timestamp()
        os.utime(path, (when, when))
        return path

    def run(self, **more: Any) -> list[Compared]:
        """Compare all that is new, in one run."""
        found = run_zone(self.engine, self.source, **more)
        self.ran += found
        return found

    def rows(self, statement: str) -> list[Any]:
        """The rows of a query."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    @property
    def place(self) -> Path:
        return zones.folder_of(self.source.name)


def run_zone(engine: Engine, source: Source, **more: Any) -> list[Compared]:
    """One run of a source, as its flow has it."""
    found = []
    with open_run(engine, source) as run:
        while (file := next_zone(engine, source, run)) is not None:
            found.append(compare(engine, source, run, sort(engine, source, run, file), **more))
    return found


def zone_folder(engine: Engine, folder: Path, **values: Any) -> ZoneFolder:
    """A folder that is a source."""
    folder.mkdir(parents=True, exist_ok=True)
    return ZoneFolder(engine=engine, folder=folder, source=zone_source(str(folder), **values))
