"""`ct`: Certificate Transparency logs, how each stands, and what a person decides about them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
import typer

from apps.cli import ct_hunt, ct_logs
from apps.cli.output import ATTENTION, console, print_json, show_blocks, show_table
from apps.cli.place import ready_warehouse
from db import ct_status
from intel.config.ct import read_ct
from intel.errors import ConfigError
from intel.settings import settings
from tasks.collect.ct_list import chosen_sources
from tasks.collect.session import find_source
from tasks.load import ct
from tasks.load.ct_status import LogStatus, log_statuses

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_HOUR: Final = 3600


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(
        help="Certificate Transparency logs: which there are, how each stands, what they held.", no_args_is_help=True
    )
    group.command()(status)
    group.command()(resume)
    ct_logs.register(group)
    ct_hunt.register(group)
    app.add_typer(group, name="ct")


def status(as_json: Json = False) -> None:
    """Show every log that is followed: its state, how far it is verified, how far behind, how fast, what went wrong.

    Exit code 1 where one of them is an alarm: halted (it contradicted itself), failing, stale (it no longer publishes),
    backlogged (we are behind) or unasked (nothing runs, or it gives no answer).
    """
    config = read_ct(settings().configs)
    with ready_warehouse() as engine, engine.connect() as connection:
        sources = {source.name: source for source in chosen_sources(connection)}
        protocols = {name: source.options.protocol for name, source in sources.items()}
        for name in ct_status.once_read(connection):
            if name not in protocols:
                protocols[name] = find_source(name, connection).options.protocol
        found = log_statuses(connection, protocols, config.alarms, left=protocols.keys() - sources.keys())
    if as_json:
        print_json([msgspec.to_builtins(one, builtin_types=()) for one in found])
    else:
        rows = [_row(one) for one in found]
        empty = "no log is followed; configs/ct.yaml says which, `lapsewatch ct logs` which there are"
        columns = ["log", "state", "verified", "behind", "lag", "per s"]
        show_table(rows, columns, empty=empty, as_json=False)
        show_blocks("what is wrong", ((one.source, one.alarms) for one in found if one.alarms))
    if any(one.alarms for one in found):
        raise typer.Exit(ATTENTION)


def _row(one: LogStatus) -> dict[str, Any]:
    return {
        "log": one.source,
        "state": one.state,
        "verified": one.verified,
        "behind": one.lag_entries,
        "lag": "" if one.lag_seconds is None else _span(one.lag_seconds),
        "per s": None if one.rate is None else round(one.rate),
    }


def _span(seconds: float) -> str:
    """`4 d 03:12`, or `03:12:08`."""
    span = timedelta(seconds=int(seconds))
    rest = span.seconds
    if span.days:
        return f"{span.days} d {rest // _HOUR:02}:{rest % _HOUR // 60:02}"
    return f"{rest // _HOUR:02}:{rest % _HOUR // 60:02}:{rest % 60:02}"


def resume(source: str) -> None:
    """Let a log go on that was stopped because what it said did not add up; look at the kept heads first.

    It goes on from the position behind the last entry that was verified.
    """
    if find_source(source).transport != "ct":
        raise ConfigError(
            f"couldn't resume {source}: it is no Certificate Transparency log; `lapsewatch collect` runs it"
        )
    with ready_warehouse() as engine:
        stopped = ct.resume(engine, source)
    console.print(f"{source} goes on with its next run" if stopped else f"{source} was not stopped")
