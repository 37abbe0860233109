"""RDAP answers: the bytes of a reply and its HTTP status in, a `Registration` out.

RFC 9083 (objects), RFC 7095 (jCard), RFC 9537 (declared redaction), RFC 7480 section 5 (what a status means). The
outcome comes from status and body together: servers say "too fast" with 403 and HTML, 422 and JSON, or 200 and a
notice, and a 404 that no RDAP server wrote says nothing about the domain. Reading never raises: what cannot be read
is malformed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from intel.errors import ReadError
from intel.names import canonical_name
from intel.registration import DateField, FieldState, Outcome, Registration
from intel.registration_words import name_field, refusal, vague_refusal
from tasks.normalize.rdap_entities import as_dict, as_list, read_registrant, read_registrar, texts
from tasks.normalize.registration_dates import date_field

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from intel.registration_words import RegistrationWords

READER = "rdap"
LARGEST_REPLY = 1 << 20
"""Bytes; a domain's record with all its notices takes some 10,000."""
MOST_ITEMS = 256
"""Name servers, statuses, events or notices that are read of one record."""

_EVENTS = {"created": "registration", "updated": "last changed", "expires": "expiration"}


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
    document = _decoded(body)
    record = as_dict(document)
    if status == 200 and _is_record(record):
        said_no = refusal("\n".join(_notices(record)), words, domain=domain)
        if said_no and not _has_substance(record):
            return ended(*said_no)
        named = _name(record)
        if named and domain and named != domain:
            return ended(Outcome.MALFORMED, "a reply about another name")
        if not (named or domain):
            return ended(Outcome.MALFORMED, "a record without a name")
        return _read_record(record, words, domain=domain or named, server=server, fetched_at=fetched_at)
    return ended(*_refused(body, status, record, words, domain=domain, is_json=document is not None))


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_record(record: dict[str, Any]) -> bool:
    if "errorCode" in record:
        return False
    kind = record.get("objectClassName")
    return kind == "domain" or (kind is None and isinstance(record.get("ldhName"), str))


def _has_substance(record: dict[str, Any]) -> bool:
    return any(record.get(key) for key in ("events", "nameservers", "entities"))


def _refused(
    body: bytes, status: int, record: dict[str, Any], words: RegistrationWords, *, domain: str, is_json: bool
) -> tuple[Outcome, str]:
    text = "\n".join(_strings(record)) if record else body.decode("utf-8", "replace")
    if said_no := refusal(text, words, domain=domain) or (None if record else vague_refusal(text, words)):
        return said_no
    code = record.get("errorCode")
    meant = code if isinstance(code, int) and 400 <= code < 600 else status
    reason = f"status {meant}"
    if meant in (422, 429, 503):
        return Outcome.THROTTLED, reason
    if meant in (401, 403, 451):
        return Outcome.BLOCKED, reason
    if meant in (408, 504):
        return Outcome.TIMEOUT, reason
    if meant in (400, 405, 406, 415, 501):
        return Outcome.UNSUPPORTED, reason
    if meant == 404 and (record or not body.strip()):
        return Outcome.NOT_FOUND, reason
    if meant == 404:
        return Outcome.MALFORMED, "status 404 with a body that is not RDAP"
    return Outcome.MALFORMED, f"{reason} with {'no domain record' if is_json else 'a body that is not JSON'}"


def _strings(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < 8 and isinstance(value, list):
        for item in value[:MOST_ITEMS]:
            yield from _strings(item, depth + 1)
    elif depth < 8 and isinstance(value, dict):
        for item in list(value.values())[:MOST_ITEMS]:
            yield from _strings(item, depth + 1)


def _notices(record: dict[str, Any]) -> Iterator[str]:
    for key in ("notices", "remarks"):
        found = record.get(key)
        # RFC 9083 section 4.3 asks for an array; some servers send the one notice bare.
        for notice in [found] if isinstance(found, dict) else as_list(found)[:MOST_ITEMS]:
            yield from _strings(as_dict(notice).get("title"))
            yield from _strings(as_dict(notice).get("description"))


def _name(record: dict[str, Any]) -> str:
    for key in ("ldhName", "unicodeName"):
        found = record.get(key)
        if isinstance(found, str):
            try:
                return canonical_name(found)
            except ReadError:
                continue
    return ""


def _read_record(
    record: dict[str, Any], words: RegistrationWords, *, domain: str, server: str, fetched_at: datetime | None
) -> Registration:
    dates = {ours: _event(record, theirs) for ours, theirs in _EVENTS.items()}
    registrar, registrar_iana_id = read_registrar(record, words, reader=READER)
    signed = as_dict(record.get("secureDNS")).get("delegationSigned")
    servers = _name_servers(record)
    return Registration(
        domain=domain,
        outcome=Outcome.REGISTERED,
        protocol="rdap",
        reason="a domain record",
        server=server,
        fetched_at=fetched_at,
        **dates,
        registrar=name_field(registrar[0], words, where=registrar[1], reader=READER),
        registrar_iana_id=registrar_iana_id,
        registrant=read_registrant(record, words, reader=READER),
        name_servers=servers,
        name_servers_reader=READER if servers else "",
        statuses=tuple(sorted({text.lower() for text in texts(record.get("status"))[:MOST_ITEMS]})),
        dnssec=signed if isinstance(signed, bool) else None,
    )


def _event(record: dict[str, Any], action: str) -> DateField:
    events = record.get("events")
    found = DateField()
    for index, event in enumerate([events] if isinstance(events, dict) else as_list(events)[:MOST_ITEMS]):
        fields = as_dict(event)
        date = fields.get("eventDate")
        if not isinstance(date, str) or str(fields.get("eventAction")).strip().lower() != action:
            continue
        read = date_field(date, where=f"/events/{index}/eventDate", reader=READER)
        # A date that can be read wins over an earlier one that cannot.
        if found.state is not FieldState.VALUE and read.state is not FieldState.ABSENT:
            found = read
    return found


def _name_servers(record: dict[str, Any]) -> tuple[str, ...]:
    hosts = set()
    for server in as_list(record.get("nameservers"))[:MOST_ITEMS]:
        name = server if isinstance(server, str) else _name(as_dict(server))
        try:
            hosts.add(canonical_name(name))
        except ReadError:
            continue
    return tuple(sorted(hosts))
