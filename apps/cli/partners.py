"""`publish` and `partner`: what goes out, and to whom."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.output import console, print_json, progress, show_table
from apps.cli.place import ready_warehouse
from db import partners
from db.publishing import ensure_collections
from intel.config.organisation import read_organisation
from intel.config.publishing import read_publishing
from intel.settings import settings
from tasks.publish.publish import publish as publish_findings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(publish)
    group = typer.Typer(help="Who may read our TAXII collections.", no_args_is_help=True)
    group.command()(add)
    group.command(name="list")(list_)
    group.command()(renew)
    group.command()(revoke)
    app.add_typer(group, name="partner")


def publish(as_json: Json = False) -> None:
    """Bring the TAXII collections up to date with the findings."""
    with ready_warehouse() as engine, progress("publishing"):
        done = publish_findings(engine, read_publishing(settings().configs), read_organisation(settings().configs))
    rows = [
        {"collection": one.alias, "findings": one.findings, "objects": one.objects, "revoked": one.revoked,
         "withheld": one.withheld or None}
        for one in done.collections
    ]  # fmt: skip
    if as_json:
        print_json(rows)
    else:
        show_table(rows, ["collection", "findings", "objects", "revoked", "withheld"], as_json=False)


def add(name: str, collections: Annotated[list[str], typer.Argument(help="Aliases of collections.")]) -> None:
    """Let a partner in; the key is shown once."""
    with ready_warehouse() as engine, engine.begin() as connection:
        # On a new home a partner may come before anything was published.
        ensure_collections(connection, [entry.row() for entry in read_publishing(settings().configs).collections])
        key = partners.create_partner(connection, name, collections)
    _key(name, key)


def renew(name: str) -> None:
    """Give a partner a new key; the old one stops at once."""
    with ready_warehouse() as engine, engine.begin() as connection:
        key = partners.renew_key(connection, name)
    _key(name, key)


def revoke(name: str) -> None:
    """Accept a partner's key no longer."""
    with ready_warehouse() as engine, engine.begin() as connection:
        partners.deactivate_partner(connection, name)
    console.print(f"{name} is no longer let in")


def list_(as_json: Json = False) -> None:
    """List the partners."""
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = [
            {"partner": one.name, "active": one.active, "collections": len(one.collections), "key made": one.created_at}
            for one in partners.list_partners(connection)
        ]
    show_table(rows, ["partner", "active", "collections", "key made"], empty="no partners", as_json=as_json)


def _key(name: str, key: str) -> None:
    console.print(f"key of {name} (shown once; send it as the Basic password, Bearer, Token or x-api-key):")
    typer.echo(key)
