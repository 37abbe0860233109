"""RDAP answers about addresses, networks, AS numbers, name servers and handles: bytes and HTTP status in, a record out.

RFC 9083 sections 5.1 (entity), 5.2 (nameserver), 5.4 (ip network), 5.5 (autnum); the extensions cidr0 and
arin_originas0. The outcome comes from status and body together (`rdap_outcome`). A record that does not hold what was
asked about is malformed. Reading never raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
    summarize_address_range,
)
from itertools import islice
from typing import Any, Final

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.registration import Field, FieldState, Outcome
from intel.registration_numbers import Answered, AutnumRecord, Contact, EntityRecord, NameServerRecord, NetworkRecord
from intel.registration_words import RegistrationWords
from tasks.normalize.rdap_cards import Card
from tasks.normalize.rdap_entities import entities, iana_id, read_contact, roles
from tasks.normalize.rdap_json import (
    CREATED,
    LARGEST_REPLY,
    UPDATED,
    as_dict,
    as_list,
    as_of,
    decoded,
    event,
    items,
    object_class,
    object_name,
    plain_field,
    statuses,
    texts,
)
from tasks.normalize.rdap_outcome import SUCCESS, hollow_refusal, refused
from tasks.normalize.rdap_redactions import declared

MOST_NETWORKS: Final = 256
"""CIDRs of one range, or networks of one holder; a range is at most 254 of them (IPv6)."""

_Network = IPv4Network | IPv6Network
_CLASSES: Final[dict[str, tuple[str, type[Answered]]]] = {
    Kind.IP: ("ip network", NetworkRecord),
    Kind.NETWORK: ("ip network", NetworkRecord),
    Kind.AS: ("autnum", AutnumRecord),
    Kind.NAME_SERVER: ("nameserver", NameServerRecord),
    Kind.HANDLE: ("entity", EntityRecord),
}


def read_object(
    body: bytes,
    status: int,
    words: RegistrationWords,
    *,
    subject: Entity,
    server: str = "",
    fetched_at: datetime | None = None,
) -> Answered:
    """Read one RDAP reply about `subject`: an address, network, AS, name server or handle.

    The record's type follows from the subject's kind. `fetched_at` is recorded time, aware UTC. Never raises on any
    reply; raises ReadError where RDAP has no class for the subject's kind.
    """
    if subject.kind not in _CLASSES:
        raise ReadError(f"couldn't read an answer about a value of kind {subject.kind}: RDAP knows no such thing")
    wanted, made = _CLASSES[subject.kind]

    def ended(outcome: Outcome, reason: str) -> Answered:
        return made(asked=subject.value, outcome=outcome, reason=reason, server=server, fetched_at=fetched_at)

    if len(body) > LARGEST_REPLY:
        return ended(Outcome.MALFORMED, "larger than 1 MiB")
    document = decoded(body)
    record = as_dict(document)
    # A handle may name a person: no wording may repeat it, and no phrase about it is looked for.
    asked = "" if subject.kind == Kind.HANDLE else subject.value
    if status not in SUCCESS or "errorCode" in record or object_class(record) != wanted:
        return ended(*refused(body, status, document, words, asked=asked, wanted=wanted))
    if said_no := hollow_refusal(record, words, asked=asked):
        return ended(*said_no)
    common = {
        "asked": subject.value,
        "outcome": Outcome.REGISTERED,
        "reason": f"an {wanted} record" if wanted[0] in "aei" else f"a {wanted} record",
        "server": server,
        "fetched_at": fetched_at,
        "as_of": as_of(record),
        "handle": plain_field(record.get("handle"), where="/handle"),
        "description": _description(record),
        "created": event(record, CREATED),
        "updated": event(record, UPDATED),
        "statuses": statuses(record),
        "contacts": tuple(_contacts(record, words)),
    }
    if made is NetworkRecord:
        return _network(record, subject, common) or ended(Outcome.MALFORMED, "a reply about another network")
    if made is AutnumRecord:
        return _autnum(record, subject, common) or ended(Outcome.MALFORMED, "a reply about another number")
    if made is NameServerRecord:
        return _name_server(record, subject, common) or ended(Outcome.MALFORMED, "a reply about another name")
    return _entity(record, words, subject, common) or ended(Outcome.MALFORMED, "a reply about another handle")


def _description(record: dict[str, Any]) -> Field:
    """The first line of a remark that describes the object: RIPE's and APNIC's `descr`."""
    for index, remark in enumerate(items(record.get("remarks"))):
        fields = as_dict(remark)
        title = " ".join(texts(fields.get("title")))[:64].strip().lower()
        line = next((text for text in texts(fields.get("description")) if text.strip()), "")
        if title in {"", "description", "descr"} and line:
            return plain_field(line, where=f"/remarks/{index}/description")
    return Field()


def _contacts(record: dict[str, Any], words: RegistrationWords) -> Iterator[Contact]:
    for pointer, one in islice(entities(record), 32):
        named = roles(one)
        role = "registrant" if "registrant" in named else named[0] if named else ""
        # What is declared of the registrant is declared of the record's own, not of a contact's contact.
        own = declared(record, role) if role and pointer.count("/entities/") == 1 else {}
        read = read_contact(one, pointer, words, own)
        yield _as_contact(read, one, pointer, named)


def _as_contact(read: Any, one: dict[str, Any], pointer: str, named: tuple[str, ...]) -> Contact:
    fields = {name: getattr(read, name) for name in read.__struct_fields__}
    return Contact(**fields, roles=named, kind=Card(one, pointer).kind)


def _network(record: dict[str, Any], subject: Entity, common: dict[str, Any]) -> NetworkRecord | None:
    asked = ip_network(subject.value, strict=False)
    span = _span(record)
    if span is None or span[0].version != asked.version:
        return None
    if not (span[0] <= asked.network_address and asked.broadcast_address <= span[1]):  # type: ignore[operator]  # same version
        return None
    networks = _cidrs(record, span) or [str(one) for one in islice(summarize_address_range(*span), MOST_NETWORKS)]
    if networks in (["0.0.0.0/0"], ["::/0"]):
        # The root of the registry's tree is what some give for what nobody holds.
        common = {**common, "outcome": Outcome.NOT_FOUND, "reason": "the network of all addresses"}
    return NetworkRecord(
        **common,
        first=str(span[0]),
        last=str(span[1]),
        networks=tuple(networks),
        name=plain_field(record.get("name"), where="/name"),
        type=plain_field(record.get("type"), where="/type"),
        country=plain_field(record.get("country"), where="/country"),
        parent=plain_field(record.get("parentHandle"), where="/parentHandle"),
        origins=tuple(sorted(set(_origins(record)))),
    )


def _span(record: dict[str, Any]) -> tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address] | None:
    """First and last address: of the members for them, else of the handle (`a - b`, or a CIDR)."""
    handle = str(record.get("handle") or "")[:128]
    for first, last in (
        (record.get("startAddress"), record.get("endAddress")),
        tuple(part.strip() for part in handle.split(" - ", 1)) if " - " in handle else (handle, handle),
    ):
        if not (isinstance(first, str) and isinstance(last, str)):
            continue
        try:
            low = ip_network(first[:64].strip(), strict=False).network_address
            high = ip_network(last[:64].strip(), strict=False).broadcast_address
        except ValueError:
            continue
        if isinstance(low, IPv4Address) and isinstance(high, IPv4Address) and low <= high:
            return low, high
        if isinstance(low, IPv6Address) and isinstance(high, IPv6Address) and low <= high:
            return low, high
    return None


def _cidrs(record: dict[str, Any], span: Any) -> list[str]:
    """The CIDRs that the extension cidr0 tells, where all are within the range; none otherwise."""
    found: list[_Network] = []
    for one in items(record.get("cidr0_cidrs"), most=MOST_NETWORKS):
        fields = as_dict(one)
        prefix, length = fields.get("v4prefix") or fields.get("v6prefix"), fields.get("length")
        try:
            network = ip_network(f"{str(prefix)[:64]}/{int(str(length)[:4])}")
        except ValueError:
            return []
        if (
            network.version != span[0].version
            or network.network_address < span[0]
            or network.broadcast_address > span[1]
        ):
            return []
        found.append(network)
    return [str(one) for one in sorted(set(found), key=lambda one: (int(one.network_address), one.prefixlen))]


def _autnum(record: dict[str, Any], subject: Entity, common: dict[str, Any]) -> AutnumRecord | None:
    asked = int(subject.value.removeprefix("AS"))
    ends = [*_numbers([record.get("startAutnum")]), *_numbers([record.get("endAutnum")])]
    if not ends:
        # ARIN's first answers told no range; the handle is then the number.
        ends = list(_numbers([record.get("handle")]))
    if not ends or not min(ends) <= asked <= max(ends):
        return None
    return AutnumRecord(
        **common,
        first=min(ends),
        last=max(ends),
        name=plain_field(record.get("name"), where="/name"),
        type=plain_field(record.get("type"), where="/type"),
        country=plain_field(record.get("country"), where="/country"),
    )


def _numbers(value: Any) -> Iterator[int]:
    for item in as_list(value)[:MOST_NETWORKS]:
        if isinstance(item, (int, str)) and not isinstance(item, bool):
            try:
                yield int(entity(Kind.AS, str(item)[:16]).value.removeprefix("AS"))
            except (ReadError, ValueError):
                continue


def _origins(record: dict[str, Any]) -> Iterator[int]:
    """The AS that announce a network, as the registries' extensions name them."""
    for key in ("arin_originas0_originautnums", "lacnic_originAutnum", "nicbr_autnum"):
        value = record.get(key)
        yield from _numbers(value if isinstance(value, list) else [value])


