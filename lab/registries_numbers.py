"""What an invented RIR holds: networks and autonomous systems, and their RDAP objects (RFC 9083 sections 5.4, 5.5).

In: `Network`s and `System`s with documentation addresses and numbers. Out: RDAP answers to `ip/...` and `autnum/...`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any, Final

from lab.registration_records import Person
from lab.registration_replies import card
from lab.registries_serving import Reply, json_reply

HOSTING: Final = Person(name="", organisation="Invented Hosting", email="noc@hosting.example", handle="ORG-IH1-LAB")


@dataclass(frozen=True, kw_only=True)
class Network:
    """An allocation."""

    cidr: str
    handle: str
    name: str
    country: str = "GB"
    holder: Person = HOSTING
    abuse: str = "abuse@hosting.example"


@dataclass(frozen=True, kw_only=True)
class System:
    """An autonomous system."""

    number: int
    name: str
    country: str = "GB"
    holder: Person = HOSTING
    abuse: str = "abuse@hosting.example"


NETWORKS = (
    Network(cidr="203.0.113.0/24", handle="NET-203-0-113-0-1", name="INVENTED-HOSTING"),
    Network(cidr="198.51.100.0/25", handle="NET-198-51-100-0-1", name="INVENTED-CLOUD", country="NL"),
    Network(cidr="2001:db8::/32", handle="NET6-2001-DB8-1", name="INVENTED-HOSTING-6"),
)
SYSTEMS = (System(number=64500, name="INVENTED-AS"), System(number=64501, name="INVENTED-CLOUD-AS", country="NL"))


def answers(networks: Sequence[Network] = NETWORKS, systems: Sequence[System] = SYSTEMS) -> Any:
    """The answers of an RIR's RDAP server."""

    def answer(path: str) -> Reply:
        kind, _, rest = path.partition("/")
        try:
            if kind == "ip":
                return _ip(rest, networks)
            if kind == "autnum":
                return _autnum(int(rest), systems)
            if kind == "entity":
                return _entity(rest, networks, systems)
        except ValueError:
            return json_reply({"errorCode": 400, "title": "Bad Request"}, 400)
        return json_reply({"errorCode": 404, "title": "Not Found"}, 404)

    return answer


def _ip(text: str, networks: Sequence[Network]) -> Reply:
    asked = ip_network(text, strict=False)
    around = [
        one
        for one in networks
        if (held := ip_network(one.cidr)).version == asked.version and asked.subnet_of(held)  # type: ignore[arg-type]  # same version
    ]
    if not around:
        return json_reply({"errorCode": 404, "title": "Not Found"}, 404)
    best = max(around, key=lambda one: ip_network(one.cidr).prefixlen)
    held = ip_network(best.cidr)
    return json_reply(
        {
            "objectClassName": "ip network",
            "rdapConformance": ["rdap_level_0", "cidr0"],
            "handle": best.handle,
            "name": best.name,
            "type": "ASSIGNED PA",
            "country": best.country,
            "startAddress": str(held.network_address),
            "endAddress": str(held.broadcast_address),
            "ipVersion": f"v{held.version}",
            "cidr0_cidrs": [{f"v{held.version}prefix": str(held.network_address), "length": held.prefixlen}],
            "entities": _contacts(best.holder, best.abuse),
            "events": [{"eventAction": "registration", "eventDate": "2020-01-01T00:00:00Z"}],
        }
    )


def _autnum(number: int, systems: Sequence[System]) -> Reply:
    found = next((one for one in systems if one.number == number), None)
    if found is None:
        return json_reply({"errorCode": 404, "title": "Not Found"}, 404)
    return json_reply(
        {
            "objectClassName": "autnum",
            "rdapConformance": ["rdap_level_0"],
            "handle": f"AS{number}",
            "startAutnum": number,
            "endAutnum": number,
            "name": found.name,
            "country": found.country,
            "entities": _contacts(found.holder, found.abuse),
        }
    )


def _entity(handle: str, networks: Sequence[Network], systems: Sequence[System]) -> Reply:
    held: list[Network | System] = [*networks, *systems]
    for one in held:
        if one.holder.handle.lower() == handle.lower():
            return json_reply({"rdapConformance": ["rdap_level_0"], **_contacts(one.holder, one.abuse)[0]})
    return json_reply({"errorCode": 404, "title": "Not Found"}, 404)


def _contacts(holder: Person, abuse: str) -> list[dict[str, Any]]:
    mailbox = Person(name="Abuse", organisation="", email=abuse, phone="", handle="AB1-LAB")
    return [
        {
            "objectClassName": "entity",
            "handle": person.handle,
            "roles": [role],
            "vcardArray": ["vcard", card(person)],
        }
        for role, person in (("registrant", holder), ("abuse", mailbox))
    ]
