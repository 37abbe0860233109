"""The invented world: an actor, its infrastructure, what sources say of it, and how that changes over four days.

Names and addresses are reserved ones (RFC 2606, RFC 5737). The same moment always gives the same documents.

The story: on Monday sources name a few hosts of "Grey Heron". On Wednesday it registers a new domain without hiding the
registrant, points it to an address that it has used before, and takes a certificate for it with the key of an older
one; another certificate names a host of its beside a name that nobody knew, and somebody takes one for a name that
looks like ours. On Friday the registrant is hidden. An analyst who watches from Monday on sees it all.

Registries know more of the actor: an old domain that shows the same registrant to this day, one that malware names and
that nobody had registered before Wednesday, and one that a court takes away on Tuesday.

Two of the actor's domains nobody reports. One is registered on Wednesday by the same registrant, on the actor's own
pair of name servers, and one has a certificate with the actor's old key. Beside them stand others that must be left
alone: a shop on the same content network, a stranger with the same registrar and mail provider, a customer of the
reseller whose mailbox the new domain's record shows, and what else the court holds.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from lab.certificates import Authority, Order, key_from_seed, spki_der
from lab.ct import CtLog
from lab.registration_records import Person, Registry, hide, history, register, seize

MONDAY: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WEDNESDAY: Final = MONDAY + timedelta(days=2)
FRIDAY: Final = MONDAY + timedelta(days=4)

ACTOR: Final = "maltrail:apt_greyheron"
KNOWN_DOMAIN: Final = "harbour-login.example"
KNOWN_ADDRESS: Final = "203.0.113.10"
NEW_DOMAIN: Final = "harbour-portal.example"
OUR_DOMAIN: Final = "harbour.example"
LOOKALIKE: Final = "harb0ur.example"
BESIDE: Final = "quiet-freight.example"
"""What nobody knew before a certificate named it together with a host of the actor's."""
OLD_DOMAIN: Final = "heron-freight.example"
"""The actor's, registered long ago by the one who registers `NEW_DOMAIN`, and never hidden."""
FALLBACK: Final = "heron-standby.example"
"""What the actor's malware falls back to; registered on Wednesday."""
SEIZED: Final = "heron-parcel.example"
"""The actor's until Tuesday, when it is seized."""
NEXT: Final = "pilot-notices.example"
"""The actor's next domain, which nobody reports: the same pair of name servers, the same registrant."""
ANOTHER: Final = "berth-update.example"
"""And one more: the key of its certificate shows whose it is."""
STRANGERS: Final = ("tidal-gifts.example", "ferry-club.example", "cooper-supplies.example", "crane-parcel.example")
"""On the same content network; with the same registrar and mail provider; of the same reseller; seized as well."""
CONTENT_NETWORK: Final = "198.51.100.200"
MAIL_PROVIDER: Final = "heron-mail.example"
"""Anybody may have a mailbox there."""
DEFAULTS: Final = "hosting.example"
RESELLER: Final = "orders@resold.example"
OPERATOR: Final = Person(
    name="Invented Operator", organisation="", email=f"ops@{MAIL_PROVIDER}", phone="", handle="C2207-LAB"
)
"""Who registers for the actor."""
AUTHORITY: Final = "seized-by.example"
"""Below it are the name servers of what a court takes away."""
_NAMESPACE: Final = uuid.UUID("6f0f3a52-6a54-4a53-9c7f-0d9f5a3f8f11")

_NOISE: Final = tuple(f"parcel-{number:03d}.example" for number in range(120))
_SERVERS: Final = ("ns1.quiet-dns.example", "ns2.quiet-dns.example")
_REGISTRAR: Final = "Example Registrar Ltd"


def documents(at: datetime) -> dict[str, tuple[bytes, str]]:
    """Path -> (body, media type) of every feed at this moment."""
    found: dict[str, tuple[bytes, str]] = {
        "lists/phishing.txt": (_phishing_list(at), "text/plain"),
        "lists/newly-registered.txt": (_newly_registered(at), "text/plain"),
        "csv/urls.csv": (_url_table(at), "text/csv"),
        "csv/registrations.csv": (_registrations(at), "text/csv"),
        "json/new-domains.json": (_new_domains(at), "application/json"),
        "trails/apt_greyheron.txt": (_trail(at), "text/plain"),
        "galaxy/threat-actor.json": (_galaxy(), "application/json"),
        "stix/report.json": (_bundle(at), "application/json"),
    }
    events = _misp_events(at)
    manifest = {one["uuid"]: {"info": one["info"], "timestamp": one["timestamp"]} for one in events}
    found["misp/manifest.json"] = (_json(manifest), "application/json")
    for one in events:
        found[f"misp/{one['uuid']}.json"] = (_json({"Event": one}), "application/json")
    return found


