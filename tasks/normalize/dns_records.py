"""Records of passive DNS become facts: what stood in the DNS, from when until when; whatever format they came in.

In: `Record`s, as pdns, dnsdb and zeek read them. Out: facts, each at its first and at its last time, and rejects:

- A, AAAA, CNAME, HTTPS, SVCB: the name `resolves-to` what the record leads to, with qualifier `type`;
- PTR of a single address: the address `resolves-to` the name that its holder gives it, with type PTR;
- NS: `uses-name-server` each, and `uses-name-servers` the set, where the records show that it is one: they came
  together, or with the same times;
- MX: `uses-mail-host`; the null MX (RFC 7505) is the same with state absent;
- SOA: `has-soa-contact`, marked as people's data; its primary server is often no server that answers, so it is none;
- TXT, SPF: `described-as` with the field `txt`: SPF and tokens that prove ownership tie names to their holder.

Other types name no infrastructure: one reject for each type says so. Times are event times; a record without any takes
its document's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Final

import msgspec

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.facts import Fact, Predicate, Reject, State
from tasks.normalize import dns_names
from tasks.normalize.lines import excerpt, printable
from tasks.normalize.sightings import facts_at, moment

MOST_VALUES: Final = 1000
"""Data of one record, and name servers of one set."""
MOST_SETS: Final = 20_000
"""Sets of name servers that are open at a time; the oldest is stated when there are more."""
_MOST_TYPES: Final = 256

Said = tuple[Predicate, Entity | None, State, tuple[tuple[str, str], ...], bool]
"""Predicate, object, state, qualifiers, and whether it is people's data."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One record, or one set of records (`whole`). `times` are seconds since 1970, the first and last of each kind.

    `origin` is the upstream reference. `group` is what records of one set have in common beside name and times: zone,
    sensor.
    """

    rrname: str
    rrtype: str
    rdata: tuple[str, ...]
    times: tuple[float, ...] = ()
    origin: str = ""
    group: str = ""
    whole: bool = False
    locator: str = ""


class _OpenSet(msgspec.Struct, kw_only=True):
    subject: Entity
    record: Record
    hosts: dict[str, None]


def read_records(records: Iterable[Record | Reject]) -> Iterator[Fact | Reject]:
    """Facts and rejects of all records; those whose data cannot be read cost themselves."""
    sets: dict[tuple[object, ...], _OpenSet] = {}
    others: dict[str, tuple[str, int]] = {}
    for record in records:
        if isinstance(record, Reject):
            yield record
            continue
        if record.rrtype not in _READERS:
            kind = printable(record.rrtype, 20) if len(others) < _MOST_TYPES else "..."
            place, count = others.get(kind, (record.locator, 0))
            others[kind] = place, count + 1
            continue
        try:
            yield from _record(record, sets)
        except ReadError as error:
            yield _reject(record, error)
        while len(sets) > MOST_SETS:
            yield from _stated(sets.pop(next(iter(sets))))
    for one in sets.values():
        yield from _stated(one)
    for kind, (place, count) in others.items():
        reason = f"not kept: {count} of type {kind}, which names no infrastructure"
        yield Reject(locator=place, reason=reason)


def _reject(record: Record, error: ReadError) -> Reject:
    """Quotes the name and type alone: data may be people's mailboxes."""
    shown = excerpt(f"{record.rrname[:200]} {record.rrtype}")
    return Reject(locator=record.locator, reason=str(error), excerpt=shown)


def _record(record: Record, sets: dict[tuple[object, ...], _OpenSet]) -> Iterator[Fact | Reject]:
    reader = _READERS[record.rrtype]
    if len(record.rdata) > MOST_VALUES:
        raise ReadError(f"couldn't read a record: more than {MOST_VALUES} data")
    subject = (
        dns_names.reverse_address(record.rrname)
        if record.rrtype == "PTR"
        else dns_names.name(Kind.DOMAIN, record.rrname)
    )
    at: tuple[datetime | None, ...] = tuple(moment(one) for one in sorted(set(record.times))) or (None,)
    hosts: dict[str, None] = {}
    complete = True
    for rdata in record.rdata:
        try:
            said = reader(record.rrtype, rdata)
        except ReadError as error:
            yield _reject(record, error)
            complete = False
            continue
        for predicate, thing, state, qualifiers, personal in said:
            yield from facts_at(
                at,
                subject,
                predicate,
                thing,
                qualifiers=qualifiers,
                state=state,
                reference=record.origin,
                locator=record.locator,
                personal=personal,
            )
            if thing is not None and thing.kind == Kind.NAME_SERVER:
                hosts[thing.value] = None
    if hosts and complete:
        yield from _set(record, subject, hosts, sets)


