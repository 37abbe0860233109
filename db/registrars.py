"""Registrars by all the names that registries gave them: what is known of those that some facts name. Read only.

A registry that gives a number with a name makes the name an alias of `iana:N` (tasks/enrich/facts_of_registration.py);
a WHOIS server that gives a name alone makes a registrar of that name. `known_registrars` tells that they are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from intel.entities import Kind, entity, literal
from intel.errors import ReadError
from intel.registrars import PREFIX, Registrars, number_of, registrars

_MOST: Final = 2_000
"""Aliases that are read at most; a registrar has a handful."""

# The names of registrars (by digest), those that were given last first. Uses uq_entity_digest and
# ix_fact_subject_id_predicate_object_id.
NAMES_OF: Final = """
SELECT e.value, o.value AS name FROM entity e
CROSS JOIN LATERAL (
    SELECT max(id) AS id, object_id FROM fact WHERE subject_id = e.id AND predicate = 'alias' AND object_id IS NOT NULL
    GROUP BY object_id
) f
CROSS JOIN LATERAL (SELECT value FROM entity WHERE id = f.object_id) o
WHERE e.digest = ANY(CAST(:digests AS uuid[])) AND e.kind = 'registrar'
ORDER BY f.id DESC LIMIT :most
"""

# The registrars that go by these names (digests of texts). Uses uq_entity_digest, ix_fact_object_id and pk_entity.
NUMBERS_OF: Final = """
SELECT DISTINCT e.value, o.value AS name FROM entity o
CROSS JOIN LATERAL (
    SELECT DISTINCT subject_id FROM fact WHERE object_id = o.id AND predicate = 'alias' LIMIT :most) f
CROSS JOIN LATERAL (SELECT kind, value FROM entity WHERE id = f.subject_id) e
WHERE o.digest = ANY(CAST(:digests AS uuid[])) AND e.kind = 'registrar' LIMIT :most
"""


def known_registrars(connection: Connection, values: Iterable[str], by_hand: Mapping[int, Sequence[str]]) -> Registrars:
    """What is known of registrars that facts name (`iana:N`, or a name): learned aliases and those of the list.

    `by_hand` is `intel.config.registrars.read_registrars(configs).by_number`.
    """
    named = set(values)
    texts = [literal(Kind.TEXT, value).digest for value in named if not value.startswith(PREFIX)]
    rows = connection.execute(text(NUMBERS_OF), {"digests": _uuids(texts), "most": _MOST})
    learned = [(row.value, row.name) for row in rows]
    numbers = []
    for value in sorted({*named, *(value for value, _ in learned)}):
        try:
            numbers.append(entity(Kind.REGISTRAR, value).digest)
        except ReadError:
            continue
    rows = connection.execute(text(NAMES_OF), {"digests": _uuids(numbers), "most": _MOST})
    return registrars(by_hand, [*((row.value, row.name) for row in rows), *learned])


def names_of(connection: Connection, numbers: Iterable[int]) -> dict[int, list[str]]:
    """The names that registries gave with IANA's numbers, by number, as they were written."""
    digests = [entity(Kind.REGISTRAR, f"{PREFIX}{number}").digest for number in numbers]
    found: dict[int, list[str]] = {}
    for row in connection.execute(text(NAMES_OF), {"digests": _uuids(digests), "most": _MOST}):
        number = number_of(row.value)
        if number is not None:
            found.setdefault(number, []).append(row.name)
    return found


def _uuids(digests: Iterable[bytes]) -> list[UUID]:
    return [UUID(bytes=digest) for digest in digests]
