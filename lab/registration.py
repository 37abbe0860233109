"""An invented registry and its registrar on loopback, over RDAP and WHOIS, with a history and a clock that moves.

In: a `Registry` (domain -> versions of its record). Out: `lab()`, four servers until the block ends: RDAP and WHOIS of
the registry tier (who the registrar is, no registrant) and of the registrar tier (with the registrant, as far as it
is not redacted on the clock's day), and what leads to them: IANA's bootstrap files, the WHOIS root, an RIR.
`Behaviour` makes a server throttle, drip, refer in a circle, speak another way of "not found", or misbehave in any way
of `lab.registries_faults`. Names are reserved ones only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lab.registration_records import DAY_ONE, Person, Privacy, Record, Registry, Tier, lapse_registry
from lab.registration_replies import NOT_FOUND_FORMS, THROTTLED_FORM, rdap_document, whois_text
from lab.registries import Plan, RegistrarPlan, Registries, registries
from lab.registries_faults import Fault
from lab.registries_serving import Peer, Protocol, Reply, json_reply, text_reply
from lab.registries_sites import Site

__all__ = [
    "DAY_ONE",
    "NOT_FOUND_FORMS",
    "THROTTLED_FORM",
    "Behaviour",
    "Person",
    "Privacy",
    "Record",
    "RegistrationLab",
    "Registry",
    "Tier",
    "lab",
    "lapse_registry",
    "rdap_document",
    "whois_text",
]

_NAMES: Final[dict[Tier, str]] = {"registry": "lab", "registrar": "*"}
_PROTOCOLS: Final[tuple[Protocol, ...]] = ("rdap", "whois")


@dataclass(kw_only=True)
class Behaviour:
    """How a tier's servers behave or misbehave; every switch may be turned while they run."""

    throttled: bool = False
    drip_seconds: float = 0.0
    circular: bool = False
    not_found_form: str = NOT_FOUND_FORMS[0]
    fault: Fault | None = None


@dataclass(kw_only=True)
class RegistrationLab:
    """Where the servers of both tiers listen, how each tier behaves, and what WHOIS servers were asked, in order."""

    registry: Registry
    behaviour: dict[Tier, Behaviour]
    servers: Registries

    @property
    def rdap(self) -> dict[Tier, str]:
        """Base URLs, without a slash at their end."""
        return {tier: self.site("rdap", tier).url for tier in _NAMES}

    @property
    def whois(self) -> dict[Tier, tuple[str, int]]:
        """Addresses of the WHOIS servers."""
        return {tier: self.site("whois", tier).where for tier in _NAMES}

    @property
    def asked(self) -> list[tuple[Tier, str]]:
        """What the WHOIS servers were asked: (tier, the question as it was sent)."""
        tiers = {f"whois {name}": tier for tier, name in _NAMES.items()}
        return [(tiers[one.site], one.asked) for one in self.servers.queries if one.site in tiers]

    @property
    def allow(self) -> frozenset[tuple[str, int]]:
        """The pairs that `network.allow` takes."""
        return self.servers.allow

    def site(self, protocol: Protocol, tier: Tier) -> Site:
        """One of the four servers."""
        return self.servers.sites[f"{protocol} {_NAMES[tier]}"]


@contextlib.contextmanager
def lab(registry: Registry | None = None) -> Iterator[RegistrationLab]:
    """Run the servers until the block ends."""
    registry = registry or lapse_registry()
    plan = Plan(name=_NAMES["registry"], registry=registry, suffixes=("example", "test"))
    with registries([plan], [RegistrarPlan(iana_id=_NAMES["registrar"])]) as servers:
        here = RegistrationLab(
            registry=registry, behaviour={"registry": Behaviour(), "registrar": Behaviour()}, servers=servers
        )
        for tier in _NAMES:
            for protocol in _PROTOCOLS:
                _behave(here, here.site(protocol, tier), tier)
        yield here


def _behave(here: RegistrationLab, site: Site, tier: Tier) -> None:
    """Let a server do what its tier's `Behaviour` says at the moment that it is asked."""
    knows = site.answers

    def answer(about: str) -> Reply:
        behaviour = here.behaviour[tier]
        if behaviour.throttled and site.protocol == "rdap":
            return json_reply({"errorCode": 429, "title": "Rate limit"}, 429, Retry_After="30")
        if behaviour.throttled:
            return text_reply(THROTTLED_FORM)
        record = here.registry.record(about)
        if site.protocol == "whois" and record is None and about not in here.registry.aside:
            return text_reply(behaviour.not_found_form.format(domain=about, upper=about.upper()))
        if site.protocol == "whois" and record is not None and behaviour.circular:
            back = here.site("whois", "registry" if tier == "registrar" else "registrar")
            return text_reply(whois_text(about, record, tier, back.key, as_of=here.registry.as_of))
        return knows(about)

    async def send(peer: Peer, reply: Reply) -> None:
        behaviour = here.behaviour[tier]
        if behaviour.fault is not None:
            await behaviour.fault(peer, reply)
            return
        data = reply.wire(peer.protocol)
        if not behaviour.drip_seconds:
            await peer.send(data)
            return
        for byte in data:
            await peer.send(bytes([byte]))
            if await peer.wait(behaviour.drip_seconds):
                return

    site.answers, site.fault = answer, send
