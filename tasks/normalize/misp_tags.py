"""MISP tags and galaxies: what they say of actors, software, TLP and confidence (MISP core format, taxonomies).

Tags are `namespace:predicate="value"`; a galaxy's tag is `misp-galaxy:<galaxy>="<cluster>"`, its cluster has a uuid.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.facts import TLP
from tasks.normalize.decode import text
from tasks.normalize.galaxy import ACTOR_GALAXIES, AUTHORITY, actor
from tasks.normalize.lines import excerpt

_MOST: Final = 512
_TAG: Final = re.compile(r'misp-galaxy:([^=]{1,80})="([^"]{1,512})"')
_SOFTWARE_GALAXIES: Final = frozenset(
    {
        *("malpedia", "mitre-malware", "mitre-tool", "mitre-enterprise-attack-malware", "mitre-enterprise-attack-tool"),
        *("tool", "ransomware", "botnet", "banker", "rat", "stealer", "backdoor", "android", "exploit-kit"),
    }
)
_CONFIDENCE: Final = {
    'misp:confidence-level="completely-confident"': 100,
    'misp:confidence-level="usually-confident"': 75,
    'misp:confidence-level="fairly-confident"': 50,
    'misp:confidence-level="rarely-confident"': 25,
    'misp:confidence-level="unconfident"': 0,
    'estimative-language:confidence-in-analytic-judgment="high"': 85,
    'estimative-language:confidence-in-analytic-judgment="moderate"': 50,
    'estimative-language:confidence-in-analytic-judgment="low"': 15,
}


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What the tags and galaxies of an event or attribute say.

    `actors` and `software` are entities, with the name that the cluster or tag gives; `tlp` is the strictest.
    """

    actors: tuple[tuple[Entity, str], ...] = ()
    software: tuple[tuple[Entity, str], ...] = ()
    tlp: int | None = None
    confidence: int | None = None


NOTHING: Final = Context()


def context(holder: dict[str, Any]) -> Context:
    """What the `Tag` and `Galaxy` of an event or attribute say.

    A tag that means nothing here is passed over; never raises.
    """
    if not holder.get("Tag") and not holder.get("Galaxy"):
        return NOTHING
    tags = [name for tag in _dicts(holder.get("Tag")) if (name := text(tag.get("name"), 1024))]
    actors: dict[Entity, str] = {}
    software: dict[Entity, str] = {}
    known: set[str] = set()
    for galaxy, cluster in _clusters(holder):
        known.add(text(cluster.get("tag_name"), 1024).lower())
        name = text(cluster.get("value"), 512)
        _note(actors, software, galaxy, text(cluster.get("uuid"), 80), name)
        known.add(f'misp-galaxy:{galaxy}="{name}"'.lower())
    for tag in tags:
        match = _TAG.fullmatch(tag)
        # A tag that repeats a cluster says less than the cluster does: the cluster has the uuid.
        if match is not None and tag.lower() not in known:
            _note(actors, software, match[1], "", match[2])
    return Context(
        actors=tuple(actors.items()), software=tuple(software.items()), tlp=_tlp(tags), confidence=_confidence(tags)
    )


def both(event: Context, attribute: Context) -> Context:
    """An attribute's context within its event's: all actors, the stricter TLP, the attribute's confidence first."""
    if attribute is NOTHING:
        return event
    limits = [tlp for tlp in (event.tlp, attribute.tlp) if tlp is not None]
    return Context(
        actors=tuple(dict((*event.actors, *attribute.actors)).items()),
        software=tuple(dict((*event.software, *attribute.software)).items()),
        tlp=max(limits, default=None),
        confidence=attribute.confidence if attribute.confidence is not None else event.confidence,
    )


def _note(actors: dict[Entity, str], software: dict[Entity, str], galaxy: str, uuid: str, name: str) -> None:
    name = excerpt(name)
    try:
        if galaxy in ACTOR_GALAXIES:
            actors.setdefault(actor(uuid, name), name)
        elif galaxy in _SOFTWARE_GALAXIES:
            software.setdefault(entity(Kind.SOFTWARE, f"{AUTHORITY}:{(uuid or name).lower()}"), name)
    except ReadError:
        return


def _clusters(holder: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for galaxy in _dicts(holder.get("Galaxy")):
        for cluster in _dicts(galaxy.get("GalaxyCluster")):
            yield text(galaxy.get("type"), 80) or text(cluster.get("type"), 80), cluster


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [one for one in found[:_MOST] if isinstance(one, dict)] if isinstance(found, list) else []


def _tlp(tags: Iterable[str]) -> int | None:
    """The strictest; a label that TLP 2.0 does not know is taken for RED, since nobody can say how far it may go."""
    limits = []
    for tag in tags:
        if not tag.lower().startswith("tlp:"):
            continue
        try:
            limits.append(int(TLP.parse(tag)))
        except ValueError:
            limits.append(int(TLP.RED))
    return max(limits, default=None)


def _confidence(tags: Iterable[str]) -> int | None:
    return next((_CONFIDENCE[tag.lower()] for tag in tags if tag.lower() in _CONFIDENCE), None)
