"""MISP galaxies of threat actors (cluster files, MISP galaxy format): names and descriptions of actors.

In: a cluster file such as threat-actor.json. Out: for each cluster facts about the actor `misp-galaxy:<uuid>`: its
names as aliases, its description, country, motive and the like as descriptions with the qualifier `field`, the
reports it stands in. Related clusters are stated as such and never merged: only a person decides that two are one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from intel.config.sources import Source
from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, RawDocument, Reject
from tasks.normalize.decode import checked, items, members, text, value
from tasks.normalize.lines import excerpt, printable

ACTOR_GALAXIES: Final = frozenset(
    {
        "threat-actor",
        "mitre-intrusion-set",
        "mitre-enterprise-attack-intrusion-set",
        "mitre-mobile-attack-intrusion-set",
        "mitre-ics-groups",
        "microsoft-activity-group",
        "360net-threat-actor",
    }
)
"""Galaxies whose clusters are actors."""
AUTHORITY: Final = "misp-galaxy"

_LONGEST: Final = 8192
_MOST: Final = 256
"""Names, references, relations, or values of one field."""
_OWN_FIELDS: Final = frozenset({"synonyms", "refs", "references"})
_Pairs = tuple[tuple[str, str], ...]


def actor(uuid: str, name: str, authority: str = AUTHORITY) -> Entity:
    """The actor that a cluster is: by its uuid, by its name in lower case where it has none. Raises ReadError."""
    said = (uuid or name).strip().lower()
    if not said:
        raise ReadError("couldn't read a cluster: it has neither uuid nor value")
    return entity(Kind.ACTOR, f"{authority}:{said}")


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Facts about every actor of the galaxy; locators are the clusters' uuids, or JSON pointers.

    Raises ReadError for what is no cluster file, or one of something else than actors.
    """
    parts = members(checked(document.body))
    if "values" not in parts or "type" not in parts:
        raise ReadError("couldn't read a galaxy: an object with `type` and `values` is expected")
    kind = text(value(parts["type"]), 80)
    if kind not in ACTOR_GALAXIES:
        raise ReadError(f"couldn't read a galaxy: its type {excerpt(kind)!r} is none of actors")
    authority = source.options.naming_authority or AUTHORITY
    for number, raw in enumerate(items(parts["values"])):
        pointer = f"/values/{number}"
        try:
            cluster = value(raw)
            if not isinstance(cluster, dict):
                raise ReadError("couldn't read a cluster: not an object")  # noqa: TRY301  one place makes the reject
            uuid, name = text(cluster.get("uuid"), 80), text(cluster.get("value"), 512)
            subject = actor(uuid, name, authority)
        except ReadError as error:
            yield Reject(
                locator=pointer, reason=str(error), excerpt=excerpt(bytes(raw)[:400].decode("utf-8", "replace"))
            )
            continue
        locator = excerpt(uuid) or pointer
        yield from _about(subject, cluster, name, locator, authority)


def _about(subject: Entity, cluster: dict[str, Any], name: str, locator: str, authority: str) -> Iterator[Fact]:
    meta = cluster.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    described = [("name", name), ("description", text(cluster.get("description"), _LONGEST))]
    for field, said in list(meta.items())[:_MOST]:
        if field not in _OWN_FIELDS:
            described += [(printable(field, 80), one) for one in _texts(said)]
    for field, said_text in described:
        if said_text:
            yield _described(subject, said_text, (("field", field),), locator)
    for alias in dict.fromkeys(one.lower() for one in [name, *_texts(meta.get("synonyms"))]):
        yield from _stated(subject, Predicate.ALIAS, Kind.LABEL, alias, locator)
    for reference in dict.fromkeys(_texts(meta.get("refs")) + _texts(meta.get("references"))):
        yield from _stated(subject, Predicate.REPORTED_IN, Kind.REPORT, reference, locator)
    related = cluster.get("related")
    for relation in related[:_MOST] if isinstance(related, list) else ():
        if isinstance(relation, dict) and (uuid := text(relation.get("dest-uuid"), 80).lower()):
            pair = (("field", "related"), ("id", f"{authority}:{excerpt(uuid)}"))
            yield _described(subject, text(relation.get("type"), 80) or "related", pair, locator)


def _texts(said: Any) -> list[str]:
    found = [text(one, _LONGEST) for one in (said[:_MOST] if isinstance(said, list) else [said])]
    return [one for one in found if one]


def _described(subject: Entity, said: str, qualifiers: _Pairs, locator: str) -> Fact:
    return Fact(
        subject=subject,
        predicate=Predicate.DESCRIBED_AS,
        object=literal(Kind.TEXT, said),
        qualifiers=qualifiers,
        locator=locator,
    )


def _stated(subject: Entity, predicate: Predicate, kind: Kind, said: str, locator: str) -> Iterator[Fact]:
    try:
        yield Fact(subject=subject, predicate=predicate, object=entity(kind, said), locator=locator)
    except ReadError:
        return  # nothing but white space or control characters
