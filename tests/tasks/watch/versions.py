"""Answers about a domain's registration, told in a line each: a history of versions in, its facts out.

The facts of a version are those of tasks/enrich/facts_of_registration.py: what the version before stated, and this one
does not, ends at its time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from intel.entities import Kind, entity, literal
from intel.facts import Fact, State, fact_key
from tests.tasks.watch.world import World, day

KINDS = {
    "email": Kind.EMAIL,
    "name": Kind.REGISTRANT,
    "organisation": Kind.REGISTRANT,
    "phone": Kind.PHONE,
    "handle": Kind.HANDLE,
}


def registrant(domain: str, /, **fields: str) -> list[Fact]:
    """Fields of the registrant: a value, `state:text` or (empty) absent."""
    told = []
    for field, said in fields.items():
        state, colon, text = said.partition(":")
        of = entity(Kind.DOMAIN, domain)
        stated = {"subject": of, "predicate": "registered-by", "qualifiers": (("role", "registrant"), ("field", field))}
        if not said:
            told.append(Fact(**stated, state=State.ABSENT))
        elif colon and state in set(State):
            told.append(Fact(**stated, state=state, object=literal(Kind.TEXT, text)))
        else:
            told.append(Fact(**stated, object=entity(KINDS[field], said), personal=True))
    return told


def record(
    domain: str,
    /,
    *,
    created: str = "2025-11-01",
    expires: str = "2026-11-01",
    registrar: str = "iana:9999",
    servers: str = "ns1.dns.example ns2.dns.example",
    status: tuple[str, ...] = ("active",),
    **fields: str,
) -> list[Fact]:
    """A record, with these fields of the registrant."""
    of = entity(Kind.DOMAIN, domain)
    return [
        *(Fact(subject=of, predicate="created", object=literal(Kind.TIME, at)) for at in [created] if at),
        *(Fact(subject=of, predicate="expires", object=literal(Kind.TIME, at)) for at in [expires] if at),
        Fact(subject=of, predicate="registered-through", object=entity(Kind.REGISTRAR, registrar)),
        *(Fact(subject=of, predicate="has-status", object=literal(Kind.LABEL, one)) for one in status),
        *(
            Fact(subject=of, predicate="uses-name-server", object=entity(Kind.NAME_SERVER, one))
            for one in servers.split()
        ),
        Fact(subject=of, predicate="uses-name-servers", object=entity(Kind.NAME_SERVER_SET, servers)),
        *registrant(domain, **fields),
    ]


class Told(msgspec.Struct, frozen=True):
    """What one version comes to: its source, its time and the facts that it states or ends."""

    source: str
    at: datetime
    facts: tuple[Fact, ...]


class Answers:
    """The answers of the world's servers, in the order in which they came."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self._stood: dict[tuple[str, str, str], list[Fact]] = {}

    def say(self, on: float, facts: Iterable[Fact], *, source: str = "rdap", tier: str = "registrar") -> None:
        """An answer on a day; what another of the same source and tier stated and this one does not, ends."""
        stated = [msgspec.structs.replace(fact, qualifiers=(*fact.qualifiers, ("tier", tier))) for fact in facts]
        self._version(on, stated, source, tier, {fact.subject.value for fact in stated})

    def lose(self, on: float, name: str, *, source: str = "rdap") -> None:
        """The registry says that there is no such domain: everything ends, at both tiers."""
        for tier in ("registry", "registrar"):
            self._version(on, [], source, tier, {name})

    def _version(self, on: float, stated: list[Fact], source: str, tier: str, names: set[str]) -> None:
        keys = {fact_key(source, fact) for fact in stated}
        at = day(0) + (day(1) - day(0)) * on
        ended = [
            msgspec.structs.replace(fact, ends=True)
            for name in names
            for fact in self._stood.get((source, tier, name), [])
            if fact_key(source, fact) not in keys
        ]
        for name in names:
            self._stood[source, tier, name] = [fact for fact in stated if fact.subject.value == name]
        dated = tuple(msgspec.structs.replace(fact, event_time=at) for fact in (*stated, *ended))
        self.told.append(Told(source, at, dated))

    def load(self, world: World) -> None:
        """Load what was told since, version by version."""
        for one in self.told:
            world.load_all(one.facts, source=one.source, as_of=one.at)
        self.told.clear()
