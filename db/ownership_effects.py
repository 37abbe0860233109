"""What it takes from a finding that a domain was no longer whose it was: ends (db/ownership.py) in, findings lowered.

A registrant that was stated after an end ties nobody to the actor; what else is found of a domain after one says so.
The statements work on the tables of a monitor's transaction (db/watching_match.py). Raw SQL for the same reasons as
there.
"""

from __future__ import annotations

from typing import Final

from db.watching_match import candidates

# Who was said to have registered the domains that have an end or had one: whom they share it with is judged again. Uses
# ix_fact_subject_id_predicate_object_id.
REGISTRANTS: Final = candidates(
    """FROM (
        SELECT entity_id AS id FROM watch_end
        UNION
        SELECT id FROM watch_moved
    ) d
    JOIN fact f ON f.subject_id = d.id AND f.predicate = 'registered-by' AND f.state = 'value'""",
    role="coalesce(f.qualifiers->>'role', nullif(f.state, 'value'))",
)

# The ends of whatever the candidates name a registrant of: its own, and those of the registrable domain that it stands
# on. Uses uq_entity_digest and pk_ownership_end.
ENDED: Final = r"""
INSERT INTO watch_ended
SELECT DISTINCT w.id, o.ended_at, o.reason
FROM (SELECT DISTINCT subject_id AS id FROM watch_candidate WHERE predicate = 'registered-by') c
JOIN watch_entity w ON w.id = c.id
JOIN entity e ON e.digest IN (w.digest, encode(substr(sha256(convert_to('domain', 'UTF8') || '\x00'::bytea
    || convert_to(w.scope, 'UTF8')), 1, 16), 'hex')::uuid)
JOIN ownership_end o ON o.entity_id = e.id
"""

BY_TAKERS: Final = "('seized', 'sinkholed')"


def taken(end: str, at: str, table: str) -> str:
    """That by an end somebody had taken the domain away, and nobody had registered it anew by `at`.

    `table` holds the ends.
    """
    return (
        f"({end}.reason IN {BY_TAKERS} AND {end}.ended_at <= {at} AND NOT EXISTS ("
        f"SELECT FROM {table} r WHERE r.entity_id = {end}.entity_id AND r.reason = 're-registered'"
        f" AND r.ended_at > {end}.ended_at AND r.ended_at <= {at}))"
    )


def applies(end: str, since: str, table: str) -> str:
    """That an end counts for whoever watches since then.

    An actor may have registered what expired before he was known. What had been seized by then he had lost, unless it
    was registered anew in between. `table` holds the ends.
    """
    return f"({since} IS NULL OR {end}.ended_at >= {since} OR {taken(end, since, table)})"


# A registrant that was stated when the domain was no longer whose it was ties nobody to it. The domain that is found
# may have been taken anew by the very one who is watched: there, only what seizures and sinkholes state is left out.
# Uses ix_finding_fact_fact_id and pk_finding.
DROP_ENDED: Final = f"""
WITH dropped AS (
    DELETE FROM finding_fact ff USING watch_candidate c, watch_ended o, finding n
    LEFT JOIN watch_item i ON i.id = n.item_id
    WHERE ff.fact_id = c.fact_id AND c.predicate = 'registered-by' AND o.entity_id = c.subject_id
        AND o.ended_at <= c.event_time AND n.id = ff.finding_id AND n.rule = 'shared-registrant'
        AND CASE ff.role WHEN 'known' THEN {applies("o", "i.since", "watch_ended")}
            ELSE {taken("o", "c.event_time", "watch_ended")} END
    RETURNING ff.finding_id, ff.fact_id
)
UPDATE finding n SET changed_at = clock_timestamp(),
    status = CASE WHEN n.status IN ('open', 'acknowledged') AND r.empty THEN 'withdrawn' ELSE n.status END,
    status_reason = CASE WHEN n.status IN ('open', 'acknowledged') AND r.empty
        THEN 'the domain was no longer whose it had been' ELSE n.status_reason END
FROM (
    SELECT d.finding_id, 2 > count(DISTINCT ff.role) FILTER (WHERE f.id IS NOT NULL) AS empty
    FROM (SELECT DISTINCT finding_id FROM dropped) d
    LEFT JOIN finding_fact ff ON ff.finding_id = d.finding_id
        AND NOT EXISTS (SELECT FROM dropped x WHERE (x.finding_id, x.fact_id) = (ff.finding_id, ff.fact_id))
    LEFT JOIN fact f ON f.id = ff.fact_id AND f.predicate = 'registered-by'
    GROUP BY d.finding_id
) r
WHERE n.id = r.finding_id
"""  # noqa: S608 - put together from constants

_AT_HAND: Final = "(SELECT entity_id AS id FROM watch_end UNION SELECT id FROM watch_moved) d"
_DOMAIN: Final = r"""encode(substr(sha256(convert_to('domain', 'UTF8') || '\x00'::bytea
        || convert_to({0}, 'UTF8')), 1, 16), 'hex')::uuid"""

# The findings that were found now, and those about what has an end or had one, with the first end after which they
# speak. A certificate speaks of the watched domain that it names. Uses uq_finding_watch_id_rule_novelty,
# ix_entity_scope, ix_finding_subject_id, ix_fact_object_id, ix_finding_fact_fact_id, uq_entity_digest and
# pk_ownership_end.
NOTED: Final = f"""
WITH ended AS MATERIALIZED (
    SELECT d.id FROM {_AT_HAND}
    UNION
    SELECT e.id FROM {_AT_HAND} JOIN entity x ON x.id = d.id JOIN entity e ON e.scope = x.value AND e.scope <> ''
), touched AS MATERIALIZED (
    SELECT n.id FROM watch_found g JOIN finding n USING (watch_id, rule, novelty)
    UNION
    SELECT n.id FROM ended d JOIN finding n ON n.subject_id = d.id
    UNION
    SELECT ff.finding_id FROM ended d JOIN fact f ON f.object_id = d.id AND f.predicate IN ('names', 'matches')
    JOIN finding_fact ff ON ff.fact_id = f.id
)
SELECT n.id, n.rule, n.annotations, o.ended_at, o.reason, CAST(r.definition->>'severity' AS int)
FROM touched t
JOIN finding n ON n.id = t.id AND n.rule NOT IN ('re-registered', 'expired', 'seized', 'sinkholed', 'shared-registrant')
JOIN entity s ON s.id = n.subject_id
LEFT JOIN watch_item i ON i.id = n.item_id
LEFT JOIN watch_rule r ON r.id = n.watch_rule_id
LEFT JOIN entity w ON n.rule IN ('certificate-name', 'wildcard-name', 'mixed-certificate')
    AND i.match IN ('scope', 'subtree', 'entity') AND w.digest = {_DOMAIN.format("i.value")}
LEFT JOIN LATERAL (
    SELECT o.ended_at, o.reason
    FROM entity e JOIN ownership_end o ON o.entity_id = e.id AND o.ended_at <= n.event_time
        AND {applies("o", "i.since", "ownership_end")}
    WHERE e.digest IN (s.digest, {_DOMAIN.format("s.scope")}, w.digest, {_DOMAIN.format("coalesce(w.scope, '')")})
    ORDER BY o.ended_at, o.reason LIMIT 1
) o ON true
WHERE o.reason IS NOT NULL OR n.annotations @? '$[*].hub ? (@ == "ended")'
ORDER BY n.id
"""  # noqa: S608 - put together from constants
