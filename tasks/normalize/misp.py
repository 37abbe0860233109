"""MISP events (MISP core format): the attributes of an event and of its objects, and what its tags say of them.

In: an event, bare, under `Event`, in a list, or in the `response` of a MISP server. Out, for each attribute that names
something:

- `listed` where the publisher marked it for detection (`to_ids`); without the mark it is context, so it is on no list;
- `reported-in` the event (entity `misp:<uuid>`) in either case, which is what joins the indicators of one event;
- `attributed-to` each actor of its galaxies and tags and the event's, where it is listed or of a category of things
  that actors use (publishers such as ESET mark whole events of actors as not for detection; references are in neither);
- what composite types and objects say besides: a name resolves to an address, hashes are of one file.

The event's uuid is the upstream reference, the attribute's its locator; `first_seen`, else `timestamp`, its event time.
A deleted attribute ends what it said. What is no entity is a reject, `not an entity: type X`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from intel.config.sources import Source
from intel.entities import PERSONAL, Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, RawDocument, Reject
from tasks.normalize.decode import checked, items, members, shape, text, value
from tasks.normalize.galaxy import actor
from tasks.normalize.lines import excerpt
from tasks.normalize.misp_tags import Context, both, context
from tasks.normalize.misp_types import (
    ACTOR_TYPE,
    CAMPAIGN_TYPES,
    CONTEXT_TYPES,
    Relation,
    entities,
    personal_type,
    resolution,
)
from tasks.normalize.times import event_time

_MOST_PAIRS: Final = 256
_ACTORS_CATEGORIES: Final = frozenset(
    {
        "Network activity",
        "Payload delivery",
        "Payload installation",
        "Artifacts dropped",
        "Persistence mechanism",
        "Attribution",
    }
)
_REGISTRANT_TYPES: Final = ("whois-registrant-email", "whois-registrant-name", "whois-registrant-org")
_EVENT_PARTS: Final = ("uuid", "info", "date", "timestamp", "Tag", "Galaxy")
Typed = tuple[str, Entity]
"""An attribute's type and an entity that it names."""


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    report: Entity
    label: Entity
    reference: str
    time: datetime | None
    context: Context


class _Where(msgspec.Struct, frozen=True, kw_only=True):
    """What all facts of one attribute share."""

    event: _Event
    context: Context
    time: datetime | None
    ends: bool
    locator: str

    def fact(
        self, subject: Entity, predicate: Predicate, thing: Entity, qualifiers: tuple[tuple[str, str], ...] = ()
    ) -> Fact:
        return Fact(
            subject=subject,
            predicate=predicate,
            object=thing,
            qualifiers=qualifiers,
            reference=self.event.reference,
            tlp=self.context.tlp,
            confidence=self.context.confidence,
            event_time=self.time,
            ends=self.ends,
            personal=subject.kind in PERSONAL or thing.kind in PERSONAL,
            locator=self.locator,
        )


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Facts and rejects of every event of the document.

    Raises ReadError for what is not JSON (with the line) or holds no event; a broken event among others is a reject.
    """
    label = entity(Kind.LABEL, source.options.label or source.name)
    found = list(_events(checked(document.body)))
    if not found:
        raise ReadError("couldn't read a MISP document: no event in it")
    for pointer, parts in found:
        try:
            event = _event(parts, label)
        except ReadError as error:
            if len(found) == 1:
                raise
            yield Reject(locator=pointer, reason=str(error))
            continue
        yield from _of_event(event, parts, pointer)


def _events(raw: msgspec.Raw, pointer: str = "") -> Iterator[tuple[str, dict[str, msgspec.Raw]]]:
    if shape(raw) == b"[":
        for number, item in enumerate(items(raw)):
            parts = members(item)
            inner = members(parts["Event"]) if "Event" in parts else parts
            if _is_event(inner):
                yield f"{pointer}/{number}", inner
        return
    parts = members(raw)
    if "Event" in parts:
        yield f"{pointer}/Event", members(parts["Event"])
    elif "response" in parts and not pointer:
        yield from _events(parts["response"], "/response")
    elif _is_event(parts):
        yield pointer, parts


def _is_event(parts: dict[str, msgspec.Raw]) -> bool:
    return "Attribute" in parts or "Object" in parts or ("uuid" in parts and "info" in parts)


def _event(parts: dict[str, msgspec.Raw], label: Entity) -> _Event:
    said: dict[str, Any] = {name: value(parts[name]) for name in _EVENT_PARTS if name in parts}
    uuid = excerpt(text(said.get("uuid"), 80)).lower()
    info = text(said.get("info"), 2048)
    if not (uuid or info):
        raise ReadError("couldn't read a MISP event: it has neither uuid nor info")
    return _Event(
        report=entity(Kind.REPORT, f"misp:{uuid or info}"),
        label=label,
        reference=uuid,
        time=_time(said.get("date")) or _time(said.get("timestamp")),
        context=context(said),
    )


def _of_event(event: _Event, parts: dict[str, msgspec.Raw], pointer: str) -> Iterator[Fact | Reject]:
    yield from _about(event, parts, pointer)
    for number, raw in enumerate(items(parts.get("Attribute", b""))):
        yield from _attribute(event, raw, f"{pointer}/Attribute/{number}", [])
    for number, raw in enumerate(items(parts.get("Object", b""))):
        yield from _object(event, raw, f"{pointer}/Object/{number}")


def _about(event: _Event, parts: dict[str, msgspec.Raw], pointer: str) -> Iterator[Fact]:
    """What the event says of itself: its title, its actors and software, and their names."""
    where = _Where(event=event, context=event.context, time=event.time, ends=False, locator=event.reference or pointer)
    info = text(value(parts["info"]), 2048) if "info" in parts else ""
    if info:
        yield where.fact(event.report, Predicate.DESCRIBED_AS, literal(Kind.TEXT, info), (("field", "title"),))
    for predicate, named in (
        (Predicate.ATTRIBUTED_TO, event.context.actors),
        (Predicate.ASSOCIATED_WITH, event.context.software),
    ):
        for thing, name in named:
            yield where.fact(event.report, predicate, thing)
            if name:
                yield where.fact(thing, Predicate.ALIAS, entity(Kind.LABEL, name))


def _object(event: _Event, raw: msgspec.Raw, pointer: str) -> Iterator[Fact | Reject]:
    """An object's attributes, and what they say of each other by standing in one object."""
    found: list[tuple[Typed, _Where]] = []
    try:
        parts = members(raw)
        name = text(value(parts["name"]), 80) if "name" in parts else ""
        deleted = _true(value(parts["deleted"])) if "deleted" in parts else False
    except ReadError as error:
        yield Reject(locator=pointer, reason=str(error))
        return
    for number, attribute in enumerate(items(parts.get("Attribute", b""))):
        yield from _attribute(event, attribute, f"{pointer}/Attribute/{number}", found, deleted=deleted)
    if found:
        where = found[0][1]
        for subject, predicate, thing, qualifiers in _relations(name, [typed for typed, _ in found]):
            yield where.fact(subject, predicate, thing, qualifiers)


