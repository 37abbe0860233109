"""What the readers of STIX objects share: the document's markings and entities, and how a statement becomes a fact.

An object comes in as the dict that its JSON is; nothing about its members' types is believed before it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from intel.entities import PERSONAL, Entity, Kind, entity
from intel.errors import ReadError
from intel.facts import TLP, Fact, Reject
from tasks.normalize.lines import excerpt

Object = Mapping[str, Any]
MAX_TEXT: Final = 4_000

KNOWN_MARKINGS: Final[Mapping[str, int]] = {
    # TLP 1, STIX 2.1 section 7.2.1.4
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": TLP.CLEAR,
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": TLP.GREEN,
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": TLP.AMBER,
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": TLP.RED,
    # TLP 2, the extension "tlp_2_0" that OASIS publishes, and what OpenCTI writes for AMBER+STRICT
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": TLP.CLEAR,
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": TLP.GREEN,
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": TLP.AMBER,
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": TLP.AMBER_STRICT,
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": TLP.RED,
    "marking-definition--826578e1-40ad-459f-bc73-ede076f81f37": TLP.AMBER_STRICT,
}
_TLP_2: Final = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d"


@dataclass(kw_only=True)
class Context:
    """One document while it is read.

    `entities` are those that stand for the objects read so far, by id; an object that names none has an empty tuple.
    `observed` are the ids that observed data refers to, which states them with their times. `as_of` is event time.
    """

    authority: str
    label: str
    as_of: datetime
    markings: dict[str, int] = field(default_factory=lambda: dict(KNOWN_MARKINGS))
    entities: dict[str, tuple[Entity, ...]] = field(default_factory=dict)
    observed: set[str] = field(default_factory=set)

    def keep(self, item: Object, *entities: Entity) -> None:
        """Remember what stands for `item`."""
        name = item.get("id")
        if isinstance(name, str):
            self.entities[name] = entities

    def find(self, reference: str) -> tuple[Entity, ...]:
        """The entities that stand for a reference; none where it is not in the document."""
        return self.entities.get(reference, ())

    def tlp(self, item: Object) -> int | None:
        """The strictest TLP that the object or a part of it is marked with; None where it is not."""
        marks = [self.markings[mark] for mark in _marks(item) if mark in self.markings]
        return max(marks) if marks else None

    def facts(
        self,
        item: Object,
        triples: Iterable[tuple[Entity, str, Entity]],
        *,
        qualifiers: tuple[tuple[str, str], ...] = (),
        since: datetime | None = None,
        until: datetime | None = None,
        personal: bool = False,
    ) -> Iterator[Fact]:
        """Facts that `item` states from `since` on and until `until`; if revoked, it ended when it was modified."""
        revoked = item.get("revoked") is True
        if revoked:
            since = time_of(item, "modified", "created")
        tlp, confidence = self.tlp(item), _confidence(item)
        place = locator(item)
        for subject, predicate, said in triples:
            whose = personal or subject.kind in PERSONAL or said.kind in PERSONAL
            times = [(since, revoked)] if revoked or until is None else [(since, False), (until, True)]
            for when, ends in times:
                yield Fact(
                    subject=subject,
                    predicate=predicate,
                    object=said,
                    qualifiers=qualifiers,
                    reference=place,
                    tlp=tlp,
                    confidence=confidence,
                    event_time=when,
                    ends=ends,
                    personal=whose,
                    locator=place,
                )


def read_marking(item: Object) -> int | None:
    """The TLP that a marking definition stands for, in the form of version 1 or 2; None for another marking."""
    definition, extensions = item.get("definition"), item.get("extensions")
    word: Any = definition.get("tlp") if isinstance(definition, dict) else None
    if isinstance(extensions, dict) and isinstance(extensions.get(_TLP_2), dict):
        word = extensions[_TLP_2].get("tlp_2_0", word)
    if not isinstance(word, str):
        return None
    try:
        return TLP.parse(word)
    except ValueError:
        return None


def _marks(item: Object) -> Iterator[str]:
    for mark in _list(item, "object_marking_refs"):
        if isinstance(mark, str):
            yield mark
    for granular in _list(item, "granular_markings"):
        mark = granular.get("marking_ref") if isinstance(granular, dict) else None
        if isinstance(mark, str):
            yield mark


def _list(item: Object, name: str) -> list[Any]:
    value = item.get(name)
    return value if isinstance(value, list) else []


def locator(item: Object) -> str:
    """Where the object stands: its id."""
    name = item.get("id")
    return name[:200].replace("\0", " ").strip() if isinstance(name, str) else ""


def text_of(item: Object, name: str) -> str:
    """A text member, stripped and bounded; empty where there is none or it is something else."""
    value = item.get(name)
    return value.strip()[:MAX_TEXT] if isinstance(value, str) else ""


def texts_of(item: Object, name: str) -> list[str]:
    """The texts of a list member; what is no text is left out."""
    return [value for value in _list(item, name) if isinstance(value, str)]


def time_of(item: Object, *names: str) -> datetime | None:
    """The first of these times that the object has, event time in UTC. Raises ReadError where it is no time."""
    for name in names:
        value = item.get(name)
        if value is not None:
            return _time(value if isinstance(value, str) else "")
    return None


@lru_cache(maxsize=8192)
def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ReadError("couldn't read a time: not of the form of RFC 3339; its object is rejected") from error


def _confidence(item: Object) -> int | None:
    value = item.get("confidence")
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100 else None


@lru_cache(maxsize=4096)
def label(text: str) -> Entity:
    """A label, lower-case. Raises ReadError where it is empty."""
    return entity(Kind.LABEL, text[:200])


def reject(item: Object, reason: str, said: str = "", *, place: str = "") -> Reject:
    """A refusal of `item`, or of a part of it, quoting what it `said`; `place` is for an object without an id."""
    return Reject(locator=locator(item) or place, reason=reason.replace("\0", " "), excerpt=excerpt(said))
