"""Conditions with a time as SQL: each becomes a query with columns id (the subject), at (event time) and key.

What each means stands in intel/rules/__init__.py; intel/match/rule_witnesses.py says the same in Python. A query may be
kept to some subjects: `near` says which, as what follows a column's name (`= s.id`, `IN (SELECT id FROM c0)`). Values
are bound (db/rules_tests.py: `Parameters`). Uses ix_link_object_id and pk_link where the merged view is enough, else
ix_fact_subject_id_predicate_object_id and ix_fact_object_id, and pk_fact_history for times.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from db.rules_tests import Parameters, entity_test, time_of, timeless_test
from intel.facts import Predicate
from intel.rules import records
from intel.rules.records import Condition, Link, Never, is_timeless

# OFFSET 0 keeps the planner from asking for it twice.
BEGIN: Final = (
    "CROSS JOIN LATERAL (SELECT min(h.event_time) AS begin FROM fact_history h"
    " WHERE h.fact_id = {0}.id AND NOT h.ended OFFSET 0) {1}"
)

# Of a row of `link`: it merges all facts of its ends and predicate, so where one of them states no value (a proxy, say)
# the others are asked. Uses ix_fact_subject_id_predicate_object_id.
_OF_LINK: Final = """CROSS JOIN LATERAL (SELECT CASE WHEN EXISTS (SELECT FROM fact x WHERE x.state <> 'value'
        AND (x.subject_id, x.predicate, x.object_id) = ({0}.subject_id, {0}.predicate, {0}.object_id))
    THEN (SELECT min(h.event_time) FROM fact x JOIN fact_history h ON h.fact_id = x.id AND NOT h.ended
        WHERE x.state = 'value'
        AND (x.subject_id, x.predicate, x.object_id) = ({0}.subject_id, {0}.predicate, {0}.object_id))
    ELSE lower({0}.seen) END AS begin OFFSET 0) {1}"""


class Conditions:
    """Makes the queries of one rule; aliases are numbered, so that queries may stand inside one another."""

    def __init__(self, parameters: Parameters, as_of: datetime) -> None:
        self._parameters = parameters
        self._as_of = as_of
        self._made = 0

    def query(self, condition: Condition, near: str = "") -> str:
        """The witnesses of a condition with a time."""
        match condition:
            case Link():
                return self._link(condition, near)
            case records.Dated():
                return self._dated(condition, near)
            case records.Changed():
                return self._changed(condition, near)
            case records.Hidden():
                return self._hidden(condition, near)
            case records.Renewed():
                return self._renewed(near)
            case records.Absent():
                return self._absent(condition, near)
            case records.AnyOf():
                each = (f"(SELECT id, at, '' AS key FROM ({self.query(one, near)}) q)" for one in condition.of)  # noqa: S608 - bound
                return " UNION ALL ".join(each)
            case _:
                raise TypeError(f"{condition!r} has no time")

    def test(self, condition: Condition, alias: str) -> str:
        """That the subject `alias` is as a condition without a time says."""
        simple = timeless_test(condition, alias, self._parameters)
        if simple is not None:
            return simple
        if isinstance(condition, records.AnyOf):
            return "(" + " OR ".join(self.test(one, alias) for one in condition.of) + ")"
        if isinstance(condition, Never):
            inner = condition.condition
            if is_timeless(inner):
                return f"NOT coalesce({self.test(inner, alias)}, false)"
            return f"NOT EXISTS ({self.query(inner, f'= {alias}.id')})"
        raise TypeError(f"{condition!r} has a time")

    def _number(self) -> int:
        self._made += 1
        return self._made

    def _link(self, link: Link, near: str) -> str:
        joins: list[str] = []
        wheres: list[str] = []
        begins: list[str] = []
        ends: list[str] = []
        tables: set[str] = set()
        first, before = "", ""
        one: Link | None = link
        while one is not None:
            number = self._number()
            fact, far, begin = f"f{number}", f"e{number}", f"b{number}"
            near_column, far_column = ("object_id", "subject_id") if one.inverse else ("subject_id", "object_id")
            table, stated = self._stated(one, fact)
            if not first:
                first = f"{fact}.{near_column}"
                joins.append(f"FROM {table} {fact}")
                wheres += stated
                if near:
                    wheres.append(f"{first} {near}")
            else:
                joins.append(f"JOIN {table} {fact} ON {fact}.{near_column} = {before} AND {' AND '.join(stated)}")
            if not one.tests.is_empty():
                joins.append(f"JOIN entity {far} ON {far}.id = {fact}.{far_column}")
                wheres.append(entity_test(one.tests, one.predicate, far, self._parameters))
            joins.append((_OF_LINK if table == "link" else BEGIN).format(fact, begin))
            wheres.append(f"{begin}.begin IS NOT NULL")
            begins.append(f"{begin}.begin")
            before = f"{fact}.{far_column}"
            ends.append(before)
            tables.add(table)
            one = one.where
        at = begins[0] if len(begins) == 1 else f"greatest({', '.join(begins)})"
        wheres.append(f"{first} IS NOT NULL")
        said = f"{' '.join(joins)} WHERE {' AND '.join(wheres)}"
        if "fact" not in tables:
            return f"SELECT {first} AS id, {at} AS at, '' AS key {said}"
        # Who says again later what somebody has said adds no witness.
        return f"SELECT {first} AS id, min({at}) AS at, '' AS key {said} GROUP BY {', '.join((first, *ends))}"

    def _stated(self, link: Link, fact: str) -> tuple[str, list[str]]:
        """The table that a link is read from, and what its rows must be: `link` knows all but states and qualifiers."""
        add = self._parameters.add
        said = [f"{fact}.predicate = {add(link.predicate)}"]
        names = not link.tests.is_empty() or link.where is not None or link.inverse
        if names and link.states == ("value",) and not (link.roles or link.types or link.fields):
            return "link", said
        said.append(f"{fact}.state = ANY({add(list(link.states), 'text[]')})")
        for name, values in (("role", link.roles), ("type", link.types), ("field", link.fields)):
            if values:
                said.append(f"{fact}.qualifiers->>'{name}' = ANY({add(list(values), 'text[]')})")
        return "fact", said

    def _dated(self, condition: records.Dated, near: str) -> str:
        add = self._parameters.add
        moment = time_of("o", self._parameters)
        checks = [f"{moment} IS NOT NULL"]
        if condition.within is not None:
            checks.append(f"b.begin - {moment} <= {add(timedelta(seconds=condition.within), 'interval')}")
        for sign, day in ((">=", condition.after), ("<", condition.before)):
            if day:
                checks.append(f'substr(o.value, 1, 10) COLLATE "C" {sign} {add(day)}')
        if condition.hours is not None:
            least, most = (add(one) for one in condition.hours)
            # The text is a time only where the form fits, which CASE sees to.
            checks.append(
                f"CASE WHEN {moment} IS NOT NULL AND length(o.value) > 10"
                f" THEN substr(o.value, 12, 2)::int BETWEEN {least} AND {most} ELSE false END"
            )
        return f"""SELECT f.subject_id AS id, b.begin AS at, '' AS key
            FROM fact f JOIN entity o ON o.id = f.object_id {BEGIN.format("f", "b")}
            WHERE f.predicate = {add(condition.predicate)} AND f.state = 'value' AND b.begin IS NOT NULL
                {_kept("f.subject_id", near)} AND {" AND ".join(checks)}"""  # noqa: S608 - values are bound

    def _changed(self, condition: records.Changed, near: str) -> str:
        add = self._parameters.add
        predicate = add(condition.predicate)
        old, new = (
            entity_test(tests, condition.predicate, alias, self._parameters)
            for tests, alias in ((condition.old, "oe"), (condition.new, "ne"))
        )
        return f"""SELECT n.subject_id AS id, ne.digest::text AS key,
                greatest(nb.begin, CASE WHEN x.standing IS NOT NULL THEN g.gone END) AS at
            FROM fact n JOIN entity ne ON ne.id = n.object_id {BEGIN.format("n", "nb")}
            JOIN fact x ON x.subject_id = n.subject_id AND x.predicate = {predicate} AND x.state = 'value'
                AND x.source_id = n.source_id AND x.object_id <> n.object_id
                AND coalesce(x.qualifiers->>'tier', '') = coalesce(n.qualifiers->>'tier', '')
            JOIN entity oe ON oe.id = x.object_id {BEGIN.format("x", "xb")}
            CROSS JOIN LATERAL (SELECT min(h.event_time) AS gone FROM fact_history h
                WHERE h.fact_id = x.id AND h.ended AND h.event_time >= xb.begin OFFSET 0) g
            WHERE n.predicate = {predicate} AND n.state = 'value' AND xb.begin < nb.begin
                AND (x.standing IS NULL OR g.gone IS NOT NULL) {_kept("n.subject_id", near)} AND {old} AND {new}"""  # noqa: S608 - bound

    def _hidden(self, condition: records.Hidden, near: str) -> str:
        add = self._parameters.add
        predicate = add(condition.predicate)
        kept_back = f"= ANY({add(list(records.HIDING), 'text[]')})"
        first, then = (kept_back, "= 'value'") if condition.exposed else ("= 'value'", kept_back)
        of = [
            f"AND coalesce(n.qualifiers->>'{name}', '') = ANY({add(list(values), 'text[]')})"
            for name, values in (("role", condition.roles), ("field", condition.fields))
            if values
        ]
        alike = " ".join(
            f"AND coalesce(x.qualifiers->>'{name}', '') = coalesce(n.qualifiers->>'{name}', '')"
            for name in ("tier", "role", "field")
        )
        return f"""SELECT n.subject_id AS id, nb.begin AS at,
                coalesce(n.qualifiers->>'role', '') || ' ' || coalesce(n.qualifiers->>'field', '') AS key
            FROM fact n {BEGIN.format("n", "nb")}
            JOIN fact x ON x.subject_id = n.subject_id AND x.predicate = {predicate} AND x.state {first}
                AND x.source_id = n.source_id {alike}
            {BEGIN.format("x", "xb")}
            WHERE n.predicate = {predicate} AND n.state {then} AND xb.begin < nb.begin
                {" ".join(of)} {_kept("n.subject_id", near)}"""  # noqa: S608 - values are bound

    def _renewed(self, near: str) -> str:
        moment = time_of("o", self._parameters)
        keys = ""
        if near:
            keys = f"""AND k.object_id IN (SELECT m.object_id FROM fact m
                WHERE m.subject_id {near} AND m.predicate = '{Predicate.HAS_KEY}')"""  # noqa: S608 - constants
        # Within a key and a name, those that are valid from an earlier time come first; of one time, none is earlier.
        return f"""SELECT id, greatest(known, before) AS at, '' AS key FROM (
                SELECT id, known, min(known) OVER (PARTITION BY key_id, name_id ORDER BY since
                    GROUPS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
                FROM (
                    SELECT k.subject_id AS id, k.object_id AS key_id, n.object_id AS name_id, {moment} AS since,
                        greatest(kb.begin, nb.begin, vb.begin) AS known
                    FROM fact k {BEGIN.format("k", "kb")}
                    JOIN fact n ON n.subject_id = k.subject_id AND n.predicate = 'names' AND n.state = 'value'
                        AND n.object_id IS NOT NULL {BEGIN.format("n", "nb")}
                    JOIN fact v ON v.subject_id = k.subject_id AND v.predicate = 'valid-from' AND v.state = 'value'
                        {BEGIN.format("v", "vb")}
                    JOIN entity o ON o.id = v.object_id
                    WHERE k.predicate = 'has-key' AND k.state = 'value' AND k.object_id IS NOT NULL {keys}
                        AND kb.begin IS NOT NULL AND nb.begin IS NOT NULL AND vb.begin IS NOT NULL
                ) c WHERE since IS NOT NULL
            ) r WHERE before IS NOT NULL {_kept("id", near)}"""  # noqa: S608 - values are bound

    def _absent(self, condition: records.Absent, near: str) -> str:
        number = self._number()
        within = self._parameters.add(timedelta(seconds=condition.within), "interval")
        as_of = self._parameters.add(self._as_of, "timestamptz")
        after, no = self.query(condition.after, near), self.query(condition.no, f"= a{number}.id")
        return f"""SELECT a{number}.id, a{number}.at + {within} AS at, '' AS key FROM ({after}) a{number}
            WHERE a{number}.at + {within} <= {as_of} AND NOT EXISTS (SELECT FROM ({no}) n{number}
                WHERE n{number}.at BETWEEN a{number}.at AND a{number}.at + {within})"""  # noqa: S608 - values are bound


def _kept(column: str, near: str) -> str:
    return f"AND {column} {near}" if near else ""
