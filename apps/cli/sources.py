"""`sources`, `collect`, `status`: what is pulled, pulling it now, and how it went."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from sqlalchemy import Engine

from apps.cli.output import ATTENTION, console, print_json, progress, show_blocks, show_record, show_table
from apps.cli.place import ready_warehouse
from db import status as status_queries
from db.load import Loaded
from intel.config.sources import Source, read_sources
from intel.errors import ConfigError
from intel.settings import settings
from tasks.collect.session import find_source, open_run
from tasks.collect.slices import collect_slice
from tasks.load import ct
from tasks.load.load import load_batch
from tasks.normalize.stage import stage
from tasks.watch import certificates, items, registrations

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_LICENCE: Final = 20
_STALE_HOURS: Final = {"continuous": 1, "hourly": 3, "six-hourly": 13, "daily": 49, "weekly": 337}


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(name="sources")(list_sources)
    app.command()(collect)
    app.command()(status)


def list_sources(as_json: Json = False) -> None:
    """List the sources of configs/: what they are, what their licence allows, whether they are on."""
    rows: list[dict[str, Any]] = [
        {
            "source": source.name,
            "on": source.enabled,
            "format": source.format.value,
            "cadence": source.cadence,
            "reliability": source.reliability,
            "TLP": source.tlp,
            "licence": source.licence.name,
            "needs": source.secret,
            "title": source.title,
            "location": source.location,
        }
        for source in read_sources(settings().configs).values()
    ]
    if as_json:
        print_json(rows)
        return
    shown = [
        row | {"TLP": row["TLP"].removeprefix("TLP:"), "grade": row["reliability"], "licence": _cut(row["licence"])}
        for row in rows
    ]
    columns = ["source", "on", "cadence", "grade", "TLP", "licence"]
    show_table(shown, columns, empty="no sources in configs/sources/", as_json=False)
    keys: dict[str, list[str]] = {}
    for row in rows:
        if row["needs"]:
            keys.setdefault(row["needs"], []).append(row["source"])
    show_blocks("a key in the environment is needed", ((key, (", ".join(names),)) for key, names in keys.items()))


def _cut(text: str) -> str:
    return text if len(text) <= _LICENCE else text[: _LICENCE - 1] + "…"


def collect(source: str, as_json: Json = False) -> None:
    """Collect everything that is new from one source, here and now, then judge it against the watches."""
    entry = find_source(source)
    if entry.transport == "lookup":
        raise ConfigError(
            f"couldn't collect {source}: it only answers single questions; `lapsewatch incident IOC...` asks it"
        )
    with ready_warehouse() as engine:
        with progress(f"collecting from {entry.title}"):
            row = _follow(engine, entry) if entry.transport == "ct" else _collect(engine, entry)
        with engine.begin() as connection:
            items.sync(connection, settings().configs)
        with progress("judging"):
            found = [registrations.monitor(engine), certificates.monitor(engine)]
    row["findings"] = sum(monitored.findings for monitored in found)
    if as_json:
        print_json(row)
        return
    show_record({name: value for name, value in row.items() if value != ""}, as_json=False)
    if row["findings"]:
        console.print("`lapsewatch findings` shows them")


def _collect(engine: Engine, entry: Source) -> dict[str, Any]:
    new, ended, alarms = 0, 0, []
    with open_run(engine, entry) as run:
        loaded: Loaded | None = None
        while loaded is None or not loaded.last:
            collected = collect_slice(engine, entry, run)
            if not collected.documents and collected.cursor is None and not collected.problems:
                break
            loaded = load_batch(engine, stage(engine, entry, collected))
            new, ended = new + loaded.facts_new, ended + loaded.facts_ended
            alarms += [loaded.alarm] if loaded.alarm else []
    return {"source": entry.name, "new facts": new, "ended facts": ended, "alarm": "; ".join(alarms)}


def _follow(engine: Engine, entry: Source) -> dict[str, Any]:
    with open_run(engine, entry) as run:
        followed = ct.follow(engine, entry, run, ct.head(engine, entry, run))
    return {"source": entry.name, "entries read": followed.entries, "hits": followed.hits}


def status(as_json: Json = False) -> None:
    """Show how each source went last, what is behind, and how large the warehouse is."""
    with ready_warehouse() as engine, engine.connect() as connection:
        runs = status_queries.last_runs(connection)
        backlog = status_queries.backlog(connection)
        sizes = status_queries.sizes(connection)
        findings = status_queries.findings(connection)
    cadence = {name: entry.cadence for name, entry in read_sources(settings().configs).items()}
    for run in runs:
        run["health"] = _health(run, cadence.get(run["source"], "manual"))
    if as_json:
        print_json({"sources": runs, "backlog": backlog, "tables": sizes, "findings": findings})
    else:
        rows = [
            {
                "source": run["source"],
                "health": run["health"],
                "outcome": run["outcome"],
                "ended (UTC)": run["finished_at"],
                "new": run["facts_new"],
                "ended": run["facts_ended"],
                "rejects": run["rejects"],
            }
            for run in runs
        ]
        columns = ["source", "health", "outcome", "ended (UTC)", "new", "ended", "rejects"]
        show_table(rows, columns, empty="nothing was collected yet: `lapsewatch collect SOURCE`", as_json=False)
        show_blocks("what they said", ((run["source"], (run["error"][:500],)) for run in runs if run["error"]))
        console.print("findings: " + (", ".join(f"{row['findings']} {row['status']}" for row in findings) or "none"))
        waiting = [row for row in backlog if row["batches"]]
        if waiting:
            console.print("batches to judge: " + ", ".join(f"{row['monitor']} {row['batches']}" for row in waiting))
        for row in backlog:
            if row["overtaken"]:
                ids = ", ".join(str(number) for number in row["overtaken"])
                console.print(f"{row['monitor']} passed over batches {ids}: they failed, or came while it looked")
        # The planner counts rows, now and then: until it has, only the size is known.
        counted = ", ".join(f"{row['table']} {row['rows']:,} rows" for row in sizes if row["rows"])
        size = sum(row["bytes"] for row in sizes) / (1 << 20)
        console.print(f"warehouse: {size:,.1f} MiB, {counted or 'its rows are counted nightly'}")
    if any(run["health"] in {"failed", "stale", "partial"} for run in runs):
        raise typer.Exit(ATTENTION)


def _health(run: dict[str, Any], cadence: str) -> str:
    """failed: the last run failed; stale: none went well for longer than the cadence allows; partial: a part lacked."""
    if run["outcome"] in {"failed", "interrupted"}:
        return "failed"
    hours = _STALE_HOURS.get(cadence)
    if hours is not None and run["last_good"] is not None:
        age = datetime.now(UTC) - run["last_good"]
        if age.total_seconds() > hours * 3600:
            return "stale"
    return "partial" if run["outcome"] == "partial" else "well"
