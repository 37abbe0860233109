"""Registration patterns as rows: what an actor's known domains are, and what was proposed and decided.

Raw SQL where arrays are unnested, as elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import OperationalError

from db.models import RegistrationPattern, Watch
from intel.entities import Kind, digest
from intel.patterns.records import MILLION, Pattern
from intel.traits import Trait

MOST_KNOWN: Final = 5_000
MOST_SAMPLE: Final = 5_000
MOST_LOOKBACKS: Final = 20
MOST_DAILY: Final = 1_000_000
LEAST_DAYS: Final = 2
LOOKBACK_MS: Final = 3_000
"""How long it is looked for what else has a pattern's traits."""
_TOO_LONG: Final = "57014"

# The domains that a watch names, that sources claim to be its actor's, and that a person confirmed. Uses
# ix_watch_item_match_digest (by watch), uq_entity_digest, ix_link_object_id and pk_entity.
KNOWN: Final = """
SELECT DISTINCT i.value AS name FROM watch_item i
WHERE i.watch_id = :watch AND (i.match = 'scope' OR i.match = 'subtree' OR (i.match = 'entity' AND i.kind = 'domain'))
UNION
SELECT e.scope FROM watch w
JOIN link l ON l.object_id = w.actor_id AND l.predicate = 'attributed-to'
JOIN entity e ON e.id = l.subject_id AND e.kind = 'domain' AND e.scope <> ''
WHERE w.id = :watch AND w.follows_actor
UNION
SELECT e.scope FROM finding n JOIN entity e ON e.id = n.subject_id AND e.kind = 'domain' AND e.scope <> ''
WHERE n.watch_id = :watch AND n.status = 'confirmed'
ORDER BY name LIMIT :most
"""

# Those that have a row. Uses uq_entity_digest.
_IDS: Final = "SELECT id FROM entity WHERE digest = ANY(CAST(:digests AS uuid[])) ORDER BY id"

# The watches, and what was learned of each last. Uses pk_watch and uq_registration_pattern_watch_id_key.
LEARNED: Final = """
SELECT w.id, coalesce((SELECT p.known FROM registration_pattern p WHERE p.watch_id = w.id
    ORDER BY p.learned_at DESC, p.id LIMIT 1), 0) AS known
FROM watch w WHERE w.active ORDER BY w.id
"""

# What chance chose to be looked up: nobody's for a reason. Uses pk_reference_sample.
SAMPLE: Final = """
SELECT r.entity_id FROM reference_sample r WHERE NOT r.entity_id = ANY(:known)
ORDER BY r.chosen_at DESC, r.entity_id LIMIT :most
"""

# Names that lists and zones showed last, as their hash chooses. Uses ix_seen_domain_first_seen.
NAMES: Final = """
SELECT name FROM seen_domain WHERE channel IN ('list', 'zone') ORDER BY first_seen DESC, name LIMIT :most
"""

# Over which days the names that lists and zones showed last came, and how many. Uses ix_seen_domain_first_seen.
DAILY: Final = """
SELECT count(*) AS seen, extract(epoch FROM max(first_seen) - min(first_seen)) / 86400 AS days FROM (
    SELECT first_seen FROM seen_domain WHERE channel IN ('list', 'zone') ORDER BY first_seen DESC LIMIT :most) n
"""

# The registrars of domains, by each way in which facts call them. Uses pk_link and pk_entity.
REGISTRARS: Final = """
SELECT DISTINCT e.value FROM link l JOIN entity e ON e.id = l.object_id
WHERE l.subject_id = ANY(:ids) AND l.predicate = 'registered-through' ORDER BY e.value
"""

# A pattern as it was learned now: what was refused stays as it is, what was out of date is proposed anew. Uses
# uq_registration_pattern_watch_id_key.
_PROPOSE: Final = """
INSERT INTO registration_pattern AS p
    (watch_id, key, traits, known, support, per_million, population, examples, learned_at)
VALUES (:watch, :key, CAST(:traits AS jsonb), :known, :support, :per_million, :population, CAST(:examples AS jsonb),
    clock_timestamp())
ON CONFLICT (watch_id, key) DO UPDATE SET known = excluded.known, support = excluded.support,
    per_million = excluded.per_million, population = excluded.population, examples = excluded.examples,
    status = CASE p.status WHEN 'superseded' THEN 'proposed' ELSE p.status END, learned_at = excluded.learned_at
WHERE p.status <> 'refused'
"""


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `registration_pattern`; times are recorded ones.

    `population` says what `per_million` rests on; it is empty where nobody counted any of the traits. `lookbacks` are
    domains in the warehouse that have the traits and are none of the known.
    """

    id: int
    watch_id: int
    watch: str
    traits: tuple[Trait, ...]
    known: int
    support: int
    per_million: float
    population: str
    examples: tuple[str, ...]
    lookbacks: tuple[str, ...]
    status: str
    reason: str
    decided_by: str
    rule_id: int | None
    proposed_at: datetime
    learned_at: datetime

    @property
    def is_counted(self) -> bool:
        """Whether its expected false positives are known."""
        return bool(self.population)


def find_watch(connection: Connection, watch: int | str) -> int | None:
    """The id of an active watch, by id or name."""
    named = Watch.id == watch if isinstance(watch, int) else Watch.name == watch
    return connection.execute(select(Watch.id).where(named, Watch.active)).scalar_one_or_none()


def lock(connection: Connection, watch_id: int) -> None:
    """Nobody else proposes for, or decides on, this watch until the transaction ends."""
    connection.execute(text("SELECT pg_advisory_xact_lock(19544, CAST(:id AS int))"), {"id": watch_id})


def known_domains(connection: Connection, watch_id: int) -> list[int]:
    """The ids of a watch's known registrable domains that the warehouse knows."""
    names = connection.execute(text(KNOWN), {"watch": watch_id, "most": MOST_KNOWN}).scalars()
    digests = [str(UUID(bytes=digest(Kind.DOMAIN, name))) for name in names]
    return list(connection.execute(text(_IDS), {"digests": digests}).scalars())