def _relations(name: str, found: Sequence[Typed]) -> list[Relation]:
    """What an object of this name says by its members (MISP object templates domain-ip, file, whois)."""
    of_kind: dict[str, list[Entity]] = {}
    for _, thing in found:
        of_kind.setdefault(thing.kind, []).append(thing)
    domains = of_kind.get(Kind.DOMAIN, [])
    said: list[Relation] = []
    if name in ("domain-ip", "dns-record"):
        said = [resolution(domain, address) for domain in domains for address in of_kind.get(Kind.IP, [])]
    elif name == "file":
        # The longest hash stands for the file: it is the hardest to collide with.
        hashes = sorted(of_kind.get(Kind.FILE, []), key=lambda one: (-len(one.value), one.value))
        said = [(hashes[0], Predicate.SAME_AS, other, ()) for other in hashes[1:]]
        said += [(hashes[0], Predicate.ALIAS, named, ()) for named in of_kind.get(Kind.FILE_NAME, []) if hashes]
    elif name == "whois":
        people = [thing for kind, thing in found if kind in _REGISTRANT_TYPES]
        said = [
            (domain, Predicate.REGISTERED_BY, person, (("role", "registrant"),))
            for domain in domains
            for person in people
        ]
        said += [
            (domain, Predicate.REGISTERED_THROUGH, registrar, ())
            for domain in domains
            for registrar in of_kind.get(Kind.REGISTRAR, [])
        ]
    return said[:_MOST_PAIRS]


def _attribute(
    event: _Event,
    raw: msgspec.Raw,
    pointer: str,
    found: list[tuple[Typed, _Where]],
    *,
    deleted: bool = False,
) -> Iterator[Fact | Reject]:
    """The facts of one attribute; its entities are added to `found`."""
    try:
        said = value(raw)
    except ReadError as error:
        yield Reject(locator=pointer, reason=str(error))
        return
    if not isinstance(said, dict):
        yield Reject(locator=pointer, reason="couldn't read an attribute: not an object")
        return
    kind, stated = text(said.get("type"), 80), text(said.get("value"))
    where = _Where(
        event=event,
        context=both(event.context, context(said)),
        time=_time(said.get("first_seen")) or _time(said.get("timestamp")) or event.time,
        ends=deleted or _true(said.get("deleted")),
        locator=excerpt(text(said.get("uuid"), 80)) or pointer,
    )
    try:
        facts = _stated(where, kind, stated, said, found)
    except ReadError as error:
        quoted = "" if personal_type(kind) else excerpt(stated)
        yield Reject(locator=where.locator, reason=str(error), excerpt=quoted)
        return
    yield from facts


def _stated(
    where: _Where, kind: str, stated: str, said: dict[str, Any], found: list[tuple[Typed, _Where]]
) -> list[Fact]:
    event = where.event
    listed = _true(said.get("to_ids"))
    if kind == ACTOR_TYPE:
        return [where.fact(event.report, Predicate.ATTRIBUTED_TO, actor("", stated))]
    named, relations = entities(kind, stated)
    if kind in CAMPAIGN_TYPES:
        return [where.fact(event.report, Predicate.ATTRIBUTED_TO, named[0])]
    facts = []
    for thing in named:
        found.append(((kind, thing), where))
        facts.append(where.fact(thing, Predicate.REPORTED_IN, event.report))
        if kind in CONTEXT_TYPES:
            continue
        if listed:
            facts.append(where.fact(thing, Predicate.LISTED, event.label))
        if listed or text(said.get("category"), 80) in _ACTORS_CATEGORIES:
            facts += [where.fact(thing, Predicate.ATTRIBUTED_TO, owner) for owner, _ in where.context.actors]
    return facts + [where.fact(*relation) for relation in relations]


def _true(said: Any) -> bool:
    return said in (True, 1, "1", "true")


def _time(said: Any) -> datetime | None:
    """The time, or None where there is none: a MISP timestamp of 0 says that nothing was entered."""
    stated = text(said, 64)
    if not stated or stated.strip("0") == "":
        return None
    try:
        return event_time(stated)
    except ReadError:
        return None