def taxii_objects(at: datetime) -> list[tuple[datetime, dict[str, Any]]]:
    """What the upstream TAXII server holds: (date added, object)."""
    held = [
        (
            MONDAY - timedelta(hours=3),
            indicator(f"[ipv4-addr:value = '{KNOWN_ADDRESS}']", MONDAY, "command and control"),
        )
    ]
    if at >= WEDNESDAY:
        url = f"https://files.{KNOWN_DOMAIN}/invoice.zip"
        held.append((WEDNESDAY - timedelta(hours=1), indicator(f"[url:value = '{url}']", WEDNESDAY, "payload")))
    return held


def registry() -> Registry:
    """Who registered what, and how that is shown from when."""
    theirs: dict[str, Any] = {"registrant": OPERATOR, "name_servers": _SERVERS}
    another = Person(name="Invented Buyer", organisation="", email="buyer@post.example", phone="", handle="C3310-LAB")
    before = MONDAY - timedelta(days=90)
    return Registry(
        versions={
            KNOWN_DOMAIN: history((before, register(privacy="declared", **theirs))),
            OLD_DOMAIN: history((before - timedelta(days=200), register(**theirs))),
            SEIZED: history(
                (before, register(privacy="proxy", **theirs)), (MONDAY + timedelta(days=1), seize(AUTHORITY))
            ),
            NEW_DOMAIN: history(
                (WEDNESDAY - timedelta(hours=6), register(**theirs)), (FRIDAY - timedelta(hours=2), hide())
            ),
            FALLBACK: history((WEDNESDAY - timedelta(hours=5), register(privacy="proxy", **theirs))),
            NEXT: history((WEDNESDAY - timedelta(hours=5), register(**theirs))),
            ANOTHER: history((WEDNESDAY - timedelta(hours=5), register(privacy="proxy", registrant=OPERATOR))),
            LOOKALIKE: history((WEDNESDAY - timedelta(hours=3), register(privacy="placeholder", registrant=another))),
        },
        now=MONDAY,
    )


def certificates(at: datetime) -> list[bytes]:
    """What the CT log holds, in order: other people's certificates, and those of the actor, which share a key."""
    authority = Authority("Lab Authority")
    others = [authority.issue(_order(name, f"www.{name}", since=MONDAY - timedelta(days=9))) for name in _NOISE[:40]]
    known = authority.issue(_order(KNOWN_DOMAIN, key=_HERON, since=MONDAY - timedelta(days=80)))
    held = [*others[:25], known, *others[25:]]
    if at >= WEDNESDAY:
        another = _order(ANOTHER, key=_HERON, since=WEDNESDAY - timedelta(hours=3))
        held += [_final(authority, _new_domain()).der, _final(authority, another).der]
    return held


def key() -> str:
    """The actor's key, as the warehouse has it."""
    return f"sha256:{hashlib.sha256(spki_der(key_from_seed(_HERON))).hexdigest()}"


def tiled(at: datetime) -> list[Submission]:
    """What the tiled log holds, in order. The actor's new certificate stands in both logs, here as a precertificate."""
    authority, another = Authority("Lab Authority"), Authority("Lab Tiled Authority")
    held = []
    for name in _NOISE[40:70]:
        order = _order(name, f"www.{name}", since=MONDAY - timedelta(days=5))
        held += [_precertificate(another, order), _final(another, order)]
    if at >= WEDNESDAY:
        beside = _order(f"mx.{KNOWN_DOMAIN}", BESIDE, since=WEDNESDAY - timedelta(hours=9))
        lookalike = _order(LOOKALIKE, f"login.{LOOKALIKE}", since=WEDNESDAY - timedelta(hours=2))
        held += [
            _precertificate(authority, _new_domain()),
            _final(another, beside),
            _precertificate(another, lookalike),
        ]
        if at >= FRIDAY:
            held.append(_final(another, lookalike))
    return held


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A certificate or precertificate, and who issued it."""

    der: bytes
    issuer: Authority


_HERON: Final = "grey heron's server"


def _new_domain() -> Order:
    return _order(NEW_DOMAIN, f"mail.{NEW_DOMAIN}", key=_HERON, since=WEDNESDAY - timedelta(hours=4))


def _order(*names: str, since: datetime, key: str = "") -> Order:
    return Order(names=names, key=key_from_seed(key or names[0]), not_before=since)


def _precertificate(authority: Authority, order: Order) -> Submission:
    return Submission(der=authority.precertificate(order), issuer=authority)


def _final(authority: Authority, order: Order) -> Submission:
    """With the SCT of a log that nobody follows here."""
    log = CtLog(seed="log that nobody follows")
    sct = log.append(authority.precertificate(order), issuer_key_hash=authority.key_hash)
    return Submission(der=authority.final(order, [sct]), issuer=authority)


def indicator(pattern: str, at: datetime, name: str) -> dict[str, Any]:
    """A STIX 2.1 indicator with a deterministic id."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "type": "indicator",
        "spec_version": "2.1",
        "id": f"indicator--{uuid.uuid5(_NAMESPACE, pattern)}",
        "created": stamp,
        "modified": stamp,
        "name": name,
        "indicator_types": ["malicious-activity"],
        "pattern": pattern,
        "pattern_type": "stix",
        "valid_from": stamp,
        "confidence": 70,
    }


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1, sort_keys=True).encode()


