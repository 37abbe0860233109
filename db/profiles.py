"""What is known of many domains at once: ids of entities in, `Profile`s out, in a fixed number of statements.

A profile speaks of the time in which a domain was whose it was. What was first stated after its ownership ended
(db/ownership.py) is left out, and so is every state other than a value: a redaction, a proxy or a placeholder is
nobody's habit. Of what there is one at a time (registrar, name-server set) the last one stated counts; of what may be
several (addresses, e-mails, certificates, ...) all that were ever stated: a habit stays one after it was dropped.

Raw SQL: arrays and laterals, as elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from db.registrars import known_registrars
from intel.config.registrars import read_registrars
from intel.entities import Kind
from intel.facts import Predicate
from intel.registrars import Registrars
from intel.settings import settings
from intel.traits import Profile

# The domains, and the first end of each one's ownership, with what shows it. Uses pk_entity and pk_ownership_end.
DOMAINS: Final = """
SELECT e.id, e.value, w.ended_at, w.reason, o.value AS by
FROM unnest(CAST(:ids AS bigint[])) i (id) JOIN entity e ON e.id = i.id AND e.kind = 'domain'
LEFT JOIN LATERAL (SELECT ended_at, reason, fact_id FROM ownership_end WHERE entity_id = e.id
    AND ended_at <= coalesce(:as_of, 'infinity'::timestamptz) ORDER BY ended_at, reason LIMIT 1) w ON true
LEFT JOIN fact f ON f.id = w.fact_id
LEFT JOIN entity o ON o.id = f.object_id
"""

# What is stated of them. Uses ix_fact_subject_id_predicate_object_id, pk_fact_history and pk_entity.
STATED: Final = """
SELECT f.subject_id AS id, f.predicate, f.qualifiers->>'role' AS role, o.kind, o.value, f.object_id, h.first, h.last
FROM fact f
JOIN entity o ON o.id = f.object_id
CROSS JOIN LATERAL (SELECT min(event_time) AS first, max(event_time) AS last FROM fact_history
    WHERE fact_id = f.id AND NOT ended AND event_time <= coalesce(:as_of, 'infinity'::timestamptz)) h
WHERE f.subject_id = ANY(:ids) AND f.predicate = ANY(:predicates) AND f.state = 'value' AND h.first IS NOT NULL
"""

# The certificates that name them, with issuer and key. Uses ix_fact_object_id, pk_fact_history,
# ix_fact_subject_id_predicate_object_id and pk_entity.
CERTIFICATES: Final = """
SELECT f.object_id AS id, c.value AS certificate, h.first, p.predicate, o.value
FROM fact f
JOIN entity c ON c.id = f.subject_id AND c.kind = 'certificate'
CROSS JOIN LATERAL (SELECT min(event_time) AS first FROM fact_history
    WHERE fact_id = f.id AND NOT ended AND event_time <= coalesce(:as_of, 'infinity'::timestamptz)) h
