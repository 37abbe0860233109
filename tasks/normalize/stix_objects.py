"""STIX objects that stand for something: indicators, observables, actors, software, people, reports (STIX 2.1, 4).

Comes in: an object as a dict, and the `Context` of its document. Goes out: facts, and rejects for those parts that name
nothing. An object that as a whole names nothing raises ReadError with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, Reject
from intel.stix_pattern import read_pattern
from tasks.normalize.stix_context import Context, Object, label, reject, text_of, texts_of, time_of
from tasks.normalize.stix_observables import OBSERVABLE_TYPES, Observables, of_pattern
from tasks.normalize.stix_scos import name_object, of_object

Records = Iterator[Fact | Reject]

_PART: Final = (("pattern", "part"),)
_MAX_LABELS: Final = 16
_MAX_ALIASES: Final = 1_000
_MAX_REFERENCES: Final = 200_000


def read_indicator(context: Context, item: Object) -> Records:
    """Each entity that the pattern names is listed, as each of the indicator's types and labels.

    It is listed from `valid_from` on. `valid_until` ends it where that has passed at the document's time: a term yet to
    come is a plan, not an event. `revoked` ends it.
    """
    if item.get("pattern_type", "stix") != "stix":
        raise ReadError(f"not an entity: pattern of type {str(item['pattern_type'])[:50]}")
    pattern = item.get("pattern")
    if not isinstance(pattern, str):
        raise ReadError("couldn't read an indicator: it has no pattern")
    found = of_pattern(read_pattern(pattern))
    context.keep(item, *found.entities)
    since = time_of(item, "valid_from", "created")
    until = time_of(item, "valid_until")
    if until is not None and (until > context.as_of or (since is not None and until <= since)):
        until = None
    labels = _labels(context, item)
    whole = [subject for subject in found.entities if subject not in found.partial]
    part = [subject for subject in found.entities if subject in found.partial]
    for subjects, qualifiers in ((whole, ()), (part, _PART)):
        triples = [(subject, Predicate.LISTED, said) for subject in subjects for said in labels]
        if triples:
            yield from context.facts(item, triples, qualifiers=qualifiers, since=since, until=until)
    yield from _links(context, item, found, since)
    for reason in found.refused:
        yield reject(item, reason, pattern)


def _labels(context: Context, item: Object) -> list[Entity]:
    """What the indicator says of its members. Platforms' own bookkeeping (`misp:type=...`) says nothing of them."""
    words = dict.fromkeys(
        word.strip().lower()
        for word in [*texts_of(item, "indicator_types"), *texts_of(item, "labels")]
        if word.strip() and not word.startswith("misp:")
    )
    return [label(word) for word in list(words)[:_MAX_LABELS]] or [label(context.label or "indicator")]


def _links(context: Context, item: Object, found: Observables, since: datetime | None) -> Records:
    for link in found.links:
        triple = (link.subject, link.predicate, link.object)
        yield from context.facts(item, [triple], qualifiers=link.qualifiers, since=since)


def read_observable(context: Context, item: Object) -> Records:
    """An observable on its own: listed as `observable`, which says that it was named, not that it is bad."""
    found = of_object(item, context.find)
    context.keep(item, *found.entities)
    if item.get("id") not in context.observed:
        said = label("observable")
        yield from context.facts(item, ((subject, Predicate.LISTED, said) for subject in found.entities))
    yield from _links(context, item, found, time_of(item, "created"))


def read_observed_data(context: Context, item: Object) -> Records:
    """Observed data: what was seen is listed as `observed` at the first and the last time it was seen.

    STIX 2.0 holds the observables in `objects`, under keys of their own; 2.1 refers to them.
    """
    times = list(dict.fromkeys((time_of(item, "first_observed", "created"), time_of(item, "last_observed"))))
    times = [moment for moment in times if moment is not None] or [context.as_of]
    entities: dict[Entity, None] = {}
    missing = 0
    for reference in texts_of(item, "object_refs")[:_MAX_REFERENCES]:
        missing += reference not in context.entities
        entities.update(dict.fromkeys(context.find(reference)))
    inner = item.get("objects")
    if isinstance(inner, dict):
        for observables in _inner(item, inner):
            if isinstance(observables, Reject):
                yield observables
                continue
            entities.update(dict.fromkeys(observables.entities))
            for moment in times:
                yield from _links(context, item, observables, moment)
    context.keep(item, *entities)
    for moment in times:
        yield from context.facts(
            item, ((subject, Predicate.LISTED, label("observed")) for subject in entities), since=moment
        )
    if missing:
        yield reject(item, f"{missing} of its object_refs are not in this document")
    if not entities and not missing and not inner:
        raise ReadError("couldn't read observed data: it refers to nothing that is an entity")


def _inner(item: Object, inner: Mapping[str, Any]) -> Iterator[Observables | Reject]:
    """The observables of STIX 2.0; all are named before any is read, since they refer to one another."""
    known: dict[str, tuple[Entity, ...]] = {}

    def find(reference: str) -> tuple[Entity, ...]:
        return known.get(reference, ())

    for key, member in inner.items():
        if isinstance(member, dict):
            known[key] = name_object(member)
    for key, member in inner.items():
        if not isinstance(member, dict):
            yield reject(item, f"couldn't read observed data: its member {key[:50]} is no object")
            continue
        try:
            yield of_object(member, find)
        except ReadError as error:
            yield reject(item, str(error))


# --- who and what is behind


