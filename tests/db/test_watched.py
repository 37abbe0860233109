from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from db import load, runs, staging, watched
from db.engine import open_engine
from db.rows import driver
from db.watched import load_watch_set, watch_version
from db.watching import Definition, Item, put_watch, remove_watch
from intel.entities import entity
from intel.facts import Fact, RawDocument
from intel.match.certificates import WatchSet
from tasks.watch import certificates

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = open_engine(database_url, pooled=True)
    yield made
    made.dispose()


def digest(number: int) -> bytes:
    return bytes([number]) * 32


def certificate(number: int) -> str:
    return f"sha256:{digest(number).hex()}"


def names(number: int, kind: str, value: str) -> Fact:
    return Fact(subject=entity("certificate", certificate(number)), predicate="names", object=entity(kind, value))


def has_key(number: int, key: int) -> Fact:
    said = entity("public-key", certificate(key))
    return Fact(subject=entity("certificate", certificate(number)), predicate="has-key", object=said)


def same(number: int, other: int) -> Fact:
    said = entity("certificate", certificate(other))
    return Fact(subject=entity("certificate", certificate(number)), predicate="same-as", object=said)


def ingest(engine: Engine, *facts: Fact) -> None:
    values = {"name": "feed", "title": "", "reliability": "B", "tlp": 0, "snapshot": False}
    with engine.begin() as connection:
        source = runs.ensure_source(connection, **values, redistribution=True, commercial_use=True)
        run = runs.begin(connection, source)
        where: dict[str, Any] = {"location": "", "sha256": b"", "size": 0, "as_of": AT, "fetched_at": AT}
        document = runs.new_document(connection, source_id=source, run_id=run, **where)
        raw = RawDocument(document_id=document, location="", body=b"", as_of=AT)
        with staging.Staging(driver(connection), run_id=run, source="feed", tlp=0) as staged:
            staged.add(raw, facts)
        load.load(connection, load.Batch(source="feed", source_id=source, run_id=run, facts=staged.facts))


def watch(engine: Engine, *items: tuple[str, str, str], actor: str = "") -> WatchSet:
    with engine.begin() as connection:
        number = connection.execute(
            text(
                "INSERT INTO watch (name, origin, rules, actor_id, follows_actor) VALUES (:name, 'command', '{*}',"
                " (SELECT id FROM entity WHERE kind = 'actor' AND value = :actor), :actor <> '') RETURNING id"
            ),
            {"name": f"watch-{uuid4().hex}", "actor": actor},
        ).scalar_one()
        for match, kind, value in items:
            connection.execute(
                text("INSERT INTO watch_item (watch_id, match, kind, value) VALUES (:w, :match, :kind, :value)"),
                {"w": number, "match": match, "kind": kind, "value": value},
            )
    with engine.connect() as connection:
        return load_watch_set(connection)


def test_nothing_is_watched_at_first(engine: Engine) -> None:
    with engine.connect() as connection:
        assert load_watch_set(connection) == WatchSet()


def test_each_item_stands_where_it_belongs(engine: Engine) -> None:
    found = watch(
        engine,
        ("scope", "", "evil.example"),
        ("subtree", "", "host.other.example"),
        ("subtree", "", "github.io"),
        ("entity", "domain", "exact.example.org"),
        ("entity", "domain", "co.uk"),
        ("network", "", "192.0.2.0/24"),
        ("entity", "ip", "198.51.100.7"),
        ("entity", "certificate", certificate(1)),
        ("entity", "public-key", certificate(2)),
        ("entity", "certificate", "sha1:" + "a" * 40),
        ("entity", "registrant", "somebody"),
        ("entity", "pattern", "lookalike:example.com"),
        ("entity", "pattern", "keyword:acme"),
        ("entity", "pattern", "issuer:*o=acme*"),
        ("entity", "pattern", "subject:cn=acme*"),
        ("entity", "pattern", f"serial:{'ab' * 32}/0a"),
        ("entity", "pattern", "telepathy:acme"),
        ("expected", "", certificate(7)),
        ("ours", "", certificate(8)),
    )
    assert found == WatchSet(
        scopes=frozenset({"evil.example"}),
        subtrees=frozenset({"host.other.example", "exact.example.org"}),
        zones=frozenset({"github.io"}),
        names=frozenset({"co.uk"}),
        addresses=frozenset({"192.0.2.0/24", "198.51.100.7"}),
        certificates=frozenset({digest(1)}),
        keys=frozenset({digest(2)}),
        lookalikes=frozenset({"example.com"}),
        keywords=frozenset({"acme"}),
        issuers=frozenset({"*o=acme*"}),
        subjects=frozenset({"cn=acme*"}),
        serials=frozenset({f"{'ab' * 32}/0a"}),
    )