def _name_server(record: dict[str, Any], subject: Entity, common: dict[str, Any]) -> NameServerRecord | None:
    name = object_name(record)
    if name != subject.value:
        return None
    found = as_dict(record.get("ipAddresses"))
    addresses = set()
    for text in (*texts(found.get("v4")), *texts(found.get("v6"))):
        try:
            addresses.add(str(ip_address(text[:64].strip())))
        except ValueError:
            continue
    return NameServerRecord(**common, name=name, addresses=tuple(sorted(addresses)))


def _entity(
    record: dict[str, Any], words: RegistrationWords, subject: Entity, common: dict[str, Any]
) -> EntityRecord | None:
    given = str(record.get("handle") or "").strip().lower()
    asked = subject.value.lower()
    if given and given not in (asked, asked.rpartition("@")[0]):
        return None
    named = roles(record)
    read = read_contact(record, "", words, declared(record, named[0]) if named else None)
    contact = _as_contact(read, record, "", named)
    networks = [one for item in items(record.get("networks")) if (one := _span(as_dict(item)))]
    systems = [item.get("startAutnum") for item in items(record.get("autnums")) if isinstance(item, dict)]
    cidrs = (str(cidr) for span in networks for cidr in islice(summarize_address_range(*span), 4))
    blank = contact.name.state is FieldState.ABSENT and contact.organisation.state is FieldState.ABSENT
    return EntityRecord(
        **common,
        contact=None if blank and contact.handle.state is FieldState.ABSENT else contact,
        iana_id=iana_id(record, "", words),
        networks=tuple(islice(cidrs, MOST_NETWORKS)),
        systems=tuple(sorted(set(_numbers(systems)))),
    )
