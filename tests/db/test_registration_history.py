from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, insert, text

from db import registrars
from db import registration_history as store
from db.models import OwnershipEnd, SeenDomain, ZoneSnapshot
from intel.facts import State
from intel.registration import Outcome
from intel.registration_versions import CREATED, DNSSEC, EXPIRES, NAME_SERVERS, REGISTRAR, STATUS, Voice
from tests import factories as make
from tests.registrations import DAY, DOMAIN, NOBODY, PERSON, answer, day, not_found, record, silence, value

RDAP = Voice(source="rdap", tier="registrar")


def told(engine: Engine, entity_id: int) -> store.Told:
    with engine.connect() as connection:
        return store.told(connection, entity_id)


def test_every_version_is_rebuilt_with_the_looks_between(engine: Engine) -> None:
    number = answer(engine, record(), "registrar", day(0))
    answer(engine, record(), "registrar", day(1))
    answer(engine, record(registrant=NOBODY, statuses=("client hold",)), "registrar", day(2))
    found = told(engine, number)
    (chronicle,) = found.chronicles
    assert chronicle.voice == RDAP
    assert [look.at for look in chronicle.looks] == [day(0), day(1), day(2)]
    first, second = chronicle.versions
    assert (first.at, second.at) == (day(0), day(2))
    assert first.said("registrant email").values == ("ada@registrant.example",)
    assert first.said("registrant email").personal
    assert second.said("registrant email").state is State.REDACTED
    assert second.said("registrant email").text == "REDACTED FOR PRIVACY"
    assert second.said("registrant handle").state is State.ABSENT
    assert (first.said(STATUS).values, second.said(STATUS).values) == (
        ("client transfer prohibited",),
        ("client hold",),
    )
    assert second.said(NAME_SERVERS).values == ("ns1.hosting.example", "ns2.hosting.example")
    assert second.said(CREATED).values == ("2026-03-02T09:00:00Z",)
    assert second.said(REGISTRAR).values == ("iana:7001",)
    assert second.said(DNSSEC).values == ("unsigned delegation",)
    assert second.said(EXPIRES).facts
    assert second.look.server == "rdap.registrar.example"
    assert second.look.location.startswith("https://")


def test_a_field_that_came_back_is_a_version_of_its_own(engine: Engine) -> None:
    for at, registrant in ((0, PERSON), (1, NOBODY), (2, PERSON)):
        number = answer(engine, record(registrant=registrant), "registrar", day(at))
    (chronicle,) = told(engine, number).chronicles
    states = [one.said("registrant name").state for one in chronicle.versions]
    assert states == [State.VALUE, State.REDACTED, State.VALUE]


def test_a_domain_that_is_gone_is_a_version_without_fields(engine: Engine) -> None:
    answer(engine, record(), "registrar", day(0))
    answer(engine, record(), "registry", day(0))
    number = answer(engine, not_found(), "registry", day(400))
    for chronicle in told(engine, number).chronicles:
        assert [one.registered for one in chronicle.versions] == [True, False]
        assert chronicle.versions[1].fields == {}


def test_look_ups_that_said_nothing_change_nothing_and_are_told(engine: Engine) -> None:
    number = answer(engine, record(), "registrar", day(0))
    silence(engine, "rdap", "registrar", Outcome.THROTTLED, day(1))
    silence(engine, "whois", "registry", "referred", day(1))
    silence(engine, "whois", "registry", Outcome.TIMEOUT, day(2))
    found = told(engine, number)
    assert [(one.outcome, one.asked_at) for one in found.silent] == [("timeout", day(2)), ("throttled", day(1))]
    assert [len(one.looks) for one in found.chronicles] == [1]


def test_a_domain_that_was_never_registered_has_a_look_and_no_field(engine: Engine) -> None:
    number = answer(engine, not_found(), "registry", day(0))
    (chronicle,) = told(engine, number).chronicles
    assert [(one.registered, one.fields) for one in chronicle.versions] == [(False, {})]


def test_the_reader_that_won_and_the_place_are_told(engine: Engine) -> None:
    number = answer(engine, record("whois"), "registrar", day(0))
    (chronicle,) = told(engine, number).chronicles
    said = chronicle.versions[0].said("registrant name")
    assert (said.where, said.reader) == ("1-9", "lines")


def test_a_handle_is_of_its_server(engine: Engine) -> None:
    import msgspec

    held = msgspec.structs.replace(PERSON, handle=value("C77"))
    number = answer(engine, record(registrant=held), "registrar", day(0))
    (chronicle,) = told(engine, number).chronicles
    assert chronicle.versions[0].said("registrant handle").values == ("C77@registrar.example",)


