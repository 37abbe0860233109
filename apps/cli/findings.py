"""`findings`, `why` and what people say of findings: acknowledge, confirm, dismiss, reopen."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final, get_args

import msgspec
import typer
from rich.text import Text

from apps.cli import findings_export, findings_show, findings_taught
from apps.cli.findings_show import read_thing
from apps.cli.output import cell, console, errors, print_json, show_blocks, show_record, show_table
from apps.cli.place import ready_warehouse
from db.finding_queue import MOST, Event
from intel.entities import masked
from intel.errors import ConfigError
from intel.registration_shown import printable
from intel.settings import settings
from tasks.watch import queue, queue_suppress, review
from tasks.watch.proof import Place, prove
from tasks.watch.queue import Group, Ranked

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Number = Annotated[int, typer.Argument(help="The finding's number.")]
Numbers = Annotated[list[int], typer.Argument(help="The findings' numbers.")]
Grouped = Annotated[bool, typer.Option("--group", help="And all findings of their groups.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why.")]
For = Annotated[
    str,
    typer.Option("--for", help="What it teaches: alike (same watch and rule), watch, rule, everything or nothing."),
]

_SHOWN: Final = 4
"""Findings of a group that are shown of it."""
_STATUSES: Final = (*get_args(review.Status), "withdrawn")
_ACTIVE: Final = ("open", "acknowledged")

_app = typer.Typer(invoke_without_command=True)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    findings_export.register(_app)
    findings_taught.register(_app)
    app.add_typer(_app, name="findings", help="Show the queue of findings; export them, and what became of them.")
    app.command()(why)
    app.command()(acknowledge)
    app.command()(confirm)
    app.command()(dismiss)
    app.command()(reopen)
    findings_show.register(app)


@_app.callback()
def list_findings(
    context: typer.Context,
    status: Annotated[str, typer.Option(help="open, acknowledged, confirmed, dismissed, withdrawn or all.")] = "open",
    watch: Annotated[str, typer.Option(help="Of this watch alone.")] = "",
    rule: Annotated[str, typer.Option(help="Of this rule alone.")] = "",
    severity: Annotated[int, typer.Option("--min-severity", min=0, max=100, help="Worth at least this much.")] = 0,
    since: Annotated[datetime | None, typer.Option(help="Found, or reopened, since then (UTC).")] = None,
    lapses: Annotated[bool, typer.Option("--lapses", help="Only mistakes of an actor's.")] = False,
    grouped: Annotated[bool, typer.Option("--group/--flat", help="By what they have in common, or each alone.")] = True,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show the queue of findings, the most urgent first, with what they have in common."""
    if context.invoked_subcommand is not None:
        return
    if status not in {*_STATUSES, "all"}:
        known = ", ".join(sorted({*_STATUSES, "all"}))
        raise ConfigError(f"couldn't list findings: there is no status {status}; it is one of {known}")
    with ready_warehouse() as engine, engine.connect() as connection:
        groups = queue.queue(
            connection,
            now=datetime.now(UTC),
            statuses=_STATUSES if status == "all" else (status,),
            watch=watch,
            rule=rule,
            severity=severity,
            since=since.replace(tzinfo=UTC) if since else None,
            lapses=lapses,
        )
    if sum(len(group.findings) for group in groups) >= MOST:
        errors.print(f"only the {MOST:,} most severe are ranked: --watch, --rule, --min-severity and --since choose")
    if as_json:
        print_json([one for group in groups for one in _records(group)][:limit])
        return
    shown, left = _lines(groups, limit, status) if grouped else _flat(groups, limit, status)
    empty = "no open findings" if status == "open" else "no findings"
    show_table(shown, ["finding", "severity", "since (UTC)", "what"], empty=empty, as_json=False)
    if left:
        console.print(f"and {left} more: --flat and --limit show them")
    if groups:
        number = groups[0].head.id
        console.print(f"`lapsewatch why {number}` says why; `lapsewatch dismiss N --reason ...` closes one")


def _records(group: Group) -> list[dict[str, Any]]:
    """The findings of a group as JSON has them: people's data masked; a group is called by its best finding."""
    hidden = {"subject_kind", "subject_scope", "subject_address"}
    return [
        {
            **{name: value for name, value in one.row.items() if name not in hidden},
            "subject": masked(one.row["subject_kind"], one.row["subject"]),
            "annotations": len(one.row["annotations"]),
            "points": one.points,
            "group": group.head.id,
            "group_size": len(group.findings),
            "shared": [tie.words() for tie in group.shared],
        }
        for one in group.findings
    ]


def _lines(groups: Sequence[Group], limit: int, status: str) -> tuple[list[dict[str, Any]], int]:
    """(rows of the table: a group's title, then its best; how many findings are not shown)."""
    rows: list[dict[str, Any]] = []
    told = 0
    for group in groups:
        if told >= limit:
            break
        members = group.findings[: min(_SHOWN, limit - told)]
        if len(group.findings) > 1:
            more = f", these {len(members)} first" if len(members) < len(group.findings) else ""
            rows.append({"finding": "", "severity": "", "since (UTC)": "", "what": f"{group.title}{more}"})
        rows += [_line(one, status) for one in members]
        told += len(members)
    return rows, sum(len(group.findings) for group in groups) - told