def test_the_keys_of_certificates_that_name_what_is_watched(engine: Engine) -> None:
    ingest(
        engine,
        names(1, "domain", "a.evil.example"),
        names(2, "domain", "deep.host.other.example"),
        names(3, "domain", "ghost.other.example"),
        names(4, "ip", "198.51.100.7"),
        names(5, "ip", "192.0.2.9"),
        names(6, "domain", "stranger.github.io"),
        *(has_key(number, number + 100) for number in range(1, 7)),
    )
    found = watch(
        engine,
        ("scope", "", "evil.example"),
        ("subtree", "", "host.other.example"),
        ("subtree", "", "github.io"),
        ("network", "", "192.0.2.0/24"),
        ("network", "", "198.51.100.7"),
    )
    assert found.keys == {digest(101), digest(102), digest(104)}


def test_a_precertificate_s_final_certificate_and_key_are_watched_with_it(engine: Engine) -> None:
    ingest(engine, same(1, 2), same(3, 2), has_key(2, 9), has_key(4, 8), same(5, 4))
    found = watch(engine, ("entity", "certificate", certificate(1)))
    assert found.certificates == {digest(1), digest(2), digest(3)}
    assert found.keys == {digest(9)}


def test_a_certificate_that_is_watched_by_sha1_is_met_by_its_other_forms(engine: Engine) -> None:
    by_sha1 = entity("certificate", "ab" * 20)
    final = entity("certificate", certificate(2))
    ingest(
        engine,
        Fact(subject=final, predicate="same-as", object=by_sha1),
        same(2, 3),
        same(4, 3),
        has_key(3, 9),
        same(6, 5),
    )
    found = watch(engine, ("entity", "certificate", by_sha1.value))
    assert found.certificates == {digest(2), digest(3), digest(4)}
    assert found.keys == {digest(9)}


def test_the_version_changes_with_the_watches_and_with_nothing_else(engine: Engine) -> None:
    def version() -> str:
        with engine.connect() as connection:
            return watch_version(connection)

    def put(*items: Item, name: str = "one", **more: Any) -> None:
        with engine.begin() as connection:
            put_watch(connection, Definition(name=name, origin="command", items=items, **more))

    def scope(name: str) -> Item:
        return Item(match="scope", value=name)

    seen = [version()]
    put(scope("a.example"))
    seen.append(version())
    put(scope("a.example"), scope("b.example"))
    seen.append(version())
    put(scope("b.example"))
    seen.append(version())
    put(scope("c.example"), name="two", actor="lab:one", follow_actor=True)
    seen.append(version())
    with engine.begin() as connection:
        remove_watch(connection, "one")
    seen.append(version())
    assert len(set(seen)) == len(seen)
    put(scope("c.example"), name="two", actor="lab:one", follow_actor=True)
    ingest(engine, names(1, "domain", "evil.example"))
    assert version() == seen[-1]
    claim = Fact(subject=entity("domain", "evil.example"), predicate="attributed-to", object=entity("actor", "lab:one"))
    ingest(engine, claim)
    certificates.monitor(engine)
    assert version() != seen[-1]


def test_what_followed_actors_are_said_to_have(engine: Engine) -> None:
    actor = entity("actor", "lab:heron")
    claims = (
        entity("url", "http://a.evil.example/x"),
        entity("endpoint", "192.0.2.9:443"),
        entity("certificate", certificate(1)),
        entity("file", "ab" * 32),
    )
    ingest(engine, *(Fact(subject=claim, predicate="attributed-to", object=actor) for claim in claims))
    found = watch(engine, actor="lab:heron")
    assert found == WatchSet(
        scopes=frozenset({"evil.example"}),
        addresses=frozenset({"192.0.2.9"}),
        certificates=frozenset({digest(1)}),
    )


FILL = """
INSERT INTO entity (digest, kind, value, scope) SELECT gen_random_uuid(), 'domain', 'n' || n, 's' || n
FROM generate_series(1, 20000) n;
INSERT INTO link SELECT n, 'names', mod(n, 5000), '{}', 1, 1 FROM generate_series(1, 20000) n;
INSERT INTO watch (name, origin, rules, actor_id, follows_actor) SELECT 'w', 'file', '{*}', min(id), true FROM entity;
ANALYZE entity, link, watch;
"""


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [
        (watched.KEYS, ["ix_entity_scope", "uq_entity_digest", "ix_link_object_id", "pk_link"]),
        (watched.SAME_CERTIFICATE, ["uq_entity_digest", "pk_link", "ix_link_object_id"]),
        (watched.FOLLOWED, ["ix_link_object_id", "pk_entity"]),
    ],
)
def test_the_statements_use_their_indexes(engine: Engine, statement: str, indexes: list[str]) -> None:
    values: dict[str, Any] = {"scopes": ["a.example"], "subtrees": ["b.c.example"], "subtree_scopes": ["c.example"]}
    values["digests"] = [uuid4()]
    with engine.begin() as connection:
        connection.exec_driver_sql(FILL)
    with engine.connect() as connection:
        used = {name: value for name, value in values.items() if f":{name}" in statement}
        plan = "\n".join(row[0] for row in connection.execute(text("EXPLAIN " + statement), used))
    assert [name for name in indexes if name not in plan] == []
