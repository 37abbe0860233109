"""`findings export`: findings for other tools, as CSV, STIX or blocklists, on standard output or in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from apps.cli.output import errors
from apps.cli.place import ready_warehouse
from db.finding_export import Exported, exported
from intel.config.organisation import read_organisation
from intel.config.publishing import read_publishing
from intel.entities import PERSONAL
from intel.errors import ConfigError
from intel.facts import TLP
from intel.settings import settings
from tasks.publish import export_blocklists
from tasks.publish.export import as_csv, as_stix, tlp_of
from tasks.publish.objects import Publisher

FORMATS: Final = ("csv", "stix", *export_blocklists.FORMATS)
_STATUSES: Final = ("open", "acknowledged", "confirmed", "dismissed", "withdrawn")
_STANDING: Final = _STATUSES[:3]


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(export)


def export(
    form: Annotated[str, typer.Option("--format", "-f", help=", ".join(FORMATS) + ".")] = "csv",
    tlp: Annotated[str, typer.Option(help="The strictest TLP that may be in it.")] = "TLP:GREEN",
    severity: Annotated[
        int | None,
        typer.Option("--min-severity", min=0, max=100, help="Worth at least this much; blocklists: unless confirmed."),
    ] = None,
    watch: Annotated[str, typer.Option(help="Of this watch alone.")] = "",
    status: Annotated[str, typer.Option(help="Of CSV and STIX: a status, or standing or all.")] = "standing",
    to: Annotated[Path | None, typer.Option("--to", help="A file; standard output unless given.")] = None,
) -> None:
    """Export findings as CSV, a STIX bundle or blocklists: up to a TLP, people's data masked or left out."""
    if form not in FORMATS:
        raise ConfigError(f"couldn't export findings: there is no format {form}; it is one of {', '.join(FORMATS)}")
    if status not in {*_STATUSES, "standing", "all"}:
        raise ConfigError(
            f"couldn't export findings: there is no status {status}; it is standing, all or one of"
            f" {', '.join(_STATUSES)}"
        )
    statuses = {"standing": _STANDING, "all": _STATUSES}.get(status, (status,))
    ceiling = _ceiling(tlp)
    people = frozenset(str(kind) for kind in PERSONAL)
    with ready_warehouse() as engine, engine.connect() as connection:
        found = exported(connection, statuses=statuses, personal=people, watch=watch)
        _write(to, _text(form, found, ceiling, severity))


def _ceiling(label: str) -> TLP:
    try:
        return TLP.parse(label)
    except ValueError as error:
        raise ConfigError(f"couldn't export findings: there is no marking {label}; TLP:CLEAR to TLP:RED are") from error


def _text(form: str, found: Iterable[Exported], ceiling: TLP, severity: int | None) -> Iterator[str]:
    configs = settings().configs
    if form == "csv":
        wanted = [one for one in found if one.record.severity >= (severity or 0)]
        yield from as_csv(wanted, ceiling)
        above = sum(tlp_of(one) > ceiling for one in wanted)
        if above:
            errors.print(f"{above} findings are above {ceiling.label} and left out: --tlp lets them in")
    elif form == "stix":
        policy, organisation = read_publishing(configs), read_organisation(configs)
        publisher = Publisher(
            identity=policy.identity,
            name=organisation.name or policy.title,
            contact=policy.contact or organisation.contact,
            watches_tlp=policy.watch_ceiling,
            valid_days=policy.valid_days,
        )
        yield json.dumps(as_stix(found, publisher, ceiling, severity or 0), ensure_ascii=False, indent=1) + "\n"
    else:
        least = export_blocklists.SEVERITY if severity is None else severity
        blocklist = export_blocklists.blocked(found, read_organisation(configs), ceiling, severity=least)
        for line in export_blocklists.lines(form, blocklist, datetime.now(UTC)):
            yield line + "\n"


def _write(to: Path | None, parts: Iterable[str]) -> None:
    """Write it whole or not at all: a firewall may be reading the file."""
    if to is None:
        for part in parts:
            sys.stdout.write(part)
        return
    new = to.with_name(f".{to.name}.new")
    try:
        with new.open("w", encoding="utf-8", newline="") as file:
            file.writelines(parts)
        new.replace(to)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise ConfigError(f"couldn't write {to}: {error.strerror}; the file is as it was") from error
    errors.print(f"wrote {to}", markup=False)
