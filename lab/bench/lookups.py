"""`lookups`: 1,000 names over 50 registration servers that have limits, by two workers of which one is killed.

Half of the servers tell their limit in public, and configs/lookups.yaml repeats it; the others' must be found out from
how they say "too fast". Each name must end with the right outcome (and a registered one with its date of registration
and its registrant, where that is shown), no stated limit may be broken, no server asked twice about a name.

`violations` counts questions above a stated limit, and those that came before the time was up that a server had asked
for; `told_to_slow_down` the refusals by servers that state nothing; `asked_twice` (server, name) pairs that were
answered more than once, but for the `lost` ones: the answers that were on their way to the killed worker.
`LAPSEWATCH_BENCH_NAMES` changes the 1,000 names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml
from sqlalchemy import Engine, text

from db.entities import ensure_entities
from db.lookup_queue import Priority, want
from intel.entities import Kind, entity
from intel.errors import WarehouseError
from intel.registration import Outcome
from intel.settings import CHECKOUT, settings
from lab.bench._lookups_world import SERVERS, World, make_world, manners
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from lab.registries import Registries, registries

NAMES: Final = int(os.environ.get("LAPSEWATCH_BENCH_NAMES", "1000"))
SEED: Final = 20261124
_SHARE: Final = 0.8
_PASS_SECONDS: Final = 90.0
_LEASE_SECONDS: Final = 700.0
"""After so long a claim of the killed worker has ended, and what said nothing is tried again."""
_PASSES: Final = 8

OUTCOMES: Final = "SELECT e.value, l.outcome FROM lookup l JOIN entity e ON e.id = l.entity_id"
FACTS: Final = """
SELECT s.value AS name, f.predicate, o.value FROM fact f JOIN entity s ON s.id = f.subject_id
JOIN entity o ON o.id = f.object_id
WHERE f.predicate = 'created' OR (f.predicate = 'registered-by' AND f.state = 'value'
    AND f.qualifiers->>'field' = 'email')
