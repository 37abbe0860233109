"""`rules`: whether a rule's SQL and its matcher agree, how fast the matcher takes what arrives, and how fast SQL is.

Agreement: generated histories (lab/rule_histories.py) are loaded as sources are; rules of every kind of condition,
alone and combined, are judged by both. A history agrees if every rule says the same of it: subject, what is new, event
time. `agree` counts them.

Arrivals: ten rules of one watch, facts that come in batches into a warehouse that knows nothing, and the monitor as it
runs: finding out what is touched, loading histories, matching, writing findings. `facts_per_s` is facts over its time.

History: the same rules' statements over generated warehouses of 10 and 50 million links (_links.py), where rules that
ask for states have the facts of the first 100,000 domains. LAPSEWATCH_BENCH_LINKS and LAPSEWATCH_BENCH_HISTORIES change
the sizes, for a quick look.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from db.rules_load import load_histories
from db.rules_sql import compile_rule
from db.rules_store import predicates
from intel import rules
from intel.config.watches import WatchedItem
from intel.match.rules import match
from intel.rules import Rule
from intel.settings import CHECKOUT
from lab import rule_histories as made
from lab.bench._links import generate, state
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from tasks.watch import own_rules
from tasks.watch.items import add_watch

LINKS: Final = int(os.environ.get("LAPSEWATCH_BENCH_LINKS", "50000000"))
HISTORIES: Final = int(os.environ.get("LAPSEWATCH_BENCH_HISTORIES", "10000"))
_SMALLER: Final = 5
_COMBINED: Final = 100
_STATED: Final = 100_000
_SEED: Final = 20_261_124

ARRIVING: Final[tuple[tuple[str, list[dict[str, Any]], dict[str, Any]], ...]] = (
    (
        "registrar-and-servers",
        [{"registrar": "Example Registrar"}, {"uses-name-servers": {"below": "example.net"}}],
        {},
    ),
    ("moved", [{"changed": {"uses-name-servers": {"to": {"below": "example.org"}}}}], {}),
    ("went-private", [{"hidden": {"registered-by": {"role": "registrant"}}}], {}),
    ("renewed", [{"renewed": "same-key"}], {"about": "certificate"}),
    ("hosted-there", [{"network": "AS64500"}, {"created": {"within": "3 days"}}], {}),
    ("issuer", [{"issuer": "CN=Example CA"}, {"label": {"words": ["login", "pay"]}}], {}),
    ("watched-registrant", [{"registered-by": {"watched": True}}, {"suffix": "test"}], {}),
    ("set-of-few", [{"uses-name-servers": {"rarer-than": "10 per million"}}, {"resolves-to": {}}], {"over": "2 days"}),
    ("never-hosted", [{"registrar": "Second Registrar"}, {"not": {"resolves-to": {}}}], {}),
    ("either", [{"any": [{"listed": "c2"}, {"resolves-to": {"in": "203.0.113.0/24"}}]}, {"created": {}}], {}),
)

OVER_LINKS: Final[tuple[tuple[str, list[dict[str, Any]], dict[str, Any]], ...]] = (
    ("one value", [{"name-servers": "a9000.hosts.example b9000.hosts.example"}], {}),
    ("two together, over 30 days",
     [{"registrar": "Registrar 1500"}, {"uses-name-servers": {"matches": "a1*"}}], {"over": "30 days"}),
    ("an address and what it is called", [{"resolves-to": "2001:db8::2000"}, {"label": {"digits": True}}], {}),
    ("the hub's address and one registrar", [{"registrar": "Registrar 900"}, {"resolves-to": "2001:db8::"}], {}),
    ("a network", [{"resolves-to": {"in": "2001:db8::1:0/116"}}, {"registered-by": {}}], {}),
    ("issuer of a certificate, and a mailbox",
     [{"email": "p9000@mail.example"}, {"issuer": "CN=Issuer 20,O=Example CA,C=GB"}], {}),
    ("a burst", [{"registrar": "Registrar 700"}, {"burst": {"at-least": 5, "within": "1 day",
                                                         "sharing": ["uses-name-servers"]}}], {}),
    ("absence", [{"absent": {"after": {"registrar": "Registrar 1900"}, "without": {"resolves-to": "2001:db8::"},
                             "within": "30 days"}}], {}),
    ("a registrar with a tenth of all", [{"registrar": "Registrar 0"}, {"suffix": "test"}], {}),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Agreed:
    """How many of the generated histories agree, over how many rules and matches, and the seconds of both sides."""

    histories: int
    agree: int
    rules: int
    matches: int
    sql: float
    matcher: float
    facts: int


def run(links: int = LINKS, histories: int = HISTORIES) -> Result:
    """Measure all three."""
    agreed = agreement(histories)
    facts, seconds, found = arrivals(histories)
    small, large = over_links(links // _SMALLER), over_links(links)
    return Result(
        tables=(
            Table(
                title="SQL and matcher on generated histories",
                columns=("histories", "agree", "rules", "matches", "facts", "SQL in s", "matcher in s"),
                rows=(
                    (
                        agreed.histories, agreed.agree, agreed.rules, agreed.matches, agreed.facts,
                        round(agreed.sql, 2), round(agreed.matcher, 2),
                    ),
                ),
            ),
            Table(
                title=f"what arrives, judged by {len(ARRIVING)} rules",
                columns=("facts", "seconds", "facts a second", "findings"),
                rows=((facts, round(seconds, 2), round(facts / seconds), found),),
            ),
            Table(
                title="seconds of a rule's statement over all links",
                columns=("rule", f"{small.links:,}", f"{large.links:,}", "growth", "matches"),
                rows=tuple(
                    (name, round(small.seconds[name], 3), round(large.seconds[name], 3),
                     round(large.seconds[name] / small.seconds[name], 1), large.matches[name])
                    for name in small.seconds
                ),
            ),
        ),
        figures={
            "agree": agreed.agree,
            "histories": agreed.histories,
            "facts_per_s": round(facts / seconds),
            "sql_s_10m": round(sum(small.seconds.values()), 3),
            "sql_s_50m": round(sum(large.seconds.values()), 3),
            "growth": round(sum(large.seconds.values()) / sum(small.seconds.values()), 2),
            "links": large.links,
        },
    )  # fmt: skip


def agreement(histories: int, *, combined: int = _COMBINED) -> Agreed:
    """Judge generated histories by both."""
    subjects = made.subjects(histories, _SEED)
    with fresh_warehouse(CHECKOUT) as engine:
        made.load_all(engine, made.histories(subjects, _SEED))
        with engine.begin() as connection:
            watch_id = made.prepare(connection)
            connection.exec_driver_sql("ANALYZE")
        with engine.connect() as connection:
            return _agreed(connection, [UUID(bytes=one.digest) for one in subjects], watch_id, combined)


def _agreed(connection: Connection, digests: list[UUID], watch_id: int, combined: int) -> Agreed:
    connection.exec_driver_sql("SET jit = off; SET work_mem = '64MB'")
    known: dict[UUID, int] = dict(list(connection.execute(text("SELECT digest, id FROM entity"))))
    ids = [known[digest] for digest in digests if digest in known]
    tried = made.made_rules(_SEED, combined)
    held = load_histories(connection, tried, ids, as_of=made.AS_OF, watch_id=watch_id)
    differ: set[int] = set()
    matches, sql, matcher = 0, 0.0, 0.0
    for rule in tried:
        statement = compile_rule(rule, watch_id=watch_id, as_of=made.AS_OF)
        began = time.perf_counter()
        by_sql = {(row[0], row[1], row[2]) for row in connection.execute(text(statement.sql), statement.parameters)}
        sql, began = sql + time.perf_counter() - began, time.perf_counter()
        found = match(rule, held)
        matcher += time.perf_counter() - began
        differ |= {one[0] for one in by_sql ^ {(one.subject.id, one.key, one.event_time) for one in found}}
        matches += len(by_sql)
    # A history of which nothing is stated has no row, and neither side says anything of it.
    return Agreed(
        histories=len(digests),
        agree=len(digests) - len(differ),
        rules=len(tried),
        matches=matches,
        sql=sql,
        matcher=matcher,
        facts=sum(len(facts) for facts in held.of.values()),
    )


def arrivals(histories: int) -> tuple[int, float, int]:
    """(facts, seconds of the monitor, findings) for facts that arrive with rules in force."""
    subjects = made.subjects(histories, _SEED)
    loads = made.histories(subjects, _SEED)
    with fresh_warehouse(CHECKOUT) as engine:
        with engine.begin() as connection:
            made.prepare(connection)
            watch_id = add_watch(connection, "arriving", [WatchedItem(entity="email:one@mail.example.net")])
            for rule in _rules(ARRIVING):
                own_rules.add_rule(connection, watch_id, rule, "command")
        own_rules.monitor(engine)
        seconds, found = 0.0, 0
        for each in loads:
            made.load_all(engine, [each])
            with engine.begin() as connection:
                connection.exec_driver_sql("ANALYZE")
            began = time.perf_counter()
            found += own_rules.monitor(engine).findings
            seconds += time.perf_counter() - began
        facts = _stated(engine)
    return facts, seconds, found


def _stated(engine: Engine) -> int:
    """The statements that batches brought of what the rules read."""
    wanted = predicates(_rules(ARRIVING))
    with engine.connect() as connection:
        count = "SELECT count(*) FROM fact_history h JOIN fact f ON f.id = h.fact_id WHERE f.predicate = ANY(:wanted)"
        return int(connection.execute(text(count), {"wanted": wanted}).scalar_one())


@dataclass(frozen=True, kw_only=True)
class OverLinks:
    """Seconds and matches of each rule's statement, the better of two runs."""

    links: int
    seconds: dict[str, float]
    matches: dict[str, int]


def over_links(links: int) -> OverLinks:
    """Make a warehouse of so many links and judge it by SQL."""
    seconds: dict[str, float] = {}
    matches: dict[str, int] = {}
    with fresh_warehouse(CHECKOUT) as engine, engine.connect() as connection:
        world = generate(connection, links)
        state(connection, min(world.domains, _STATED))
        connection.exec_driver_sql("SET jit = off; SET work_mem = '64MB'")
        for (title, _, _), rule in zip(OVER_LINKS, _rules(OVER_LINKS), strict=True):
            statement = compile_rule(rule)
            took = []
            for _ in range(2):
                began = time.perf_counter()
                matches[title] = len(connection.execute(text(statement.sql), statement.parameters).all())
                took.append(time.perf_counter() - began)
            seconds[title] = min(took)
    return OverLinks(links=world.links, seconds=seconds, matches=matches)


def _rules(given: tuple[tuple[str, list[dict[str, Any]], dict[str, Any]], ...]) -> list[Rule]:
    return [
        rules.read_rule({"name": f"rule-{number}", "when": when, "say": "{subject} is one", **more})
        for number, (_, when, more) in enumerate(given)
    ]
