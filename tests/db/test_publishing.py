from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from db import partners, publishing, publishing_findings
from db.engine import open_engine
from db.publishing_records import Version
from intel.errors import ConfigError
from tests import factories

COLLECTION = UUID("d2a0b40b-5fe3-46f7-a573-deca545d50b2")
ROW = {"id": COLLECTION, "alias": "community", "title": "Community", "description": "", "tlp_ceiling": 1}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    with opened.begin() as connection:
        publishing.ensure_collections(connection, [ROW])
    yield opened
    opened.dispose()


def version(number: int, moment: object = factories.NOON) -> Version:
    return Version(
        stix_id=f"indicator--{number}",
        type="indicator",
        tlp=0,
        version=moment,
        content=UUID(int=number),
        body=f'{{"id":"indicator--{number}"}}',
    )


def test_entries_are_brought_up_to_date_and_keep_their_place(engine: Engine) -> None:
    with engine.begin() as connection:
        publishing.append(connection, COLLECTION, [version(1)])
        publishing.ensure_collections(connection, [ROW | {"title": "New title", "tlp_ceiling": 2}])
        row = connection.execute(text("SELECT title, tlp_ceiling, position FROM collection")).one()
    assert tuple(row) == ("New title", 2, 1)


def test_an_alias_with_another_id_is_refused(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(ConfigError, match="another id"):
        publishing.ensure_collections(connection, [ROW | {"id": UUID("1ac7e36f-7903-40c0-841a-18905d3215fa")}])


def test_an_unversioned_object_takes_its_date_added(engine: Engine) -> None:
    with engine.begin() as connection:
        publishing.lock_collection(connection, COLLECTION)
        publishing.append(connection, COLLECTION, [version(1), version(2, None)])
        rows = connection.execute(text("SELECT version, date_added FROM publication ORDER BY position")).all()
    assert rows[0].version == factories.NOON
    assert rows[1].version == rows[1].date_added


def test_positions_are_in_the_order_of_commits(engine: Engine) -> None:
    with engine.begin() as first:
        publishing.lock_collection(first, COLLECTION)
        publishing.append(first, COLLECTION, [version(1)])
        with engine.begin() as second:
            second.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                publishing.lock_collection(second, COLLECTION)
            second.rollback()
    with engine.begin() as second:
        publishing.lock_collection(second, COLLECTION)
        publishing.append(second, COLLECTION, [version(2)])
        assert second.execute(text("SELECT array_agg(position ORDER BY position) FROM publication")).scalar() == [1, 2]


def test_the_last_versions_are_found_through_the_unique_key(engine: Engine) -> None:
    with engine.begin() as connection:
        publishing.lock_collection(connection, COLLECTION)
        publishing.append(connection, COLLECTION, [version(number) for number in range(2000)])
        connection.execute(text("ANALYZE publication"))
        plan = "\n".join(
            connection.execute(
                text(
                    "EXPLAIN SELECT DISTINCT ON (stix_id) stix_id FROM publication WHERE collection_id = :id"
                    " AND stix_id = ANY(:ids) ORDER BY stix_id, version DESC"
                ),
                {"id": COLLECTION, "ids": ["indicator--7", "indicator--8"]},
            ).scalars()
        )
        found = publishing.last_versions(connection, COLLECTION, ["indicator--7", "indicator--x"])
    assert "uq_publication" in plan
    assert list(found) == ["indicator--7"]


def test_the_state_of_a_block_follows_all_that_is_read_of_it(engine: Engine) -> None:
    with engine.begin() as connection:
        incident_id = factories.incident(connection)
        watch_id = factories.watch(connection, incident_id=incident_id)
        for number in range(5):
            factories.found(connection, value=f"n{number}.example", watch_id=watch_id)

    def states() -> dict[int, str]:
        with engine.connect() as connection:
            return publishing_findings.states(connection, size=4, personal=frozenset({"email"}))

    before = states()
    assert list(before) == [0, 1]
    assert states() == before
    for statement in (
        "UPDATE finding SET severity = severity + 1",
        "UPDATE fact SET tlp = tlp + 1",
        "UPDATE fact SET personal = true",
        "UPDATE source SET redistribution = NOT redistribution",
        "UPDATE watch SET name = name || 'x'",
        "UPDATE incident SET publish = NOT publish",
        "UPDATE fact_history SET event_time = event_time - interval '1 day'",
        "DELETE FROM finding_fact",
    ):
        with engine.begin() as connection:
            connection.execute(text(statement))
        after = states()
        assert all(after[block] != before[block] for block in (0, 1)), statement
        before = after
    with engine.connect() as connection:
        one = publishing_findings.states(connection, size=4, personal=frozenset({"email"}), blocks=(1, 1))
    assert one == {1: before[1]}


def test_the_mark_of_a_block_follows_all_but_the_evidence(engine: Engine) -> None:
    with engine.begin() as connection:
        incident_id = factories.incident(connection)
        actor = factories.entity(connection, "actor", "feed:intrusion-set--7")
        watch_id = factories.watch(connection, incident_id=incident_id, actor_id=actor)
        for number in range(8):
            factories.found(connection, value=f"n{number}.example", watch_id=watch_id)
        feed = factories.source(connection)
        alias = factories.entity(connection, "label", "bear")
        named = factories.fact(connection, actor, source_id=feed, object_id=alias, predicate="alias")

    def marks() -> dict[int, str]:
        with engine.connect() as connection:
            return publishing_findings.marks(connection, size=4)

    before = marks()
    assert marks() == before
    for statement in (
        "UPDATE finding SET severity = severity + 1",
        "UPDATE source SET redistribution = NOT redistribution",
        "UPDATE source SET redistribution = NOT redistribution",
        "UPDATE source SET tlp = 3",
        "UPDATE watch SET name = name || 'x'",
        "UPDATE incident SET publish = NOT publish",
        f"UPDATE fact SET personal = true WHERE id = {named}",
        "INSERT INTO cursor (name, value) VALUES ('tightened:feed', '{\"batch\": 1}')",
        "UPDATE cursor SET value = '{\"batch\": 2}'",
    ):
        with engine.begin() as connection:
            connection.exec_driver_sql(statement)
        after = marks()
        assert all(after[block] != before[block] for block in before), statement
        before = after
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE finding SET severity = 1 WHERE id = 1")
    assert [block for block, mark in marks().items() if mark != before[block]] == [0]


def test_a_key_is_shown_once_and_opens_until_it_is_renewed_or_the_partner_is_deactivated(engine: Engine) -> None:
    with engine.begin() as connection:
        key = partners.create_partner(connection, "Pier CERT", ["community"])
        assert len(key) >= 43
        found = partners.verify_key(connection, key)
        assert found is not None
        assert (found.name, found.collections) == ("Pier CERT", (COLLECTION,))
        assert key not in str(connection.execute(text("SELECT * FROM partner")).all())
        assert partners.verify_key(connection, key + "x") is None
        assert partners.verify_key(connection, "") is None
        renewed = partners.renew_key(connection, "Pier CERT")
        assert partners.verify_key(connection, key) is None
        assert partners.verify_key(connection, renewed) is not None
        partners.deactivate_partner(connection, "Pier CERT")
        assert partners.verify_key(connection, renewed) is None
        assert [(one.name, one.active) for one in partners.list_partners(connection)] == [("Pier CERT", False)]


def test_partners_that_cannot_be_are_refused(engine: Engine) -> None:
    with engine.begin() as connection:
        partners.create_partner(connection, "Pier CERT", [])
        for name, aliases in (("Pier CERT", []), ("  ", []), ("Other", ["nowhere"])):
            with pytest.raises(ConfigError):
                partners.create_partner(connection, name, aliases)
        with pytest.raises(ConfigError):
            partners.renew_key(connection, "Nobody")
        with pytest.raises(ConfigError):
            partners.deactivate_partner(connection, "Nobody")
