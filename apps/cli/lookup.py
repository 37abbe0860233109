"""`lookup`: who holds an address, network, AS, name server or handle, as its registry says now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Final

import typer
from rich.text import Text
from sqlalchemy import Engine

from apps.cli.output import ATTENTION, cell, console, print_json, progress, show_blocks
from apps.cli.place import ready_warehouse
from db import view as disclosures
from db.entities import ensure_entities
from intel.config.lookups import read_lookups
from intel.entities import PERSONAL, Entity, Kind, entity, guess, masked
from intel.errors import ConfigError, ReadError
from intel.facts import State
from intel.registration import DateField, Field
from intel.registration_numbers import Answered, AutnumRecord, Contact, EntityRecord, NameServerRecord, NetworkRecord
from intel.settings import settings

REASON: Final = "asked by hand"
_AS: Final = re.compile(r"asn?\s?\d{1,10}", re.IGNORECASE)
_KINDS: Final = (Kind.IP, Kind.NETWORK, Kind.AS, Kind.NAME_SERVER, Kind.HANDLE)
_CONCLUSIVE: Final = frozenset({"registered", "not_found"})
_FIELDS: Final = (
    ("organisation", Kind.REGISTRANT),
    ("name", Kind.REGISTRANT),
    ("email", Kind.EMAIL),
    ("phone", Kind.PHONE),
    ("country", Kind.LABEL),
    ("handle", Kind.HANDLE),
)
_WORDED: Final = frozenset({State.PROXY, State.PLACEHOLDER})


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(lookup)


def lookup(
    value: Annotated[str, typer.Argument(help="An IP address, network or AS; name-server:NAME, or handle:HANDLE.")],
    again: Annotated[bool, typer.Option("--again", help="Ask although an answer of the last days is there.")] = False,
    unmask: Annotated[
        str, typer.Option("--unmask", "--reveal", help="Show people's data; the reason is written down.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Ask a registry now who holds an address, network, AS, name server or handle, and keep what it says."""
    subject = _read(value)
    with ready_warehouse() as engine:
        found = _ask(engine, subject, again=again, unmask=unmask)
    conclusive = any(one["outcome"] in _CONCLUSIVE for one in found["lookups"])
    if as_json:
        print_json(found)
    else:
        _show(subject, found, reveal=bool(unmask))
    if not conclusive:
        raise typer.Exit(ATTENTION)


def _read(text: str) -> Entity:
    kind, colon, rest = text.partition(":")
    try:
        if colon and kind in set(Kind):
            found = entity(kind, rest)
        else:
            found = entity(Kind.AS, text) if _AS.fullmatch(text.strip()) else guess(text)
    except ReadError as error:
        raise ConfigError(f"{error}; name an address, network or AS, name-server:NAME or handle:HANDLE") from error
    if found.kind == Kind.DOMAIN:
        raise ConfigError(
            f"couldn't look up {found.value} here: `lapsewatch registration {found.scope} --ask` asks about a domain,"
            f" name-server:{found.value} about a name server"
        )
    if found.kind not in _KINDS:
        raise ConfigError(f"couldn't look up a value of kind {found.kind}: no registry knows such a thing")
    return found


def _ask(engine: Engine, subject: Entity, *, again: bool, unmask: str) -> dict[str, Any]:
    from tasks.enrich.numbers import ask_numbers
    from tasks.enrich.questions import Asker

    lookups = read_lookups(settings().configs)
    asker = Asker(engine=engine, lookups=lookups, reason=REASON, ceiling=lookups.reach.finding, incident=False)
    with progress(f"asking about {masked(subject.kind, subject.value)}"):
        asked = ask_numbers(engine, asker, [subject], again=again)
    if unmask:
        with engine.begin() as connection:
            number = ensure_entities(connection, [subject])[subject.digest]
            disclosures.disclose(connection, number, unmask)
    reveal = bool(unmask)
    record = asked.records.get(subject.digest)
    return {
        "kind": subject.kind,
        "value": _value(subject.kind, subject.value, reveal=reveal),
        "lookups": [
            {"server": one.server, "outcome": str(one.outcome), "detail": one.detail, "asked": one.asked}
            for one in asked.lookups
        ],
        "record": None if record is None else _record(record, reveal=reveal),
        "facts_new": asked.facts_new,
        "facts_ended": asked.facts_ended,
    }


