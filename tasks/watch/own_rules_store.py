"""From matches of own rules to findings: `Match`es in, rows with titles, annotations and facts out, once per novelty.

The tables are those of a monitor's transaction (db/watching_match.py, db/rules_store.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from db import finding_queue, finding_suppressions, rules_store, watching_store
from db.rows import driver
from db.watch_rules import OwnRule
from intel.match.rules import Match
from intel.rules.records import Rule
from tasks.pivot.hubs import annotate
from tasks.watch import queue_suppress, store
from tasks.watch.describe import Description, shown

_ANNOTATED: Final = 5
"""What a match met of which lists are asked."""
_LONGEST_TITLE: Final = 600


def describe_match(rule: Rule, found: Match) -> Description:
    """How a match reads and what it is worth. People's data is masked; lists lower, they drop nothing."""
    said = [
        {"about": about, **msgspec.to_builtins(one)}
        for about, thing in (("subject", found.subject), *(("other", one) for one in found.found[:_ANNOTATED]))
        for one in annotate(thing.entity)
    ]
    met = found.found[0].entity if found.found else None
    words = {
        "subject": shown(found.subject.entity.kind, found.subject.entity.value),
        "found": "something" if met is None else shown(met.kind, met.value),
        "day": f"{found.event_time.astimezone(UTC):%Y-%m-%d}",
        "count": str(found.count),
    }
    # A value may have braces in it: each slot is filled once, and never what filled it.
    title = "".join(words.get(part, part) if number % 2 else part for number, part in enumerate(_parts(rule.say)))
    takes = max((int(one["takes"]) for one in said), default=0)
    return Description(
        title=title[:_LONGEST_TITLE],
        lapse=rule.lapse,
        severity=max(0, rule.severity - takes),
        annotations=tuple(said),
    )


def _parts(sentence: str) -> list[str]:
    """The text between braces at the odd places."""
    return sentence.replace("}", "{").split("{")


def write(connection: Connection, own: OwnRule, rule: Rule, matches: Sequence[Match]) -> int:
    """Write the findings of a rule. Returns how many are new.

    `watch_found` holds what was written until the next call.
    """
    connection.exec_driver_sql("TRUNCATE watch_found, watch_match, rule_said")
    if not matches:
        return 0
    connection.execute(text(finding_suppressions.LOCK_SHARED))
    once = {one.novelty: one for one in matches}
    cursor = driver(connection).cursor()
    with cursor.copy("COPY watch_found (rule, watch_id, novelty, subject_id, event_time) FROM STDIN") as copy:
        for novelty, one in once.items():
            copy.write_row((rule.name, own.watch_id, novelty, one.subject.id, one.event_time))
    with cursor.copy("COPY watch_match (rule, watch_id, subject_id, novelty, event_time, fact_id) FROM STDIN") as copy:
        for row in _evidence(own, rule, once.values()):
            copy.write_row(row)
    with cursor.copy("COPY rule_said FROM STDIN") as copy:
        for novelty, one in once.items():
            said = describe_match(rule, one)
            copy.write_row((novelty, said.lapse, said.title, said.severity, said.annotations_json))
    with cursor.copy("COPY rule_found FROM STDIN") as copy:
        for novelty in once:
            copy.write_row((novelty,))
    connection.exec_driver_sql("ANALYZE watch_found, watch_match, rule_said")
    new = sum(connection.execute(text(rules_store.INSERT_FINDINGS), {"rule_id": own.id}).scalars())
    # Before the evidence is written: what is new to a finding shows by what it has.
    connection.execute(text(finding_queue.REOPEN))
    connection.execute(text(watching_store.INSERT_EVIDENCE))
    store.say_ends(connection)
    queue_suppress.of_found(connection)
    return int(new)


def _evidence(own: OwnRule, rule: Rule, matches: Iterable[Match]) -> Iterable[tuple[Any, ...]]:
    for one in matches:
        for fact_id in one.facts:
            yield rule.name, own.watch_id, one.subject.id, one.what_is_new, one.event_time, fact_id