def _external_id(item: Object) -> str:
    """The id that MITRE ATT&CK gives it; empty where it gives none."""
    references = item.get("external_references")
    for reference in references if isinstance(references, list) else ():
        if isinstance(reference, dict) and reference.get("source_name") == "mitre-attack":
            return text_of(reference, "external_id")[:50]
    return ""


def _names(item: Object) -> list[str]:
    listed = [*texts_of(item, "aliases"), *texts_of(item, "x_mitre_aliases")]
    return list(dict.fromkeys(name for name in [text_of(item, "name"), *map(str.strip, listed)] if name))[:_MAX_ALIASES]


def _described(item: Object, who: Entity) -> Iterator[tuple[Entity, str, Entity]]:
    for name in _names(item):
        yield who, Predicate.ALIAS, label(name)
    description = text_of(item, "description")
    if description:
        yield who, Predicate.DESCRIBED_AS, literal(Kind.TEXT, description)


def _own_id(context: Context, item: Object) -> str:
    own = _external_id(item) or text_of(item, "id")
    if not own:
        raise ReadError("couldn't read an object: it has no id")
    return f"{context.authority}:{own}"


def read_actor(context: Context, item: Object, *, kind: str) -> Records:
    """An actor, campaign or tracked infrastructure: called by this source's id, with its names as aliases.

    A lone person's is people's data.
    """
    who = entity(kind, _own_id(context, item))
    context.keep(item, who)
    personal = item.get("resource_level") == "individual"
    yield from context.facts(item, _described(item, who), since=time_of(item, "created"), personal=personal)


def read_software(context: Context, item: Object) -> Records:
    """Malware or a tool, by its name; its samples are associated with it."""
    name = text_of(item, "name")
    if not name:
        context.keep(item)
        raise ReadError("couldn't read a piece of software: it has no name")
    what = entity(Kind.SOFTWARE, name)
    context.keep(item, what)
    triples = list(_described(item, what))
    external = _external_id(item)
    if external:
        triples.append((what, Predicate.ALIAS, label(external)))
    for reference in texts_of(item, "sample_refs"):
        triples.extend((sample, Predicate.ASSOCIATED_WITH, what) for sample in context.find(reference))
    yield from context.facts(item, triples, since=time_of(item, "created"))


def read_identity(context: Context, item: Object) -> Records:
    """A person: a persona, marked as people's data. An organisation, a sector or a class is no entity."""
    if item.get("identity_class") != "individual":
        raise ReadError(f"not an entity: type identity of class {text_of(item, 'identity_class')[:50] or 'unknown'}")
    who = entity(Kind.PERSONA, _own_id(context, item))
    context.keep(item, who)
    yield from context.facts(item, _described(item, who), since=time_of(item, "created"), personal=True)


def read_vulnerability(context: Context, item: Object) -> Records:
    """A vulnerability with a CVE number."""
    name = text_of(item, "name").lower()
    if not name.startswith("cve-"):
        raise ReadError("not an entity: type vulnerability without a CVE number")
    what = entity(Kind.VULNERABILITY, name)
    context.keep(item, what)
    said = label(context.label or "vulnerability")
    yield from context.facts(item, [(what, Predicate.LISTED, said)], since=time_of(item, "created"))


def read_report(context: Context, item: Object) -> Records:
    """A report or grouping: what it refers to was reported in it."""
    report = entity(Kind.REPORT, _own_id(context, item))
    context.keep(item, report)
    since = time_of(item, "published", "created")
    yield from context.facts(item, _described(item, report), since=since)
    members: dict[Entity, None] = {}
    missing = 0
    for reference in texts_of(item, "object_refs")[:_MAX_REFERENCES]:
        missing += reference not in context.entities
        members.update(dict.fromkeys(member for member in context.find(reference) if member != report))
    yield from context.facts(item, ((member, Predicate.REPORTED_IN, report) for member in members), since=since)
    if missing:
        yield reject(item, f"{missing} of its object_refs are not in this document")


def read_sighting(context: Context, item: Object) -> Records:
    """A sighting: what was sighted is listed as `sighted`, first and last. Where is the victims' business."""
    reference = text_of(item, "sighting_of_ref")
    if reference not in context.entities:
        raise ReadError("couldn't read a sighting: its sighting_of_ref is not in this document")
    subjects = context.find(reference)
    if not subjects:
        raise ReadError(f"couldn't read a sighting: what was sighted is no entity: {reference.partition('--')[0][:50]}")
    for moment in dict.fromkeys((time_of(item, "first_seen", "created"), time_of(item, "last_seen"))):
        if moment is not None:
            yield from context.facts(
                item, ((subject, Predicate.LISTED, label("sighted")) for subject in subjects), since=moment
            )


READERS: Final[Mapping[str, Callable[[Context, Object], Records]]] = {
    **dict.fromkeys(OBSERVABLE_TYPES, read_observable),
    "indicator": read_indicator,
    "observed-data": read_observed_data,
    "intrusion-set": partial(read_actor, kind=Kind.ACTOR),
    "threat-actor": partial(read_actor, kind=Kind.ACTOR),
    "campaign": partial(read_actor, kind=Kind.CAMPAIGN),
    "infrastructure": partial(read_actor, kind=Kind.INFRASTRUCTURE),
    "malware": read_software,
    "tool": read_software,
    "identity": read_identity,
    "vulnerability": read_vulnerability,
    "report": read_report,
    "grouping": read_report,
    "sighting": read_sighting,
}
