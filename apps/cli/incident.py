"""`incident`: report one, investigate it, and read what was found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from sqlalchemy import Engine

from apps.cli import deployments
from apps.cli.output import ATTENTION, console, errors, print_json, progress, show_table
from apps.cli.place import ready_warehouse
from db import incidents
from db.incidents import Item
from db.leads import read_leads
from intel.config.organisation import read_organisation
from intel.config.publishing import read_publishing
from intel.entities import Kind, masked
from intel.errors import ConfigError, UnavailableError
from intel.facts import TLP
from intel.pasted import LONGEST, indicators_in
from intel.settings import settings
from tasks.assess.report_html import page
from tasks.publish.publish import publish as publish_findings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEPLOYMENT: Final = "investigate/incident"
_SHOW: Final = "show"


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(incident)


def incident(
    indicators: Annotated[
        list[str] | None,
        typer.Argument(
            help="Domains, addresses, URLs, hashes, ..., defanged or not; @FILE or - reads them from a text;"
            " `show NUMBER` shows one that is known."
        ),
    ] = None,
    title: Annotated[str, typer.Option(help="What to call it.")] = "",
    publish: Annotated[bool, typer.Option("--publish", help="Publish its findings to partners.")] = False,
    tlp: Annotated[str, typer.Option(help="How far what it is about may go; AMBER where nothing is said.")] = "",
    to: Annotated[int | None, typer.Option(help="Add the indicators to this incident, which goes on.")] = None,
    here: Annotated[bool, typer.Option("--here", help="Investigate in this process, without Prefect.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the report.")] = False,
    report: Annotated[int | None, typer.Option(help="Print the report of this incident.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report as an HTML page to this file.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the report as Markdown.")] = False,
    as_json: Json = False,
) -> None:
    """Report an incident: its indicators are stored and investigated, by the flow `investigate` or here (--here).

    What is known of them is put together, registries are asked, leads are followed and watched, and a report is
    written. Without indicators: list the incidents. `lapsewatch incident show 7 --html FILE` shows a report again.
    """
    words = list(indicators or [])
    if words[:1] == [_SHOW]:
        report, words = _number(words[1:]), []
    if report is not None:
        _show(report, html=html, markdown=markdown, as_json=as_json)
    elif not words:
        _list(as_json=as_json)
    else:
        number = _store(_given(words), title=title, publish=publish, tlp=_tlp(tlp), to=to)
        if not as_json:
            errors.print(f"incident {number} stored")
        if here:
            _here(number, publish=publish, as_json=as_json)
        elif not _in_prefect(number, publish=publish, wait=not no_wait, as_json=as_json):
            return
        _show(number, html=html, markdown=markdown, as_json=as_json)


def _number(words: list[str]) -> int:
    if len(words) == 1 and words[0].isascii() and words[0].isdigit():
        return int(words[0])
    raise ConfigError("couldn't show an incident: it needs one number, as in `lapsewatch incident show 7`")


def _tlp(text: str) -> TLP | None:
    try:
        return TLP.parse(text) if text else None
    except ValueError as error:
        raise ConfigError(f"couldn't use the marking of an incident: {error}; nothing is stored") from error


def _given(words: list[str]) -> list[str]:
    """The indicators that the words are, or that stand in the texts which they name."""
    found: dict[str, None] = {}
    for word in words:
        if word == "-":
            found |= dict.fromkeys(indicators_in(sys.stdin.read(LONGEST)))
        elif word.startswith("@") and len(word) > 1:
            found |= dict.fromkeys(indicators_in(_text(Path(word[1:]))))
        else:
            found.setdefault(word)
    if not found:
        raise ConfigError("couldn't store an incident: no indicator stands in what was given; nothing is stored")
    return list(found)


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(LONGEST)
    except OSError as error:
        raise ConfigError(f"couldn't read {path}: {error.strerror}; nothing is stored") from error


def _store(indicators: list[str], *, title: str, publish: bool, tlp: TLP | None, to: int | None) -> int:
    with ready_warehouse() as engine, engine.begin() as connection:
        if to is not None:
            incidents.add(connection, to, indicators)
            return to
        return incidents.create(
            connection,
            title=title or f"incident with {len(indicators)} indicator{'' if len(indicators) == 1 else 's'}",
            indicators=indicators,
            publish=publish,
            tlp=tlp,
        )


def _in_prefect(number: int, *, publish: bool, wait: bool, as_json: bool) -> bool:
    """Start the flow, and wait for it; False where nobody waits. Ends with 1 where it did not go well."""
    try:
        run = deployments.start(DEPLOYMENT, {"incident": number, "publish": publish})
    except UnavailableError as error:
        raise UnavailableError(f"{error}; or investigate it without Prefect, with --here") from error
    if not wait and as_json:
        print_json({"incident": number, "flow_run": run})
        return False
    if not wait:
        console.print(f"flow run {run} started; `lapsewatch incident show {number}` shows its report")
        return False
    with progress("investigating"):
        (done,) = deployments.wait([(DEPLOYMENT, run)], patience=900)
    if not done.completed:
        errors.print(f"the flow run {done.name} ended as {done.state.lower()}: {done.message}", markup=False)
        raise typer.Exit(ATTENTION)
    return True


def _here(number: int, *, publish: bool, as_json: bool) -> None:
    # An investigation reads half of the project; no other command waits for that.
    from tasks.assess.here import investigate

    with ready_warehouse() as engine:
        if as_json or not errors.is_terminal:
            investigate(engine, number, publish=publish)
        else:
            with errors.status("investigating") as status:
                investigate(engine, number, publish=publish, say=lambda step: status.update(f"investigating: {step}"))
        if publish:
            _publish(engine)


def _publish(engine: Engine) -> None:
    configs = settings().configs
    publish_findings(engine, read_publishing(configs), read_organisation(configs))


def _show(number: int, *, html: Path | None, markdown: bool, as_json: bool) -> None:
    with ready_warehouse() as engine, engine.connect() as connection:
        found = incidents.read(connection, number)
        leads = read_leads(connection, number)
    if not found.report and not as_json:
        raise ConfigError(
            f"couldn't print the report of incident {number}: it has none yet, its status is {found.status}"
        )
    if html is not None:
        _write(html, page(found.report))
    if as_json:
        rows = [
            {
                "lead": masked(lead.kind, lead.value),
                "kind": lead.kind,
                "bits": lead.bits,
                "families": lead.families,
                "depth": lead.depth,
                "found_at": lead.found_at,
                "evidence": msgspec.to_builtins(lead.evidence),
            }
            for lead in leads
        ]
        print_json({**msgspec.to_builtins(found), "items": [_item(one) for one in found.items], "leads": rows})
    elif html is None or markdown:
        typer.echo(found.report)


def _item(item: Item) -> dict[str, object]:
    """An indicator as it may be shown: what is a person's, or could not be read and may be, is masked."""
    value = masked(item.kind, item.value) if item.entity_id is not None else ""
    shown = (
        item.text if item.entity_id is not None and value == item.value else value or masked(Kind.REGISTRANT, item.text)
    )
    return {**msgspec.to_builtins(item), "text": shown, "value": value}


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"couldn't write {path}: {error.strerror}; the report is kept in the warehouse") from error
    errors.print(f"report written to {path}", markup=False, soft_wrap=True)


def _list(*, as_json: bool) -> None:
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = [
            {
                "incident": one.id,
                "title": one.title,
                "status": one.status,
                "publish": one.publish,
                "marking": one.tlp.label,
            }
            for one in incidents.list_incidents(connection)
        ]
    show_table(
        rows, ["incident", "title", "status", "marking", "publish"],
        empty="no incidents: `lapsewatch incident IOC...` reports one", as_json=as_json,
    )  # fmt: skip
