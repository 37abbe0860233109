"""`pivot`: what belongs with something that is known, how strongly and why; what was not followed, and why not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, time
from typing import Annotated, Any, Final

import typer
from rich.text import Text
from sqlalchemy import Engine

from apps.cli.findings_show import read_thing
from apps.cli.output import ATTENTION, cell, console, print_json, progress, show_blocks, show_table
from apps.cli.place import ready_warehouse
from db import view
from intel.entities import Entity, masked
from intel.errors import ConfigError
from intel.evidence import Counted
from intel.rules import INVERSES
from tasks.pivot.pivot import Budget, Count, Neighbour, Neighbourhood, Step, Unexpanded, dry_run, pivot

_Shown = Callable[[Entity, bool], str]

_STOPPED: Final = {
    "budget": "stopped: enough was met; --depth or a higher --bits narrows it",
    "time": "stopped: time was over; --seconds gives it more",
    "width": "something has more values of one kind than --width allows; they were left out",
}
_MOST: Final = 20
_INVERSE: Final = {str(predicate): name for name, predicate in INVERSES.items()}


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command(name="pivot")(pivot_command)


def pivot_command(
    entity: Annotated[str, typer.Argument(help="Where to start: a domain, an address, kind:value.")],
    depth: Annotated[int, typer.Option(min=1, max=6, help="Steps: two lead to what shares a value with it.")] = 2,
    width: Annotated[int, typer.Option(min=1, max=5_000, help="What more have is a hub, shown, not followed.")] = 200,
    seconds: Annotated[float, typer.Option(min=0.05, max=600, help="How long it may take.")] = 10.0,
    bits: Annotated[float, typer.Option(min=0, help="The least evidence that is shown and followed.")] = 2.0,
    limit: Annotated[int, typer.Option(min=1, max=300, help="At most so many.")] = _MOST,
    as_of: Annotated[str, typer.Option(help="As it was by that day, as is known now (ISO 8601, UTC).")] = "",
    dry: Annotated[bool, typer.Option("--dry-run", help="Only count what there is to follow.")] = False,
    reveal: Annotated[str, typer.Option(help="Show people's data; the reason is written down.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what belongs with something that is known, the strongest evidence first, and what was not followed."""
    wanted = read_thing(entity)
    until = _until(as_of)
    budget = Budget(depth=depth, width=width, seconds=seconds, bits=bits)
    with ready_warehouse() as engine:
        number = _find(engine, wanted, reveal)
        if number is None:
            if as_json:
                print_json({"entity": {"kind": wanted.kind, "value": wanted.value}, "known": False})
            else:
                console.print(Text(f"nobody has named {wanted.value} yet, so that there is nothing to pivot on"))
            raise typer.Exit(ATTENTION)
        with engine.connect() as connection, progress(f"pivoting on {wanted.value}"):
            if dry:
                counts = dry_run(connection, [number], budget, as_of=until)
            else:
                found = pivot(connection, [number], budget, as_of=until, reveal=bool(reveal))
                counts = found.counted
    shown = _show_plain if reveal else _show_masked
    if as_json:
        print_json({"counted": [_count(one) for one in counts]} if dry else _as_json(found, shown))
        return
    console.print(Text(f"{wanted.kind} {shown(wanted, False)}", style="bold"))
    _show_counts(counts, all_of=dry)
    if not dry:
        _show(found, shown, limit)


def _find(engine: Engine, wanted: Entity, reason: str) -> int | None:
    with engine.begin() as connection:
        number = view.find(connection, wanted)
        if number is not None and reason:
            view.disclose(connection, number, reason)
        return number


def _until(text: str) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"couldn't read --as-of {text[:40]!r}: not a date or time of ISO 8601") from error
    if len(text) <= len("2026-01-01"):
        at = datetime.combine(at.date(), time.max)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _show_masked(item: Entity, personal: bool) -> str:
    return masked(item.kind, item.value, personal=personal)


def _show_plain(item: Entity, _personal: bool) -> str:
    return item.value


def _show_counts(counts: Iterable[Count], *, all_of: bool) -> None:
    counted = list(counts)
    own = [f"{_number(one)} {_way(one.predicate, out=one.out)}" for one in counted if one.step == 1]
    console.print(Text("it has " + (", ".join(own) if own else "no links that can be followed")))
    values = [one for one in counted if one.step > 1]
    rows = [
        {
            "value": f"{one.kind} {one.value}",
            "shared by": _number(one),
            "hub": one.hub or "-",
            "bits": f"{one.bits:.1f}",
        }
        for one in (values if all_of else values[:_MOST])
    ]
    if rows:
        console.print()
        show_table(rows, ["value", "shared by", "hub", "bits"], title="what there is to follow", as_json=False)
        if len(rows) < len(values):
            console.print(f"{len(values) - len(rows)} more are counted with --dry-run")