def _record(record: Answered, *, reveal: bool) -> dict[str, Any]:
    """What the answer says, people's data masked unless it may be revealed; what it is silent on is left out."""
    said: dict[str, Any] = {"fetched": record.fetched_at, "as of": record.as_of}
    if isinstance(record, NetworkRecord):
        said |= {"networks": list(record.networks), "range": f"{record.first} - {record.last}" if record.first else ""}
        said |= _plain(record, "name", "type", "country", "parent")
        said["announced by"] = [f"AS{number}" for number in record.origins]
    elif isinstance(record, AutnumRecord):
        block = record.first is not None and record.first != record.last
        said |= {"numbers": f"AS{record.first} - AS{record.last}" if block else ""}
        said |= _plain(record, "name", "type", "country")
    elif isinstance(record, NameServerRecord):
        said |= {"name": record.name, "addresses": list(record.addresses)}
    elif isinstance(record, EntityRecord):
        said |= {"networks": list(record.networks), "systems": [f"AS{number}" for number in record.systems]}
        said |= _plain(record, "iana_id")
    personal = isinstance(record, EntityRecord)
    said["handle"] = _field(record.handle, Kind.HANDLE if personal else Kind.LABEL, reveal=reveal)
    said["description"] = _field(record.description, Kind.TEXT, personal=True, reveal=reveal)
    said |= {"statuses": list(record.statuses), "created": _date(record.created), "updated": _date(record.updated)}
    people = [record.contact] if isinstance(record, EntityRecord) and record.contact else []
    said["contacts"] = [_contact(one, reveal=reveal) for one in (*people, *record.contacts)]
    return {name: value for name, value in said.items() if value}


def _plain(record: Any, *names: str) -> dict[str, str]:
    return {name.replace("_", " "): _field(getattr(record, name), Kind.LABEL, reveal=True) for name in names}


def _contact(contact: Contact, *, reveal: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"roles": list(contact.roles), "kind": contact.kind}
    for name, kind in _FIELDS:
        field: Field = getattr(contact, name)
        company = contact.is_organisation and name == "organisation"
        said[name] = _field(field, kind, reveal=reveal or company)
    return {name: value for name, value in said.items() if value}


def _field(field: Field, kind: str, *, reveal: bool, personal: bool = False) -> str:
    """A field as it is shown: its value, or its state with the service's wording; empty where it is absent."""
    if field.value is not None:
        return _value(kind, field.value, reveal=reveal, personal=personal)
    if field.state is State.ABSENT:
        return ""
    # What was shown in part or could not be read may be a person's data.
    wording = f": {field.text}" if field.text and (reveal or field.state in _WORDED) else ""
    return f"({field.state}{wording})"


def _value(kind: str, value: str, *, reveal: bool, personal: bool = False) -> str:
    return value if reveal else masked(kind, value, personal=personal or kind in PERSONAL)


def _date(field: DateField) -> datetime | str | None:
    if field.at is not None and field.precision == "day":
        return f"{field.at:%Y-%m-%d}"
    return field.at


def _show(subject: Entity, found: dict[str, Any], *, reveal: bool) -> None:
    console.print(Text(f"{found['kind']} {found['value']}", style="bold"))
    show_blocks("asked", _asked(found["lookups"]))
    record = found["record"]
    if record is None:
        return
    lines = [f"{name}: {cell(value)}" for name, value in record.items() if name not in {"contacts", "fetched", "as of"}]
    if lines:
        show_blocks("what it says", ((line, ()) for line in lines))
    show_blocks(
        "contacts",
        (
            (
                f"{', '.join(one.get('roles', ())) or 'no role'}{f' ({kind})' if (kind := one.get('kind')) else ''}",
                tuple(f"{name}: {value}" for name, value in one.items() if name not in {"roles", "kind"}),
            )
            for one in record.get("contacts", ())
        ),
    )
    if record.get("contacts") and not reveal:
        console.print("people's data is masked; --unmask REASON shows it")
    if subject.kind in (Kind.IP, Kind.NETWORK, Kind.AS, Kind.NAME_SERVER):
        console.print(f"`lapsewatch show {_shown(subject)}` shows what else is known", markup=False)


def _asked(lookups: list[dict[str, Any]]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for one in lookups:
        yield f"{one['server'] or 'nobody'}: {one['outcome']}", (one["detail"],)


def _shown(subject: Entity) -> str:
    return subject.value if subject.kind in (Kind.IP, Kind.NETWORK) else f"{subject.kind}:{subject.value}"
