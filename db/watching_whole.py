"""Findings whose evidence is judged whole: what stands in the warehouse about a thing at hand in, withdrawals out.

Some lapses are found by comparing all that is known of one thing: its first use with its preparation, one connection
with the others. A later statement may disprove them. So whenever anything about the thing is touched, a rule of
`JUDGED_WHOLE` reads all of it anew, lists the facts that it read in `watch_judged`, and what it no longer finds on
them is withdrawn. The tables are those of db/watching_match.py and, made when they are needed, the rules' own.

Raw SQL for the same reasons as in db/watching_match.py.
"""

from __future__ import annotations

from typing import Final

from db.watching_drop import no_longer_held
from db.watching_match import HITS

JUDGED_WHOLE: Final = ("clear-c2", "outside-vpn", "shared-handle", "prepared-before-use")
"""Their findings are dated by what is known now, not by when a fact was first found."""
_RULES: Final = f"({', '.join(repr(rule) for rule in (*JUDGED_WHOLE, 'reused-key'))})"

TEMPORARY: Final = """
CREATE TEMP TABLE watch_reached (id bigint PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE watch_server (id bigint PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE watch_further (LIKE watch_entity) ON COMMIT DROP
"""

# Entities that the rules lead to and that the candidates do not name. Uses pk_entity.
FURTHER: Final = """
INSERT INTO watch_further
SELECT e.id, e.digest, e.kind, e.value, e.scope, e.address, CASE
    WHEN e.scope = '' THEN ''
    WHEN e.kind = 'endpoint' THEN split_part(e.value, ':', 1)
    WHEN e.kind IN ('domain', 'name-server') THEN e.value
    ELSE e.scope END
FROM watch_reached r JOIN entity e ON e.id = r.id
WHERE NOT EXISTS (SELECT FROM watch_entity x WHERE x.id = r.id)
"""
# They are entities of this judgement, and looked for like the others.
FURTHER_ENTITIES: Final = "INSERT INTO watch_entity SELECT * FROM watch_further"
FURTHER_HITS: Final = HITS.replace("watch_entity", "watch_further")

# What such a finding rested on and no longer does. Claims that led to the item stay. Uses ix_finding_fact_fact_id,
# pk_finding and pk_finding_fact.
DROP_WHOLE: Final = no_longer_held(
    """
    SELECT DISTINCT n.id, n.watch_id, n.rule, n.novelty
    FROM watch_judged j JOIN finding_fact ff ON ff.fact_id = j.fact_id
    JOIN finding n ON n.id = ff.finding_id AND n.rule = j.rule AND n.subject_id = coalesce(j.subject_id, n.subject_id)
    WHERE EXISTS (SELECT FROM watch_hit h WHERE (h.watch_id, h.item_id) = (n.watch_id, n.item_id))
""",
    rules=_RULES,
    reason="what is known now no longer says so",
)
