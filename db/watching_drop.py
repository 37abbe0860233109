"""What findings rested on and no longer does: one statement for all rules whose things are judged whole.

Raw SQL: data-modifying CTEs have no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations


def no_longer_held(judged: str, *, rules: str, reason: str) -> str:
    """The statement that takes from findings what they rested on and no longer does, and withdraws those without any.

    `judged` selects the findings (id, watch_id, rule, novelty) that were judged whole: of them, what did not match does
    not hold. Claims that led to an item stay. `rules` is a list of SQL. Uses pk_finding_fact.
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
)
UPDATE finding n SET status = 'withdrawn', status_reason = '{reason}',
    changed_at = clock_timestamp()
FROM judged j
WHERE n.id = j.id AND n.status IN ('open', 'acknowledged') AND j.id NOT IN (SELECT id FROM stands)
"""  # noqa: S608 - put together from constants
