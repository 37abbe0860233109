"""What registration servers answer about a record: RDAP objects, WHOIS texts, in the forms that the world has.

In: a `Record`, and which tier tells it. Out: RDAP (RFC 9083, RFC 9537, the ICANN RDAP Response Profile) as a dict,
WHOIS (ICANN Registry Agreement, specification 4; RPSL as country registries write it) as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from lab.registration_records import MASK, Person, Privacy, Record, Tier

NOT_FOUND_FORMS: Final = (
    'No match for "{upper}".\r\n>>> Last update of whois database: 2026-03-01T00:00:00Z <<<\r\n',
    "NOT FOUND\r\n",
    "Domain not found.\r\n",
    "% No entries found for the selected source(s).\r\n",
    "Domain:\t{domain}\r\nStatus:\tAVAILABLE\r\n",
    "{domain} is free\r\n",
)
THROTTLED_FORM: Final = "%% Too many requests, slow down and try later.\r\n%% No entries found in the database.\r\n"

_METHODS: Final[dict[Privacy, str]] = {
    "declared": "removal",
    "emptied": "emptyValue",
    "partial": "partialValue",
    "replaced": "replacementValue",
}
_PROPERTIES: Final = {"Name": "fn", "Organization": "org", "Email": "email", "Phone": "tel"}


def stamp(at: datetime) -> str:
    """A time as these protocols write it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def rdap_document(
    name: str, record: Record, tier: Tier, bases: Mapping[Tier, str], *, as_of: datetime | None = None
) -> dict[str, Any]:
    """A domain's RDAP record as one tier tells it; the registry's links to `bases["registrar"]` where there is one."""
    document: dict[str, Any] = {
        "objectClassName": "domain",
        "rdapConformance": ["rdap_level_0"],
        "handle": f"D-{name.upper()}",
        "ldhName": name.upper(),
        "status": list(record.statuses),
        "events": [
            {"eventAction": "registration", "eventDate": stamp(record.created)},
            {"eventAction": "last changed", "eventDate": stamp(record.updated)},
            {"eventAction": "expiration", "eventDate": stamp(record.expires)},
        ],
        "nameservers": [{"objectClassName": "nameserver", "ldhName": host} for host in record.name_servers],
        "secureDNS": {"delegationSigned": False},
        "entities": [
            {
                "objectClassName": "entity",
                "handle": record.registrar_iana_id,
                "roles": ["registrar"],
                "publicIds": [{"type": "IANA Registrar ID", "identifier": record.registrar_iana_id}],
                "vcardArray": ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", record.registrar]]],
            }
        ],
    }
    if as_of is not None:
        document["events"].append({"eventAction": "last update of RDAP database", "eventDate": stamp(as_of)})
    if tier == "registrar":
        _add_registrant(document, record)
    elif bases.get("registrar"):
        href = f"{bases['registrar']}/domain/{name}"
        document["links"] = [{"rel": "related", "type": "application/rdap+json", "href": href}]
    return document


def _add_registrant(document: dict[str, Any], record: Record) -> None:
    person = record.shown
    if method := _METHODS.get(record.privacy):
        document["rdapConformance"].append("redacted")
        document["redacted"] = _redacted(method, record.privacy)
    if record.privacy == "emptied":
        person = Person(name="", organisation="", email="", phone="", country="GB", handle="")
    entity: dict[str, Any] = {"objectClassName": "entity", "roles": ["registrant"]}
    if record.privacy == "remarked":
        words = ["Some of the data in this object has been removed."]
        kind = "object redacted due to authorization"
        entity["remarks"] = [{"title": MASK, "type": kind, "description": words}]
        entity["vcardArray"] = ["vcard", [["version", {}, "text", "4.0"], ["fn", {}, "text", ""]]]
    elif person is None:
        return
    else:
        if person.handle:
            entity["handle"] = person.handle
        entity["vcardArray"] = ["vcard", card(person)]
    document["entities"].append(entity)


def _redacted(method: str, privacy: Privacy) -> list[dict[str, Any]]:
    """The members of `redacted` (RFC 9537 section 4.2). The registry's id and the address are never shown."""
    found: list[dict[str, Any]] = [
        {"name": {"type": "Registry Registrant ID"}, "method": "removal", "pathLang": "jsonpath"}
    ]
    for label, part in _PROPERTIES.items():
        path = f"$.entities[?(@.roles[0]=='registrant')].vcardArray[1][?(@[0]=='{part}')]"
        one: dict[str, Any] = {"name": {"description": f"Registrant {label}"}, "pathLang": "jsonpath"}
        if privacy == "declared" or (privacy == "partial" and label == "Phone"):
            one |= {"method": "removal", "prePath": path}
        elif privacy == "partial" and label == "Organization":
            continue
        elif privacy == "replaced" and label != "Email":
            one |= {"method": "emptyValue", "postPath": f"{path}[3]"}
        elif privacy == "replaced":
            one |= {"method": method, "prePath": path, "replacementPath": path}
        else:
            one |= {"method": method, "postPath": f"{path}[3]"}
        found.append(one | {"reason": {"description": "Server policy"}})
    return found


