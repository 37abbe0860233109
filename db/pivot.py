"""Links around things, for the pivot: ids in, rows out; each statement is one for many things, and bounded.

Nothing here counts a hub's million rows: a degree is asked for with a limit, and links are read up to one more than a
thing may have. Read only. Raw SQL: laterals with limits, which keep each thing to a walk down one index.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

_SPAN: Final = """extract(epoch FROM lower(l.seen))::float8 AS begins,
    extract(epoch FROM upper(l.seen))::float8 AS ends,
    CASE WHEN l.seen <> tstzmultirange(range_merge(l.seen)) THEN l.seen END AS seen"""
_ENTITY: Final = "e.digest, e.kind, e.value, e.scope, host(e.address) AS address, masklen(e.address) AS bits"

# Links whose subject a thing is, by predicate, one more than :most at most. Uses pk_link and pk_entity.
OUT: Final = f"""
SELECT n.id AS near, p.predicate, l.object_id AS far, {_ENTITY}, {_SPAN}
FROM unnest(CAST(:ids AS bigint[])) n (id) CROSS JOIN unnest(CAST(:predicates AS text[])) p (predicate)
CROSS JOIN LATERAL (
    SELECT object_id, seen FROM link WHERE subject_id = n.id AND predicate = p.predicate
    ORDER BY object_id LIMIT :most + 1
) l
JOIN entity e ON e.id = l.object_id
"""  # noqa: S608 - put together from constants

# Links whose object a thing is, the same way. Uses ix_link_object_id and pk_entity.
INTO: Final = f"""
SELECT n.id AS near, p.predicate, l.subject_id AS far, {_ENTITY}, {_SPAN}
FROM unnest(CAST(:ids AS bigint[])) n (id) CROSS JOIN unnest(CAST(:predicates AS text[])) p (predicate)
CROSS JOIN LATERAL (
    SELECT subject_id, seen FROM link WHERE object_id = n.id AND predicate = p.predicate LIMIT :most + 1
) l
JOIN entity e ON e.id = l.subject_id
"""  # noqa: S608 - put together from constants

# What stands on registrable domains, by the domain. Uses ix_entity_scope.
BELOW: Final = f"""
SELECT n.id AS near, 'stands-on' AS predicate, e.id AS far, {_ENTITY},
    NULL::float8 AS begins, NULL::float8 AS ends, NULL AS seen
FROM unnest(CAST(:ids AS bigint[]), CAST(:scopes AS text[])) n (id, scope)
CROSS JOIN LATERAL (
    SELECT id, digest, kind, value, scope, address FROM entity
    WHERE scope = n.scope AND scope <> '' AND id <> n.id AND kind IN ('domain', 'url', 'endpoint') LIMIT :most + 1
) e
"""  # noqa: S608 - put together from constants

# The registrable domains that names stand on, by digest. Uses uq_entity_digest.
ABOVE: Final = f"""
SELECT n.id AS near, 'stands-on' AS predicate, e.id AS far, {_ENTITY},
    NULL::float8 AS begins, NULL::float8 AS ends, NULL AS seen
FROM unnest(CAST(:ids AS bigint[]), CAST(:digests AS uuid[])) n (id, digest)
JOIN entity e ON e.digest = n.digest AND e.id <> n.id
"""  # noqa: S608 - put together from constants

# How many say it of an object, and of how many one subject says it, up to one more than :most. Uses ix_link_object_id
# and pk_link.
DEGREES: Final = """
SELECT n.place, CASE WHEN n.out
    THEN (SELECT count(*) FROM (SELECT FROM link WHERE subject_id = n.id AND predicate = n.predicate LIMIT :most + 1) x)
    ELSE (SELECT count(*) FROM (SELECT FROM link WHERE object_id = n.id AND predicate = n.predicate LIMIT :most + 1) x)
    END AS degree
FROM unnest(CAST(:ids AS bigint[]), CAST(:predicates AS text[]), CAST(:outs AS boolean[]))
    WITH ORDINALITY n (id, predicate, out, place)
"""

# Uses pk_entity.
ENTITIES: Final = f"SELECT e.id, {_ENTITY} FROM entity e WHERE e.id = ANY(CAST(:ids AS bigint[]))"  # noqa: S608 - constants

# When registrable domains were no longer whose they were, up to :until. Uses uq_entity_digest and pk_ownership_end.
ENDS: Final = """
SELECT n.scope, o.entity_id, o.ended_at, o.reason
FROM unnest(CAST(:scopes AS text[]), CAST(:digests AS uuid[])) n (scope, digest)
JOIN entity e ON e.digest = n.digest JOIN ownership_end o ON o.entity_id = e.id
WHERE CAST(:until AS timestamptz) IS NULL OR o.ended_at <= CAST(:until AS timestamptz)
ORDER BY o.ended_at, o.reason
"""

# What the facts say of links that is not in them. Uses ix_fact_subject_id_predicate_object_id.
SAID: Final = """
SELECT n.place, count(*) AS facts, count(*) FILTER (WHERE f.state = 'value') AS values_stated,
    bool_or(f.personal) AS personal, array_agg(DISTINCT f.reference) AS references,
    array_agg(DISTINCT coalesce(f.qualifiers ->> 'role', '')) AS roles
