"""Lapsewatch as the benchmark `ct` measures it: follows one log in a process of its own, into an empty warehouse.

It is run as a flow run does it: head, follow, commit, slice after slice, with the real PostgreSQL, over HTTP.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import yaml

from db.watched import load_watch_set
from intel.errors import ReadError
from intel.settings import CHECKOUT, settings
from lab.bench._ct_lists import Row, watch
from lab.bench._ct_measured import Measured
from lab.bench._ct_processes import Sampler
from lab.bench.place import fresh_warehouse
from lab.ct import Protocol
from lab.ct_big import BigLog

_KINDS: Final = (("tasks.load.ct_reader", "readers"), ("_ct_child", "follower"))


class Followed:
    """A measured run, and what its sampler saw over time."""

    def __init__(self, measured: Measured, sampler: Sampler) -> None:
        self.measured: Final = measured
        self.sampler: Final = sampler


def measure(
    log: BigLog,
    *,
    entries: int,
    watched: str,
    rows: Iterator[Row],
    protocol: Protocol = "rfc6962",
    archive: bool = False,
) -> Followed:
    """Follow the log of `entries` from its start, watching `rows`, which `watched` puts into words.

    Raises ReadError where it did not read and commit them all.
    """
    with _configs(log, archive=archive), fresh_warehouse(settings().data) as engine:
        watch(engine, rows)
        with engine.connect() as connection:
            connection.exec_driver_sql("ANALYZE watch_item")
            lists = _lists(load_watch_set(connection))
        command = (sys.executable, "-m", "lab.bench._ct_child")
        with subprocess.Popen(
            command, cwd=CHECKOUT, env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            try:
                return _follow(child, log, source(log, entries, protocol), watched=watched, lists=lists)
            finally:
                child.kill()


def _environment() -> dict[str, str]:
    """The environment that the deployment of followers has (prefect.yaml)."""
    deployments = yaml.safe_load((CHECKOUT / "prefect.yaml").read_text("utf-8"))["deployments"]
    (pool,) = (one["work_pool"] for one in deployments if one["name"] == "logs")
    return {**os.environ, **pool["job_variables"]["env"]}


def _follow(
    child: subprocess.Popen[bytes], log: BigLog, entry: dict[str, Any], *, watched: str, lists: str
) -> Followed:
    assert child.stdin is not None
    assert child.stdout is not None
    _send(child.stdin, entry)
    postmaster = _receive(child.stdout)["postmaster"]
    log.stats()
    with Sampler([child.pid]) as sampler, Sampler([postmaster] if postmaster else []) as database:
        before, starting = database.cpu(), sampler.cpu()
        _send(child.stdin, {})
        told = _receive(child.stdout)
        in_database = database.cpu() - before
        stats = log.stats()
    entries = int(entry["location"].rstrip("/").rpartition("/")[2])
    if told["position"] != entries or told["entries"] != entries or stats["entries"] < entries:
        raise ReadError(f"couldn't measure Lapsewatch: it read {told['entries']} of {entries} entries")
    parts = {"follower": -starting}
    for use in sampler.uses.values():
        kind = next((kind for words, kind in _KINDS if words in use.command), "other")
        parts[kind] = parts.get(kind, 0.0) + use.cpu
    measured = Measured(
        system="Lapsewatch",
        protocol=entry["options"]["protocol"],
        watched=watched,
        entries=entries,
        seconds=told["ended"] - stats["first"],
        cpu=told["cpu"],
        largest=sampler.largest(),
        together=sampler.sum_peak,
        hits=told["hits"],
        database=in_database,
        server=stats["cpu"],
        parts=parts,
        lists=lists,
    )
    return Followed(measured, sampler)


def _lists(found: object) -> str:
    """How many things stand in each list of the watch set that are not empty."""
    sets = {name: value for name, value in vars(found).items() if isinstance(value, frozenset) and name[0] != "_"}
    return ", ".join(f"{len(value):,} {name}" for name, value in sets.items() if value)


def source(log: BigLog, entries: int, protocol: Protocol) -> dict[str, Any]:
    """The log as an entry of configs/sources/."""
    return {
        "name": "bench-log",
        "title": "Big log",
        "transport": "ct",
        "format": "ct",
        "location": f"{log.url(entries)}/",
        "semantics": "stream",
        "cadence": "continuous",
        "reliability": "A",
        "tlp": "CLEAR",
        "licence": {"name": "invented", "commercial_use": True, "redistribution": True},
        "enabled": True,
        "options": {"protocol": protocol, "follow": "start", "log_key": base64.b64encode(log.key_der).decode()},
    }


@contextmanager
def _configs(log: BigLog, *, archive: bool) -> Iterator[None]:
    """A folder of configuration that lets the log be asked, for as long as the block lasts."""
    folder = Path(tempfile.mkdtemp(prefix="lapsewatch-bench-configs-"))
    before = os.environ.get("LAPSEWATCH_CONFIGS")
    try:
        host, port = log.address
        ct = yaml.safe_load((CHECKOUT / "configs" / "ct.yaml").read_text("utf-8"))
        ct["archive"] = {**ct.get("archive", {}), "enabled": archive}
        for name, value in (("ct", ct), ("network", {"allow": [f"{host}:{port}"]})):
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(value), "utf-8")
        shutil.copy(CHECKOUT / "configs" / "organisation.yaml", folder)
        os.environ["LAPSEWATCH_CONFIGS"] = str(folder)
        settings.cache_clear()
        yield
    finally:
        if before is None:
            os.environ.pop("LAPSEWATCH_CONFIGS", None)
        else:
            os.environ["LAPSEWATCH_CONFIGS"] = before
        settings.cache_clear()
        shutil.rmtree(folder, ignore_errors=True)


def _send(stream: IO[bytes], what: dict[str, Any]) -> None:
    stream.write(json.dumps(what).encode() + b"\n")
    stream.flush()


def _receive(stream: IO[bytes]) -> dict[str, Any]:
    line = stream.readline()
    if not line:
        raise ReadError("couldn't measure Lapsewatch: its process ended; what it said stands above")
    told: dict[str, Any] = json.loads(line)
    return told
