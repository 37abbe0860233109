"""`lapsewatch demo`: the whole story, through real deployments, on a home of its own that is removed afterwards.

The invented world (lab/world.py) or the real data of a folder (lab/realworld.py) is served on loopback; everything else
is what `lapsewatch up` runs. Exits 0 where the story ended as it must, 1 where it did not.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.markdown import Markdown
from rich.panel import Panel
from rich.text import Text
from sqlalchemy import Engine, text
from taxii2client.v21 import Collection, as_pages

from apps.cli import deployments
from apps.cli.findings import why
from apps.cli.output import console, show_table
from apps.cli.registration import registration
from apps.cli.up import everything, taxii_address
from db import incidents, partners
from db import status as status_queries
from db.engine import warehouse
from intel.config.publishing import read_publishing
from intel.facts import TLP
from intel.settings import settings
from lab.stories import Story, invented, real
from tasks.watch import items, queue

COLLECT: Final = ("collect-cadence/hourly", {"cadence": "hourly"})
# The story's days are minutes apart: what is due tomorrow is asked about today.
LOOK_UP: Final = ("look-up/due", {"seconds": 60, "ahead_days": 2})
_PATIENCE: Final = 30
MONITORS: Final = {
    "registrations": "monitor-registrations/registrations",
    "certificates": "monitor-certificates/certificates",
}
# The monitors that have not judged a batch, or not looked backwards for an item.
_UNJUDGED: Final = """
SELECT name FROM unnest(ARRAY['registrations', 'certificates']) m (name)
WHERE EXISTS (
    SELECT FROM batch b
    WHERE NOT EXISTS (SELECT FROM judgement j WHERE (j.batch_id, j.monitor) = (b.id, m.name))
) OR EXISTS (
    SELECT FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.active
    WHERE NOT EXISTS (SELECT FROM unnest(i.swept) s (mark) WHERE starts_with(s.mark, m.name))
)
"""


def play(*, data: Path | None, keep: Path | None) -> int:
    """Play the story; returns the exit code."""
    began = time.monotonic()
    home = keep.absolute() if keep is not None else Path(tempfile.mkdtemp(prefix="lapsewatch-demo-"))
    if not home.exists() or keep is None:
        home.mkdir(parents=True, exist_ok=True)
        # PostgreSQL runs under an account of its own when root starts it; it must be able to enter.
        home.chmod(0o711)
    make: Callable[..., Any] = (lambda: real(data.absolute())) if data is not None else invented
    try:
        with make() as story, _environment(home, data):
            story.write_configs(settings().configs)
            with everything(_say), warehouse() as engine:
                wrong = _tell(engine, story)
    finally:
        if keep is None:
            shutil.rmtree(home, ignore_errors=True)
    console.print()
    if wrong:
        for line in wrong:
            console.print(Text(f"✗ {line}", style="red"))
        return 1
    console.print(Text(f"✓ the story ended as it must, after {time.monotonic() - began:.0f} s", style="green"))
    if keep is not None:
        console.print(f"look around: export LAPSEWATCH_HOME={home} LAPSEWATCH_CONFIGS={home / 'configs'}", markup=False)
    return 0


@contextmanager
def _environment(home: Path, data: Path | None) -> Iterator[None]:
    """The demo's own home, configs and ports, for us and for every process that we start."""
    values = {
        "LAPSEWATCH_HOME": str(home),
        "LAPSEWATCH_CONFIGS": str(home / "configs"),
        "LAPSEWATCH_PREFECT_PORT": str(_free_port()),
        "LAPSEWATCH_TAXII_PORT": str(_free_port()),
    }
    if data is not None:
        values["LAPSEWATCH_DATA"] = str(data.absolute())
    # Nothing of the installation that the demo is played in may be touched: not its database, not its documents.
    before = {name: value for name, value in os.environ.items() if name.startswith("LAPSEWATCH_")}
    for name in before:
        del os.environ[name]
    os.environ.update(values)
    settings.cache_clear()
    try:
        yield
    finally:
        for name in values:
            os.environ.pop(name, None)
        os.environ.update(before)
        settings.cache_clear()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _tell(engine: Engine, story: Story) -> list[str]:
    """Play the story's days; returns what did not end as it must."""
    wrong: list[str] = []
    with engine.begin() as connection:
        items.sync(connection, settings().configs)
    for day in story.days:
        _heading(day.title)
        console.print(Text(day.said))
        story.move(day.moment)
        wrong += _run([COLLECT])
        if story.logs:
            wrong += _run([("follow-logs/logs", {"only": list(story.logs)})])
        if day.looks:
            wrong += _run([LOOK_UP])
        wrong += _judge(engine)
        _collected(engine)
        _findings(engine)
        if day.incident:
            wrong += _incident(engine, day.incident)
    wrong += _run([("publish/partners", {})])
    _heading("What was found, and why")
    for row in _heads(engine, limit=story.explained):
        console.print()
        why(row["finding"])
    for domain in story.registrations:
        _heading(f"lapsewatch registration {domain}")
        registration(domain)
    _next(engine)
    _heading("What a partner's TAXII client gets")
    wrong += _partner(engine)
    return wrong + [missing for check in story.checks if (missing := check(engine))]


