"""Registration answers as facts: a `Registration` and the tier that gave it in, facts out. Pure.

A registry and a registrar say different things of the same domain and are asked apart, so the tier is a qualifier: each
is a statement of its own, and what one of them no longer states says nothing of the other's. An answer is a version:
`ends` gives the facts that stood at the last one and are no longer stated.

A fact's locator is where its field stood; where two readers compete for a reply (WHOIS), ` by READER` follows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, State, fact_key
from intel.names import default_suffixes
from intel.rdap_bootstrap import tag_of
from intel.registration import DateField, Field, Outcome, Registration
from intel.registration_versions import SIGNED, UNSIGNED

Tier = Literal["registry", "registrar"]

_DATES: Final = (
    ("created", Predicate.CREATED),
    ("updated", Predicate.UPDATED),
    ("expires", Predicate.EXPIRES),
)
_REGISTRANT: Final = (
    ("email", Kind.EMAIL),
    ("name", Kind.REGISTRANT),
    ("organisation", Kind.REGISTRANT),
    ("phone", Kind.PHONE),
    ("handle", Kind.HANDLE),
)
OBJECT_TAGS: Final = frozenset({"APNIC", "ARIN", "LACNIC", "RIPE"})
"""Tags that make a handle unique in the world (RFC 8521), as IANA's registry of them had it when it was shipped."""
_OF_THE_SERVICE: Final = frozenset({"phone", "handle"})
_WORDED: Final = frozenset({State.REDACTED, State.PROXY, State.PLACEHOLDER})
"""States whose text is a service's wording. What could not be read may be a person's data, and is not kept."""


def facts_of(registration: Registration, tier: Tier, *, tags: Collection[str] = OBJECT_TAGS) -> tuple[Fact, ...]:
    """What one answer states; nothing where it is not a record. Their time is the document's.

    `tags` are the object tags (RFC 8521) of which a handle that bears one is taken as it stands.
    """
    if registration.outcome is not Outcome.REGISTERED:
        return ()
    subject = entity(Kind.DOMAIN, registration.domain)
    told = [
        *_dates(subject, registration),
        *_registrar(subject, registration),
        *_registrant(subject, registration, tier, tags),
        *_name_servers(subject, registration),
        *(
            Fact(subject=subject, predicate=Predicate.HAS_STATUS, object=literal(Kind.LABEL, status))
            for status in registration.statuses
        ),
        *_dnssec(subject, registration),
    ]
    return tuple(_qualified(fact, ("tier", tier)) if fact.subject == subject else fact for fact in told)


def ends(standing: Iterable[Fact], stated: Iterable[Fact], *, source: str) -> tuple[Fact, ...]:
    """The facts of `standing` that an answer no longer states, each as its end at the answer's time."""
    keys = {fact_key(source, fact) for fact in stated}
    return tuple(
        msgspec.structs.replace(fact, ends=True, event_time=None)
        for fact in standing
        if fact_key(source, fact) not in keys
    )


def handle_entity(text: str, server: str, tags: Collection[str] = OBJECT_TAGS) -> Entity:
    """The entity of a contact's handle: unique at its server alone, it bears that server's registrable domain.

    `server` is a host, host:port or base URL. Raises ReadError where the handle is empty.
    """
    if tag_of(text) in tags:
        return entity(Kind.HANDLE, text.strip().upper())
    try:
        host = urlsplit(server if "://" in server else f"//{server}").hostname or server
    except ValueError:
        host = server
    is_address = ":" in host or host.replace(".", "").isdigit()
    place = host if is_address else default_suffixes().registrable(host.lower())
    return entity(Kind.HANDLE, f"{text.strip()}@{place}" if place and text.strip() else text)


def _qualified(fact: Fact, *more: tuple[str, str]) -> Fact:
    return msgspec.structs.replace(fact, qualifiers=(*fact.qualifiers, *more))