def test_what_feeds_and_passive_dns_say_is_told_beside(engine: Engine) -> None:
    number = answer(engine, record(), "registrar", day(0))
    with engine.begin() as connection:
        feed = make.source(connection, "import")
        mail = make.entity(connection, "domain", "mx.hosting.example")
        contact = make.entity(connection, "email", "hostmaster@hosting.example")
        host = make.entity(connection, "registrant", "Ada Invented")
        make.fact(connection, number, source_id=feed, predicate="uses-mail-host", object_id=mail, event_time=day(-3))
        make.fact(connection, number, source_id=feed, predicate="has-soa-contact", object_id=contact, personal=True)
        make.fact(connection, number, source_id=feed, predicate="registered-by", object_id=host, personal=True)
        make.fact(connection, number, source_id=feed, predicate="listed")
    with engine.connect() as connection:
        found = {one.field: one for one in store.sightings(connection, number)}
    assert set(found) == {"mail host", "SOA contact", "registrant name"}
    assert found["mail host"].said.values == ("mx.hosting.example",)
    assert (found["mail host"].first, found["mail host"].ended) == (day(-3), None)
    assert found["SOA contact"].said.personal
    assert len(told(engine, number).chronicles) == 1


def test_first_seen_is_the_earliest_of_each_channel(engine: Engine) -> None:
    with engine.begin() as connection:
        feed = make.source(connection, "zone-example")
        rows = [
            {"name": DOMAIN, "channel": channel, "first_seen": day(at), "source_id": feed}
            for channel, at in (("zone", 5), ("ct", 4), ("list", 6))
        ]
        connection.execute(insert(SeenDomain), rows)
        name = make.entity(connection, "domain", f"www.{DOMAIN}")
        certificate = make.entity(connection, "certificate", "11" * 32)
        log = make.entity(connection, "text", "a log")
        address = make.entity(connection, "ip", "192.0.2.7")
        connection.execute(
            text(
                "INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts) VALUES"
                " (:c, 'names', :n, tstzmultirange(tstzrange(:at, :at, '[]')), 1, 1),"
                " (:c, 'logged-in', :l, tstzmultirange(tstzrange(:at, :at, '[]')), 1, 1),"
                " (:n, 'resolves-to', :a, tstzmultirange(tstzrange(:later, NULL)), 1, 1)"
            ),
            {"c": certificate, "n": name, "l": log, "a": address, "at": day(3), "later": day(9)},
        )
        connection.execute(
            insert(ZoneSnapshot),
            [
                {
                    "source_id": feed,
                    "run_id": make.run(connection, feed),
                    "zone": "example",
                    "as_of": day(at),
                    "path": "",
                    "sha256": b"",
                    "names": 1,
                }
                for at in (1, 8)
            ],
        )
        seen = store.first_seen(connection, DOMAIN)
        (zone,) = store.compared(connection, DOMAIN)
    assert [(one.channel, one.at) for one in seen] == [
        ("ct", day(3)),
        ("zone", day(5)),
        ("list", day(6)),
        ("dns", day(9)),
    ]
    assert (zone.zone, zone.first, zone.last) == ("example", day(1), day(8))


def test_ends_of_ownership(engine: Engine) -> None:
    number = answer(engine, record(), "registrar", day(0))
    with engine.begin() as connection:
        connection.execute(insert(OwnershipEnd).values(entity_id=number, ended_at=day(9), reason="seized", fact_id=1))
        (one,) = store.ownership_ends(connection, number)
    assert (one.at, one.reason, one.fact) == (day(9), "seized", 1)


def test_registrars_are_one_by_what_registries_told(engine: Engine) -> None:
    answer(engine, record(), "registry", day(0))
    with engine.connect() as connection:
        book = registrars.known_registrars(connection, ["Example Registrar Ltd", "Example Registrar, Inc."], {})
        other = registrars.known_registrars(connection, ["iana:7001"], {7001: ["Example Registrar (renamed)"]})
    assert book.identity("Example Registrar Ltd") == "iana:7001"
    assert book.same("iana:7001", "EXAMPLE REGISTRAR INC")
    assert other.shown("iana:7001") == "Example Registrar (renamed) (IANA 7001)"