LEFT JOIN fact p ON p.subject_id = c.id AND p.predicate IN ('issued-by', 'has-key') AND p.state = 'value'
LEFT JOIN entity o ON o.id = p.object_id
WHERE f.object_id = ANY(:ids) AND f.predicate = 'names' AND f.state = 'value' AND h.first IS NOT NULL
"""

# The AS of addresses, stated directly or through a network. Uses pk_link and pk_entity.
NETWORKS: Final = """
SELECT l.subject_id AS id, coalesce(d.value, a.value) AS value
FROM link l
LEFT JOIN entity d ON d.id = l.object_id AND d.kind = 'as'
LEFT JOIN link n ON n.subject_id = l.object_id AND n.predicate = 'part-of'
LEFT JOIN entity a ON a.id = n.object_id AND a.kind = 'as'
WHERE l.subject_id = ANY(:ids) AND l.predicate = 'part-of' AND coalesce(d.value, a.value) IS NOT NULL
"""

_PREDICATES: Final = (
    Predicate.REGISTERED_THROUGH,
    Predicate.REGISTERED_BY,
    Predicate.USES_NAME_SERVERS,
    Predicate.USES_MAIL_HOST,
    Predicate.HAS_SOA_CONTACT,
    Predicate.RESOLVES_TO,
    Predicate.CREATED,
)
_TAKEN: Final = frozenset({"seized", "sinkholed"})
_REGISTRANT: Final = frozenset({None, "", "registrant"})
_DAY: Final = 10
"""Characters of a date without a time."""
_AHEAD: Final = timedelta(days=1)
"""By how much a creation may lie ahead: clocks, and dates of other time zones."""

Row = Mapping[str, Any]


def profiles(
    connection: Connection,
    domain_ids: Iterable[int],
    *,
    as_of: datetime | None = None,
    by_hand: Mapping[int, Sequence[str]] | None = None,
) -> list[Profile]:
    """The profiles of domains, sorted by domain; ids of anything else are left out.

    `as_of` is event time: what was first stated later is left out. `by_hand` are names of registrars by IANA's number;
    those of configs/registrars.yaml where it is left out.
    """
    values = {"ids": sorted(set(domain_ids)), "as_of": as_of}
    if not values["ids"]:
        return []
    domains = {row["id"]: row for row in _rows(connection, DOMAINS, values)}
    values["ids"] = sorted(domains)
    predicates = [one.value for one in _PREDICATES]
    said: dict[int, list[Row]] = defaultdict(list)
    for row in _rows(connection, STATED, {**values, "predicates": predicates}):
        if _was_its(row, domains[row["id"]]):
            said[row["id"]].append(row)
    certificates: dict[int, list[Row]] = defaultdict(list)
    for row in _rows(connection, CERTIFICATES, values):
        if _was_its(row, domains[row["id"]]):
            certificates[row["id"]].append(row)
    everything = [row for rows in said.values() for row in rows]
    addresses = sorted({row["object_id"] for row in everything if row["kind"] == Kind.IP})
    networks: dict[int, set[str]] = defaultdict(set)
    for row in _rows(connection, NETWORKS, {"ids": addresses}):
        networks[row["id"]].add(row["value"])
    named = {row["value"] for row in everything if row["predicate"] == Predicate.REGISTERED_THROUGH}
    hand = read_registrars(settings().configs).by_number if by_hand is None else by_hand
    book = known_registrars(connection, named, hand)
    latest = (as_of or datetime.now(UTC)) + _AHEAD
    found = [
        _profile(domain, said[id_], certificates[id_], networks, book, latest=latest) for id_, domain in domains.items()
    ]
    return sorted(found, key=lambda one: one.domain)


def _rows(connection: Connection, statement: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(row) for row in connection.execute(text(statement), values).mappings()]


def _was_its(row: Row, domain: Row) -> bool:
    return domain["ended_at"] is None or row["first"] < domain["ended_at"]


def _profile(
    domain: Row,
    said: Sequence[Row],
    certificates: Sequence[Row],
    networks: Mapping[int, set[str]],
    book: Registrars,
    *,
    latest: datetime,
) -> Profile:
    def values(predicate: str, kind: str = "") -> tuple[str, ...]:
        return _once(
            row["value"] for row in said if row["predicate"] == predicate and row["kind"] == (kind or row["kind"])
        )

    people = [row for row in said if row["predicate"] == Predicate.REGISTERED_BY and row["role"] in _REGISTRANT]
    addresses = [row for row in said if row["predicate"] == Predicate.RESOLVES_TO and row["kind"] == Kind.IP]
    created, to_the_day = _created(said, latest)
    registrar = _last(said, Predicate.REGISTERED_THROUGH)
    return Profile(
        domain=domain["value"],
        created=created,
        to_the_day=to_the_day,
        registrar=book.identity(registrar) if registrar else "",
        emails=_once(row["value"] for row in people if row["kind"] == Kind.EMAIL),
        registrants=_once(row["value"] for row in people if row["kind"] == Kind.REGISTRANT),
        name_servers=tuple(_last(said, Predicate.USES_NAME_SERVERS).split()),
        mail_hosts=values(Predicate.USES_MAIL_HOST),
        addresses=_once(row["value"] for row in addresses),
        networks=_once(network for row in addresses for network in networks.get(row["object_id"], ())),
        certificates=_once(row["certificate"] for row in certificates),
        keys=_once(row["value"] for row in certificates if row["predicate"] == Predicate.HAS_KEY),
        issuers=_once(row["value"] for row in certificates if row["predicate"] == Predicate.ISSUED_BY),
        soa_contacts=values(Predicate.HAS_SOA_CONTACT),
        ended_at=domain["ended_at"],
        ended_by=(domain["by"] or domain["reason"]) if domain["reason"] in _TAKEN else "",
    )


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(values)))


def _last(said: Sequence[Row], predicate: str) -> str:
    """The value that was stated last; of two at one time the one that sorts first."""
    found = [row for row in said if row["predicate"] == predicate]
    best = min(found, key=lambda row: (-row["last"].timestamp(), row["value"]), default=None)
    return "" if best is None else str(best["value"])


def _created(said: Sequence[Row], latest: datetime) -> tuple[datetime | None, bool]:
    """The creation that was stated last, the more exact one of two of the same day; and whether it is to the day.

    One in the future is a lie: it would make all others look old (intel/patterns/rank.py: weights_of).
    """
    found = []
    for row in said:
        if row["predicate"] != Predicate.CREATED:
            continue
        try:
            at = datetime.fromisoformat(row["value"])
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        if at <= latest:
            found.append((row["last"], len(row["value"]) > _DAY, at))
    if not found:
        return None, True
    newest = max(found)
    same = [one for one in found if one[1] and one[2].date() == newest[2].date()]
    best = max(same, default=newest)
    return best[2], not best[1]