FROM unnest(CAST(:subjects AS bigint[]), CAST(:predicates AS text[]), CAST(:objects AS bigint[]))
    WITH ORDINALITY n (subject, predicate, object, place)
CROSS JOIN LATERAL (
    SELECT state, personal, reference, qualifiers FROM fact
    WHERE (subject_id, predicate, object_id) = (n.subject, n.predicate, n.object) LIMIT 100
) f
GROUP BY n.place
"""

# Who claimed what of things by :until. Uses ix_fact_subject_id_predicate_object_id, pk_fact_history, pk_source and
# pk_entity.
CLAIMS: Final = """
SELECT DISTINCT n.id, e.id AS claimed, e.kind, e.value, s.name AS source
FROM unnest(CAST(:ids AS bigint[])) n (id)
CROSS JOIN LATERAL (
    SELECT object_id, source_id FROM fact WHERE subject_id = n.id AND predicate = 'attributed-to' AND state = 'value'
        AND object_id IS NOT NULL AND (CAST(:until AS timestamptz) IS NULL OR CAST(:until AS timestamptz) >= (
            SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = fact.id AND NOT h.ended))
    LIMIT 50
) f
JOIN entity e ON e.id = f.object_id JOIN source s ON s.id = f.source_id
ORDER BY n.id, e.value, s.name
"""

# When things were first listed, claimed or reported: whoever had them then is meant. Uses pk_link.
MEANT: Final = """
SELECT n.id, min(extract(epoch FROM lower(l.seen))::float8) AS at
FROM unnest(CAST(:ids AS bigint[])) n (id)
CROSS JOIN LATERAL (
    SELECT seen FROM link WHERE subject_id = n.id AND predicate IN ('listed', 'attributed-to', 'reported-in') LIMIT 50
) l
GROUP BY n.id
"""

# How many entities there are, as the statistics have it.
KNOWN: Final = "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'entity'::regclass"


class RushedError(Exception):
    """The time that was allowed is over: no fault. The transaction goes on."""


class Reader:
    """Runs the statements above, each in what is left of the time.

    `left` gives that in seconds; without it there is no end. Just-in-time compilation is off for the transaction: it
    takes longer than the statements do.
    """

    def __init__(self, connection: Connection, left: Callable[[], float] | None = None) -> None:
        self._connection = connection
        self._left = left
        self._before: str = connection.execute(text(_BEGIN)).scalar_one()
        self._allowed = math.inf
        # A statement that is cancelled undoes what follows the savepoint; whoever asked goes on in its transaction.
        self._savepoint = connection.begin_nested() if left is not None else None

    def rows(self, statement: str, **values: Any) -> Sequence[Row[Any]]:
        """All rows. Raises RushedError where time is over, before or during it."""
        if self._left is None:
            return self._connection.execute(text(statement), values).all()
        left = self._left()
        if left <= 0:
            raise RushedError
        if self._allowed > 2 * left or math.isinf(self._allowed):
            # Not before each statement, which would be as many again: at worst one takes twice of what was left.
            self._allow(left)
        try:
            return self._connection.execute(text(statement), values).all()
        except DBAPIError as error:
            savepoint, self._savepoint = self._savepoint, None
            if savepoint is None or error.connection_invalidated:
                raise
            savepoint.rollback()
            if getattr(error.orig, "sqlstate", "") != _CANCELLED:
                raise
            self._savepoint, self._allowed = self._connection.begin_nested(), math.inf
            raise RushedError from None

    def close(self) -> None:
        """Let the caller's own limit stand again."""
        if self._savepoint is not None and self._savepoint.is_active:
            self._connection.execute(text(_LIMIT), {"limit": self._before})
            self._savepoint.commit()

    def _allow(self, seconds: float) -> None:
        self._connection.execute(text(_LIMIT), {"limit": f"{max(1, int(seconds * 1000))}ms"})
        self._allowed = seconds


_CANCELLED: Final = "57014"
# Once for each transaction.
_BEGIN: Final = "SELECT current_setting('statement_timeout') FROM set_config('jit', 'off', true)"
# As SET LOCAL, which takes no parameter.
_LIMIT: Final = "SELECT set_config('statement_timeout', :limit, true)"


def uuids(digests: Iterable[bytes]) -> list[str]:
    """Digests as the statements take them."""
    return [str(UUID(bytes=digest)) for digest in digests]
