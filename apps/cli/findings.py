"""`findings`, `why`, `show` and what a person says of a finding: acknowledge, confirm, dismiss, reopen."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import msgspec
import typer
from rich.text import Text
from sqlalchemy import Engine

from apps.cli.output import cell, console, print_json, show_blocks, show_record, show_table
from apps.cli.place import ready_warehouse
from db import findings as queries
from db import view
from intel.entities import Entity, Kind, entity, guess, masked
from intel.errors import ConfigError, ReadError
from intel.facts import TLP, Predicate
from intel.settings import settings
from tasks.watch import review
from tasks.watch.proof import Place, prove

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Argument(help="The finding's number.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(name="findings")(list_findings)
    app.command()(why)
    app.command()(acknowledge)
    app.command()(confirm)
    app.command()(dismiss)
    app.command()(reopen)
    app.command()(show)


def list_findings(
    status: Annotated[str, typer.Option(help="open, acknowledged, confirmed, dismissed, withdrawn or all.")] = "open",
    watch: Annotated[str, typer.Option(help="Of this watch alone.")] = "",
    lapses: Annotated[bool, typer.Option("--lapses", help="Only mistakes of an actor's.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the findings, the most urgent first."""
    known = {*get_args(review.Status), "withdrawn", "all"}
    if status not in known:
        raise ConfigError(
            f"couldn't list findings: there is no status {status}; it is one of {', '.join(sorted(known))}"
        )
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = queries.list_findings(connection, status=status, watch=watch, lapses=lapses, limit=limit)
    for row in rows:
        row["subject"] = masked(row.pop("subject_kind"), row["subject"])
    shown = [
        {
            "finding": row["finding"],
            "severity": row["severity"],
            "since (UTC)": row["event_time"],
            "what": f"{'lapse: ' if row['lapse'] else ''}{row['title']}\n{row['rule']}, watch {row['watch']}"
            + (f", {row['status']}" if row["status"] != status else ""),
        }
        for row in rows
    ]
    columns = ["finding", "severity", "since (UTC)", "what"]
    empty = "no open findings" if status == "open" else "no findings"
    show_table(rows if as_json else shown, columns, empty=empty, as_json=as_json)
    if rows and not as_json:
        console.print(f"`lapsewatch why {rows[0]['finding']}` says why; `lapsewatch dismiss N --reason ...` closes one")


def why(number: Number, as_json: Json = False) -> None:
    """Show what a finding rests on: what is watched, what is new, who says so, where, and since when."""
    with ready_warehouse() as engine, engine.connect() as connection:
        said = review.explain(connection, number)
        proofs = prove(connection, number, settings().document_store)
    if as_json:
        print_json({**msgspec.to_builtins(said), "proofs": msgspec.to_builtins(proofs)})
        return
    console.print(Text(said.title, style="bold"))
    show_record(
        {
            "watch": said.watch,
            "actor": said.actor or "-",
            "matches": said.item or "an item no longer watched",
            "rule": f"{said.rule}{' (a lapse)' if said.lapse else ''}",
            "severity": said.severity,
            "marking": said.tlp,
            "status": f"{said.status} {said.status_reason}".strip(),
            "so since (UTC)": said.event_time,
            "found (UTC)": said.found_at,
        },
        as_json=False,
    )
    for annotation in said.annotations:
        console.print(Text("note: " + cell({name: value for name, value in annotation.items() if value})))
    _evidence("new", said.new)
    _evidence("known before", said.known)
    show_blocks("in logs", (_place(place) for place in proofs))


def _place(place: Place) -> tuple[str, tuple[str, ...]]:
    """Where a log holds it, and what to ask for a proof of that."""
    verified = "the head under which it was verified is gone with its document"
    if place.tree_size is not None:
        verified = f"verified under the head of {place.tree_size} entries, signed {cell(place.signed_at)} (UTC)"
    return (
        f"{place.log} entry {place.index}",
        (
            f"certificate {place.certificate}",
            f"leaf hash {place.leaf_hash}",
            verified,
            f"root {place.root}" if place.root else "",
            f"but {place.chain}" if place.chain else "",
            *(f"proof {request}" for request in place.requests),
        ),
    )


def _evidence(title: str, facts: tuple[review.Evidence, ...]) -> None:
    show_blocks(
        title,
        (
            (
                f"{fact.subject} {fact.predicate} {fact.object}{f' ({fact.detail})' if fact.detail else ''}".strip(),
                (
                    f"says {fact.source} ({fact.reliability}), {fact.tlp}",
                    f"since {_span(fact)}, recorded {cell(fact.recorded_at)} (UTC)",
                    f"reference {fact.reference}" if fact.reference else "",
                    f"document {fact.location} {fact.locator}".rstrip() if fact.location else "",
                ),
            )
            for fact in review.merged(facts)
        ),
    )


def _span(fact: review.Evidence) -> str:
    return cell(fact.first_seen) + (f", until {cell(fact.ended)}" if fact.ended else "")


def acknowledge(number: Number) -> None:
    """Say that somebody is looking at it."""
    _set(number, "acknowledged", "")


def confirm(number: Number, reason: Reason = "") -> None:
    """Say that it is right."""
    _set(number, "confirmed", reason)


def dismiss(number: Number, reason: Reason) -> None:
    """Say that it is of no interest, and why; where it was published it is revoked."""
    _set(number, "dismissed", reason)


def reopen(number: Number, reason: Reason = "") -> None:
    """Open it again."""
    _set(number, "open", reason)


def _set(number: int, status: review.Status, reason: str) -> None:
    with ready_warehouse() as engine, engine.begin() as connection:
        review.set_status(connection, number, status, reason)
    console.print(f"finding {number} is {status}")


def show(
    thing: Annotated[str, typer.Argument(help="A domain, address, URL, hash, actor:ID, certificate:SHA-256, ...")],
    reveal: Annotated[str, typer.Option(help="Show people's data; the reason is written down.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many of each.")] = 100,
    as_json: Json = False,
) -> None:
    """Show all that is known of one thing: links, facts with their sources, findings."""
    wanted = _read(thing)
    with ready_warehouse() as engine:
        found = _look(engine, wanted, limit, reveal)
    if found is None:
        console.print(f"nobody has named {wanted.kind} {wanted.value} yet", markup=False)
        raise typer.Exit(1)
    if as_json:
        print_json(found)
        return
    console.print(Text(f"{wanted.kind} {wanted.value}", style="bold"))
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


def _read(text: str) -> Entity:
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
