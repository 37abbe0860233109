"""`ct logs`: which Certificate Transparency logs there are, which are chosen, and what following them takes a day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.text import Text
from sqlalchemy import Connection

from apps.cli.output import console, print_json, progress, show_table
from apps.cli.place import ready_warehouse
from db import ct_logs
from db.ct_logs import Growth, Log
from intel import ct_costs
from intel.config.ct import CtConfig, read_ct
from intel.config.sources import Source
from intel.ct_costs import Cost
from intel.settings import settings
from tasks.collect.ct_choice import chosen_sources, source_of
from tasks.collect.ct_list import STALE, list_problem, refresh

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_GIGA: Final = 1_000_000_000


def register(group: typer.Typer) -> None:
    """Add this command."""
    group.command(name="logs")(list_logs)


def list_logs(
    everything: Annotated[
        bool, typer.Option("--all", help="Also those that are neither chosen nor were read.")
    ] = False,
    again: Annotated[bool, typer.Option("--refresh", help="Fetch the list of logs first.")] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="What each of the chosen logs takes a day.")] = False,
    as_json: Json = False,
) -> None:
    """Show the logs that configs/ct.yaml chooses, where each is read from, and what following them takes a day.

    All that a list of logs names, or named once, are known; those that nobody chose are shown with --all.
    """
    config = read_ct(settings().configs)
    with ready_warehouse() as engine:
        if again:
            with progress("fetching the list of logs"):
                refresh(engine)
        with engine.connect() as connection:
            rows, costs = _rows(connection, config)
            listed = ct_logs.list_cursor(connection)
    shown = [row for row in rows if everything or row["chosen"] or row["position"] is not None]
    sums = {"chosen": _sum(rows, costs, "chosen"), "open": _sum(rows, costs, "open")}
    about = _about(listed, config)
    if as_json:
        for row in shown:
            row["a day"] = costs[row["log"]]
        print_json({"list": about, "logs": shown, "a day": sums})
        return
    columns = ["log", "speaks", "state", "ends in", "followed"]
    empty = "no log is chosen" if rows else "no log is known"
    show_table([_shown(row) for row in shown], columns, empty=empty, as_json=False)
    if estimate:
        console.print()
        priced = [_priced(row["log"], costs[row["log"]]) for row in shown if row["chosen"] or row["open"]]
        show_table(
            priced, ["log", "entries a day", "network", "archive", "CPU"], empty="no log is chosen", as_json=False
        )
    for line in _footer(about, rows, sums, everything=everything or estimate):
        console.print(Text(line))


def _sum(rows: list[dict[str, Any]], costs: Mapping[str, Cost], which: str) -> Cost:
    return ct_costs.total([costs[row["log"]] for row in rows if row[which]])


def _rows(connection: Connection, config: CtConfig) -> tuple[list[dict[str, Any]], dict[str, Cost]]:
    """Each log: those that have an entry of their own in configs/sources/ first, then those of the list."""
    chosen = {source.name: source for source in chosen_sources(connection)}
    logs = {log.name: log for log in ct_logs.logs(connection)}
    grown = ct_logs.growth(connection)
    sources = {name: source for name, source in chosen.items() if name not in logs}
    sources |= {name: chosen.get(name) or source_of(log, config) for name, log in logs.items()}
    rows = [_row(source, logs.get(name), grown, chosen=name in chosen) for name, source in sources.items()]
    return rows, {name: _cost(source, grown.get(name), config) for name, source in sources.items()}


def _row(source: Source, log: Log | None, grown: Mapping[str, Growth], *, chosen: bool) -> dict[str, Any]:
    read = grown.get(source.name)
    return {
        "log": source.name,
        "title": source.title,
        "operator": "" if log is None else log.operator,
        "protocol": source.options.protocol,
        "url": source.location,
        "state": "" if log is None else log.state,
        "listed": log is not None and log.listed,
        "not_after_start": None if log is None else log.not_after_start,
        "not_after_end": None if log is None else log.not_after_end,
        "open": log is not None and _is_open(log),
        "chosen": chosen,
        "start": source.options.follow if chosen else None,
        "position": None if read is None else read.position,
    }


def _is_open(log: Log) -> bool:
    """Whether the log takes certificates that are issued today."""
    ends = log.not_after_end
    return log.listed and log.state in {"qualified", "usable"} and (ends is None or ends > datetime.now(UTC))


def _cost(source: Source, grown: Growth | None, config: CtConfig) -> Cost:
    return ct_costs.cost(
        source.options.protocol,
        entries_per_second=None if grown is None else grown.entries_per_second,
        archive_bytes=None if grown is None else grown.archive_bytes,
        archived=config.archive.enabled,
    )


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    state = row["state"] if row["listed"] or not row["operator"] else f"{row['state']}, no longer listed"
    start, end = row["not_after_start"], row["not_after_end"]
    followed = f"from {row['start']}" if row["chosen"] else "no"
    if row["position"] is not None:
        followed = f"at {row['position']}" if row["chosen"] else f"no longer, at {row['position']}"
    return {
        "log": row["log"],
        "speaks": row["protocol"],
        "state": state,
        "ends in": f"{start:%Y-%m-%d} to {end:%Y-%m-%d}" if start and end else "",
        "followed": followed,
    }


def _priced(name: str, cost: Cost) -> dict[str, Any]:
    said = f"{cost.entries:,}"
    return {
        "log": name,
        "entries a day": said if cost.measured else f"about {said}",
        "network": _bytes(cost.wire_bytes),
        "archive": _bytes(cost.archive_bytes),
        "CPU": f"{cost.cpu_seconds / 60:.0f} min",
    }


def _bytes(octets: int) -> str:
    return f"{octets / _GIGA:.1f} GB"


def _about(listed: Mapping[str, Any], config: CtConfig) -> dict[str, Any]:
    """Which list the logs are of, and what is wrong with it."""
    made_at = None if not listed else datetime.fromisoformat(listed["made_at"])
    age = None if made_at is None else datetime.now(UTC) - made_at
    return {
        "location": config.log_list.location,
        "version": listed.get("version", ""),
        "made_at": made_at,
        "age_days": None if age is None else age.days,
        "stale": age is not None and age > STALE,
        "problem": list_problem(config),
        "rejects": listed.get("rejects", []),
    }


def _takes(cost: Cost) -> str:
    return (
        f"about {_bytes(cost.wire_bytes)} from the network, {_bytes(cost.archive_bytes)} of archive and"
        f" {cost.cpu_seconds / 3600:.1f} hours of one core a day"
        f" ({'from their growth' if cost.measured else 'their growth is not measured yet'})"
    )


def _footer(
    about: Mapping[str, Any], rows: list[dict[str, Any]], sums: Mapping[str, Cost], *, everything: bool
) -> list[str]:
    lines = []
    chosen, usable = (sum(row[which] for row in rows) for which in ("chosen", "open"))
    if chosen:
        lines.append(f"following {chosen} {'log' if chosen == 1 else 'logs'} takes {_takes(sums['chosen'])}")
    if everything and usable:
        lines.append(f"following all {usable} that take new certificates would take {_takes(sums['open'])}")
    if about["made_at"] is not None:
        old = f"{about['age_days']} days old" + (": stale" if about["stale"] else "")
        lines.append(f"list of logs: version {about['version']} of {about['made_at']:%Y-%m-%d}, {old}")
    elif not about["problem"]:
        lines.append("the list of logs was not read yet: `lapsewatch ct logs --refresh`, or the next run, reads it")
    if about["problem"]:
        lines.append(about["problem"])
    if about["rejects"]:
        lines.append(f"entries of the list that are left out: {'; '.join(about['rejects'][:5])}")
    return lines
