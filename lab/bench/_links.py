"""A generated warehouse: entities and links in the shapes and proportions of real ones, made by PostgreSQL itself.

`generate(connection, links)` fills the empty tables `entity` and `link` with about so many links of invented domains:
one address that four fifths of the domains share (a content network's), addresses with a few to thousands of domains, a
few registrars with most of the domains, sets of name servers from everybody's to one person's, e-mail addresses,
certificates of which some name several domains, and keys of which some are in several certificates. `state` states the
links of the first domains as facts too, with their history: the pivot's bench needs few of those, that of rules more.

Everything follows from the number of the row: the same size is the same warehouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from db.rows import driver

PER_DOMAIN: Final = 9.9
"""Links that a domain comes with, with those of its certificates."""
KINDS: Final = 12
"""Ids of kind number k are k, k + KINDS, k + 2 * KINDS, ...: entities of all kinds lie mixed, as real ones do."""
_ONE: Final = 9007199254740992
_DOMAIN, _ADDRESS, _REGISTRAR, _SET, _HOST, _EMAIL, _CERTIFICATE, _KEY, _ISSUER = range(1, 10)
CDN: Final = _ADDRESS
"""The id of the address that most domains share."""


@dataclass(frozen=True, kw_only=True)
class World:
    """What was made: how many domains and links. The id of domain n, from 0, is `domain(n)`."""

    domains: int
    links: int

    @staticmethod
    def domain(number: int) -> int:
        """The entity's id of a domain."""
        return number * KINDS + _DOMAIN


def generate(connection: Connection, links: int) -> World:
    """Fill an empty warehouse; commits on the way, and ends with the statistics of an overnight VACUUM.

    Takes about ten seconds and 400 MB for each million links. Indexes are made after the rows, under their own names.
    """
    domains = max(20, round(links / PER_DOMAIN))
    connection.exec_driver_sql("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET work_mem = '256MB'")
    again = _drop_indexes(connection)
    for statement in (*_entities(), *_links()):
        connection.execute(text(statement), {"domains": domains} if ":domains" in statement else {})
    connection.commit()
    for statement in again:
        connection.exec_driver_sql(statement)
    connection.exec_driver_sql("SELECT setval(pg_get_serial_sequence('entity', 'id'), (SELECT max(id) FROM entity))")
    made = connection.execute(text("SELECT count(*) FROM link")).scalar_one()
    connection.commit()
    _settle(connection, "entity, link")
    return World(domains=domains, links=made)


def state(connection: Connection, domains: int) -> int:
    """State the links of the first so many domains, and of what is about them, as facts. Returns how many facts."""
    source = connection.execute(
        text(
            "INSERT INTO source (name, title, reliability, tlp, snapshot, redistribution, commercial_use)"
            " VALUES ('generated', 'Generated', 'B', 0, false, true, true) RETURNING id"
        )
    ).scalar_one()
    run = connection.execute(
        text("INSERT INTO run (source_id, outcome) VALUES (:source, 'ok') RETURNING id"), {"source": source}
    ).scalar_one()
    batch = connection.execute(
        text("INSERT INTO batch (run_id, facts_new) VALUES (:run, 0) RETURNING id"), {"run": run}
    ).scalar_one()
    values = {"source": source, "batch": batch, "last": World.domain(domains - 1)}
    made = connection.execute(text(_FACTS), values).rowcount
    connection.execute(text(_HISTORY), {"batch": batch})
    connection.execute(text("UPDATE batch SET facts_new = :made WHERE id = :batch"), {"made": made, "batch": batch})
    connection.commit()
    _settle(connection, "fact, fact_history")
    return int(made)


# The links whose subject is of the first domains, or a certificate of the same numbers.
_FACTS: Final = """
INSERT INTO fact (key, source_id, subject_id, predicate, object_id, tlp, batch_id)
SELECT md5(subject_id || predicate || object_id)::uuid, :source, subject_id, predicate, object_id, 0, :batch
FROM link WHERE subject_id <= :last
"""
_HISTORY: Final = """
INSERT INTO fact_history (fact_id, event_time, ended, batch_id)
SELECT f.id, lower(l.seen), false, f.batch_id FROM fact f JOIN link l USING (subject_id, predicate, object_id)
WHERE f.batch_id = :batch
"""


def _settle(connection: Connection, tables: str) -> None:
    raw = driver(connection)
    raw.autocommit = True
    raw.execute(f"VACUUM (ANALYZE) {tables}".encode())
    raw.execute("CHECKPOINT")
    raw.autocommit = False


