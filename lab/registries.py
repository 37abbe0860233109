"""Many invented registries and registrars at once, with the root that leads to them: all on loopback, in one thread.

In: `Plan`s (a registry: its names, its protocols, its limit) and `RegistrarPlan`s. Out: `Registries`, until the block
ends: an RDAP and a WHOIS server for each that has one, IANA's bootstrap files (RFC 9224) and WHOIS root, an RIR; what
each was asked, and what went over a limit. A thin registry refers to the registrar of the record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from lab import registries_numbers as numbers
from lab.registration_records import Record, Registry
from lab.registration_replies import NOT_FOUND_FORMS, iana_text, rdap_document, rpsl_text, whois_text
from lab.registries_limits import Limit
from lab.registries_serving import Loop, Protocol, Reply, json_reply, running_loop, text_reply
from lab.registries_sites import Query, Site, files

NOWHERE: Final = json_reply({"errorCode": 404, "title": "Not Found"}, 404)
_UNSUPPORTED: Final = json_reply({"errorCode": 501, "title": "Not Implemented"}, 501)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A registry: what it holds, for which suffixes (or whole names) it is named, and how it is asked.

    A `thin` registry does not show registrants; the registrar does, where it has servers.
    """

    name: str
    registry: Registry
    suffixes: tuple[str, ...]
    rdap: bool = True
    whois: bool = True
    thin: bool = True
    limit: Limit | None = None
    whois_form: Literal["icann", "rpsl"] = "icann"
    not_found_form: str = NOT_FOUND_FORMS[0]


@dataclass(frozen=True, kw_only=True)
class RegistrarPlan:
    """A registrar with servers of its own; `iana_id` is what records name it by. `*` is there for all the others."""

    iana_id: str
    rdap: bool = True
    whois: bool = True
    limit: Limit | None = None


@dataclass(kw_only=True)
class Registries:
    """The servers that run. A site is named `rdap NAME` or `whois NAME`, NAME a registry's or a registrar's id."""

    plans: Sequence[Plan]
    sites: dict[str, Site] = field(default_factory=dict)

    @property
    def allow(self) -> frozenset[tuple[str, int]]:
        """The pairs that `network.allow` takes."""
        return frozenset(site.where for site in self.sites.values())

    @property
    def queries(self) -> list[Query]:
        """All questions, in order."""
        return sorted((one for site in self.sites.values() for one in site.queries), key=lambda one: one.at)

    @property
    def bootstrap(self) -> str:
        """The URL of the list of RDAP servers for names; those for numbers lie beside it."""
        return f"{self.sites['iana'].url}/rdap/dns.json"

    @property
    def root(self) -> str:
        """The WHOIS root, `host:port`."""
        return self.sites["root"].key

    def move(self, moment: datetime) -> None:
        """Take all clocks to `moment`."""
        for plan in self.plans:
            plan.registry.now = moment

    def registrar(self, protocol: Protocol, record: Record) -> Site | None:
        """The server of the record's registrar."""
        return self.sites.get(f"{protocol} {record.registrar_iana_id}") or self.sites.get(f"{protocol} *")

    def documents(self) -> Mapping[str, Any]:
        """IANA's files (RFC 9224): path -> content."""
        dns = [
            [list(plan.suffixes), [site.url + "/"]]
            for plan in self.plans
            if (site := self.sites.get(f"rdap {plan.name}"))
        ]
        rir = [self.sites["rdap rir"].url + "/"]
        made = {"version": "1.0", "publication": "2026-03-01T00:00:00Z"}
        return {
            "rdap/dns.json": made | {"services": dns},
            "rdap/ipv4.json": made | {"services": [[["203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24"], rir]]},
            "rdap/ipv6.json": made | {"services": [[["2001:db8::/32"], rir]]},
            "rdap/asn.json": made | {"services": [[["64496-64511"], rir]]},
            "rdap/object-tags.json": made | {"services": [[["noc@registry.example"], ["LAB"], rir]]},
        }

    def refers(self, query: str) -> str:
        """What the WHOIS root says of a name or suffix."""
        labels = query.split(".")
        endings = [".".join(labels[index:]) for index in range(len(labels))]
        for ending in endings:
            for plan in self.plans:
                if ending in plan.suffixes:
                    site = self.sites.get(f"whois {plan.name}")
                    return iana_text(ending, site.key if site else "")
        return f"% IANA WHOIS server\n% This query returned 0 objects.\ndomain: {labels[-1].upper()}\n"


