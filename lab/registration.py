"""An invented registry and its registrar on loopback, over RDAP and WHOIS, with a history and a clock that moves.

In: a `Registry` (domain -> versions of its record). Out: `lab()`, four servers until the block ends: RDAP and WHOIS of
the registry tier (who the registrar is, no registrant) and of the registrar tier (with the registrant, as far as it
is not redacted on the clock's day). `Behaviour` makes a server throttle, drip, refer in a circle or speak another way
of "not found". Names are reserved ones only.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.server import serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

Tier = Literal["registry", "registrar"]
DAY_ONE = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

NOT_FOUND_FORMS = (
    'No match for "{upper}".\r\n>>> Last update of whois database: 2026-03-01T00:00:00Z <<<\r\n',
    "NOT FOUND\r\n",
    "Domain not found.\r\n",
    "% No entries found for the selected source(s).\r\n",
    "Domain:\t{domain}\r\nStatus:\tAVAILABLE\r\n",
    "{domain} is free\r\n",
)
THROTTLED_FORM = "%% Too many requests, slow down and try later.\r\n%% No entries found in the database.\r\n"


@dataclass(frozen=True, kw_only=True)
class Person:
    """An invented registrant."""

    name: str = "Ada Invented"
    organisation: str = "Invented Widgets"
    email: str = "ada@registrant.example"
    phone: str = "+44.2079460123"
    country: str = "GB"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One version of a domain's record. Times are event time, UTC. `privacy` says how the registrant is shown."""

    created: datetime = DAY_ONE
    updated: datetime = DAY_ONE
    expires: datetime = DAY_ONE + timedelta(days=365)
    registrar: str = "Example Registrar Ltd"
    registrar_iana_id: str = "9999"
    registrant: Person = Person()
    privacy: Literal["exposed", "placeholder", "declared", "proxy"] = "exposed"
    name_servers: tuple[str, ...] = ("ns1.hosting.example", "ns2.hosting.example")
    statuses: tuple[str, ...] = ("client transfer prohibited",)

    @property
    def shown(self) -> Person | None:
        """The registrant as the world sees it, None where it is left out and declared so."""
        if self.privacy == "placeholder":
            masked = "REDACTED FOR PRIVACY"
            prose = "Please query the RDDS service of the Registrar of Record identified in this output"
            return Person(name=masked, organisation=masked, email=prose, phone=masked, country="GB")
        if self.privacy == "proxy":
            return Person(name="Whois Privacy Service", organisation="Example Proxy Service", email="p1@proxy.example")
        return None if self.privacy == "declared" else self.registrant


@dataclass(kw_only=True)
class Behaviour:
    """How a server behaves or misbehaves; every switch may be turned while it runs."""

    throttled: bool = False
    drip_seconds: float = 0.0
    circular: bool = False
    not_found_form: str = NOT_FOUND_FORMS[0]


@dataclass(kw_only=True)
class Registry:
    """The invented registry: versions of each domain's record, by the time from which they are shown."""

    versions: Mapping[str, tuple[tuple[datetime, Record], ...]]
    now: datetime = DAY_ONE

    def move(self, days: float) -> None:
        """Move the clock on."""
        self.now += timedelta(days=days)

    def record(self, domain: str) -> Record | None:
        """What the registry holds of a domain at the clock's time."""
        past = [record for since, record in self.versions.get(domain, ()) if since <= self.now]
        return past[-1] if past else None


def lapse_registry() -> Registry:
    """One domain whose registrant is exposed on day 1 and redacted from day 3, and two that always hide it."""
    first = Record()
    hidden = replace(first, privacy="declared", updated=DAY_ONE + timedelta(days=2))
    return Registry(
        versions={
            "lapse.example": ((DAY_ONE, first), (DAY_ONE + timedelta(days=2), hidden)),
            "masked.example": ((DAY_ONE, replace(first, privacy="placeholder")),),
            "proxied.test": ((DAY_ONE, replace(first, privacy="proxy")),),
        }
    )


@dataclass(kw_only=True)
class RegistrationLab:
    """Where the four servers listen, how each behaves, and what WHOIS servers were asked, in order."""

    registry: Registry
    behaviour: dict[Tier, Behaviour]
    rdap: dict[Tier, str] = field(default_factory=dict)
    whois: dict[Tier, tuple[str, int]] = field(default_factory=dict)
    asked: list[tuple[Tier, str]] = field(default_factory=list)

    @property
    def allow(self) -> frozenset[tuple[str, int]]:
        """The pairs that `network.allow` takes."""
        rdap = {("127.0.0.1", int(url.rpartition(":")[2])) for url in self.rdap.values()}
        return frozenset(rdap | set(self.whois.values()))


@contextlib.contextmanager
def lab(registry: Registry | None = None) -> Iterator[RegistrationLab]:
    """Run the four servers until the block ends."""
    here = RegistrationLab(
        registry=registry or lapse_registry(), behaviour={"registry": Behaviour(), "registrar": Behaviour()}
    )
    tiers: tuple[Tier, ...] = ("registry", "registrar")
    with contextlib.ExitStack() as stack:
        for tier in tiers:
            here.rdap[tier] = stack.enter_context(serve(rdap_app(here, tier))).url
            here.whois[tier] = stack.enter_context(_serve_whois(here, tier))
        yield here


