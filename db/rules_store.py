"""What the monitor of own rules asks the warehouse: subjects that a batch touched, and findings written and withdrawn.

The tables are those of a monitor's transaction (db/watching_match.py), and the two made here. Raw SQL for the same
reasons as there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import Connection, text

from intel.rules.histories import Step, needs
from intel.rules.records import Rule

TEMPORARY: Final = """
CREATE TEMP TABLE rule_stated (fact_id bigint, subject_id bigint, predicate text, object_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE rule_said (novelty uuid, lapse boolean, title text, severity smallint, annotations jsonb)
    ON COMMIT DROP;
CREATE TEMP TABLE rule_found (novelty uuid) ON COMMIT DROP;
"""

# All facts of which a batch says something: that they are so, were so earlier, or have ended. Uses
# ix_fact_history_batch_id and pk_fact.
STATED: Final = """
INSERT INTO rule_stated
SELECT f.id, f.subject_id, f.predicate, f.object_id
FROM (SELECT DISTINCT fact_id FROM fact_history WHERE batch_id = :batch_id) h JOIN fact f ON f.id = h.fact_id
WHERE f.predicate = ANY(CAST(:predicates AS text[]))
"""

# Findings of a rule as they are now; what had been withdrawn and holds again is back. Uses
# uq_finding_watch_id_rule_novelty.
INSERT_FINDINGS: Final = """
INSERT INTO finding AS n (watch_id, rule, subject_id, novelty, lapse, title, severity, annotations, event_time,
    watch_rule_id)
SELECT g.watch_id, g.rule, g.subject_id, g.novelty, s.lapse, s.title, s.severity, s.annotations, g.event_time, :rule_id
FROM watch_found g JOIN rule_said s USING (novelty)
ORDER BY g.novelty
ON CONFLICT (watch_id, rule, novelty) DO UPDATE SET event_time = excluded.event_time, title = excluded.title,
    watch_rule_id = excluded.watch_rule_id, changed_at = clock_timestamp(),
    status = CASE n.status WHEN 'withdrawn' THEN 'open' ELSE n.status END,
    status_reason = CASE n.status WHEN 'withdrawn' THEN 'holds again' ELSE n.status_reason END
WHERE n.status = 'withdrawn' OR (n.event_time, n.title, n.watch_rule_id)
    IS DISTINCT FROM (excluded.event_time, excluded.title, excluded.watch_rule_id)
RETURNING xmax = 0
"""

# What a rule found and finds no more, but for what a person has decided on. Uses pk_finding.
_WITHDRAWN: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = 'what its rule asks for no longer holds',
    changed_at = clock_timestamp()
WHERE n.watch_rule_id = :rule_id AND n.status IN ('open', 'acknowledged') AND {which}
"""
# Of subjects that were judged anew, what no longer holds. Uses ix_finding_subject_id.
WITHDRAW_JUDGED: Final = _WITHDRAWN.format(
    which="n.subject_id = ANY(CAST(:ids AS bigint[]))"
    " AND NOT EXISTS (SELECT FROM watch_found g WHERE g.novelty = n.novelty)"
)
# After all of history was judged, what is not among what was found. Reads a rule's findings whole.
WITHDRAW_REST: Final = _WITHDRAWN.format(which="NOT EXISTS (SELECT FROM rule_found g WHERE g.novelty = n.novelty)")

# Whether a rule has found something of these subjects, whatever a person decided. Uses ix_finding_subject_id.
HAS_FOUND: Final = """
SELECT EXISTS (SELECT FROM finding WHERE subject_id = ANY(CAST(:ids AS bigint[])) AND watch_rule_id = :rule_id
               AND status <> 'withdrawn')
"""

# That batches were judged. Uses pk_judgement.
JUDGED: Final = """
INSERT INTO judgement (batch_id, monitor, items)
SELECT b.id, :monitor, (SELECT coalesce(max(id), 0) FROM watch_item) FROM unnest(CAST(:ids AS bigint[])) b (id)
ON CONFLICT DO NOTHING
"""


def predicates(rules: Iterable[Rule]) -> list[str]:
    """Those of all facts that rules read."""
    return sorted({step.predicate for rule in rules for path in needs(rule) for step in path})


def touched(connection: Connection, rule: Rule, known: dict[tuple[Step, ...], set[int]], *, most: int) -> set[int]:
    """The subjects whose histories, or whose neighbours', as far as a rule reads them, have a stated fact.

    Where there are more than `most`: some of them, but more than that. `known` holds what was asked for other rules, by
    the steps. Uses ix_fact_object_id and ix_fact_subject_id_predicate_object_id on the way back from a neighbour.
    """
    found: set[int] = set()
    for path in {whole[:length] for whole in needs(rule) for length in range(1, len(whole) + 1)}:
        if path not in known:
            statement, values = _back(path)
            known[path] = set(connection.execute(text(statement), {**values, "most": most + 1}).scalars())
        found |= known[path]
        if len(found) > most:
            break
    return found


def _back(path: tuple[Step, ...]) -> tuple[str, dict[str, Any]]:
    """The statement that goes from the facts of a path's last step back to the subjects."""
    near = "subject_id", "object_id"
    values: dict[str, Any] = {f"p{number}": step.predicate for number, step in enumerate(path)}
    last = len(path) - 1
    at = f"t.{near[path[last].inverse]}"
    joins = []
    for number in range(last - 1, -1, -1):
        inverse = path[number].inverse
        fact = f"f{number}"
        joins.append(f"JOIN fact {fact} ON {fact}.{near[not inverse]} = {at} AND {fact}.predicate = :p{number}")
        at = f"f{number}.{near[inverse]}"
    statement = f"SELECT DISTINCT {at} FROM rule_stated t {' '.join(joins)}"  # noqa: S608 - names of columns
    return f"{statement} WHERE t.predicate = :p{last} AND {at} IS NOT NULL LIMIT :most", values
