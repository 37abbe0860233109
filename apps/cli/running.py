"""`up`, `demo`, `env`, `doctor`: starting everything, and finding out why something does not start."""

from __future__ import annotations

import platform
import shlex
import shutil
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from apps.cli.output import ATTENTION, console, show_table
from db import embedded
from db.engine import warehouse
from db.migrate import pending
from intel.config.organisation import read_organisation
from intel.config.publishing import read_publishing
from intel.config.sources import read_sources
from intel.config.watches import read_watches
from intel.errors import LapsewatchError
from intel.settings import settings


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(up)
    app.command()(demo)
    app.command()(env)
    app.command()(doctor)


def up() -> None:
    """Start database, Prefect server, worker and TAXII server, and deploy the timetable. Ctrl-C stops them all."""
    from apps.cli.up import everything, taxii_address, until_interrupted

    with everything(lambda line: console.print(f"[green]✓[/green] {line}")) as running:
        console.print()
        show_table(
            [
                {"what": "Prefect", "where": f"http://127.0.0.1:{settings().prefect_port}"},
                {"what": "TAXII 2.1", "where": taxii_address()},
                {"what": "data", "where": str(settings().home)},
                {"what": "logs", "where": str(settings().home / "log")},
            ],
            ["what", "where"],
            as_json=False,
        )
        console.print("Prefect's page asks for the password that `lapsewatch env` shows. Ctrl-C stops everything.")
        until_interrupted(running)
        console.print("stopping ...")
    console.print("stopped")


def demo(
    data: Annotated[Path | None, typer.Option(help="Play it on the real data in this folder.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Keep the demo's home in this folder, to look around in.")] = None,
) -> None:
    """Play the whole story through real Prefect deployments: feeds, certificates, registration, findings, a partner."""
    from apps.cli.demo import play

    raise typer.Exit(play(data=data, keep=keep))


def env() -> None:
    """Print what the `prefect` command needs to reach this installation's server: eval "$(lapsewatch env)"."""
    from apps.cli.prefect_server import client_environment

    for name, value in client_environment().items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check settings, configs, disk, ports and the database, and say plainly what is wrong."""
    rows = [_check(name, check) for name, check in _CHECKS.items()]
    show_table(rows, ["check", "state", "said"], as_json=as_json)
    if any(row["state"] != "ok" for row in rows):
        raise typer.Exit(ATTENTION)


def _check(name: str, check: Any) -> dict[str, str]:
    try:
        return {"check": name, "state": "ok", "said": check()}
    except (LapsewatchError, OSError) as error:
        return {"check": name, "state": "wrong", "said": str(error)}


def _python() -> str:
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"


def _configs() -> str:
    configs = settings().configs
    found = read_sources(configs)
    on = sum(source.enabled for source in found.values())
    read_organisation(configs)
    read_publishing(configs)
    return f"{len(found)} sources, {on} of them on, {len(read_watches(configs))} watch files in {configs}"


def _disk() -> str:
    settings().home.mkdir(parents=True, exist_ok=True, mode=0o700)
    free = shutil.disk_usage(settings().home).free
    if free < 2 << 30:
        raise OSError(f"{free >> 20} MiB free in {settings().home}; PostgreSQL needs room, free some")
    return f"{free >> 30} GiB free in {settings().home}"


def _database() -> str:
    with warehouse() as engine:
        old = "; the next command brings it up to date" if pending(engine) else ""
        with engine.connect() as connection:
            version = connection.exec_driver_sql("SHOW server_version").scalar_one()
        where = "" if settings().database_url else embedded.status(settings().home / "postgres")
    if settings().database_url is not None:
        return f"PostgreSQL {version} at LAPSEWATCH_DATABASE_URL{old}"
    return f"PostgreSQL {version}{old}; {where}"


def _ports() -> str:
    said = []
    for name, port in (("Prefect", settings().prefect_port), ("TAXII", settings().taxii_port)):
        with socket.socket() as probe:
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        said.append(f"{name} {port} {'in use (by `lapsewatch up`?)' if taken else 'free'}")
    return ", ".join(said)


_CHECKS = {"python": _python, "configs": _configs, "disk": _disk, "database": _database, "ports": _ports}
