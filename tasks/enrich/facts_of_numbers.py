"""Answers about addresses, networks, AS, name servers and handles as facts: a record in, facts out. Pure.

What a record says of a network is stated of the network, whatever was asked about; the address that was asked about is
part of it. All of it bears the qualifier `tier` (registry), by which a later answer finds what it no longer states.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from ipaddress import ip_network
from typing import Final

import msgspec

from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, State
from intel.registration import DateField, Field, Outcome
from intel.registration_numbers import Answered, AutnumRecord, Contact, EntityRecord, NameServerRecord, NetworkRecord
from tasks.enrich.facts_of_registration import OBJECT_TAGS, handle_entity

TIER: Final = "registry"
MOST_SUBJECTS: Final = 16
"""Networks of one range of which something is stated."""

_FIELDS: Final = (
    ("organisation", Kind.REGISTRANT),
    ("name", Kind.REGISTRANT),
    ("email", Kind.EMAIL),
    ("phone", Kind.PHONE),
    ("handle", Kind.HANDLE),
)
_WORDED: Final = frozenset({State.REDACTED, State.PROXY, State.PLACEHOLDER})


def facts_of_record(record: Answered, subject: Entity, *, tags: Collection[str] = OBJECT_TAGS) -> tuple[Fact, ...]:
    """What one answer about `subject` states; nothing where it is not a record. Their time is the document's."""
    if record.outcome is not Outcome.REGISTERED:
        return ()
    told: list[Fact] = []
    if isinstance(record, NetworkRecord):
        for network in networks_of(record, subject):
            if network != subject:
                told.append(Fact(subject=subject, predicate=Predicate.PART_OF, object=network))
            told += _described(network, record, tags)
            told += [
                Fact(subject=network, predicate=Predicate.PART_OF, object=entity(Kind.AS, str(number)))
                for number in record.origins
            ]
    elif isinstance(record, AutnumRecord):
        told += _described(subject, record, tags)
    elif isinstance(record, NameServerRecord):
        told += [
            Fact(
                subject=subject,
                predicate=Predicate.RESOLVES_TO,
                object=entity(Kind.IP, address),
                qualifiers=(("type", "AAAA" if ":" in address else "A"),),
            )
            for address in record.addresses
        ]
        told += _statuses(subject, record)
    elif isinstance(record, EntityRecord) and record.contact is not None:
        told += _contact(subject, record.contact, record.server, tags, role="contact")
    return tuple(msgspec.structs.replace(fact, qualifiers=(*fact.qualifiers, ("tier", TIER))) for fact in told)


def networks_of(record: NetworkRecord, subject: Entity) -> tuple[Entity, ...]:
    """The networks of a record that hold what was asked about, or are held by it; at most 16."""
    asked = ip_network(subject.value, strict=False)
    found = []
    for text in record.networks:
        one = ip_network(text)
        if one.version == asked.version and one.overlaps(asked):
            found.append(entity(Kind.NETWORK, text))
    return tuple(found[:MOST_SUBJECTS])


def subjects_of(record: Answered, subject: Entity) -> tuple[Entity, ...]:
    """All of which an answer speaks, so that what it no longer states of them ends."""
    if isinstance(record, NetworkRecord) and record.outcome is Outcome.REGISTERED:
        return tuple(dict.fromkeys((subject, *networks_of(record, subject))))
    return (subject,)


def _described(subject: Entity, record: NetworkRecord | AutnumRecord, tags: Collection[str]) -> Iterator[Fact]:
    for name, field, personal in (
        ("name", record.name, False),
        ("type", record.type, False),
        ("country", record.country, False),
        # Whoever holds it wrote it: people's names stand in it.
        ("description", record.description, True),
    ):
        if field.value is not None:
            yield Fact(
                subject=subject,
                predicate=Predicate.DESCRIBED_AS,
                object=literal(Kind.TEXT, field.value),
                qualifiers=(("field", name),),
                personal=personal,
                locator=field.where,
            )
    yield from _dates(subject, record)
    yield from _statuses(subject, record)
    if record.holder is not None:
        yield from _contact(subject, record.holder, record.server, tags, role="registrant")


def _dates(subject: Entity, record: Answered) -> Iterator[Fact]:
    dates: tuple[tuple[Predicate, DateField], ...] = (
        (Predicate.CREATED, record.created),
        (Predicate.UPDATED, record.updated),
    )
    for predicate, field in dates:
        if field.at is not None:
            form = "%Y-%m-%d" if field.precision == "day" else "%Y-%m-%dT%H:%M:%SZ"
            yield Fact(
                subject=subject,
                predicate=predicate,
                object=literal(Kind.TIME, field.at.strftime(form)),
                qualifiers=(("precision", field.precision),),
                locator=field.where,
            )


def _statuses(subject: Entity, record: Answered) -> Iterator[Fact]:
    for status in record.statuses:
        yield Fact(subject=subject, predicate=Predicate.HAS_STATUS, object=literal(Kind.LABEL, status))


def _contact(subject: Entity, contact: Contact, server: str, tags: Collection[str], *, role: str) -> Iterator[Fact]:
    fields: list[tuple[str, Kind, Field]] = [(name, kind, getattr(contact, name)) for name, kind in _FIELDS]
    if all(field.state is State.ABSENT for _, _, field in fields):
        return
    for name, kind, field in fields:
        # A handle that was asked about is no news of itself.
        if name == "handle" and subject.kind == Kind.HANDLE:
            continue
        said, state = _said(kind, field, server, tags)
        yield Fact(
            subject=subject,
            predicate=Predicate.REGISTERED_BY,
            object=said,
            state=state,
            qualifiers=(("role", role), ("field", name)),
            personal=state is State.VALUE and not (contact.is_organisation and name == "organisation"),
            locator=field.where,
        )


def _said(kind: Kind, field: Field, server: str, tags: Collection[str]) -> tuple[Entity | None, State]:
    if field.value is not None:
        try:
            made = handle_entity(field.value, server, tags) if kind is Kind.HANDLE else entity(kind, field.value)
        except ReadError:
            return None, State.UNPARSED
        return made, State.VALUE
    if field.state in _WORDED and field.text:
        return literal(Kind.TEXT, field.text), field.state
    return None, field.state
