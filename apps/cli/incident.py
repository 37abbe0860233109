"""`incident`: report one, and read what was found."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from apps.cli import deployments
from apps.cli.output import ATTENTION, console, print_json, progress, show_table
from apps.cli.place import ready_warehouse
from db import incidents
from intel.errors import ConfigError
from intel.facts import TLP

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEPLOYMENT = "investigate/incident"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(incident)


def incident(
    indicators: Annotated[list[str] | None, typer.Argument(help="Domains, addresses, URLs, hashes, ...")] = None,
    title: Annotated[str, typer.Option(help="What to call it.")] = "",
    publish: Annotated[bool, typer.Option("--publish", help="Publish its findings to partners.")] = False,
    tlp: Annotated[str, typer.Option(help="How far what it is about may go; AMBER where nothing is said.")] = "",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the report.")] = False,
    report: Annotated[int | None, typer.Option(help="Print the report of this incident.")] = None,
    as_json: Json = False,
) -> None:
    """Report an incident: its indicators are stored, and the flow `investigate` is started with its id.

    Without indicators: list the incidents, or print the report of one (--report).
    """
    if report is not None:
        _print(report, as_json=as_json)
    elif not indicators:
        _list(as_json=as_json)
    else:
        _open(indicators, title=title, publish=publish, tlp=_tlp(tlp), wait=not no_wait, as_json=as_json)


def _tlp(text: str) -> TLP | None:
    try:
        return TLP.parse(text) if text else None
    except ValueError as error:
        raise ConfigError(f"couldn't use the marking of an incident: {error}; nothing is stored") from error


def _open(indicators: list[str], *, title: str, publish: bool, tlp: TLP | None, wait: bool, as_json: bool) -> None:
    with ready_warehouse() as engine, engine.begin() as connection:
        number = incidents.create(
            connection,
            title=title or f"incident with {len(indicators)} indicators",
            indicators=indicators,
            publish=publish,
            tlp=tlp,
        )
    if not as_json:
        console.print(f"incident {number} stored")
    run = deployments.start(DEPLOYMENT, {"incident": number, "publish": publish})
    if not wait and as_json:
        print_json({"incident": number, "flow_run": run})
        return
    if not wait:
        console.print(f"flow run {run} started; `lapsewatch incident --report {number}` prints its report")
        return
    with progress("investigating"):
        (done,) = deployments.wait([(DEPLOYMENT, run)], patience=900)
    _print(number, as_json=as_json)
    if not done.completed:
        console.print(f"the flow run {done.name} ended as {done.state.lower()}: {done.message}", markup=False)
        raise typer.Exit(ATTENTION)


def _print(number: int, *, as_json: bool) -> None:
    with ready_warehouse() as engine, engine.connect() as connection:
        found = incidents.read(connection, number)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    if not found.report:
        raise ConfigError(
            f"couldn't print the report of incident {number}: it has none yet, its status is {found.status}"
        )
    typer.echo(found.report)


def _list(*, as_json: bool) -> None:
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = [
            {
                "incident": one.id,
                "title": one.title,
                "status": one.status,
                "publish": one.publish,
                "marking": one.tlp.label,
            }
            for one in incidents.list_incidents(connection)
        ]
    show_table(
        rows, ["incident", "title", "status", "marking", "publish"],
        empty="no incidents: `lapsewatch incident IOC...` reports one", as_json=as_json,
    )  # fmt: skip