@contextlib.contextmanager
def registries(plans: Sequence[Plan], registrars: Sequence[RegistrarPlan] = ()) -> Iterator[Registries]:
    """Run all of them until the block ends."""
    here = Registries(plans=plans)
    with running_loop() as loop:
        for plan in plans:
            if plan.rdap:
                _open(here, loop, f"rdap {plan.name}", rdap_answers(here, plan), plan.limit)
            if plan.whois:
                _open(here, loop, f"whois {plan.name}", whois_answers(here, plan), plan.limit)
        for one in registrars:
            if one.rdap:
                _open(here, loop, f"rdap {one.iana_id}", _registrar_rdap(here, one.iana_id), one.limit)
            if one.whois:
                _open(here, loop, f"whois {one.iana_id}", _registrar_whois(here, one.iana_id), one.limit)
        _open(here, loop, "rdap rir", numbers.answers(), None)
        here.sites["iana"] = Site(name="iana", protocol="rdap", answers=files(here.documents)).open(loop)
        root = Site(name="root", protocol="whois", answers=lambda about: text_reply(here.refers(about)))
        here.sites["root"] = root.open(loop)
        yield here


def _open(here: Registries, loop: Loop, name: str, answers: Callable[[str], Reply], limit: Limit | None) -> None:
    protocol: Literal["rdap", "whois"] = "rdap" if name.startswith("rdap ") else "whois"
    here.sites[name] = Site(name=name, protocol=protocol, answers=answers, limit=limit).open(loop)


def rdap_answers(here: Registries, plan: Plan) -> Callable[[str], Reply]:
    """What a registry's RDAP server answers to a path."""
    registry = plan.registry

    def answer(path: str) -> Reply:
        kind, _, name = path.partition("/")
        if kind == "nameserver":
            return _name_server(registry, name)
        if kind != "domain":
            return _UNSUPPORTED
        if said := registry.aside.get(name):
            return _aside_rdap(said)
        record = registry.record(name)
        if record is None:
            return NOWHERE
        if not plan.thin:
            return json_reply(rdap_document(name, record, "registrar", {}, as_of=registry.as_of))
        site = here.registrar("rdap", record)
        bases = {"registrar": site.url} if site else {}
        return json_reply(rdap_document(name, record, "registry", bases, as_of=registry.as_of))  # type: ignore[arg-type]  # a literal's key

    return answer


def whois_answers(here: Registries, plan: Plan) -> Callable[[str], Reply]:
    """What a registry's WHOIS server answers to a name."""
    registry = plan.registry

    def answer(name: str) -> Reply:
        if said := registry.aside.get(name):
            return _aside_whois(said, name)
        record = registry.record(name)
        if record is None:
            return text_reply(plan.not_found_form.format(domain=name, upper=name.upper()))
        if plan.whois_form == "rpsl":
            return text_reply(rpsl_text(name, record, as_of=registry.as_of))
        site = here.registrar("whois", record) if plan.thin else None
        tier: Literal["registry", "registrar"] = "registry" if plan.thin else "registrar"
        return text_reply(whois_text(name, record, tier, site.key if site else "", as_of=registry.as_of))

    return answer


def _held(here: Registries, iana_id: str, name: str) -> tuple[Record, datetime] | None:
    """A record that a registrar holds: it knows its own domains and no others."""
    for plan in here.plans:
        record = plan.registry.record(name)
        if record is not None and iana_id in {record.registrar_iana_id, "*"}:
            return record, plan.registry.as_of
    return None


def _registrar_rdap(here: Registries, iana_id: str) -> Callable[[str], Reply]:
    def answer(path: str) -> Reply:
        kind, _, name = path.partition("/")
        held = _held(here, iana_id, name) if kind == "domain" else None
        return json_reply(rdap_document(name, held[0], "registrar", {}, as_of=held[1])) if held else NOWHERE

    return answer


def _registrar_whois(here: Registries, iana_id: str) -> Callable[[str], Reply]:
    def answer(name: str) -> Reply:
        held = _held(here, iana_id, name)
        return text_reply(whois_text(name, held[0], "registrar", "", as_of=held[1]) if held else "No match.\r\n")

    return answer


def _name_server(registry: Registry, host: str) -> Reply:
    hosts = {one for name in registry.versions if (record := registry.record(name)) for one in record.name_servers}
    if host not in hosts:
        return NOWHERE
    return json_reply({"objectClassName": "nameserver", "rdapConformance": ["rdap_level_0"], "ldhName": host})


def _aside_rdap(said: str) -> Reply:
    if said == "reserved":
        return json_reply({"errorCode": 400, "title": "Reserved name", "description": ["The name is reserved."]}, 400)
    if said == "blocked":
        return Reply(body=b"<html><body>Access denied</body></html>", status=403, media_type="text/html")
    return Reply(body=b'{"objectClassName": "domain", "ldhName"', media_type="application/rdap+json")


def _aside_whois(said: str, name: str) -> Reply:
    if said == "reserved":
        return text_reply(f"{name}: this name is reserved by the registry\r\n")
    if said == "blocked":
        return text_reply("Access denied: your address has been blocked.\r\n")
    return text_reply("OK 0\r\n\r\n")
