"""How common values are in reference populations: values in, counts out; a population counted anew in, kept.

A population counts things that were chosen for another reason than that they interest us (a zone, a day's new domains,
a random sample). `traits` of its row says for how many of its things each trait is known: a value that is missing there
is one that few have or none. A partial population (counts given by hand) says nothing of what it lacks.
Raw SQL: COPY, and one statement for many values over several populations.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from db.rows import driver
from intel.evidence import Prevalence

# What the largest population that can tell says of each value. Uses pk_prevalence or ix_prevalence_digest.
PREVALENCE: Final = """
SELECT DISTINCT ON (w.place) w.place, p.name, p.as_of, CAST(p.traits ->> w.trait AS bigint) AS total,
    coalesce(v.count, 0) AS count
FROM unnest(CAST(:traits AS text[]), CAST(:digests AS uuid[])) WITH ORDINALITY w (trait, digest, place)
JOIN population p ON p.traits ? w.trait
LEFT JOIN LATERAL (
    SELECT v.count FROM prevalence v WHERE v.population = p.name AND v.trait = w.trait AND v.digest = w.digest
) v ON true
WHERE v.count IS NOT NULL OR NOT p.partial
ORDER BY w.place, total DESC, p.name
"""

# What every population says of a value, whatever it is of. Uses ix_prevalence_digest.
EVERYWHERE: Final = """
SELECT v.trait, p.name AS population, p.title, v.count, CAST(p.traits ->> v.trait AS bigint) AS total, p.as_of
FROM prevalence v JOIN population p ON p.name = v.population
WHERE v.digest = ANY(CAST(:digests AS uuid[]))
ORDER BY v.trait, total DESC, p.name
"""

# The populations, of which there are some dozens. Uses pk_prevalence.
POPULATIONS: Final = """
SELECT p.name, p.title, p.total, p.traits, p.partial, p.as_of, p.counted_at,
    (SELECT count(*) FROM prevalence v WHERE v.population = p.name) AS values
FROM population p ORDER BY p.name
"""

# What was counted just now, gone with the transaction.
_COUNTED: Final = "CREATE TEMP TABLE counted (trait text, digest uuid, count bigint) ON COMMIT DROP"

# What the population no longer has. Uses pk_prevalence.
_GONE: Final = """
DELETE FROM prevalence v WHERE v.population = :name
    AND NOT EXISTS (SELECT FROM counted c WHERE c.trait = v.trait AND c.digest = v.digest)
"""
# Only what has changed is written, so that a population that hardly moves leaves few dead rows. Uses pk_prevalence.
_WRITE: Final = """
INSERT INTO prevalence AS v (population, trait, digest, count)
SELECT :name, c.trait, c.digest, max(c.count) FROM counted c GROUP BY c.trait, c.digest
ON CONFLICT (population, trait, digest) DO UPDATE SET count = excluded.count WHERE v.count <> excluded.count
"""
# The population as it was counted just now. Uses pk_population.
_POPULATION: Final = """
INSERT INTO population (name, title, total, traits, partial, as_of, counted_at)
VALUES (:name, :title, :total, CAST(:traits AS jsonb), :partial, :as_of, clock_timestamp())
ON CONFLICT (name) DO UPDATE SET title = excluded.title, total = excluded.total, traits = excluded.traits,
    partial = excluded.partial, as_of = excluded.as_of, counted_at = excluded.counted_at
"""


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """A population as it was counted. `traits`: for how many things each trait is known. `as_of` is event time."""

    name: str
    title: str
    total: int
    traits: Mapping[str, int]
    as_of: datetime
    partial: bool = False


def prevalence(connection: Connection, wanted: Sequence[tuple[str, bytes]]) -> dict[tuple[str, bytes], Prevalence]:
    """How common values are, by (trait or predicate, digest of the value), by the largest population that can tell.

    A value that a population counts and lacks has the count 0; what no population counts is missing from the answer.
    """
    asked = list(dict.fromkeys(wanted))
    if not asked:
        return {}
    values = {
        "traits": [trait for trait, _ in asked],
        "digests": [str(UUID(bytes=digest)) for _, digest in asked],
    }
    return {
        asked[row["place"] - 1]: Prevalence(
            count=row["count"],
            total=max(row["total"], row["count"]),
            population=row["name"],
            as_of=row["as_of"].date(),
        )
        for row in connection.execute(text(PREVALENCE), values).mappings()
    }


def everywhere(connection: Connection, digests: Sequence[bytes]) -> list[dict[str, Any]]:
    """What every population says of values: trait, population, title, count, total, as_of."""
    values = {"digests": [str(UUID(bytes=digest)) for digest in digests]}
    return [dict(row) for row in connection.execute(text(EVERYWHERE), values).mappings()]


def populations(connection: Connection) -> list[dict[str, Any]]:
    """The populations: name, title, total, traits, partial, as_of (event time), counted_at, how many values."""
    return [dict(row) for row in connection.execute(text(POPULATIONS)).mappings()]


def replace(connection: Connection, population: Counted, counts: Iterable[tuple[str, bytes, int]]) -> int:
    """Put a population and its counts (trait, digest, count) in the place of what was there.

    In the caller's transaction. Returns how many values it has now.
    """
    raw = driver(connection)
    raw.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", ("population:" + population.name,))
    raw.execute("DROP TABLE IF EXISTS pg_temp.counted")
    raw.execute(_COUNTED)
    with raw.cursor().copy("COPY counted (trait, digest, count) FROM STDIN") as copy:
        for trait, digest, count in counts:
            copy.write_row((trait, UUID(bytes=digest), count))
    raw.execute("CREATE INDEX ON counted (trait, digest)")
    raw.execute("ANALYZE counted")
    row = {name: getattr(population, name) for name in ("name", "title", "total", "partial", "as_of")}
    connection.execute(text(_POPULATION), row | {"traits": msgspec.json.encode(population.traits).decode()})
    connection.execute(text(_GONE), {"name": population.name})
    connection.execute(text(_WRITE), {"name": population.name})
    how_many = text("SELECT count(*) FROM prevalence WHERE population = :name")
    return int(connection.execute(how_many, {"name": population.name}).scalar_one())


def as_of(connection: Connection, name: str) -> datetime | None:
    """The time that a population's figures speak of (event time); None where it was never counted."""
    found = connection.execute(text("SELECT as_of FROM population WHERE name = :name"), {"name": name})
    return found.scalar_one_or_none()


def forget(connection: Connection, name: str) -> bool:
    """Remove a population and its counts. Returns whether there was one."""
    gone = connection.execute(text("DELETE FROM population WHERE name = :name"), {"name": name})
    return gone.rowcount > 0
