"""What the registrations monitor asks about versions: domains whose registration was touched in, transitions out.

A version is what one source states at one tier (registry, registrar) in one answer: facts stated at its time, and facts
of the version before that end at its time. A transition is a fact that ends at the very time at which another of the
same source, tier and field is stated. All of it is asked anew of the whole history of a domain whenever anything of it
is touched, so that what is found depends on what was stated, not on when it came; what no longer holds is withdrawn.

The tables are those of db/watching_match.py. Raw SQL for the same reasons as there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from db.ownership_effects import taken
from db.watching_drop import no_longer_held

REGISTRATION: Final = (
    "('registered-by', 'registered-through', 'created', 'expires', 'has-status', 'uses-name-server',"
    " 'uses-name-servers', 'resolves-to')"
)
"""The predicates whose history says whose a domain is."""
DATED_BY_VERSIONS: Final = (
    "registrant-hidden",
    "registrant-exposed",
    "name-servers-moved",
    "re-registered",
    "expired",
    "seized",
    "sinkholed",
)
"""The rules over versions: their findings are dated by a transition, not by when a fact was first stated."""
_RULES: Final = f"({', '.join(repr(rule) for rule in DATED_BY_VERSIONS)})"

# The domains of which a batch says something, that something has ended included. Uses ix_fact_history_batch_id and
# pk_fact.
TOUCHED: Final = f"""
INSERT INTO watch_domain
SELECT DISTINCT f.subject_id FROM (SELECT DISTINCT fact_id FROM fact_history WHERE batch_id = :batch_id) h
JOIN fact f ON f.id = h.fact_id AND f.predicate IN {REGISTRATION}
JOIN entity e ON e.id = f.subject_id AND e.kind = 'domain'
ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants

# The domains among what a sweep looks at. Uses pk_entity.
SWEPT_DOMAINS: Final = """
INSERT INTO watch_domain
SELECT e.id FROM watch_swept_entity s JOIN entity e ON e.id = s.id AND e.kind = 'domain' ON CONFLICT DO NOTHING
"""