FILL = """
INSERT INTO source (name, title, reliability, tlp, snapshot, redistribution, commercial_use)
SELECT 'feed' || n, 'feed', 'B', 0, false, true, true FROM generate_series(1, 20) n;
INSERT INTO entity (digest, kind, value, scope)
SELECT gen_random_uuid(), (ARRAY['certificate', 'registrar', 'text', 'domain', 'domain'])[1 + n % 5],
    'v' || n, CASE WHEN n % 5 > 2 THEN 's' || n / 10 ELSE '' END
FROM generate_series(1, 20000) n;
INSERT INTO fact (key, source_id, subject_id, predicate, object_id, qualifiers, tlp, batch_id)
SELECT gen_random_uuid(), 1 + n % 20, 1 + n % 20000,
    (ARRAY['created', 'registered-by', 'alias', 'has-status', 'updated'])[1 + n % 5], 1 + (n * 7) % 20000,
    CASE WHEN n % 2 = 0 THEN '{"tier": "registry"}'::jsonb END, 0, 1
FROM generate_series(1, 40000) n;
INSERT INTO fact_history (fact_id, event_time, ended, batch_id) SELECT id, '2026-03-01', false, 1 FROM fact;
INSERT INTO link (subject_id, predicate, object_id, seen, sources, facts)
SELECT DISTINCT subject_id, (ARRAY['names', 'logged-in', 'resolves-to'])[1 + subject_id % 3], object_id,
    '{}'::tstzmultirange, 1, 1 FROM fact;
INSERT INTO run (source_id) VALUES (1);
INSERT INTO document (source_id, run_id, location, sha256, size, as_of, fetched_at)
SELECT 1, 1, 'x', '\\x00', 0, now(), now() FROM generate_series(1, 5000);
INSERT INTO query (protocol, server, reach, entity_id, reason, outcome, document_id)
SELECT 'rdap', 's', 'registry', 1 + n % 20000, 'watch', 'registered', 1 + n % 5000 FROM generate_series(1, 20000) n;
INSERT INTO seen_domain (name, channel, first_seen, source_id)
SELECT 'n' || n || '.example', 'list', now(), 1 FROM generate_series(1, 20000) n;
INSERT INTO zone_snapshot (source_id, run_id, zone, as_of, path, sha256, names)
SELECT 1, 1, 'zone' || n, now(), '', '\\x00', 1 FROM generate_series(1, 5000) n;
INSERT INTO ownership_end (entity_id, ended_at, reason, fact_id)
SELECT n, now(), 'expired', 1 FROM generate_series(1, 5000) n;
ANALYZE
"""
OF_FACTS: dict[str, Any] = {"id": 5, "predicates": list(store.PREDICATES), "limit": 500}
BY_SCOPE = {"scope": "s7", "scan": 2000}
DIGESTS = {"digests": [uuid4()], "most": 9}
FACTS = {"ix_fact_subject_id_predicate_object_id", "pk_fact_history", "pk_entity"}
PLANS: list[tuple[str, dict[str, Any], set[str], set[str]]] = [
    (store.STATEMENTS, OF_FACTS, FACTS, {"fact", "fact_history", "entity"}),
    (store.SIGHTINGS, OF_FACTS, FACTS, {"fact", "fact_history", "entity"}),
    (store.QUESTIONS, {"id": 5, "limit": 500}, {"ix_query_entity_id", "pk_document"}, {"query", "document"}),
    (store.SEEN, {"name": "n7.example"}, {"pk_seen_domain"}, {"seen_domain"}),
    (store.FIRST_LOGGED, BY_SCOPE, {"ix_entity_scope", "ix_link_object_id", "pk_link"}, {"entity", "link"}),
    (store.FIRST_RESOLVED, BY_SCOPE, {"ix_entity_scope", "pk_link"}, {"entity", "link"}),
    (store.COMPARED, {"zones": ["zone7"]}, {"uq_zone_snapshot_zone_as_of"}, {"zone_snapshot"}),
    (
        registrars.NAMES_OF,
        DIGESTS,
        {"uq_entity_digest", "ix_fact_subject_id_predicate_object_id", "pk_entity"},
        {"entity", "fact"},
    ),
    (registrars.NUMBERS_OF, DIGESTS, {"uq_entity_digest", "ix_fact_object_id", "pk_entity"}, {"entity", "fact"}),
]


def test_each_statement_uses_its_indexes(engine: Engine) -> None:
    with engine.begin() as connection:
        for statement in FILL.split(";"):
            connection.execute(text(statement))
        for sql, values, indexes, tables in PLANS:
            plan = explained(connection, sql, values)
            assert [one for one in indexes if one not in plan] == [], plan
            assert [one for one in tables if f"Seq Scan on {one} " in f"{plan} "] == [], plan
        plan = explained(connection, "SELECT ended_at FROM ownership_end WHERE entity_id = :id", {"id": 5})
        assert "pk_ownership_end" in plan


def explained(connection: Connection, sql: str, values: dict[str, Any]) -> str:
    return "\n".join(row[0] for row in connection.execute(text(f"EXPLAIN {sql}"), values))


def test_what_is_more_than_is_read_is_said(engine: Engine) -> None:
    for at in range(4):
        number = answer(engine, record(expires=record().expires, statuses=(f"status {at}",)), "registrar", day(at))
    with engine.connect() as connection:
        cut = store.told(connection, number, limit=3)
    assert cut.cut
    assert max(one.at for one in cut.chronicles[0].versions) == DAY + timedelta(days=3)
