"""STIX relationships (STIX 2.1 section 5.1): what one object says of another becomes facts between their entities.

Comes in: a relationship as a dict, after the objects it joins. Goes out: facts; ReadError with the reason where an
end is not in the document or is no entity.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from intel.entities import Entity, Kind
from intel.errors import ReadError
from intel.facts import Fact, Predicate, Reject
from tasks.normalize.stix_context import Context, Object, text_of, time_of
from tasks.normalize.stix_observables import resolution

_ACTORS: Final = frozenset({"intrusion-set", "threat-actor", "campaign", "infrastructure"})
_SOFTWARE: Final = frozenset({"malware", "tool"})
_OF_VICTIMS: Final = frozenset({"targets", "located-at", "mitigates", "remediates", "impersonates", "originates-from"})
_BELONGINGS: Final = frozenset({"consists-of", "owns", "compromises", "controls", "hosts", "has", "delivers"})
_TRAFFIC: Final = frozenset({"communicates-with", "beacons-to", "exfiltrates-to"})
_MAX_PAIRS: Final = 1_000

Triple = tuple[Entity, str, Entity]


def read_relationship(context: Context, item: Object) -> Iterator[Fact | Reject]:
    """The facts of one relationship: from `start_time` (or `created`) to `stop_time`."""
    word = text_of(item, "relationship_type")[:100]
    source, target = text_of(item, "source_ref"), text_of(item, "target_ref")
    for end, reference in (("source_ref", source), ("target_ref", target)):
        if reference not in context.entities:
            raise ReadError(f"couldn't read a relationship: its {end} is not in this document")
    if word in _OF_VICTIMS:
        raise ReadError(f"not kept: a relationship of type {word} says nothing of infrastructure")
    for end, reference in (("source", source), ("target", target)):
        if not context.find(reference):
            raise ReadError(f"not kept: the {end} of a {word} relationship is no entity: type {_type(reference)}")
    if len(context.find(source)) * len(context.find(target)) > _MAX_PAIRS:
        raise ReadError(f"couldn't read a relationship: it joins more than {_MAX_PAIRS} pairs of entities")
    pairs = [(a, b) for a in context.find(source) for b in context.find(target) if a != b]
    if not pairs:
        raise ReadError(f"not kept: a {word} relationship whose ends are the same entity")
    predicate, swapped = _predicate(word, _type(source), _type(target))
    # What the predicate does not say by itself is kept beside it.
    qualifiers = () if word in _PLAIN.get(predicate, ()) else (("relation", word),)
    since, until = time_of(item, "start_time", "created"), time_of(item, "stop_time")
    if until is not None and since is not None and until <= since:
        raise ReadError("couldn't read a relationship: it stops before it starts")
    if predicate == Predicate.RESOLVES_TO:
        yield from _resolutions(context, item, pairs)
        return
    triples = ((b, predicate, a) if swapped else (a, predicate, b) for a, b in pairs)
    yield from context.facts(item, triples, qualifiers=qualifiers, since=since, until=until)


def _resolutions(context: Context, item: Object, pairs: list[tuple[Entity, Entity]]) -> Iterator[Fact]:
    since, until = time_of(item, "start_time", "created"), time_of(item, "stop_time")
    for name, address in pairs:
        if name.kind != Kind.DOMAIN or address.kind not in {Kind.IP, Kind.DOMAIN}:
            raise ReadError("couldn't read a relationship: only a name resolves, and only to an address or a name")
        link = resolution(name, address)
        triple = (link.subject, link.predicate, link.object)
        yield from context.facts(item, [triple], qualifiers=link.qualifiers, since=since, until=until)


_PLAIN: Final[dict[str, tuple[str, ...]]] = {
    Predicate.ATTRIBUTED_TO: ("indicates", "attributed-to", "consists-of"),
    Predicate.ASSOCIATED_WITH: ("indicates",),
    Predicate.USES: ("uses",),
    Predicate.PART_OF: ("belongs-to",),
    Predicate.COMMUNICATES_WITH: ("communicates-with",),
    Predicate.DOWNLOADS: ("downloads",),
}
"""The relationships that a predicate says in full."""


def _predicate(word: str, source: str, target: str) -> tuple[str, bool]:
    """(predicate, whether it is said of the target)."""
    if word == "indicates":
        return (Predicate.ATTRIBUTED_TO if target in _ACTORS else Predicate.ASSOCIATED_WITH), False
    if word == "uses":
        if source in _ACTORS and target == "infrastructure":
            return Predicate.ATTRIBUTED_TO, True
        return Predicate.USES, False
    if word in _BELONGINGS:
        if source in _ACTORS and target not in _SOFTWARE:
            return Predicate.ATTRIBUTED_TO, True
        return Predicate.ASSOCIATED_WITH, False
    if word in _TRAFFIC:
        return Predicate.COMMUNICATES_WITH, False
    return _OTHER.get(word, Predicate.ASSOCIATED_WITH), False


_OTHER: Final = {
    "attributed-to": Predicate.ATTRIBUTED_TO,
    "resolves-to": Predicate.RESOLVES_TO,
    "belongs-to": Predicate.PART_OF,
    "downloads": Predicate.DOWNLOADS,
    "drops": Predicate.DOWNLOADS,
}


def _type(reference: str) -> str:
    return reference.partition("--")[0][:100]
