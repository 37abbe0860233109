"""`ct`: what a person decides about Certificate Transparency logs."""

from __future__ import annotations

import typer

from apps.cli.output import console
from apps.cli.place import ready_warehouse
from intel.errors import ConfigError
from tasks.collect.session import find_source
from tasks.load import ct


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Certificate Transparency logs: let one go on that was stopped.", no_args_is_help=True)
    group.command()(resume)
    app.add_typer(group, name="ct")


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