def _set(
    record: Record, subject: Entity, hosts: dict[str, None], sets: dict[tuple[object, ...], _OpenSet]
) -> Iterator[Fact]:
    """A whole set is stated; a single record waits for those that belong to it."""
    if record.whole:
        yield from _stated(_OpenSet(subject=subject, record=record, hosts=hosts))
        return
    if not record.times:  # nothing shows that they stood together
        return
    key = (subject.value, record.group, record.origin, record.times)
    known = sets.get(key)
    if known is None:
        sets[key] = _OpenSet(subject=subject, record=record, hosts=hosts)
    elif len(known.hosts) < MOST_VALUES:
        known.hosts.update(hosts)


def _stated(one: _OpenSet) -> Iterator[Fact]:
    """One name server alone is a set only where its source gave it as one: it may be the answer to another question."""
    if len(one.hosts) < 2 and not one.record.whole:
        return
    record = one.record
    at: tuple[datetime | None, ...] = tuple(moment(when) for when in sorted(set(record.times))) or (None,)
    together = entity(Kind.NAME_SERVER_SET, " ".join(one.hosts))
    yield from facts_at(
        at,
        one.subject,
        Predicate.USES_NAME_SERVERS,
        together,
        reference=record.origin,
        locator=record.locator,
    )


def _resolves(rrtype: str, *things: Entity) -> list[Said]:
    return [(Predicate.RESOLVES_TO, thing, State.VALUE, (("type", rrtype),), False) for thing in things]


def _to_address(rrtype: str, rdata: str) -> list[Said]:
    return _resolves(rrtype, dns_names.address(rrtype, rdata))


def _to_name(rrtype: str, rdata: str) -> list[Said]:
    return _resolves(rrtype, dns_names.name(Kind.DOMAIN, rdata))


def _to_service(rrtype: str, rdata: str) -> list[Said]:
    return _resolves(rrtype, *dns_names.service(rdata))


def _name_server(_rrtype: str, rdata: str) -> list[Said]:
    return [(Predicate.USES_NAME_SERVER, dns_names.name(Kind.NAME_SERVER, rdata), State.VALUE, (), False)]


def _mail_host(_rrtype: str, rdata: str) -> list[Said]:
    parts = rdata.split()
    if not parts or len(parts) > 2:
        raise ReadError("couldn't read a record of type MX: not a preference and a host")
    if parts[-1] == ".":
        return [(Predicate.USES_MAIL_HOST, None, State.ABSENT, (), False)]
    return [(Predicate.USES_MAIL_HOST, dns_names.name(Kind.DOMAIN, parts[-1]), State.VALUE, (), False)]


def _soa_contact(_rrtype: str, rdata: str) -> list[Said]:
    parts = rdata.split()
    if len(parts) != 7:
        raise ReadError("couldn't read a record of type SOA: not its seven parts")
    contact, state = dns_names.mailbox(parts[1])
    return [(Predicate.HAS_SOA_CONTACT, contact, state, (), True)]


def _text(_rrtype: str, rdata: str) -> list[Said]:
    said = dns_names.txt(rdata)
    return [(Predicate.DESCRIBED_AS, said, State.VALUE, (("field", "txt"),), "@" in said.value)]


_READERS: Final[dict[str, Callable[[str, str], list[Said]]]] = {
    "A": _to_address,
    "AAAA": _to_address,
    "CNAME": _to_name,
    "PTR": _to_name,
    "HTTPS": _to_service,
    "SVCB": _to_service,
    "NS": _name_server,
    "MX": _mail_host,
    "SOA": _soa_contact,
    "TXT": _text,
    "SPF": _text,
}
