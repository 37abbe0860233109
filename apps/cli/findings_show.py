"""`show`: all that is known of one thing."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text
from sqlalchemy import Engine

from apps.cli.output import cell, console, print_json, show_blocks
from apps.cli.place import ready_warehouse
from db import view
from intel.entities import Entity, Kind, entity, guess, masked
from intel.errors import ConfigError, ReadError
from intel.facts import TLP, Predicate
from intel.registration_shown import printable

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(show)


def show(
    thing: Annotated[str, typer.Argument(help="A domain, address, URL, hash, actor:ID, certificate:SHA-256, ...")],
    reveal: Annotated[str, typer.Option(help="Show people's data; the reason is written down.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many of each.")] = 100,
    as_json: Json = False,
) -> None:
    """Show all that is known of one thing: links, facts with their sources, findings."""
    wanted = read_thing(thing)
    with ready_warehouse() as engine:
        found = _look(engine, wanted, limit, reveal)
    if found is None:
        console.print(f"nobody has named {wanted.kind} {wanted.value} yet", markup=False)
        raise typer.Exit(1)
    if as_json:
        print_json(found)
        return
    console.print(Text(printable(f"{wanted.kind} {wanted.value}"), style="bold"))
    show_blocks("facts", _facts(found["facts"]).items())
    if not found["facts"]:
        console.print("nobody has said anything of it by itself")
    if len(found["facts"]) == limit:
        console.print(f"the newest {limit} facts are shown; --limit shows more")
    show_blocks(
        "named by",
        (
            (
                f"{link['kind']} {link['value']} {link['predicate']}",
                (f"{_sources(link['sources'])}, since {cell(link['first_seen'])} (UTC)",),
            )
            for link in found["links"]
            if link["direction"] == "in"
        ),
    )
    show_blocks(f"also on {wanted.scope}", ((f"{one['kind']} {one['value']}", ()) for one in found["under"]))
    show_blocks(
        "findings",
        (
            (f"{one['finding']}: {one['title']}", (f"{one['rule']}, watch {one['watch']}, {one['status']}",))
            for one in found["findings"]
        ),
    )


def _facts(facts: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What is said -> who says so: a registry and a registrar that say the same are one line, two feeds are two."""
    found: dict[str, list[str]] = {}
    for fact in facts:
        shown = ("name", "why") if fact["predicate"] == Predicate.MATCHES else ("role", "type")
        of = [str(fact["qualifiers"][name]) for name in shown if (fact["qualifiers"] or {}).get(name)]
        said = " ".join([fact["predicate"], fact["object"] or f"({fact['state']})", *(f"[{one}]" for one in of)])
        lines = found.setdefault(said, [])
        line = f"says {fact['source']} ({fact['reliability']}), {TLP(fact['tlp']).label}, {_when(fact)}"
        if line not in lines:
            lines.append(line)
        if fact["reference"]:
            lines.append(f"reference {fact['reference']}")
    return found


def _when(fact: dict[str, Any]) -> str:
    if fact["first_seen"] is None:
        return "only its end was stated"
    return f"since {cell(fact['first_seen'])} (UTC)"


def _sources(count: int) -> str:
    return "1 source" if count == 1 else f"{count} sources"


def read_thing(text: str) -> Entity:
    """The entity that a person names. Raises ConfigError where its form says nothing."""
    kind, colon, rest = text.partition(":")
    try:
        return entity(kind, rest) if colon and kind in set(Kind) else guess(text)
    except ReadError as error:
        raise ConfigError(f"{error}; name its kind, as in actor:maltrail:apt_example") from error


def _look(engine: Engine, wanted: Entity, limit: int, reveal: str) -> dict[str, Any] | None:
    with engine.begin() as connection:
        entity_id = view.find(connection, wanted)
        if entity_id is None:
            return None
        if reveal:
            view.disclose(connection, entity_id, reveal)
        found: dict[str, Any] = {
            "entity": {"kind": wanted.kind, "value": wanted.value, "scope": wanted.scope},
            "facts": view.facts(connection, entity_id, limit=limit, reveal=bool(reveal)),
            "links": view.links(connection, entity_id, limit=limit, reveal=bool(reveal)),
            "under": view.under(connection, entity_id, wanted.scope, limit=limit),
            "findings": view.findings(connection, entity_id, limit=limit),
        }
    if not reveal:
        for one in found["under"]:
            one["value"] = masked(one["kind"], one["value"])
    return found
