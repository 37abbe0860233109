"""MISP's attribute types as entities: (type, value) in, the entities that it names out (MISP core format, 2.4).

What is not an entity here (comments, attachments, rules, people's papers, victims) is named as such by `NotKept`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.facts import Predicate
from tasks.normalize.lines import printable

Relation = tuple[Entity, Predicate, Entity, tuple[tuple[str, str], ...]]
"""Subject, predicate, object and qualifiers of a fact within one attribute."""

_HASHES: Final = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")
_PLAIN: Final[Mapping[str, Kind]] = {
    "domain": Kind.DOMAIN,
    "hostname": Kind.DOMAIN,
    "url": Kind.URL,
    "uri": Kind.URL,
    "link": Kind.URL,
    "email": Kind.EMAIL,
    "email-src": Kind.EMAIL,
    "email-dst": Kind.EMAIL,
    "email-reply-to": Kind.EMAIL,
    "dns-soa-email": Kind.EMAIL,
    "whois-registrant-email": Kind.EMAIL,
    "whois-registrant-name": Kind.REGISTRANT,
    "whois-registrant-org": Kind.REGISTRANT,
    "whois-registrant-phone": Kind.PHONE,
    "phone-number": Kind.PHONE,
    "whois-registrar": Kind.REGISTRAR,
    "AS": Kind.AS,
    "mutex": Kind.MUTEX,
    "regkey": Kind.REGISTRY_KEY,
    "vulnerability": Kind.VULNERABILITY,
    "user-agent": Kind.USER_AGENT,
    "filename": Kind.FILE_NAME,
    "btc": Kind.WALLET,
    "xmr": Kind.WALLET,
    "dash": Kind.WALLET,
    "campaign-name": Kind.CAMPAIGN,
    "campaign-id": Kind.CAMPAIGN,
    **dict.fromkeys(_HASHES, Kind.FILE),
    **{f"x509-fingerprint-{name}": Kind.CERTIFICATE for name in ("md5", "sha1", "sha256")},
}
_PREFIXED: Final[Mapping[str, tuple[Kind, str]]] = {
    "ja3-fingerprint-md5": (Kind.FINGERPRINT, "ja3:"),
    "jarm-fingerprint": (Kind.FINGERPRINT, "jarm:"),
    "hassh-md5": (Kind.FINGERPRINT, "hassh:"),
    "hasshserver-md5": (Kind.FINGERPRINT, "hasshserver:"),
    "favicon-mmh3": (Kind.FINGERPRINT, "favicon-mmh3:"),
    "imphash": (Kind.FINGERPRINT, "imphash:"),
    "authentihash": (Kind.FINGERPRINT, "authentihash:"),
    "pehash": (Kind.FINGERPRINT, "pehash:"),
    "telfhash": (Kind.FINGERPRINT, "telfhash:"),
    "cdhash": (Kind.FINGERPRINT, "cdhash:"),
    "ssdeep": (Kind.FINGERPRINT, "ssdeep:"),
    "tlsh": (Kind.FINGERPRINT, "tlsh:"),
    "ssh-fingerprint": (Kind.FINGERPRINT, "ssh:"),
    "github-username": (Kind.HANDLE, "github:"),
    "github-organisation": (Kind.HANDLE, "github:"),
    "twitter-id": (Kind.HANDLE, "twitter:"),
    "jabber-id": (Kind.HANDLE, "jabber:"),
}
# Hexadecimal digits, and user names of services that do not tell their case apart, have one form: lower case.
_FOLDED: Final = frozenset(_PREFIXED) - {"ssdeep", "ssh-fingerprint"}
ACTOR_TYPE: Final = "threat-actor"
CAMPAIGN_TYPES: Final = frozenset({"campaign-name", "campaign-id"})
CONTEXT_TYPES: Final = frozenset({"link"})
"""Types that tell where to read on, whatever `to_ids` says."""

_PERSONAL_PREFIXES: Final = (
    *("target-", "first-name", "middle-name", "last-name", "full-name", "date-of-", "place-of-", "gender", "passport"),
    *("nationality", "identity-card", "visa-", "redress", "payment-", "passenger", "travel", "issue-date-of-the-visa"),
    *("whois-registrant", "phone", "email", "eppn", "iban", "bic", "bank", "cc-number", "prtn", "aba-rtn", "frequent"),
    *(
        "twitter",
        "github",
        "jabber",
        "comment",
        "text",
        "other",
        "country-of-residence",
        "special-service",
        "attachment",
    ),
    *("malware-sample", "primary-residence"),
)


class NotKeptError(ReadError):
    """The type is none of an entity."""


def personal_type(kind: str) -> bool:
    """Whether a value of this type may name people, so that a reject does not quote it."""
    return kind.startswith(_PERSONAL_PREFIXES)


def entities(kind: str, value: str) -> tuple[list[Entity], list[Relation]]:
    """The entities of an attribute, and what the attribute says of them among themselves.

    A composite type gives each of its parts. Raises NotKeptError for a type that is no entity, ReadError for a value
    that is not of its type.
    """
    left, bar, right = kind.partition("|")
    if bar:
        reader = _COMPOSITE.get(kind) or (
            _file if left == "filename" and (right in _PLAIN or right in _PREFIXED) else None
        )
        if reader is None:
            raise NotKeptError(f"not an entity: type {printable(kind, 80)}")
        return reader(right, *_parts(value))
    return [single(kind, value)], []


def single(kind: str, value: str) -> Entity:
    """The entity of an attribute of a simple type. Raises as `entities`."""
    plain = _PLAIN.get(kind)
    if plain is not None:
        return entity(plain, value)
    if kind in ("ip-src", "ip-dst"):
        return entity(Kind.NETWORK if "/" in value else Kind.IP, value)
    prefixed = _PREFIXED.get(kind)
    if prefixed is None:
        raise NotKeptError(f"not an entity: type {printable(kind, 80)}")
    said = value.strip().lower() if kind in _FOLDED else value.strip()
    if not said:
        raise ReadError(f"couldn't read a value of type {kind}: empty")
    return entity(prefixed[0], prefixed[1] + (said.removeprefix("@") if prefixed[0] is Kind.HANDLE else said))


def resolution(domain: Entity, address: Entity) -> Relation:
    """The name resolves to the address."""
    record = "AAAA" if ":" in address.value else "A"
    return domain, Predicate.RESOLVES_TO, address, (("type", record),)


def _parts(value: str) -> tuple[str, str]:
    left, bar, right = value.rpartition("|")
    if not bar or not left.strip():
        raise ReadError("couldn't read a composite value: it has no `|`")
    return left.strip(), right.strip()


def _domain_ip(_kind: str, left: str, right: str) -> tuple[list[Entity], list[Relation]]:
    domain, address = entity(Kind.DOMAIN, left), entity(Kind.IP, right)
    return [domain, address], [resolution(domain, address)]


def _endpoint(_kind: str, left: str, right: str) -> tuple[list[Entity], list[Relation]]:
    host = f"[{left}]" if ":" in left and not left.startswith("[") else left
    return [entity(Kind.ENDPOINT, f"{host}:{right}")], []


def _file(kind: str, left: str, right: str) -> tuple[list[Entity], list[Relation]]:
    file, name = single(kind, right), entity(Kind.FILE_NAME, left)
    return [file, name], [(file, Predicate.ALIAS, name, ())]


def _registry_value(_kind: str, left: str, right: str) -> tuple[list[Entity], list[Relation]]:
    key = entity(Kind.REGISTRY_KEY, left)
    data = entity(Kind.TEXT, right[:4096])
    return [key], [(key, Predicate.DESCRIBED_AS, data, (("field", "value"),))]


_COMPOSITE: Final[Mapping[str, Callable[[str, str, str], tuple[list[Entity], list[Relation]]]]] = {
    "domain|ip": _domain_ip,
    "hostname|port": _endpoint,
    "ip-dst|port": _endpoint,
    "ip-src|port": _endpoint,
    "regkey|value": _registry_value,
}