def card(person: Person) -> list[list[Any]]:
    """The jCard of a person (RFC 7095)."""
    return [
        ["version", {}, "text", "4.0"],
        ["fn", {}, "text", person.name],
        ["org", {}, "text", person.organisation],
        ["adr", {"cc": person.country}, "text", ["", "", "", "", "", "", ""]],
        ["tel", {"type": "voice"}, "uri", f"tel:{person.phone}" if person.phone else ""],
        ["email", {}, "text", person.email],
    ]


def whois_text(name: str, record: Record, tier: Tier, referral: str, *, as_of: datetime | None = None) -> str:
    """A domain's WHOIS record as one tier tells it (ICANN Registry Agreement, specification 4)."""
    lines = [
        f"Domain Name: {name.upper()}",
        *([f"Registrar WHOIS Server: {referral}"] if referral else []),
        f"Updated Date: {stamp(record.updated)}",
        f"Creation Date: {stamp(record.created)}",
        f"Registry Expiry Date: {stamp(record.expires)}",
        f"Registrar: {record.registrar}",
        f"Registrar IANA ID: {record.registrar_iana_id}",
        *(f"Domain Status: {status} https://icann.org/epp#{status}" for status in record.statuses),
    ]
    if tier == "registrar" and record.privacy != "silent":
        person = record.shown or Person(name=MASK, organisation=MASK, email=MASK, phone=MASK, handle=MASK)
        # Where RDAP leaves a value empty and declares it, WHOIS writes the words in its place.
        filled = person if record.privacy == "exposed" else _filled(person)
        lines += [
            f"Registry Registrant ID: {filled.handle}",
            f"Registrant Name: {filled.name}",
            f"Registrant Organization: {filled.organisation}",
            f"Registrant Country: {filled.country}",
            f"Registrant Phone: {filled.phone}",
            f"Registrant Email: {filled.email}",
        ]
    lines += [*(f"Name Server: {host.upper()}" for host in record.name_servers), "DNSSEC: unsigned"]
    told = "2026-03-01T00:00:00Z" if as_of is None else stamp(as_of)
    return "\r\n".join([*lines, f">>> Last update of WHOIS database: {told} <<<", ""])


def _filled(person: Person) -> Person:
    parts = ("name", "organisation", "email", "phone", "handle")
    return replace(person, **{part: getattr(person, part) or MASK for part in parts})


def rpsl_text(name: str, record: Record, *, as_of: datetime) -> str:
    """A domain's record as many country registries write it: objects of `key: value`, the contact by its handle."""
    person = record.shown
    lines = [
        f"% Information of {stamp(as_of)}",
        "",
        f"domain:       {name}",
        f"registrar:    {record.registrar}",
        *([f"registrant:   {person.handle}"] if person else []),
        *(f"nserver:      {host}" for host in record.name_servers),
        *(f"status:       {status}" for status in record.statuses),
        f"created:      {stamp(record.created)}",
        f"changed:      {stamp(record.updated)}",
        f"expire:       {stamp(record.expires)}",
    ]
    if person:
        lines += [
            "",
            f"contact:      {person.handle}",
            f"org:          {person.organisation}",
            f"name:         {person.name}",
            f"e-mail:       {person.email}",
            f"phone:        {person.phone}",
        ]
    return "\n".join([*lines, ""])


def iana_text(suffix: str, server: str) -> str:
    """What the root WHOIS server says of a suffix: who asks about names below it asks `server`."""
    return "\n".join(
        [
            "% IANA WHOIS server",
            "% for more information on IANA, visit http://www.iana.org",
            "",
            *([f"refer:        {server}", ""] if server else []),
            f"domain:       {suffix.upper()}",
            "",
            "organisation: Invented Registry",
            *([f"whois:        {server}"] if server else []),
            "",
            "status:       ACTIVE",
            "remarks:      Registration information: https://registry.example",
            "",
            "created:      1985-01-01",
            "changed:      2026-01-01",
            "source:       IANA",
            "",
        ]
    )