"""
UNANSWERED: Final = """
SELECT q.server, e.value AS name FROM query q JOIN entity e ON e.id = q.entity_id WHERE q.outcome = 'asked'
"""
ANSWERED: Final = "SELECT count(*) FROM lookup WHERE outcome IN ('registered', 'not_found', 'unsupported')"


@dataclass(kw_only=True)
class Went:
    """How it went."""

    wrong: list[str] = field(default_factory=list)
    right: int = 0
    passes: int = 0
    killed_after: int = 0
    seconds: float = 0.0


def run() -> Result:
    """Look all names up."""
    world = make_world(NAMES, seed=SEED)
    with (
        fresh_warehouse(CHECKOUT) as engine,
        registries(world.plans, world.registrars) as net,
        _configs(net, settings().home),
    ):
        went = look_all_up(engine, world)
        judge(engine, world, went)
        asked = Asked(net, _lost(engine))
    rows = tuple((verdict, count) for verdict, count in sorted(asked.verdicts.items()))
    tables = [Table(title="questions, by how servers took them", columns=("verdict", "questions"), rows=rows)]
    if went.wrong or asked.twice:
        lines = [*went.wrong, *(f"{site} was asked twice about {about}" for site, about in asked.twice)]
        shown = tuple((line,) for line in lines[:20])
        tables.append(Table(title=f"the first of {len(lines)} things that are wrong", columns=("what",), rows=shown))
    return Result(
        tables=tuple(tables),
        figures={
            "domains": len(world.truth),
            "servers": SERVERS,
            "right": went.right,
            "violations": asked.violations,
            "told_to_slow_down": asked.slowed,
            "asked_twice": len(asked.twice),
            "lost": len(asked.lost),
            "killed_after": went.killed_after,
            "passes": went.passes,
            "seconds": round(went.seconds),
        },
    )


class Asked:
    """What the servers were asked. `lost` pairs are answers that a killed worker did not live to see."""

    def __init__(self, net: Registries, unanswered: set[tuple[str, str]]) -> None:
        limited = {site.name: site for site in net.sites.values() if site.limit is not None}
        queries = [one for one in net.queries if one.site in limited]
        told = {name for name, site in limited.items() if site.limit is not None and site.limit.told}
        self.verdicts = Counter(one.verdict for one in queries)
        self.violations = sum(
            one.verdict == "impatient" or (one.verdict == "too fast" and one.site in told) for one in queries
        )
        self.slowed = sum(one.verdict == "too fast" and one.site not in told for one in queries)
        answered = Counter((one.site, one.about.rpartition("/")[2]) for one in queries if one.verdict == "answered")
        again = {pair for pair, count in answered.items() if count > 1}
        self.lost = {pair for pair in again if answered[pair] == 2 and (limited[pair[0]].key, pair[1]) in unanswered}
        self.twice = sorted(again - self.lost)


def look_all_up(engine: Engine, world: World) -> Went:
    """Let two workers at it, kill one in the middle, and go on until every name has ended."""
    went = Went()
    began = time.monotonic()
    entities = [entity(Kind.DOMAIN, name) for name in world.truth]
    with engine.begin() as connection:
        ids = list(ensure_entities(connection, entities).values())
        now = datetime.now(UTC)
        want(connection, ids, priority=Priority.NEW_DOMAIN, reason="new domain", reach="registrar", due_at=now)
    with _worker(_PASS_SECONDS, 0) as first, _worker(_PASS_SECONDS, 0) as second:
        until = time.monotonic() + _PASS_SECONDS
        while _answered(engine) < len(world.truth) // 3 and first.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        went.killed_after = _answered(engine)
        first.kill()
        _ended(second)
    while _answered(engine) < len(world.truth) and went.passes < _PASSES:
        went.passes += 1
        with _worker(_PASS_SECONDS, _LEASE_SECONDS * went.passes) as another:
            _ended(another)
    went.seconds = time.monotonic() - began
    return went


def judge(engine: Engine, world: World, went: Went) -> None:
    """Compare what is known with what is true."""
    with engine.connect() as connection:
        outcomes = {row.value: row.outcome for row in connection.execute(text(OUTCOMES))}
        facts = [tuple(row) for row in connection.execute(text(FACTS))]
    created = {(name, value) for name, predicate, value in facts if predicate == "created"}
    emails = {(name, value) for name, predicate, value in facts if predicate == "registered-by"}
    told = {name for name, _ in emails}
    for name, truth in world.truth.items():
        before = len(went.wrong)
        if outcomes.get(name) != truth.outcome:
            went.wrong.append(f"{name} ended as {outcomes.get(name)!r}, and is {truth.outcome}")
        elif truth.outcome == Outcome.REGISTERED:
            if truth.created and (name, f"{truth.created:%Y-%m-%dT%H:%M:%SZ}") not in created:
                went.wrong.append(f"{name} lacks its date of registration")
            if truth.email and (name, truth.email) not in emails:
                went.wrong.append(f"{name} lacks its registrant")
            if not truth.email and name in told:
                went.wrong.append(f"{name} has a registrant that is hidden")
        went.right += len(went.wrong) == before


def _answered(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text(ANSWERED)).scalar_one())


def _lost(engine: Engine) -> set[tuple[str, str]]:
    """(server's key, name) of questions that were written down and never answered."""
    with engine.connect() as connection:
        return {(row.server.removeprefix("http://"), row.name) for row in connection.execute(text(UNANSWERED))}


@contextmanager
def _worker(seconds: float, later: float) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lab.bench._lookups_child", str(seconds), str(later)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT) as process:
        try:
            yield process
        finally:
            process.kill()


def _ended(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=_PASS_SECONDS + 60)
    if process.returncode != 0:
        raise WarehouseError(f"couldn't look up: a worker ended with status {process.returncode}; the benchmark ends")


@contextmanager
def _configs(net: Registries, home: Path) -> Iterator[None]:
    """A folder of configs in which the lab's registries are the world's."""
    folder = home / "configs-of-lookups"
    shutil.copytree(CHECKOUT / "configs", folder)
    allow = sorted(f"{host}:{port}" for host, port in net.allow)
    (folder / "network.yaml").write_text(yaml.safe_dump({"allow": allow}))
    value: dict[str, Any] = yaml.safe_load((folder / "lookups.yaml").read_text("utf-8"))
    servers = [(name, net.sites.get(f"whois {plan.name}")) for plan in net.plans for name in plan.suffixes]
    value |= {
        "bootstrap": net.bootstrap,
        "whois_root": "",
        "whois_servers": {name: site.key for name, site in servers if site is not None},
        "per_day": 1_000_000,
    }
    value["manners"] |= {
        "default": {"per_minute": 600, "burst": 2, "per_day": 100_000},
        "servers": manners(net, share=_SHARE),
        "rest": 2,
    }
    (folder / "lookups.yaml").write_text(yaml.safe_dump(value))
    before = os.environ.get("LAPSEWATCH_CONFIGS")
    os.environ["LAPSEWATCH_CONFIGS"] = str(folder)
    settings.cache_clear()
    try:
        yield
    finally:
        os.environ.pop("LAPSEWATCH_CONFIGS")
        if before is not None:
            os.environ["LAPSEWATCH_CONFIGS"] = before
        settings.cache_clear()