def _phishing_list(at: datetime) -> bytes:
    gone = 10 if at >= WEDNESDAY else 0
    lines = ["# Invented phishing domains, the whole list each time", *_NOISE[gone:80]]
    if at >= WEDNESDAY:
        lines.append(f"account.{KNOWN_DOMAIN}")
    return "\n".join([*lines, ""]).encode()


def _newly_registered(at: datetime) -> bytes:
    """The names that were registered on the day before, one a line, as sellers of such lists give them."""
    names = list(_NOISE[80:110])
    if at >= WEDNESDAY:
        names = [*(f"shop-{number:04d}.example" for number in range(2000)), NEW_DOMAIN, FALLBACK, LOOKALIKE]
    if at >= FRIDAY:
        names = [f"shop-{number:04d}.example" for number in range(2000, 3000)]
    return "\n".join([*sorted(names), ""]).encode()


def _url_table(at: datetime) -> bytes:
    rows = ["date,type,indicator,tag,reference"]
    for number, name in enumerate(_NOISE[:30]):
        day = MONDAY - timedelta(hours=number)
        rows.append(
            f"{day:%Y-%m-%d %H:%M:%S},url,hxxps://{name.replace('.', '[.]')}/track/{number},phishing,https://posts.example/{number}"
        )
    rows.append(f"{MONDAY:%Y-%m-%d %H:%M:%S},domain,not a domain at all,phishing,https://posts.example/broken")
    if at >= WEDNESDAY:
        rows.append(f"{WEDNESDAY:%Y-%m-%d %H:%M:%S},ip,{KNOWN_ADDRESS},c2,https://posts.example/heron")
    return "\n".join([*rows, ""]).encode()


def _registrations(at: datetime) -> bytes:
    """What a seller of registration records has: when it looked, the domain, and what stood there."""
    theirs, common, taken = " ".join(_SERVERS), f"ns1.{DEFAULTS} ns2.{DEFAULTS}", f"ns1.{AUTHORITY} ns2.{AUTHORITY}"
    long_ago = MONDAY - timedelta(days=90)
    if at < WEDNESDAY:
        rows = [
            (name, MONDAY, f",owner-{number}@post.example,", common, f"198.51.100.{number}")
            for number, name in enumerate(_NOISE[80:110], start=1)
        ]
        rows.append((SEIZED, long_ago, ",,", theirs, "203.0.113.14"))
    else:
        rows = [
            (NEW_DOMAIN, WEDNESDAY, f"{OPERATOR.name},{RESELLER},+44 20 7946 0654", theirs, CONTENT_NETWORK),
            (NEXT, WEDNESDAY, f",{OPERATOR.email},", theirs, "203.0.113.12"),
            (SEIZED, long_ago, ",,", taken, "192.0.2.80"),
            (STRANGERS[3], long_ago, ",,", taken, "192.0.2.80"),
            (STRANGERS[0], MONDAY, ",keeper@tidal-mail.example,", common, CONTENT_NETWORK),
            (STRANGERS[1], WEDNESDAY, f",captain@{MAIL_PROVIDER},", common, "198.51.100.61"),
            (STRANGERS[2], WEDNESDAY, f"Cooper Imagined,{RESELLER},+44 20 7946 0321", common, "198.51.100.62"),
        ]
    lines = [f"{at:%Y-%m-%d},{name},{day:%Y-%m-%d},{_REGISTRAR},{','.join(more)}" for name, day, *more in rows]
    return "\n".join(["seen,domain,created,registrar,registrant,email,phone,servers,address", *lines, ""]).encode()


