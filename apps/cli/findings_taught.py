"""`findings scorecard`, `suppressions`, `unsuppress`: what became of findings, and what dismissing them taught."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.output import console, show_table
from apps.cli.place import ready_warehouse
from db import finding_suppressions
from tasks.watch import queue_suppress
from tasks.watch.describe import shown

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(scorecard)
    app.command()(suppressions)
    app.command()(unsuppress)


def scorecard(
    watch: Annotated[str, typer.Option(help="Of this watch alone.")] = "",
    by_rule: Annotated[bool, typer.Option("--rules", help="A line for each of its rules.")] = False,
    as_json: Json = False,
) -> None:
    """Show what became of the findings of each watch: raised, confirmed, dismissed, and how fast that was decided."""
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = finding_suppressions.scorecard(connection, watch=watch, by_rule=by_rule)
    table = [
        {
            "watch": f"{row['watch']}\n{row['rule']}" if by_rule else row["watch"],
            "raised": row["raised"],
            "open": row["open"],
            "seen": row["acknowledged"],
            "right": row["confirmed"],
            "wrong": row["dismissed"],
            "gone": row["withdrawn"],
            "lowered": row["suppressed"],
            "precision": "-" if row["precision"] is None else f"{row['precision']:.0%}",
            "decided in": _span(row["seconds_to_decision"]),
        }
        for row in rows
    ]
    columns = ["watch", "raised", "open", "seen", "right", "wrong", "gone", "lowered", "precision", "decided in"]
    show_table(rows if as_json else table, columns, empty="no findings", as_json=as_json)


def suppressions(
    everything: Annotated[bool, typer.Option("--all", help="Those that were undone, too.")] = False,
    as_json: Json = False,
) -> None:
    """Show what dismissals taught: what lowers which findings, why and by whom."""
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = finding_suppressions.listed(connection, with_undone=everything)
    for row in rows:
        row["value"] = shown(row["kind"], row["value"])
    table = [
        {
            "suppression": row["suppression"],
            "takes": row["takes"],
            "lowers": row["lowers"],
            "what": f"{row['kind']} {row['value']}{'' if row['active'] else ' (undone)'}",
            "for": ", ".join(
                filter(None, (row["watch"] and f"watch {row['watch']}", row["rule"] and f"rule {row['rule']}"))
            )
            or "everything",
            "why": f"{row['reason']}{' (' + row['who'] + ')' if row['who'] else ''}",
        }
        for row in rows
    ]
    columns = ["suppression", "takes", "lowers", "what", "for", "why"]
    show_table(rows if as_json else table, columns, empty="nothing is suppressed", as_json=as_json)


def unsuppress(number: Annotated[int, typer.Argument(help="The suppression's number.")]) -> None:
    """Undo what a dismissal taught; what it lowered is worth again what it was."""
    with ready_warehouse() as engine, engine.begin() as connection:
        raised = queue_suppress.forget(connection, number)
    console.print(f"suppression {number} is undone: {raised} finding{'' if raised == 1 else 's'} worth what they were")


def _span(seconds: float | None) -> str:
    """A span as a person says it."""
    if seconds is None:
        return "-"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