def _dates(subject: Entity, registration: Registration) -> Iterator[Fact]:
    for name, predicate in _DATES:
        field: DateField = getattr(registration, name)
        if field.at is not None:
            form = "%Y-%m-%d" if field.precision == "day" else "%Y-%m-%dT%H:%M:%SZ"
            yield Fact(
                subject=subject,
                predicate=predicate,
                object=literal(Kind.TIME, field.at.strftime(form)),
                qualifiers=(("precision", field.precision),),
                locator=_locator(registration, field),
            )
        elif field.state is not State.ABSENT:
            said = literal(Kind.TEXT, field.text) if field.text else None
            where = _locator(registration, field)
            yield Fact(subject=subject, predicate=predicate, object=said, state=field.state, locator=where)


def _locator(registration: Registration, field: Field | DateField) -> str:
    """Where a field stood, and who read it where that could have been another."""
    if registration.protocol == "rdap" or not field.reader:
        return field.where
    return f"{field.where} by {field.reader}".strip()


def _registrar(subject: Entity, registration: Registration) -> Iterator[Fact]:
    name, number = registration.registrar, registration.registrar_iana_id
    if name.value is None and number.value is None:
        return
    digits = (number.value or "").strip()
    known = f"iana:{int(digits)}" if digits.isascii() and digits.isdigit() and len(digits) < 10 else name.value
    if known is None:
        return
    try:
        registrar = entity(Kind.REGISTRAR, known)
    except ReadError:
        return
    where = _locator(registration, name if name.where or name.reader else number)
    yield Fact(subject=subject, predicate=Predicate.REGISTERED_THROUGH, object=registrar, locator=where)
    if name.value is not None and registrar.value != name.value:
        alias = literal(Kind.TEXT, name.value)
        yield Fact(subject=registrar, predicate=Predicate.ALIAS, object=alias, locator=where)


def _registrant(subject: Entity, registration: Registration, tier: Tier, tags: Collection[str]) -> Iterator[Fact]:
    fields: list[tuple[str, Kind, Field]] = [
        (name, kind, getattr(registration.registrant, name)) for name, kind in _REGISTRANT
    ]
    # A registry that keeps no contacts is silent on all of them: that is no statement about the registrant.
    silent = all(field.state is State.ABSENT for _, _, field in fields)
    if silent and tier == "registry":
        return
    proxied = {registration.registrant.name.state, registration.registrant.organisation.state} & {State.PROXY}
    for name, kind, field in fields:
        said, state = _said(kind, field, registration.server, tags)
        if proxied and state is State.VALUE and name in _OF_THE_SERVICE:
            # The number and the id of a contact that is a proxy service are the service's.
            said, state = None, State.PROXY
        yield Fact(
            subject=subject,
            predicate=Predicate.REGISTERED_BY,
            object=said,
            state=state,
            qualifiers=(("role", "registrant"), ("field", name)),
            personal=state is State.VALUE,
            locator=_locator(registration, field),
        )


def _said(kind: Kind, field: Field, server: str, tags: Collection[str]) -> tuple[Entity | None, State]:
    if field.value is not None:
        try:
            if kind is Kind.HANDLE:
                return handle_entity(field.value, server, tags), State.VALUE
            return entity(kind, field.value), State.VALUE
        except ReadError:
            return None, State.UNPARSED
    if field.state in _WORDED and field.text:
        return literal(Kind.TEXT, field.text), field.state
    return None, field.state


def _name_servers(subject: Entity, registration: Registration) -> Iterator[Fact]:
    names = []
    for name in registration.name_servers:
        try:
            names.append(entity(Kind.NAME_SERVER, name))
        except ReadError:
            continue
    reader = registration.name_servers_reader
    where = f"by {reader}" if reader and registration.protocol == "whois" else ""
    for host in names:
        yield Fact(subject=subject, predicate=Predicate.USES_NAME_SERVER, object=host, locator=where)
    if names:
        together = entity(Kind.NAME_SERVER_SET, " ".join(host.value for host in names))
        yield Fact(subject=subject, predicate=Predicate.USES_NAME_SERVERS, object=together, locator=where)


def _dnssec(subject: Entity, registration: Registration) -> Iterator[Fact]:
    """Whether the delegation is signed: a status of its own kind, told apart by the qualifier `of`."""
    if registration.dnssec is not None:
        label = literal(Kind.LABEL, SIGNED if registration.dnssec else UNSIGNED)
        yield Fact(subject=subject, predicate=Predicate.HAS_STATUS, object=label, qualifiers=(("of", "dnssec"),))
