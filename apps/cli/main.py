"""The `lapsewatch` command: the one that a person uses. Each group of commands is a module beside this one."""

from __future__ import annotations

import logging
from typing import Any, Final

import typer
from typer.core import TyperGroup

from apps.cli import (
    database,
    domains,
    findings,
    hub,
    incident,
    logs,
    lookup,
    outbox,
    partners,
    pattern,
    pivot,
    registration,
    rule,
    running,
    sources,
    status,
    watches,
)
from apps.cli.output import faults_to_exit_codes


class _Lapsewatch(TyperGroup):
    """Turns our errors into one line and an exit code, for every command at once."""

    def invoke(self, ctx: Any) -> object:
        """Run the command."""
        with faults_to_exit_codes():
            return super().invoke(ctx)


app: Final = typer.Typer(
    name="lapsewatch",
    cls=_Lapsewatch,
    help="Watches the infrastructure of known threat actors for lapses in operational security.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
)


@app.callback()
def _begin(verbose: bool = typer.Option(False, "--verbose", "-v", help="Say on standard error what is done.")) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s %(message)s")


running.register(app)
sources.register(app)
status.register(app)
watches.register(app)
rule.register(app)
findings.register(app)
outbox.register(app)
pattern.register(app)
incident.register(app)
registration.register(app)
lookup.register(app)
domains.register(app)
pivot.register(app)
hub.register(app)
partners.register(app)
logs.register(app)
database.register(app)