def _number(one: Count) -> str:
    if one.step > 1 and not one.count:
        return "-"
    return f"{one.count}+" if one.more else str(one.count)


def _way(predicate: str, *, out: bool) -> str:
    return predicate if out else _INVERSE.get(predicate, f"{predicate} it")


def _show(found: Neighbourhood, shown: _Shown, limit: int) -> None:
    show_blocks("neighbours, the strongest first", (_block(one, shown) for one in found.neighbours[:limit]))
    if not found.neighbours:
        console.print()
        console.print("nothing that is known belongs with it, as far as the evidence goes")
    if len(found.neighbours) > limit:
        console.print(f"{len(found.neighbours) - limit} more are shown with --limit")
    show_blocks("not followed", (_left(one, shown) for one in found.unexpanded[:_MOST]))
    if len(found.unexpanded) > _MOST:
        console.print(f"{len(found.unexpanded) - _MOST} more are in --json")
    ends = (
        (f"{cell(one.at)} (UTC)  {shown(one.entity, False)} {one.reason}", ("what it had later was left out",))
        for one in found.ended
    )
    show_blocks("no longer whose it was", ends)
    console.print()
    if found.stopped:
        console.print(_STOPPED[found.stopped])
    console.print(f"{found.links} links read in {found.seconds:.2f} s")


def _block(one: Neighbour, shown: _Shown) -> tuple[str, tuple[str, ...]]:
    ended = f" ({one.ended})" if one.ended else ""
    level = f", {one.weighed.level} level" if one.weighed.level else ""
    hub = f"; it is a hub: {one.hub}" if one.hub else ""
    return (
        f"{one.bits:.1f} bits  {one.entity.kind} {shown(one.entity, one.personal)}{ended}",
        (
            f"{', '.join(one.families)}{level}{hub}",
            f"by way of {' > '.join(_path(one.path, shown))}" if len(one.path) > 1 else "",
            *(_piece(piece) for piece in one.weighed.pieces),
            *(f"claimed: {claim}; it counts for nothing here" for claim in one.claims),
        ),
    )


def _path(path: Iterable[Step], shown: _Shown) -> Iterator[str]:
    for step in list(path)[:-1]:
        yield f"{step.target_entity.kind} {shown(step.target_entity, False)}"


def _piece(piece: Counted) -> str:
    said = piece.evidence
    together = "" if said.overlap is None else f", {said.overlap:.0%} of the time together"
    hub = f" [{said.hub}]" if said.hub else ""
    return f"{piece.counts:+.1f}  {said.trait} {said.what}{hub}{together}; {said.why}".rstrip("; ")


def _left(one: Unexpanded, shown: _Shown) -> tuple[str, tuple[str, ...]]:
    way = f" ({one.predicate})" if one.predicate else ""
    return f"{one.entity.kind} {shown(one.entity, one.personal)}{way}", (one.why,)


def _count(one: Count) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def _as_json(found: Neighbourhood, shown: _Shown) -> dict[str, Any]:
    return {
        "start": [{"kind": one.kind, "value": shown(one, False)} for one in found.start],
        "counted": [_count(one) for one in found.counted],
        "neighbours": [_neighbour(one, shown) for one in found.neighbours],
        "not_followed": [
            {
                "kind": one.entity.kind,
                "value": shown(one.entity, one.personal),
                "predicate": one.predicate,
                "reason": one.reason,
                "why": one.why,
            }
            for one in found.unexpanded
        ],
        "ended": [{"value": shown(one.entity, False), "at": one.at, "reason": one.reason} for one in found.ended],
        "stopped": found.stopped,
        "links": found.links,
        "seconds": round(found.seconds, 3),
    }


def _neighbour(one: Neighbour, shown: _Shown) -> dict[str, Any]:
    return {
        "kind": one.entity.kind,
        "value": shown(one.entity, one.personal),
        "bits": round(one.bits, 2),
        "depth": one.depth,
        "level": one.weighed.level,
        "families": {family: round(bits, 2) for family, bits in one.weighed.families.items()},
        "evidence": [{"counts": round(piece.counts, 2), **_evidence(piece)} for piece in one.weighed.pieces],
        "path": [
            {
                "predicate": step.predicate,
                "out": step.out,
                "kind": step.target_entity.kind,
                "value": shown(step.target_entity, one.personal and step.target == one.entity_id),
            }
            for step in one.path
        ],
        "overlap": one.overlap,
        "hub": one.hub,
        "ended": one.ended,
        "claims": list(one.claims),
    }


def _evidence(piece: Counted) -> dict[str, Any]:
    said = piece.evidence
    return {
        "family": said.family,
        "trait": said.trait,
        "what": said.what,
        "bits": round(said.bits, 2),
        "hub": said.hub,
        "why": said.why,
        "overlap": said.overlap,
        "population": said.prevalence.population if said.prevalence is not None else None,
    }
