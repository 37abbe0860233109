"""RDAP answers about domains: the bytes of a reply and its HTTP status in, a `Registration` out.

RFC 9083 (objects), RFC 7095 (jCard), RFC 9537 (declared redaction), RFC 7480 section 5 (what a status means). The
outcome comes from status and body together (`rdap_outcome`). Reading never raises: what cannot be read is malformed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from intel.errors import ReadError
from intel.names import canonical_name
from intel.registration import Outcome, Registration
from tasks.normalize.rdap_entities import read_registrant, read_registrar
from tasks.normalize.rdap_json import (
    CREATED,
    EXPIRES,
    LARGEST_REPLY,
    MOST_ITEMS,
    READER,
    UPDATED,
    as_dict,
    as_list,
    as_of,
    decoded,
    event,
    object_class,
    object_name,
    statuses,
)
from tasks.normalize.rdap_outcome import SUCCESS, hollow_refusal, refused

if TYPE_CHECKING:
    from datetime import datetime

    from intel.registration_words import RegistrationWords

__all__ = ["LARGEST_REPLY", "MOST_ITEMS", "READER", "read_rdap"]


def read_rdap(
    body: bytes,
    status: int,
    words: RegistrationWords,
    *,
    domain: str = "",
    server: str = "",
    fetched_at: datetime | None = None,
) -> Registration:
    """Read one RDAP reply.

    `domain` is what was asked (canonical), empty where it is to be taken from the reply; a reply about another name
    is malformed. `fetched_at` is recorded time, aware UTC. Never raises.
    """

    def ended(outcome: Outcome, reason: str) -> Registration:
        return Registration(
            domain=domain, outcome=outcome, protocol="rdap", reason=reason, server=server, fetched_at=fetched_at
        )

    if len(body) > LARGEST_REPLY:
        return ended(Outcome.MALFORMED, "larger than 1 MiB")
    document = decoded(body)
    record = as_dict(document)
    if status not in SUCCESS or not _is_record(record):
        return ended(*refused(body, status, document, words, asked=domain, wanted="domain"))
    if said_no := hollow_refusal(record, words, asked=domain):
        return ended(*said_no)
    named = object_name(record)
    if named and domain and named != domain:
        return ended(Outcome.MALFORMED, "a reply about another name")
    if not named and (not domain or not any(record.get(key) for key in _SAYING)):
        return ended(Outcome.MALFORMED, "a record without a name")
    return _read_record(record, words, domain=domain or named, server=server, fetched_at=fetched_at)


_SAYING: Final = ("handle", "events", "nameservers", "entities", "status", "secureDNS")
"""Members of which a record must have one, where it does not even name its domain."""


def _is_record(record: dict[str, Any]) -> bool:
    if "errorCode" in record:
        return False
    kind = object_class(record)
    return kind == "domain" or (not kind and isinstance(record.get("ldhName"), str))


def _read_record(
    record: dict[str, Any], words: RegistrationWords, *, domain: str, server: str, fetched_at: datetime | None
) -> Registration:
    registrar, registrar_iana_id = read_registrar(record, words)
    servers = _name_servers(record)
    return Registration(
        domain=domain,
        outcome=Outcome.REGISTERED,
        protocol="rdap",
        reason="a domain record",
        server=server,
        fetched_at=fetched_at,
        as_of=as_of(record),
        created=event(record, CREATED),
        updated=event(record, UPDATED),
        expires=event(record, EXPIRES),
        registrar=registrar,
        registrar_iana_id=registrar_iana_id,
        registrant=read_registrant(record, words),
        name_servers=servers,
        name_servers_reader=READER if servers else "",
        statuses=statuses(record),
        dnssec=_signed(as_dict(record.get("secureDNS"))),
    )


def _signed(secure: dict[str, Any]) -> bool | None:
    """Whether the delegation is signed; where that is not said, keys of it say that it is."""
    said = secure.get("delegationSigned")
    if isinstance(said, str) and said.strip().lower() in {"true", "false"}:
        return said.strip().lower() == "true"
    if isinstance(said, bool):
        return said
    return True if secure.get("dsData") or secure.get("keyData") else None


def _name_servers(record: dict[str, Any]) -> tuple[str, ...]:
    hosts = set()
    found = record.get("nameservers")
    if isinstance(found, dict):
        # The one server stands bare, or the servers stand in a map.
        found = [found] if "ldhName" in found or "unicodeName" in found else list(found.values())
    for server in [found] if isinstance(found, str) else as_list(found)[:MOST_ITEMS]:
        name = server if isinstance(server, str) else object_name(as_dict(server))
        try:
            hosts.add(canonical_name(name.strip()))
        except ReadError:
            continue
    return tuple(sorted(hosts))
