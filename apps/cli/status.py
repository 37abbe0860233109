"""`status`: how each source went last, what waits, who is asked how often, and how large the warehouse is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from apps.cli.output import ATTENTION, console, print_json, show_blocks, show_table
from apps.cli.place import ready_warehouse
from db import lookup_queue, lookup_servers, outbox
from db import status as status_queries
from intel.config.lookups import read_lookups
from intel.config.sources import read_sources
from intel.settings import settings

_STALE_HOURS: Final = {"continuous": 1, "hourly": 3, "six-hourly": 13, "daily": 49, "weekly": 337}
_PRIORITIES: Final = {
    int(priority): words
    for priority, words in (
        (lookup_queue.Priority.INCIDENT, "for incidents"),
        (lookup_queue.Priority.FINDING, "for findings"),
        (lookup_queue.Priority.NEW_DOMAIN, "of new domains"),
        (lookup_queue.Priority.WATCH, "newly watched"),
        (lookup_queue.Priority.REFRESH, "refreshes"),
    )
}
_SERVERS: Final = 20
_LOST: Final = {"in doubt": "may or may not have arrived", "given up": "were refused too often and given up"}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(status)


def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show how each source went last, what is behind, and how large the warehouse is."""
    now = datetime.now(UTC)
    with ready_warehouse() as engine, engine.connect() as connection:
        runs = status_queries.last_runs(connection)
        backlog = status_queries.backlog(connection)
        sizes = status_queries.sizes(connection)
        findings = status_queries.findings(connection)
        messages = outbox.counts(connection)
        waiting_lookups = lookup_queue.waiting(connection, now=now)
        servers = lookup_servers.servers(connection, now=now)
    cadence = {name: entry.cadence for name, entry in read_sources(settings().configs).items()}
    for run in runs:
        run["health"] = _health(run, cadence.get(run["source"], "manual"))
    if as_json:
        lookups = {"waiting": waiting_lookups, "servers": _with_budgets(servers)}
        print_json(
            {
                "sources": runs,
                "backlog": backlog,
                "tables": sizes,
                "findings": findings,
                "messages": messages,
                "lookups": lookups,
            }
        )
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
        _show_messages(messages)
        waiting = [row for row in backlog if row["batches"]]
        if waiting:
            console.print("batches to judge: " + ", ".join(f"{row['monitor']} {row['batches']}" for row in waiting))
        for row in backlog:
            if row["overtaken"]:
                ids = ", ".join(str(number) for number in row["overtaken"])
                console.print(f"{row['monitor']} passed over batches {ids}: they failed, or came while it looked")
        _show_lookups(waiting_lookups, _with_budgets(servers))
        # The planner counts rows, now and then: until it has, only the size is known.
        counted = ", ".join(f"{row['table']} {row['rows']:,} rows" for row in sizes if row["rows"])
        size = sum(row["bytes"] for row in sizes) / (1 << 20)
        console.print(f"warehouse: {size:,.1f} MiB, {counted or 'its rows are counted nightly'}")
    lost = any(row["state"] in _LOST for row in messages)
    if lost or any(run["health"] in {"failed", "stale", "partial"} for run in runs):
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


def _with_budgets(servers: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each server with how many questions a day it may be asked, and how many a minute at present."""
    manners = read_lookups(settings().configs).manners
    return [
        {**row, "budget": pace.per_day, "per_minute": round(pace.per_minute / row["slowed"], 2)}
        for row in servers
        for pace in (manners.of(row["server"]),)
    ]


def _show_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    """What is on its way to people, and what may not have reached them."""
    if messages:
        said = (f"{row['channel']} {row['deliveries']} {row['state']}" for row in messages)
        console.print(f"messages: {', '.join(said)}", markup=False)
    for state, words in _LOST.items():
        count = sum(row["deliveries"] for row in messages if row["state"] == state)
        if count:
            console.print(f"{count} messages {words}: `lapsewatch outbox list --state '{state}'`, `outbox retry`")


def _show_lookups(waiting: Sequence[Mapping[str, Any]], servers: Sequence[Mapping[str, Any]]) -> None:
    if waiting:
        parts = (f"{_PRIORITIES[row['priority']]} {row['due']} due, {row['later']} later" for row in waiting)
        console.print("look-ups: " + "; ".join(parts))
    busy = [row for row in servers if row["asked"] or row["rests_until"]]
    if busy:
        rows = [
            {
                "server": row["server"],
                "asked today": f"{row['asked']} of {row['budget']}",
                "too fast": row["throttled"],
                "a minute": row["per_minute"],
                "rests until (UTC)": row["rests_until"],
                "last": row["last_outcome"],
            }
            for row in busy[:_SERVERS]
        ]
        show_table(rows, list(rows[0]), title="servers asked today", as_json=False)
        if len(busy) > _SERVERS:
            console.print(f"and {len(busy) - _SERVERS} more: `lapsewatch status --json`")