def _drop_indexes(connection: Connection) -> list[str]:
    """Take the indexes of the two tables away; the statements that make them again."""
    again = []
    for name, table, definition in connection.execute(text(_CONSTRAINTS)).all():
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")
        again.append(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")
    for name, definition in connection.execute(text(_INDEXES)).all():
        connection.exec_driver_sql(f"DROP INDEX {name}")
        again.append(definition)
    return again


# Keys and unique constraints of link; those of entity stay where foreign keys lean on them.
_CONSTRAINTS: Final = """
SELECT conname, conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint
WHERE (conrelid = 'link'::regclass AND contype IN ('p', 'u'))
    OR (conrelid = 'entity'::regclass AND contype = 'u') ORDER BY conname
"""
_INDEXES: Final = """
SELECT i.indexrelid::regclass, pg_get_indexdef(i.indexrelid) FROM pg_index i
WHERE i.indrelid IN ('link'::regclass, 'entity'::regclass) AND NOT i.indisprimary AND NOT i.indisunique
ORDER BY 1
"""


def _chance(number: str, seed: int) -> str:
    """A number from 0 to 1 that looks random and follows from `number`."""
    return f"((hashint8extended(({number})::bigint, {seed}) & {_ONE - 1}) / {_ONE}.0::float8)"


def _digest(kind: str, value: str) -> str:
    return rf"encode(substr(sha256('{kind}'::bytea || '\x00'::bytea || {value}::bytea), 1, 16), 'hex')::uuid"


def _entity(kind: str, number: int, count: str, value: str, *, scope: str = "''", address: str = "NULL") -> str:
    return (
        "INSERT INTO entity (id, digest, kind, value, scope, address) OVERRIDING SYSTEM VALUE"
        f" SELECT n * {KINDS} + {number}, {_digest(kind, 'value')}, '{kind}', value, {scope}, {address}"
        f" FROM (SELECT n, {value} AS value FROM generate_series(0::bigint, {count} - 1) n) v"
    )


_ADDRESSES: Final = "greatest(10, CAST(:domains AS bigint) / 4)"
_SETS: Final = "greatest(10, CAST(:domains AS bigint) / 20)"
_EMAILS: Final = "greatest(10, CAST(:domains AS bigint) / 5)"
_DOMAINS: Final = "CAST(:domains AS bigint)"
_NAME: Final = "'d' || n || '-' || to_hex(n * 7919 % 1000003) || '.example'"
_REGISTRARS: Final = 2000
_ISSUERS: Final = 40


def _entities() -> Iterator[str]:
    address = "(inet '2001:db8::' + n)"
    yield _entity("domain", _DOMAIN, _DOMAINS, _NAME, scope="value")
    yield _entity("ip", _ADDRESS, _ADDRESSES, f"host({address})", address="value::inet")
    yield _entity("registrar", _REGISTRAR, f"{_REGISTRARS}::bigint", "'Registrar ' || n")
    yield _entity("name-server-set", _SET, _SETS, "'a' || n || '.hosts.example b' || n || '.hosts.example'")
    yield _entity(
        "name-server", _HOST, f"2 * {_SETS}",
        "CASE n % 2 WHEN 0 THEN 'a' ELSE 'b' END || n / 2 || '.hosts.example'", scope="'hosts.example'",
    )  # fmt: skip
    yield _entity("email", _EMAIL, _EMAILS, "'p' || n || '@mail.example'", scope="'mail.example'")
    made = "encode(sha256(('{0}' || n)::bytea), 'hex')"
    yield _entity("certificate", _CERTIFICATE, _DOMAINS, f"'sha256:' || {made.format('c')}")
    yield _entity("public-key", _KEY, _DOMAINS, f"'sha256:' || {made.format('k')}")
    yield _entity("text", _ISSUER, f"{_ISSUERS}::bigint", "'CN=Issuer ' || n || ',O=Example CA,C=GB'")


def _link(subject: int, predicate: str, target: int, number: str, *, where: str = "true", of: str = "n") -> str:
    """Links of thing n to number `number` of another kind, since a day of its own, half of them until another."""
    since = f"timestamptz '2024-01-01 00:00Z' + {_chance('n', 1)} * interval '700 days'"
    until = f"CASE WHEN {_chance('n', 2)} < 0.5 THEN NULL ELSE since + interval '30 days' * (1 + n % 11) END"
    return (
        "INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)"
        f" SELECT {of} * {KINDS} + {subject}, '{predicate}', ({number})::bigint * {KINDS} + {target},"
        f" tstzmultirange(tstzrange(since, {until})), 1, 1"
        f" FROM (SELECT n, {since} AS since FROM generate_series(0::bigint, {_DOMAINS} - 1) n WHERE {where}) v"
    )


def _skewed(count: str, seed: int, power: int) -> str:
    """The number of a value out of `count`: the first ones have many, most have few."""
    return f"floor(power({_chance('n', seed)}, {power}) * ({count}))"


def _links() -> Iterator[str]:
    servers = _skewed(_SETS, 5, 3)
    yield _link(_DOMAIN, "registered-through", _REGISTRAR, _skewed(str(_REGISTRARS), 3, 6))
    yield _link(_DOMAIN, "uses-name-servers", _SET, servers)
    yield _link(_DOMAIN, "uses-name-server", _HOST, f"2 * {servers}")
    yield _link(_DOMAIN, "uses-name-server", _HOST, f"2 * {servers} + 1")
    yield _link(_DOMAIN, "resolves-to", _ADDRESS, "0", where=f"{_chance('n', 7)} < 0.85")
    yield _link(_DOMAIN, "resolves-to", _ADDRESS, f"1 + {_skewed(f'{_ADDRESSES} - 1', 8, 3)}")
    yield _link(_DOMAIN, "registered-by", _EMAIL, _skewed(_EMAILS, 9, 2), where=f"{_chance('n', 10)} < 0.6")
    yield _link(_CERTIFICATE, "names", _DOMAIN, "n")
    # Every fifth certificate names a second domain; a hundredth of those names the same as many others.
    second = f"floor({_chance('n', 11)} * ({_DOMAINS} - 1))"
    yield _link(
        _CERTIFICATE, "names", _DOMAIN, f"CASE WHEN {second} >= n THEN {second} + 1 ELSE {second} END",
        where=f"{_chance('n', 12)} < 0.2",
    )  # fmt: skip
    shared = _skewed(f"greatest(1, {_DOMAINS} / 50)", 13, 2)
    yield _link(_CERTIFICATE, "has-key", _KEY, f"CASE WHEN {_chance('n', 14)} < 0.9 THEN n ELSE {shared} END")
    yield _link(_CERTIFICATE, "issued-by", _ISSUER, _skewed(str(_ISSUERS), 15, 3))
