"""`pattern`: what an actor's domains have in common, proposed, shown, and decided on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apps.cli.output import ATTENTION, console, print_json, show_blocks
from apps.cli.place import ready_warehouse
from db.pattern_rows import Proposed
from intel.entities import masked
from intel.errors import ConfigError
from intel.traits import Name, Trait

if TYPE_CHECKING:  # tasks are loaded when they are needed
    from tasks.watch.alike_learn import State

group = typer.Typer(help="Registration patterns: what an actor's domains have in common.", no_args_is_help=True)

_Number = Annotated[int, typer.Argument(metavar="ID", help="The pattern's number.")]
_Reason = Annotated[str, typer.Option(help="Why; it is kept with the decision.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_MASKED = {Name.EMAIL.value: "email", Name.REGISTRANT.value: "registrant", Name.SOA_CONTACT.value: "email"}


def register(app: typer.Typer) -> None:
    """Add this group."""
    app.add_typer(group, name="pattern")


@group.command()
def propose(
    watch: Annotated[str, typer.Argument(help="The watch whose known domains are learned from.")],
    as_json: _Json = False,
) -> None:
    """Learn what the known domains of a watch have in common that others have not."""
    from tasks.watch import patterns

    with ready_warehouse() as engine:
        found = [one for one in patterns.propose(engine, watch) if one.status != "superseded"]
    _show(found, as_json=as_json, empty="nothing that its known domains have in common is rare elsewhere")


@group.command("list")
def list_(
    watch: Annotated[str, typer.Option(help="Only those of this watch.")] = "",
    status: Annotated[str, typer.Option(help="Only proposed, accepted, refused or superseded ones.")] = "",
    as_json: _Json = False,
) -> None:
    """List patterns, those that are still to be decided on first."""
    from db import pattern_rows

    with ready_warehouse() as engine, engine.connect() as connection:
        found = pattern_rows.patterns(connection)
    found = [one for one in found if watch in ("", one.watch) and status in ("", one.status)]
    _show(found, as_json=as_json, empty="no patterns; `lapsewatch pattern propose WATCH` learns some")


@group.command()
def habits(
    watch: Annotated[str, typer.Option(help="Only those of this watch.")] = "",
    as_json: _Json = False,
) -> None:
    """Say above how many bits domains are shown as registered alike, by watch, or why none is."""
    from tasks.watch.alike_learn import states

    with ready_warehouse() as engine, engine.connect() as connection:
        said = [one for one in states(connection) if watch in ("", one.watch)]
    if as_json:
        print_json(
            [
                {
                    "watch": one.watch,
                    "bits": one.state.limit,
                    "why": one.state.why,
                    "strangers": one.state.strangers,
                    "learned_at": one.state.learned,
                    "whole_history": one.state.done,
                }
                for one in said
            ]
        )
        return
    if not said:
        console.print("no watch was looked at yet; the monitor of rules does it")
        return
    show_blocks("Habits", [(one.watch, [_habits(one.state)]) for one in said])


def _habits(state: State) -> str:
    if state.limit is None:
        return f"abstains: {state.why}"
    looked = "" if state.done else "; history is still being looked through"
    return f"shows what reaches {state.limit:.1f} bits, against {state.strangers:,} strangers{looked}"


@group.command()
def show(number: _Number, as_json: _Json = False) -> None:
    """Show a pattern: its traits, what it rests on, and what was decided."""
    from db import pattern_rows

    with ready_warehouse() as engine, engine.connect() as connection:
        found = pattern_rows.patterns(connection, pattern_id=number)
    if not found:
        console.print(f"there is no pattern {number}")
        raise typer.Exit(ATTENTION)
    _show(found, as_json=as_json, empty="", whole=True)


@group.command()
def accept(number: _Number, reason: _Reason, as_json: _Json = False) -> None:
    """Make a pattern a rule of its watch, if its expected false positives are known and few enough."""
    from tasks.watch import patterns

    with ready_warehouse() as engine:
        _show([patterns.accept(engine, number, reason)], as_json=as_json, empty="")


@group.command()
def edit(
    number: _Number,
    reason: _Reason,
    add: Annotated[list[str] | None, typer.Option(help="A trait to add: `suffix=example`.")] = None,
    drop: Annotated[list[str] | None, typer.Option(help="The name of a trait to leave out, or `name=value`.")] = None,
    as_json: _Json = False,
) -> None:
    """Accept a pattern with other traits: what was proposed is out of date, what it became is a rule."""
    from db import pattern_rows
    from tasks.watch import patterns

    with ready_warehouse() as engine:
        with engine.connect() as connection:
            found = pattern_rows.patterns(connection, pattern_id=number)
        if not found:
            raise ConfigError(f"couldn't find pattern {number}; `lapsewatch pattern list` names them")
        kept = {one for one in found[0].traits if not {one.name, f"{one.name}={one.value}"} & set(drop or ())}
        kept |= {_trait(one) for one in add or ()}
        _show([patterns.accept(engine, number, reason, sorted(kept))], as_json=as_json, empty="")


@group.command()
def refuse(number: _Number, reason: _Reason, as_json: _Json = False) -> None:
    """Refuse a pattern for good; it is not proposed again."""
    from tasks.watch import patterns

    with ready_warehouse() as engine:
        _show([patterns.refuse(engine, number, reason)], as_json=as_json, empty="")


def _trait(text: str) -> Trait:
    name, equals, value = text.partition("=")
    if not equals or not value.strip() or name.strip() not in {one.value for one in Name}:
        known = ", ".join(one.value for one in Name)
        raise ConfigError(f"couldn't read --add {text[:60]!r}: expected NAME=VALUE, the name one of {known}")
    return Trait(name.strip(), value.strip().lower() if name.strip() != Name.NETWORK else value.strip())


def _show(found: Sequence[Proposed], *, as_json: bool, empty: str, whole: bool = False) -> None:
    if as_json:
        print_json([_json(one) for one in found])
        return
    if not found:
        console.print(empty)
        return
    blocks = []
    for one in found:
        lines = [
            f"{one.status} for {one.watch}: {one.support} of {one.known} known domains",
            _expected(one),
            "such as " + ", ".join(one.examples[: 5 if whole else 2]) if one.examples else "",
            "others with it: " + ", ".join(one.lookbacks) if whole and one.lookbacks else "",
            f"{one.status} by {one.decided_by}: {one.reason}" if one.decided_by else "",
        ]
        said = " and ".join(f"{trait.name} {_value(trait)}" for trait in one.traits)
        blocks.append((f"{one.id}  {said}", lines))
    show_blocks("Patterns", blocks)


def _expected(one: Proposed) -> str:
    if not one.is_counted:
        return "expected false positives: unknown, as nobody counted any of it"
    return f"at most about {max(one.per_million, 0.1):,.1f} of a million new domains by chance ({one.population})"


def _value(trait: Trait) -> str:
    kind = _MASKED.get(trait.name)
    return masked(kind, trait.value) if kind else trait.value


def _json(one: Proposed) -> dict[str, Any]:
    return {
        "id": one.id,
        "watch": one.watch,
        "status": one.status,
        "traits": [{"name": trait.name, "value": _value(trait)} for trait in one.traits],
        "known": one.known,
        "support": one.support,
        "per_million": one.per_million if one.is_counted else None,
        "rests_on": one.population,
        "examples": list(one.examples),
        "lookbacks": list(one.lookbacks),
        "reason": one.reason,
        "decided_by": one.decided_by,
        "rule": one.rule_id,
    }
