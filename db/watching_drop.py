"""What findings rested on and no longer does: one statement for all rules whose things are judged whole.

Raw SQL: data-modifying CTEs have no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations


def no_longer_held(judged: str, *, rules: str, reason: str) -> str:
    """The statement that takes from findings what they rested on and no longer does, and withdraws those without any.

    `judged` selects the findings (id, watch_id, rule, novelty) that were judged whole: of them, what did not match does
    not hold. Claims that led to an item stay. A finding that loses evidence has changed: what was published of it may
    be another thing now. `rules` is a list of SQL. Uses pk_finding_fact.
    """
    return f"""
WITH judged AS MATERIALIZED ({judged}
), held AS (
    SELECT m.watch_id, m.rule, encode(substr(sha256(convert_to(m.novelty, 'UTF8')), 1, 16), 'hex')::uuid AS novelty,
        x.fact_id
    FROM watch_match m CROSS JOIN LATERAL (VALUES (m.fact_id), (m.known_id)) x (fact_id) WHERE m.rule IN {rules}
), stands AS MATERIALIZED (
    SELECT j.id, o.fact_id FROM judged j JOIN held o USING (watch_id, rule, novelty)
), dropped AS (
    DELETE FROM finding_fact ff USING (
        SELECT r.finding_id, r.fact_id FROM judged j JOIN finding_fact r ON r.finding_id = j.id
        JOIN fact f ON f.id = r.fact_id AND f.predicate <> 'attributed-to'
        WHERE j.id IN (SELECT id FROM stands)
        EXCEPT
        SELECT id, fact_id FROM stands
    ) g
    WHERE (ff.finding_id, ff.fact_id) = (g.finding_id, g.fact_id)
    RETURNING ff.finding_id
), touched AS (
    SELECT j.id, j.id IN (SELECT id FROM stands) AS stands FROM judged j
    WHERE j.id NOT IN (SELECT id FROM stands) OR j.id IN (SELECT finding_id FROM dropped)
)
UPDATE finding n SET changed_at = clock_timestamp(),
    status = CASE WHEN t.stands THEN n.status ELSE 'withdrawn' END,
    status_reason = CASE WHEN t.stands THEN n.status_reason ELSE '{reason}' END
FROM touched t WHERE n.id = t.id AND (t.stands OR n.status IN ('open', 'acknowledged'))
"""  # noqa: S608 - put together from constants