def _new_domains(at: datetime) -> bytes:
    rows = [
        {
            "domain": name,
            "created": f"{MONDAY - timedelta(days=1):%Y-%m-%d}",
            "registrar": _REGISTRAR,
            "ip": f"198.51.100.{number}",
        }
        for number, name in enumerate(_NOISE[80:110], start=1)
    ]
    if at >= WEDNESDAY:
        rows.append(
            {
                "domain": NEW_DOMAIN,
                "created": f"{WEDNESDAY:%Y-%m-%d}",
                "registrar": _REGISTRAR,
                "ip": KNOWN_ADDRESS,
            }
        )
    return _json(rows)


def _trail(at: datetime) -> bytes:
    lines = [
        "# Copyright: nobody; this trail is invented",
        "",
        "# Aliases: gh-7",
        "",
        "# Reference: https://reports.example/grey-heron-2026",
        "",
        KNOWN_DOMAIN,
        f"cdn.{KNOWN_DOMAIN}",
        KNOWN_ADDRESS,
        "198.51.100.77:8443",
        "heron.dynamic-dns.example",
        OLD_DOMAIN,
        FALLBACK,
        SEIZED,
    ]
    if at >= FRIDAY:
        lines += ["", "# Reference: https://reports.example/grey-heron-again", "", NEW_DOMAIN]
    return "\n".join([*lines, ""]).encode()


def _galaxy() -> bytes:
    def cluster(name: str, aliases: list[str]) -> dict[str, Any]:
        return {
            "uuid": str(uuid.uuid5(_NAMESPACE, name)),
            "value": name,
            "description": f"{name} is invented.",
            "meta": {"synonyms": aliases, "refs": ["https://reports.example/"]},
        }

    # Two actors share the alias GH-7 and stay two.
    clusters = [cluster("Grey Heron", ["GH-7", "Ardea"]), cluster("Paper Crane", ["GH-7"])]
    return _json(
        {
            "name": "Invented actors",
            "type": "threat-actor",
            "uuid": str(uuid.uuid5(_NAMESPACE, "galaxy")),
            "values": clusters,
            "version": 1,
        }
    )


def _bundle(at: datetime) -> bytes:
    objects = [indicator(f"[domain-name:value = '{KNOWN_DOMAIN}']", MONDAY, "phishing host")]
    if at >= WEDNESDAY:
        digest = hashlib.sha256(b"invoice.zip").hexdigest()
        objects.append(indicator(f"[file:hashes.'SHA-256' = '{digest}']", WEDNESDAY, "payload"))
    return _json({"type": "bundle", "id": f"bundle--{uuid.uuid5(_NAMESPACE, 'report')}", "objects": objects})


def _misp_events(at: datetime) -> list[dict[str, Any]]:
    def event(name: str, when: datetime, attributes: list[tuple[str, str]]) -> dict[str, Any]:
        return {
            "uuid": str(uuid.uuid5(_NAMESPACE, f"event {name}")),
            "info": name,
            "date": f"{when:%Y-%m-%d}",
            "timestamp": str(int(when.timestamp())),
            "Tag": [{"name": "tlp:green"}],
            "Attribute": [
                {
                    "uuid": str(uuid.uuid5(_NAMESPACE, f"{name} {kind} {value}")),
                    "type": kind,
                    "value": value,
                    "to_ids": True,
                    "timestamp": str(int(when.timestamp())),
                }
                for kind, value in attributes
            ],
        }

    held = [event("Parcel phishing", MONDAY, [("domain", name) for name in _NOISE[30:36]])]
    if at >= WEDNESDAY:
        held.append(
            event(
                "Heron at it again",
                WEDNESDAY,
                [("ip-dst|port", f"{KNOWN_ADDRESS}|8443"), ("domain", f"mx.{KNOWN_DOMAIN}")],
            )
        )
    return held


class InventedWorld:
    """The documents as `lab.feeds.feeds_app` wants them."""

    def documents(self, at: datetime) -> Mapping[str, tuple[bytes, str]]:
        """Path -> (body, media type) at this moment."""
        return documents(at)

    def taxii_objects(self, at: datetime) -> list[tuple[datetime, dict[str, Any]]]:
        """What the upstream TAXII server holds."""
        return taxii_objects(at)

    def certificates(self, at: datetime) -> list[bytes]:
        """What the CT log holds."""
        return certificates(at)

    def tiled(self, at: datetime) -> list[Submission]:
        """What the tiled CT log holds."""
        return tiled(at)
