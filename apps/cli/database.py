"""`db`: the warehouse itself."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.output import ATTENTION, console, print_json, progress, show_table
from apps.cli.place import ready_warehouse
from db import embedded, load
from db import status as status_queries
from db.engine import warehouse
from db.migrate import drift, pending, upgrade_engine
from intel.errors import WarehouseError
from intel.settings import settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(
        help="The warehouse: bring it up to date, check it, rebuild what is derived.", no_args_is_help=True
    )
    group.command()(upgrade)
    group.command()(check)
    group.command(name="rebuild-links")(rebuild_links)
    group.command()(url)
    group.command()(stop)
    app.add_typer(group, name="db")


def upgrade() -> None:
    """Bring the warehouse up to date with this release."""
    with warehouse() as engine:
        if not pending(engine):
            console.print("up to date")
            return
        upgrade_engine(engine)
    console.print("brought up to date")


def check(as_json: Json = False) -> None:
    """Prove that every fact and link points to what exists, and that schema and release agree. Reads whole tables."""
    with warehouse() as engine, progress("checking"):
        if pending(engine):
            raise WarehouseError(
                "couldn't check the warehouse: it is older than this release; run `lapsewatch db upgrade`"
            )
        with engine.connect() as connection:
            dangling = status_queries.dangling(connection)
        differences = [str(difference) for difference in drift(engine)]
    wrong = {place: count for place, count in dangling.items() if count}
    if as_json:
        print_json({"dangling": dangling, "drift": differences})
    else:
        show_table(
            [{"place": place, "rows": count} for place, count in dangling.items()], ["place", "rows"], as_json=False
        )
        console.print("schema: " + ("as this release wants it" if not differences else "; ".join(differences)))
    if wrong or differences:
        raise typer.Exit(ATTENTION)


def rebuild_links() -> None:
    """Merge all links again from the facts; they are derived, so nothing can be lost."""
    with ready_warehouse() as engine, progress("merging"), engine.begin() as connection:
        count = load.rebuild_links(connection)
    console.print(f"{count:,} links")


def url() -> None:
    """Print the URL of the warehouse, without a password, for other tools; the embedded one must be running."""
    given = settings().database_url
    if given is not None:
        console.print("LAPSEWATCH_DATABASE_URL is set; it may hold a password and is not shown")
        return
    with warehouse() as engine:
        typer.echo(engine.url.render_as_string(hide_password=True))


def stop() -> None:
    """Stop the embedded server now, whoever uses it."""
    stopped = embedded.stop(settings().home / "postgres")
    console.print("stopped" if stopped else "it was not running")