def rdap_app(here: RegistrationLab, tier: Tier) -> Starlette:
    """The RDAP server of one tier (RFC 9083)."""

    def domain(request: Request) -> Response:
        if here.behaviour[tier].throttled:
            return JSONResponse({"errorCode": 429, "title": "Rate limit"}, 429, headers={"Retry-After": "30"})
        name = request.path_params["name"].lower()
        record = here.registry.record(name)
        if record is None:
            return JSONResponse({"errorCode": 404, "title": "Not Found"}, 404, media_type="application/rdap+json")
        document = rdap_document(name, record, tier, here.rdap)
        return JSONResponse(document, media_type="application/rdap+json")

    return Starlette(routes=[Route("/domain/{name}", domain)])


def rdap_document(name: str, record: Record, tier: Tier, bases: Mapping[Tier, str]) -> dict[str, Any]:
    """A domain's RDAP record as one tier tells it."""
    document: dict[str, Any] = {
        "objectClassName": "domain",
        "rdapConformance": ["rdap_level_0"],
        "ldhName": name.upper(),
        "status": list(record.statuses),
        "events": [
            {"eventAction": "registration", "eventDate": _stamp(record.created)},
            {"eventAction": "last changed", "eventDate": _stamp(record.updated)},
            {"eventAction": "expiration", "eventDate": _stamp(record.expires)},
        ],
        "nameservers": [{"objectClassName": "nameserver", "ldhName": host} for host in record.name_servers],
        "secureDNS": {"delegationSigned": False},
        "entities": [
            {
                "objectClassName": "entity",
                "roles": ["registrar"],
                "publicIds": [{"type": "IANA Registrar ID", "identifier": record.registrar_iana_id}],
                "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", record.registrar]]],
            }
        ],
    }
    if tier == "registry":
        href = f"{bases['registrar']}/domain/{name}"
        document["links"] = [{"rel": "related", "type": "application/rdap+json", "href": href}]
        return document
    person = record.shown
    if person is None:
        document["rdapConformance"].append("redacted")
        document["redacted"] = [
            {"name": {"description": f"Registrant {part}"}, "method": "removal", "pathLang": "jsonpath"}
            for part in ("Name", "Organization", "Email", "Phone")
        ]
        return document
    card = [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", person.name],
        ["org", {}, "text", person.organisation],
        ["adr", {"cc": person.country}, "text", ["", "", "", "", "", "", ""]],
        ["tel", {"type": "voice"}, "uri", f"tel:{person.phone}"],
        ["email", {}, "text", person.email],
    ]
    document["entities"].append({"objectClassName": "entity", "roles": ["registrant"], "vcardArray": ["vcard", card]})
    return document


def whois_text(name: str, record: Record, tier: Tier, referral: str) -> str:
    """A domain's WHOIS record as one tier tells it (ICANN Registry Agreement, specification 4)."""
    lines = [
        f"Domain Name: {name.upper()}",
        *([f"Registrar WHOIS Server: {referral}"] if referral else []),
        f"Updated Date: {_stamp(record.updated)}",
        f"Creation Date: {_stamp(record.created)}",
        f"Registry Expiry Date: {_stamp(record.expires)}",
        f"Registrar: {record.registrar}",
        f"Registrar IANA ID: {record.registrar_iana_id}",
        *(f"Domain Status: {status} https://icann.org/epp#{status}" for status in record.statuses),
    ]
    if tier == "registrar":
        hidden = "REDACTED FOR PRIVACY"
        masked = Person(name=hidden, organisation=hidden, email=hidden, phone=hidden)
        person = record.shown or masked
        lines += [
            f"Registrant Name: {person.name}",
            f"Registrant Organization: {person.organisation}",
            f"Registrant Country: {person.country}",
            f"Registrant Phone: {person.phone}",
            f"Registrant Email: {person.email}",
        ]
    lines += [*(f"Name Server: {host.upper()}" for host in record.name_servers), "DNSSEC: unsigned"]
    return "\r\n".join([*lines, ">>> Last update of WHOIS database: 2026-03-01T00:00:00Z <<<", ""])


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _referral(here: RegistrationLab, tier: Tier) -> str:
    if tier == "registrar" and not here.behaviour[tier].circular:
        return ""
    host, port = here.whois["registrar" if tier == "registry" else "registry"]
    return f"{host}:{port}"


def _reply(here: RegistrationLab, tier: Tier, query: str) -> str:
    here.asked.append((tier, query))
    behaviour = here.behaviour[tier]
    if behaviour.throttled:
        return THROTTLED_FORM
    name = query.rsplit(maxsplit=1)[-1].lower() if query.split() else ""
    record = here.registry.record(name)
    if record is None:
        return behaviour.not_found_form.format(domain=name, upper=name.upper())
    return whois_text(name, record, tier, _referral(here, tier))


@contextlib.contextmanager
def _serve_whois(here: RegistrationLab, tier: Tier) -> Iterator[tuple[str, int]]:
    closing = threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        timeout = 10

        def handle(self) -> None:
            query = self.rfile.readline(1024).decode("ascii", "replace").strip()
            data = _reply(here, tier, query).encode()
            wait = here.behaviour[tier].drip_seconds
            # A client that has had enough closes: that is its right, and no fault of ours.
            with contextlib.suppress(OSError):
                if not wait:
                    self.wfile.write(data)
                for byte in data if wait else b"":
                    if closing.wait(wait):
                        return
                    self.wfile.write(bytes([byte]))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 64

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield "127.0.0.1", int(server.server_address[1])
        finally:
            closing.set()
            server.shutdown()
            thread.join(5)