def _flat(groups: Sequence[Group], limit: int, status: str) -> tuple[list[dict[str, Any]], int]:
    members = sorted((one for group in groups for one in group.findings), key=lambda one: (-one.points, -one.id))
    return [_line(one, status) for one in members[:limit]], max(0, len(members) - limit)


def _line(one: Ranked, status: str) -> dict[str, Any]:
    row = one.row
    marks = [row["rule"], f"watch {row['watch']}"]
    if row["status"] != status:
        marks.append(row["status"])
    if row["evidence_at"] is not None:
        marks.append(f"reopened {cell(row['evidence_at'])}")
    elif (row["changed_at"] - row["found_at"]).total_seconds() > 1:
        marks.append(f"updated {cell(row['changed_at'])}")
    said = f"{'lapse: ' if row['lapse'] else ''}{row['title']} ({', '.join(marks)})"
    return {"finding": str(one.id), "severity": str(row["severity"]), "since (UTC)": row["event_time"], "what": said}


def why(number: Number, as_json: Json = False) -> None:
    """Show what a finding rests on: what is watched, what is new, who says so, where, and since when."""
    with ready_warehouse() as engine, engine.connect() as connection:
        said = review.explain(connection, number)
        proofs = prove(connection, number, settings().document_store)
    if as_json:
        print_json({**msgspec.to_builtins(said), "proofs": msgspec.to_builtins(proofs)})
        return
    console.print(Text(printable(said.title), style="bold"))
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
            **({"new evidence (UTC)": said.evidence_at} if said.evidence_at else {}),
        },
        as_json=False,
    )
    for annotation in said.annotations:
        console.print(Text("note: " + cell({name: value for name, value in annotation.items() if value})))
    _evidence("new", said.new)
    _evidence("known before", said.known)
    show_blocks("what became of it", ((_became(event), (event.reason,)) for event in said.history))
    show_blocks("in logs", (_place(place) for place in proofs))


def _became(event: Event) -> str:
    return f"{cell(event.at)} (UTC) {event.status}{f' by {event.who}' if event.who else ''}"


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


def acknowledge(numbers: Numbers, group: Grouped = False) -> None:
    """Say that somebody is looking at them."""
    _set(numbers, "acknowledged", "", group=group)


def confirm(numbers: Numbers, reason: Reason = "", group: Grouped = False) -> None:
    """Say that they are right."""
    _set(numbers, "confirmed", reason, group=group)


def dismiss(
    numbers: Numbers,
    reason: Reason,
    group: Grouped = False,
    teaches: For = "alike",
    on: Annotated[str, typer.Option(help="What findings like it touch: a domain, an address, kind:value.")] = "",
    takes: Annotated[int, typer.Option(min=0, max=100, help="What it takes from their severity.")] = 40,
) -> None:
    """Say that they are of no interest, and why: what was published is revoked, and findings like them are worth less.

    Nothing is dropped for it: `lapsewatch findings suppressions` lists what was taught, `unsuppress` undoes it.
    """
    if teaches not in {*get_args(queue_suppress.For), "nothing"}:
        known = ", ".join((*get_args(queue_suppress.For), "nothing"))
        raise ConfigError(f"couldn't dismiss: --for takes one of {known}; nothing is changed")
    lesson = None if teaches == "nothing" else teaches
    _set(numbers, "dismissed", reason, group=group, lesson=lesson, on=on, takes=takes)


def reopen(numbers: Numbers, reason: Reason = "", group: Grouped = False) -> None:
    """Open them again."""
    _set(numbers, "open", reason, group=group)


def _set(
    numbers: Sequence[int],
    status: review.Status,
    reason: str,
    *,
    group: bool,
    lesson: Any = None,
    on: str = "",
    takes: int = queue_suppress.TAKES,
) -> None:
    thing = read_thing(on) if on else None
    taught = []
    with ready_warehouse() as engine, engine.begin() as connection:
        ids = sorted(set(numbers))
        if group:
            every = (queue.group_of(connection, one, now=datetime.now(UTC), statuses=_ACTIVE) for one in numbers)
            ids = sorted({one for members in every for one in members})
        if lesson is not None and reason.strip():
            taught = [
                queue_suppress.teach(connection, one, reason, holds_for=lesson, on=thing, takes=takes)
                for one in sorted(set(numbers))
            ]
        review.set_status(connection, ids, status, reason, who=getpass.getuser())
    for one in ids:
        console.print(f"finding {one} is {status}")
    for lesson_learnt in {one.id: one for one in taught}.values():
        console.print(
            Text(
                printable(
                    f"learnt: what touches {lesson_learnt.on} is worth {takes} less ({lesson_learnt.lowered} lowered);"
                    f" `lapsewatch findings unsuppress {lesson_learnt.id}` undoes it"
                )
            )
        )