def _run(wanted: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    done = deployments.run_all(wanted)
    for run in done:
        _ran(run)
    return [f"{run.deployment} ended as {run.state}: {run.message}" for run in done if not run.completed]


def _ran(run: deployments.FlowRun) -> None:
    state = "done" if run.completed else run.state.lower()
    console.print(Text(f"  Prefect: {run.deployment} {state} in {run.seconds:.1f} s ({run.name})", style="dim"))


def _judge(engine: Engine) -> list[str]:
    """Let the monitors that have something left to judge look, until none has.

    A load wakes them, and what was woken may still be at it: a run that finds one at it is cancelled, and asked for
    again.
    """
    waiting: list[str] = []
    for _ in range(_PATIENCE):
        with engine.connect() as connection:
            left = set(connection.execute(text(_UNJUDGED)).scalars())
        waiting = [deployment for name, deployment in MONITORS.items() if name in left]
        ended = deployments.run_all([(name, {}) for name in waiting])
        for run in ended:
            if run.state != "CANCELLED":
                _ran(run)
        failed = [run for run in ended if run.state not in {"CANCELLED", "COMPLETED"}]
        if failed or not waiting:
            return [f"{run.deployment} ended as {run.state}: {run.message}" for run in failed]
        if any(run.state == "CANCELLED" for run in ended):
            time.sleep(1)
    return [f"{name} had something left to judge, {_PATIENCE} times" for name in waiting]


def _collected(engine: Engine) -> None:
    with engine.connect() as connection:
        rows = status_queries.last_runs(connection)
    shown = [
        {
            "source": row["source"],
            "outcome": row["outcome"],
            "new": row["facts_new"],
            "ended": row["facts_ended"],
            "rejects": row["rejects"],
        }
        for row in rows
        if row["run"] is not None
    ]
    columns = ["source", "outcome", "new", "ended", "rejects"]
    show_table(shown, columns, title="facts, by source", as_json=False)


def _heads(engine: Engine, *, limit: int) -> list[dict[str, Any]]:
    """The first finding of each group in the queue."""
    with engine.connect() as connection:
        return [group.head.row for group in queue.queue(connection, now=datetime.now(UTC))[:limit]]


def _findings(engine: Engine) -> None:
    heads = _heads(engine, limit=12)
    rows = [row | {"what": ("lapse: " if row["lapse"] else "") + row["title"]} for row in heads]
    show_table(
        rows,
        ["finding", "severity", "watch", "rule", "what"],
        title="open findings, the first of each group",
        empty="no findings yet",
        as_json=False,
    )


def _next(engine: Engine) -> None:
    """What an analyst would look at next: the lapses first."""
    _heading("What to look at next")
    heads = _heads(engine, limit=5)
    for row in heads:
        console.print(
            Text(f"  lapsewatch why {row['finding']}", style="bold"), Text(f"# {row['title'][:90]}", style="dim")
        )
    said = "# all that is open, grouped by what it has in common; `lapsewatch findings scorecard` sums up"
    console.print(Text("  lapsewatch findings", style="bold"), Text(said, style="dim"))
    for subject in dict.fromkeys(row["subject"] for row in heads if row["subject_kind"] == "domain"):
        console.print(
            Text(f"  lapsewatch show {subject}", style="bold"), Text("# all that is known of it", style="dim")
        )


def _incident(engine: Engine, indicators: Sequence[str]) -> list[str]:
    console.print()
    console.print(Text(f"$ lapsewatch incident --publish --tlp green {' '.join(indicators)}", style="bold"))
    with engine.begin() as connection:
        incident = incidents.create(
            connection, title="phishing of our pilots", indicators=indicators, publish=True, tlp=TLP.GREEN
        )
    wrong = _run([("investigate/incident", {"incident": incident, "publish": True})])
    with engine.connect() as connection:
        report = connection.execute(text("SELECT report FROM incident WHERE id = :id"), {"id": incident}).scalar_one()
    if not report:
        return [*wrong, f"incident {incident} has no report"]
    console.print(Panel(Markdown(report), title=f"report of incident {incident}"))
    return wrong


def _partner(engine: Engine) -> list[str]:
    """Let a partner in, and let taxii2-client take everything with the partner's key."""
    entry = read_publishing(settings().configs).collections[0]
    with engine.begin() as connection:
        key = partners.create_partner(connection, "partner of the demo", [entry.alias])
        expected = connection.execute(
            text("SELECT count(DISTINCT stix_id) FROM publication WHERE collection_id = :id"), {"id": entry.id}
        ).scalar_one()
    root = taxii_address().removesuffix("taxii2/") + "api"
    collection = Collection(f"{root}/collections/{entry.id}/", user="partner", password=key)
    pages = [page.get("objects", []) for page in as_pages(collection.get_objects, per_request=50)]
    objects = [item for page in pages for item in page]
    kinds: dict[str, int] = {}
    for item in objects:
        kinds[item["type"]] = kinds.get(item["type"], 0) + 1
    console.print(f"{collection.title}: {len(objects)} objects in {len(pages)} pages of at most 50")
    show_table(
        [{"type": kind, "objects": count} for kind, count in sorted(kinds.items())], ["type", "objects"], as_json=False
    )
    for item in [item for item in objects if item["type"] == "indicator"][:5]:
        console.print(Text(f"  {item['pattern']}  ({item['name']})"))
    if len({item["id"] for item in objects}) != expected or not expected:
        return [f"the partner got {len(objects)} objects of {expected}"]
    return []


def _heading(words: str) -> None:
    console.print()
    console.rule(Text(words, style="bold"), align="left")


def _say(line: str) -> None:
    console.print(Text(f"  {line}", style="dim"))