# The domains that the candidates speak of. Uses pk_entity.
CANDIDATE_DOMAINS: Final = f"""
INSERT INTO watch_domain
SELECT DISTINCT c.subject_id FROM watch_candidate c JOIN entity e ON e.id = c.subject_id AND e.kind = 'domain'
WHERE c.predicate IN {REGISTRATION}
ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants


def same(*names: str) -> str:
    """That two facts `x` and `n` are of one source and have these qualifiers in common."""
    alike = " AND ".join(f"n.qualifiers->>'{name}' IS NOT DISTINCT FROM x.qualifiers->>'{name}'" for name in names)
    return f"n.source_id = x.source_id AND {alike}"


_FIELD: Final = same("field", "tier", "role")
_OF_REGISTRANT: Final = "coalesce(x.qualifiers->>'role', 'registrant') = 'registrant' AND x.qualifiers->>'field' <> ''"
_DAY: Final = "to_char(e.event_time AT TIME ZONE 'UTC', 'YYYY-MM-DD')"


def _as_it_was(state: str) -> str:
    """That the version at `e.event_time` states a field of that registrant in such a state, whichever field."""
    return f"""EXISTS (
        SELECT FROM fact v JOIN fact_history w ON (w.fact_id, w.event_time, w.ended) = (v.id, e.event_time, false)
        WHERE v.subject_id = x.subject_id AND v.predicate = 'registered-by' AND v.state {state}
            AND v.source_id = x.source_id AND v.qualifiers->>'tier' IS NOT DISTINCT FROM x.qualifiers->>'tier'
            AND v.qualifiers->>'role' IS NOT DISTINCT FROM x.qualifiers->>'role')"""  # noqa: S608 - constants


def _until_then(fact: str) -> str:
    """That a fact was not stated at its end as well: a version that is read again says both, and changed nothing."""
    return f"""NOT EXISTS (SELECT FROM fact_history b
        WHERE (b.fact_id, b.event_time, b.ended) = ({fact}.id, e.event_time, false))"""


def _began(fact: str) -> str:
    """Since when a fact had been so without a break when it ended; null where it ended twice."""
    return f"""(SELECT min(b.event_time) FROM fact_history b WHERE b.fact_id = {fact}.id AND NOT b.ended
        AND b.event_time < e.event_time AND NOT EXISTS (SELECT FROM fact_history p WHERE p.fact_id = {fact}.id
            AND p.ended AND p.event_time >= b.event_time AND p.event_time < e.event_time))"""  # noqa: S608 - constants


def _found(rule: str, how: str, besides: str = "true") -> str:
    """What a rule finds of `moved`: transitions whose spans before them overlap are one, dated by the first.

    Registry, registrar and two protocols tell the same change at times of their own, days apart. Which they are does
    not depend on who watches since when.
    """
    return f"""
), spanned AS (
    SELECT m.*, began > max(event_time) OVER (PARTITION BY id ORDER BY began, event_time, fact_id, known_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS apart
    FROM moved m WHERE began IS NOT NULL AND {besides}
), counted AS (
    SELECT *, count(*) FILTER (WHERE apart) OVER (PARTITION BY id ORDER BY began, event_time, fact_id, known_id
        ROWS UNBOUNDED PRECEDING) AS span
    FROM spanned
), dated AS (
    SELECT *, min(event_time) OVER (PARTITION BY id, span) AS first FROM counted
), came AS MATERIALIZED (
    SELECT h.watch_id, h.item_id, h.since, m.*, s.digest || ' ' || to_char(m.first AT TIME ZONE 'UTC', 'YYYY-MM-DD')
        AS novelty
    FROM dated m
    JOIN watch_entity s ON s.id = m.id
    JOIN watch_hit h ON h.entity_id = m.id AND h.match <> 'network' AND (h.after IS NULL OR m.event_time >= h.after)
), said AS (
    INSERT INTO watch_said SELECT '{rule}', watch_id, novelty, field, {how}, began FROM came m
)
INSERT INTO watch_match
SELECT '{rule}', watch_id, item_id, since, id, NULL::bigint, novelty, event_time, fact_id, known_id FROM came
"""  # noqa: S608 - put together from constants


def _not_taken(at: str) -> str:
    """That nobody had taken the domain away by then: whom it names since says nothing of whose it was."""
    return f"NOT EXISTS (SELECT FROM watch_end t WHERE t.entity_id = m.id AND {taken('t', at, 'watch_end')})"


_LOOKED_FOR: Final = "d.id IN (SELECT entity_id FROM watch_hit WHERE match <> 'network')"

# A registrant's field that was a value, and that the next version hides. A field that merely goes is hidden only where
# the version shows nothing more of the registrant. Uses ix_fact_subject_id_predicate_object_id and pk_fact_history.
_REGISTRANT_HIDDEN: Final = f"""
WITH moved AS MATERIALIZED (
    SELECT d.id, e.event_time, n.id AS fact_id, x.id AS known_id, x.qualifiers->>'field' AS field, n.state,
        {_began("x")} AS began
    FROM watch_domain d
    JOIN fact x ON x.subject_id = d.id AND x.predicate = 'registered-by' AND x.state = 'value' AND {_OF_REGISTRANT}
    JOIN fact_history e ON e.fact_id = x.id AND e.ended
    JOIN fact n ON n.subject_id = d.id AND n.predicate = 'registered-by'
        AND n.state IN ('redacted', 'placeholder', 'proxy', 'absent') AND {_FIELD}
    JOIN fact_history c ON (c.fact_id, c.event_time, c.ended) = (n.id, e.event_time, false)
    WHERE {_LOOKED_FOR} AND {_until_then("x")} AND (n.state <> 'absent' OR NOT {_as_it_was("= 'value'")})
{_found("registrant-hidden", "m.state", _not_taken("m.began"))}"""  # noqa: S608 - put together from constants

# Whether another registrar, or a later end of the registration, was stated within a day of a transition by whoever
# stated the one before. Uses ix_fact_subject_id_predicate_object_id and pk_fact_history.
_WITH: Final = """EXISTS (
        SELECT FROM fact a JOIN fact_history g ON g.fact_id = a.id AND g.ended
            AND g.event_time BETWEEN m.event_time - interval '1 day' AND m.event_time + interval '1 day'
        JOIN fact b ON b.subject_id = a.subject_id AND b.predicate = a.predicate AND b.source_id = a.source_id
            AND b.id <> a.id AND b.state = 'value'
            AND b.qualifiers->>'tier' IS NOT DISTINCT FROM a.qualifiers->>'tier'
        JOIN fact_history k ON (k.fact_id, k.event_time, k.ended) = (b.id, g.event_time, false)
        JOIN entity av ON av.id = a.object_id
        JOIN entity bv ON bv.id = b.object_id
        WHERE a.subject_id = m.id AND a.predicate = '{predicate}' AND a.state = 'value' AND {later})"""
_TRANSFER: Final = _WITH.format(predicate="registered-through", later="av.id <> bv.id")
_RENEWAL: Final = _WITH.format(predicate="expires", later="left(bv.value, 10) > left(av.value, 10)")
_HOW: Final = f"CASE WHEN {_TRANSFER} THEN 'transfer' WHEN {_RENEWAL} THEN 'renewal' ELSE '' END"

# A registrant's field that was hidden, and that the next version states. A field that was merely absent was hidden only
# where another of the same registrant was by declaration. Uses ix_fact_subject_id_predicate_object_id, pk_fact_history.
_REGISTRANT_EXPOSED: Final = f"""
WITH moved AS MATERIALIZED (
    SELECT d.id, e.event_time, x.id AS fact_id, n.id AS known_id, x.qualifiers->>'field' AS field,
        {_began("n")} AS began
    FROM watch_domain d
    JOIN fact n ON n.subject_id = d.id AND n.predicate = 'registered-by'
        AND n.state IN ('redacted', 'placeholder', 'proxy', 'absent')
    JOIN fact_history e ON e.fact_id = n.id AND e.ended
    JOIN fact x ON x.subject_id = d.id AND x.predicate = 'registered-by' AND x.state = 'value' AND {_OF_REGISTRANT}
        AND {_FIELD}
    JOIN fact_history c ON (c.fact_id, c.event_time, c.ended) = (x.id, e.event_time, false)
    WHERE {_LOOKED_FOR} AND {_until_then("n")} AND (n.state <> 'absent' OR EXISTS (
        SELECT FROM fact v JOIN fact_history w ON (w.fact_id, w.event_time, w.ended) = (v.id, e.event_time, true)
        WHERE v.subject_id = d.id AND v.predicate = 'registered-by'
            AND v.state IN ('redacted', 'placeholder', 'proxy') AND v.source_id = x.source_id
            AND v.qualifiers->>'tier' IS NOT DISTINCT FROM x.qualifiers->>'tier'
            AND v.qualifiers->>'role' IS NOT DISTINCT FROM x.qualifiers->>'role'))
{_found("registrant-exposed", _HOW, _not_taken("m.event_time"))}"""  # noqa: S608 - put together from constants

# A set of name servers that ended where another was stated. Uses ix_fact_subject_id_predicate_object_id and
# pk_fact_history.
_NAME_SERVERS_MOVED: Final = f"""
INSERT INTO watch_match
SELECT 'name-servers-moved', h.watch_id, h.item_id, h.since, d.id, o.id, s.digest || ' ' || o.digest || ' ' || {_DAY},
    e.event_time, n.id, x.id
FROM watch_domain d
JOIN watch_entity s ON s.id = d.id
JOIN watch_hit h ON h.entity_id = d.id AND h.match <> 'network'
JOIN fact x ON x.subject_id = d.id AND x.predicate = 'uses-name-servers' AND x.state = 'value'
JOIN fact_history e ON e.fact_id = x.id AND e.ended AND (h.after IS NULL OR e.event_time >= h.after)
JOIN fact n ON n.subject_id = d.id AND n.predicate = 'uses-name-servers' AND n.state = 'value' AND n.id <> x.id
    AND n.object_id <> x.object_id AND {same("tier")}
JOIN fact_history c ON (c.fact_id, c.event_time, c.ended) = (n.id, e.event_time, false)
JOIN entity o ON o.id = n.object_id
WHERE {_until_then("x")}
"""  # noqa: S608 - put together from constants


def _ended(reason: str) -> str:
    """The statement of the rule about one way in which a watched domain ceases to be whose it was (db/ownership.py)."""
    return f"""
WITH gone AS (
    SELECT h.watch_id, h.item_id, h.since, s.id, s.digest || ' '
        || to_char(n.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS novelty, n.ended_at, n.fact_id, n.known_id, n.how
    FROM watch_end n
    JOIN watch_entity s ON s.id = n.entity_id
    JOIN watch_hit h ON h.entity_id = s.id AND h.match <> 'network' AND (h.after IS NULL OR n.ended_at >= h.after)
    WHERE n.reason = '{reason}'
), said AS (
    INSERT INTO watch_said SELECT '{reason}', watch_id, novelty, '', how, NULL FROM gone
)
INSERT INTO watch_match
SELECT '{reason}', watch_id, item_id, since, id, NULL::bigint, novelty, ended_at, fact_id, known_id FROM gone
"""  # noqa: S608 - put together from constants


OF_VERSIONS: Final[Mapping[str, str]] = {
    "registrant-hidden": _REGISTRANT_HIDDEN,
    "registrant-exposed": _REGISTRANT_EXPOSED,
    "name-servers-moved": _NAME_SERVERS_MOVED,
    **{reason: _ended(reason) for reason in ("re-registered", "expired", "seized", "sinkholed")},
}

# What such a finding rested on and no longer does: the domains are judged whole, so what did not match does not hold.
# Claims that led to the item stay. Uses ix_finding_subject_id and pk_finding_fact.
DROP_VERSIONS: Final = no_longer_held(
    f"""
    SELECT n.id, n.watch_id, n.rule, n.novelty FROM watch_domain d
    JOIN finding n ON n.subject_id = d.id AND n.rule IN {_RULES}
    WHERE EXISTS (SELECT FROM watch_hit h WHERE (h.entity_id, h.watch_id) = (d.id, n.watch_id))
""",  # noqa: S608 - put together from constants
    rules=_RULES,
    reason="what is known of its versions no longer says so",
)
