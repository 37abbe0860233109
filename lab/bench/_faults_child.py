"""A day of the story in a process that may be killed at any time: collect, watch, publish, without Prefect.

In: the environment of a home, and a pipe. Out: the name of each phase on the pipe as it begins, `DONE` at the end, or
what failed. It does the same as the flows, in their order; whatever an earlier process had done is not done again.
"""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Final, TypeVar

from sqlalchemy import Engine

from db.engine import warehouse
from intel.config.organisation import read_organisation
from intel.config.publishing import read_publishing
from intel.config.sources import Format, Source, read_sources
from intel.config.watches import read_watches
from intel.errors import BusyError
from intel.names import default_suffixes
from intel.settings import settings
from tasks.collect.session import open_run
from tasks.collect.slices import collect_slice
from tasks.load import ct
from tasks.load.load import load_batch
from tasks.load.new_domain_lists import load_lists
from tasks.normalize.stage import stage
from tasks.pivot import hub_lists
from tasks.publish.publish import publish
from tasks.records import Run
from tasks.watch import certificates, items, registrations

PHASES: Final = ("ingestion", "watching", "publishing")
DONE: Final = "done"
FAILED: Final = "failed"
CT_CHUNK: Final = 8
"""Entries that are committed together: few, so that a small log has several commits to be killed between."""
_PATIENCE_SECONDS: Final = 30.0

Result = TypeVar("Result")

# Read before processes are forked from the one that imports this; the lab's hubs are the project's own.
default_suffixes()
hub_lists.lists()


def play(environment: Mapping[str, str], said: Connection) -> None:
    """Play a day to its end; exits with 1 where something failed."""
    logging.disable(logging.CRITICAL)  # what fails goes through the pipe
    os.environ.update(environment)
    settings.cache_clear()
    try:
        with warehouse(pooled=True) as engine:
            for phase, work in zip(PHASES, (_collect, _watch, _publish), strict=True):
                said.send((phase, ""))
                work(engine)
    except Exception as error:  # noqa: BLE001 - whatever it was, the parent says it
        lines = (*traceback.format_exception_only(error), *traceback.format_tb(error.__traceback__))
        said.send((FAILED, "".join(lines)))
        raise SystemExit(1) from None
    said.send((DONE, ""))


def _collect(engine: Engine) -> None:
    with engine.begin() as connection:
        items.sync_files(connection, read_watches(settings().configs))
    for source in read_sources(settings().configs).values():
        if not source.enabled:
            continue
        if source.transport == "ct":
            _follow(engine, source)
        elif source.cadence == "hourly":
            _ingest(engine, source)


def _ingest(engine: Engine, source: Source) -> None:
    with _run(engine, source) as run:
        more = True
        while more:
            collected = collect_slice(engine, source, run)
            if not collected.documents and collected.cursor is None and not collected.problems:
                break
            if source.format is Format.DOMAINS:
                more = not load_lists(engine, source, collected).last
                continue
            more = not load_batch(engine, stage(engine, source, collected)).last


def _follow(engine: Engine, source: Source) -> None:
    with _run(engine, source) as run:
        ct.follow(engine, source, run, ct.head(engine, source, run), chunk_entries=CT_CHUNK)


def _watch(engine: Engine) -> None:
    _when_free(lambda: registrations.monitor(engine))
    _when_free(lambda: certificates.monitor(engine))


def _publish(engine: Engine) -> None:
    configs = settings().configs
    publish(engine, read_publishing(configs), read_organisation(configs))


@contextmanager
def _run(engine: Engine, source: Source) -> Iterator[Run]:
    opened = open_run(engine, source)
    run = _when_free(opened.__enter__)
    try:
        yield run
    except BaseException as error:
        opened.__exit__(type(error), error, error.__traceback__)
        raise
    opened.__exit__(None, None, None)


def _when_free(work: Callable[[], Result]) -> Result:
    """PostgreSQL may take a moment to see that a killed process is gone, and holds its lock for as long."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return work()
        except BusyError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)
