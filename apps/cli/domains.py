"""`domains`: new domains that touch a watch or rank high, and when each channel first showed one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from apps.cli.output import console, print_json, show_table
from apps.cli.place import ready_warehouse
from db import new_domains
from intel.entities import Kind, entity
from intel.errors import ConfigError, ReadError
from intel.match.name_model import NameModel
from intel.registration_shown import in_words
from intel.registration_versions import CREATED
from tasks.collect.fetched import utc_now
from tasks.enrich.history import read_history
from tasks.load.name_ranking import open_ranker
from tasks.normalize.new_domain_facts import LABEL

_DAYS = 7


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(domains)


def domains(
    name: Annotated[str, typer.Argument(help="When each channel first showed this domain.")] = "",
    since: Annotated[str, typer.Option(help="First seen since then: a date or time of ISO 8601, UTC.")] = "",
    ranked: Annotated[bool, typer.Option("--ranked", help="Those that rank highest by their name alone.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show new domains that touch a watch or rank high, and why; of one domain, when each channel first showed it."""
    begin = _since(since)
    with ready_warehouse() as engine:
        if name:
            with engine.connect() as connection:
                _one(connection, name, as_json=as_json)
            return
        model = open_ranker(engine) if ranked else None
        with engine.connect() as connection:
            if ranked:
                rows = [_ranked(row, model) for row in new_domains.ranked(connection, begin, limit)]
            else:
                rows = [_matched(row) for row in new_domains.matched(connection, begin, limit, label=LABEL)]
    columns = ["name", "first seen (UTC)", "channels", *(["score"] if ranked else []), "why"]
    empty = f"none since {begin:%Y-%m-%d}"
    if ranked and model is None:
        empty += "; there is no model of names yet: upkeep makes one nightly from what sources list"
    show_table(rows, columns, empty=empty, as_json=as_json)


def _since(text: str) -> datetime:
    if not text:
        return datetime.now(UTC) - timedelta(days=_DAYS)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"couldn't read --since {text[:40]!r}: not a date or time of ISO 8601") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _one(connection: Connection, name: str, *, as_json: bool) -> None:
    try:
        domain = entity(Kind.DOMAIN, name)
    except ReadError as error:
        raise ConfigError(f"couldn't show {name[:60]!r}: {error}") from error
    registered = entity(Kind.DOMAIN, domain.scope)
    sights = new_domains.seen(connection, registered.value)
    history = read_history(connection, registered, now=utc_now())
    created = history.view.field(CREATED) if history is not None else None
    at = created.best.said.at if created is not None else None
    notes = history.notes if history is not None else ()
    if as_json:
        print_json({"name": registered.value, "created": at, "seen": sights, "notes": notes})
        return
    rows = [{**row, "first seen (UTC)": row["first_seen"]} for row in sights]
    columns = ["channel", "first seen (UTC)", "source"]
    show_table(rows, columns, empty=f"no channel has shown {registered.value}", as_json=False)
    if history is not None and created is not None and at is not None:
        console.print(f"created {in_words(CREATED, created.best.said, history.book)}, by its record", markup=False)
    for note in notes:
        console.print(f"note: {note}", markup=False)


def _matched(row: dict[str, Any]) -> dict[str, Any]:
    why = f"{row['matched']}: {row['why']}" if row["predicate"] == "matches" else "watched itself"
    return {**row, "first seen (UTC)": row["first_seen"], "why": why}


def _ranked(row: dict[str, Any], model: NameModel | None) -> dict[str, Any]:
    parts = model.why(row["name"]) if model is not None else ()
    why = ", ".join(f"{part.feature} {part.weight:+.1f}" for part in parts)
    return {**row, "first seen (UTC)": row["first_seen"], "score": round(row["score"], 2), "why": why}