def learned_from(connection: Connection) -> dict[int, int]:
    """The active watches, and of how many known domains each one's newest patterns were learned; 0: never."""
    rows = connection.execute(text(LEARNED))
    return {row.id: row.known for row in rows}


def sample(connection: Connection, known: Sequence[int]) -> list[int]:
    """Domains of the reference sample that are none of the known."""
    return list(connection.execute(text(SAMPLE), {"known": list(known), "most": MOST_SAMPLE}).scalars())


def new_names(connection: Connection, most: int) -> list[str]:
    """The names that lists and zones showed last."""
    return list(connection.execute(text(NAMES), {"most": most}).scalars())


def new_a_day(connection: Connection) -> float | None:
    """How many new domains lists and zones show a day; None where it was looked for less than two days."""
    row = connection.execute(text(DAILY), {"most": MOST_DAILY}).one()
    return float(row.seen) / float(row.days) if row.days is not None and row.days >= LEAST_DAYS else None


def registrars_of(connection: Connection, ids: Iterable[int]) -> list[str]:
    """The values by which facts name the registrars of domains."""
    return list(connection.execute(text(REGISTRARS), {"ids": list(ids)}).scalars())


def put(connection: Connection, watch_id: int, patterns: Iterable[Pattern]) -> None:
    """Write patterns that were learned: new ones are proposed, known ones get their figures, refused ones stay so."""
    for one in patterns:
        values = {
            "watch": watch_id,
            "key": str(UUID(bytes=one.key)),
            "traits": msgspec.json.encode([[trait.name, trait.value] for trait in one.traits]).decode(),
            "known": one.known,
            "support": one.support,
            "per_million": MILLION if one.per_million is None else one.per_million,
            "population": one.basis,
            "examples": msgspec.json.encode(one.examples).decode(),
        }
        connection.execute(text(_PROPOSE), values)


def supersede(connection: Connection, watch_id: int, keys: Iterable[bytes]) -> None:
    """What was proposed and is not learned any more is out of date; what was decided stays."""
    kept = [UUID(bytes=key) for key in keys]
    connection.execute(
        update(RegistrationPattern)
        .where(
            RegistrationPattern.watch_id == watch_id,
            RegistrationPattern.status == "proposed",
            RegistrationPattern.key.not_in(kept),
        )
        .values(status="superseded")
    )


def patterns(
    connection: Connection, *, watch_id: int | None = None, pattern_id: int | None = None, key: bytes | None = None
) -> list[Proposed]:
    """Patterns, those that are still to be decided first, then by what they explain and how rare they are."""
    wanted = select(RegistrationPattern.__table__, Watch.name.label("watch")).join(
        Watch, Watch.id == RegistrationPattern.watch_id
    )
    if watch_id is not None:
        wanted = wanted.where(RegistrationPattern.watch_id == watch_id)
    if pattern_id is not None:
        wanted = wanted.where(RegistrationPattern.id == pattern_id)
    if key is not None:
        wanted = wanted.where(RegistrationPattern.key == UUID(bytes=key))
    found = [
        Proposed(
            id=row.id,
            watch_id=row.watch_id,
            watch=row.watch,
            traits=tuple(Trait(*one) for one in row.traits),
            known=row.known,
            support=row.support,
            per_million=row.per_million,
            population=row.population,
            examples=tuple(row.examples),
            lookbacks=tuple(row.lookbacks),
            status=row.status,
            reason=row.reason,
            decided_by=row.decided_by,
            rule_id=row.rule_id,
            proposed_at=row.proposed_at,
            learned_at=row.learned_at,
        )
        for row in connection.execute(wanted)
    ]
    order = {"proposed": 0, "accepted": 1, "refused": 2, "superseded": 3}
    return sorted(found, key=lambda one: (one.watch, order.get(one.status, 9), -one.support, one.per_million, one.id))


def look_back(connection: Connection, statement: str, values: dict[str, Any], known: Sequence[int]) -> list[str] | None:
    """The names of what a rule's statement finds besides the known, some of them; None where that takes too long."""
    # So many more than are wanted, as those of the known come out again.
    bounded = f"SELECT DISTINCT subject_id FROM ({statement}) found (subject_id, key, at)"  # noqa: S608 - a rule's own
    wanted = (
        f"SELECT e.value FROM ({bounded}) n JOIN entity e ON e.id = n.subject_id"  # noqa: S608 - as above
        " WHERE NOT e.id = ANY(:known_here) ORDER BY e.value LIMIT :most_here"
    )
    connection.execute(text(f"SET LOCAL statement_timeout = {LOOKBACK_MS}"))
    try:
        with connection.begin_nested():
            found = connection.execute(text(wanted), {**values, "known_here": list(known), "most_here": MOST_LOOKBACKS})
            return list(found.scalars())
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _TOO_LONG:
            raise
        return None
    finally:
        connection.execute(text("SET LOCAL statement_timeout = DEFAULT"))


def put_lookbacks(connection: Connection, pattern_id: int, found: Sequence[str]) -> None:
    """Keep what else has a pattern's traits."""
    connection.execute(
        update(RegistrationPattern).where(RegistrationPattern.id == pattern_id).values(lookbacks=list(found))
    )


def decide(connection: Connection, pattern_id: int, **values: Any) -> None:
    """Write a decision."""
    connection.execute(
        update(RegistrationPattern)
        .where(RegistrationPattern.id == pattern_id)
        .values(decided_at=text("clock_timestamp()"), **values)
    )
