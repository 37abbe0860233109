from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from sqlalchemy import Engine, event, func, select, text, update
from stix2validator import ValidationOptions, validate_instance

from db.engine import open_engine
from db.models import Collection, Cursor, Fact, Finding, Publication, Source, Watch, Withheld
from db.runs import write_cursor
from intel.config.organisation import Organisation
from intel.config.publishing import CollectionEntry, Publishing
from intel.facts import TLP
from intel.settings import CHECKOUT
from tasks.publish.publish import Published, publish
from tests import factories
from tests.db.test_load import ingest, listed
from tests.factories import NOON

COMMUNITY: Final = CollectionEntry(
    id=UUID("d2a0b40b-5fe3-46f7-a573-deca545d50b2"),
    alias="community",
    title="Community",
    tlp_ceiling="TLP:GREEN",
    minimum_severity=40,
)
PARTNERS: Final = CollectionEntry(
    id=UUID("1ac7e36f-7903-40c0-841a-18905d3215fa"), alias="partners", title="Partners", tlp_ceiling="TLP:AMBER"
)
POLICY: Final = Publishing(identity=UUID("1769c10f-a825-4692-91f6-c9a4580a9fe3"), collections=(COMMUNITY, PARTNERS))
ORGANISATION: Final = Organisation(name="Harbour CERT", contact="cert@example.org")
LATER: Final = NOON + timedelta(days=1)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url)
    yield opened
    opened.dispose()


def run(engine: Engine, policy: Publishing = POLICY, **options: Any) -> Published:
    return publish(engine, policy, ORGANISATION, now=lambda: LATER + timedelta(days=30), **options)


def rows(engine: Engine, alias: str = "community") -> list[Any]:
    with engine.connect() as connection:
        return list(
            connection.execute(
                select(Publication)
                .join(Collection, Collection.id == Publication.collection_id)
                .where(Collection.alias == alias)
                .order_by(Publication.position)
                .with_only_columns(*Publication.__table__.c)
            )
        )


def last(engine: Engine, stix_type: str, alias: str = "community") -> list[dict[str, Any]]:
    newest = {row.stix_id: msgspec.json.decode(row.body) for row in rows(engine, alias) if row.type == stix_type}
    return list(newest.values())


def change(engine: Engine, finding_id: int, **values: Any) -> None:
    with engine.begin() as connection:
        connection.execute(update(Finding).where(Finding.id == finding_id).values(**({"changed_at": LATER} | values)))


def tighten(engine: Engine, tlp: int) -> None:
    """As loading does."""
    with engine.begin() as connection:
        connection.execute(update(Fact).values(tlp=tlp))
        write_cursor(connection, "tightened:feed", {"batch": tlp}, None)


def served(engine: Engine, alias: str = "community") -> list[Any]:
    """Every version that a partner can get, with whatever filter."""
    with engine.connect() as connection:
        ceiling = connection.execute(select(Collection.tlp_ceiling).where(Collection.alias == alias)).scalar_one()
    return [row for row in rows(engine, alias) if row.tlp <= ceiling]


def newest(listed: list[Any], stix_type: str) -> list[dict[str, Any]]:
    return list({row.stix_id: msgspec.json.decode(row.body) for row in listed if row.type == stix_type}.values())


def test_findings_become_objects_in_every_collection_that_may_have_them(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection, value="green.example", tlp=1)
        factories.found(connection, value="amber.example", tlp=2)
        factories.found(connection, value="slight.example", severity=30)
    counts = run(engine)
    assert [one.alias for one in counts.collections] == ["community", "partners"]
    assert {one["value"] for one in last(engine, "domain-name")} == {"green.example"}
    assert {one["value"] for one in last(engine, "domain-name", "partners")} == {
        "green.example",
        "amber.example",
        "slight.example",
    }
    assert counts.collections[0].withheld == {
        "TLP:AMBER is stricter than the collection's TLP:GREEN": 1,
        "severity 30 is below the collection's 40": 1,
    }
    with engine.connect() as connection:
        above = (
            select(func.count()).select_from(Publication).join(Collection, Collection.id == Publication.collection_id)
        )
        assert connection.execute(above.where(Publication.tlp > Collection.tlp_ceiling)).scalar_one() == 0


def test_publishing_again_writes_nothing(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(5):
            factories.found(connection, value=f"n{number}.example")
    run(engine)
    before = rows(engine), rows(engine, "partners")
    with engine.connect() as connection:
        stamp = connection.execute(text("SELECT max(updated_at) FROM cursor")).scalar_one()
    again = run(engine)
    assert again.objects == 0
    assert (rows(engine), rows(engine, "partners")) == before
    with engine.connect() as connection:
        assert connection.execute(text("SELECT max(updated_at) FROM cursor")).scalar_one() == stamp


def test_judging_again_what_did_not_change_writes_no_object(engine: Engine) -> None:
    with engine.begin() as connection:
        first = factories.found(connection)
    run(engine)
    before = rows(engine)
    change(engine, first, status="open")
    counts = run(engine)
    assert counts.collections[0].findings == 1
    assert rows(engine) == before


def test_positions_and_dates_rise_and_versions_are_unique(engine: Engine) -> None:
    with engine.begin() as connection:
        ids = [factories.found(connection, value=f"n{number}.example") for number in range(20)]
    run(engine, block_size=7)
    change(engine, ids[3], severity=90)
    run(engine, block_size=7)
    listed = rows(engine)
    assert [row.position for row in listed] == list(range(1, len(listed) + 1))
    assert all(one.date_added < two.date_added for one, two in pairwise(listed))
    assert all(row.date_added.microsecond % 1000 == 0 for row in listed)
    with engine.connect() as connection:
        held = connection.execute(select(Collection).where(Collection.alias == "community")).one()
    assert held is not None
    assert listed[-1].position == len(listed)


def test_a_clock_that_stands_or_goes_back_still_dates_later(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection, value="first.example")
    run(engine)
    ahead = datetime.now(UTC).replace(microsecond=0) + timedelta(days=400)
    with engine.begin() as connection:
        connection.execute(update(Collection).values(last_added=ahead))
        factories.found(connection, value="second.example")
    before = len(rows(engine))
    run(engine)
    added = [row.date_added for row in rows(engine)[before:]]
    assert added[0] == ahead + timedelta(milliseconds=1)
    assert added == sorted(set(added))


def test_a_change_is_a_new_version_of_the_same_id(engine: Engine) -> None:
    with engine.begin() as connection:
        first = factories.found(connection)
    run(engine)
    before = last(engine, "indicator")[0]
    change(engine, first, severity=90)
    run(engine)
    after = last(engine, "indicator")[0]
    assert after["id"] == before["id"]
    assert after["created"] == before["created"]
    assert (before["confidence"], after["confidence"]) == (60, 90)
    assert after["modified"] == "2026-03-02T12:00:00.000Z"
    # Only the indicator says the severity.
    assert [row.type for row in rows(engine)].count("indicator") == 2
    assert [row.type for row in rows(engine)].count("note") == 1


def test_every_version_in_a_collection_is_valid_stix(engine: Engine) -> None:
    with engine.begin() as connection:
        actor = factories.entity(connection, "actor", "maltrail:apt_example")
        watch_id = factories.watch(connection, "pier", actor_id=actor)
        first = factories.found(connection, tlp=1, watch_id=watch_id, event_time=None)
        factories.found(connection, "public-key", "b2" * 32, watch_id=watch_id, lapse=True)
    run(engine)
    change(engine, first, severity=90)
    run(engine)
    change(engine, first, status="dismissed", changed_at=LATER + timedelta(days=1))
    run(engine)
    change(engine, first, status="open", changed_at=LATER + timedelta(days=2))
    run(engine)
    for row in rows(engine):
        properties = msgspec.json.decode(row.body)
        result = validate_instance(properties, ValidationOptions(version="2.1", disabled="103"))
        assert result.is_valid, (properties, [str(error) for error in result.errors])
        assert (properties["id"], properties["type"]) == (row.stix_id, row.type)
        stated = properties.get("modified", properties.get("created"))
        assert row.version == (row.date_added if stated is None else datetime.fromisoformat(stated))


@pytest.mark.parametrize("status", ["dismissed", "withdrawn"])
def test_what_is_no_longer_held_is_revoked_and_its_marking_stays(engine: Engine, status: str) -> None:
    with engine.begin() as connection:
        first = factories.found(connection, tlp=1)
        factories.found(connection, value="other.example", tlp=1)
    run(engine)
    change(engine, first, status=status)
    counts = run(engine)
    assert counts.collections[0].revoked == 4
    revoked = [one for kind in ("indicator", "note", "relationship") for one in last(engine, kind) if "revoked" in one]
    assert {one["type"] for one in revoked} == {"indicator", "note", "relationship"}
    assert all(one["modified"] > one["created"] for one in revoked)
    assert sum("revoked" not in one for one in last(engine, "indicator")) == 1
    assert run(engine).objects == 0
    with engine.connect() as connection:
        reasons = connection.execute(select(Withheld.reason).where(Withheld.finding_id == first)).scalars().all()
    assert set(reasons) == {f"its status is {status}"}


def test_reopening_makes_new_objects_since_revoking_is_for_good(engine: Engine) -> None:
    with engine.begin() as connection:
        first = factories.found(connection)
    run(engine)
    for day, status in enumerate(["dismissed", "open", "dismissed", "confirmed"], start=1):
        change(engine, first, status=status, changed_at=NOON + timedelta(days=day))
        run(engine)
    indicators = last(engine, "indicator")
    assert len(indicators) == 3
    assert [one.get("revoked", False) for one in indicators] == [True, True, False]
    assert indicators[2]["created"] == "2026-03-05T12:00:00.000Z"
    change(engine, first, severity=70, changed_at=NOON + timedelta(days=6))
    run(engine)
    assert last(engine, "indicator")[2]["created"] == "2026-03-05T12:00:00.000Z"
    for row in rows(engine):
        later = [one for one in rows(engine) if one.stix_id == row.stix_id and one.position > row.position]
        assert not (msgspec.json.decode(row.body).get("revoked") and later)
    with engine.connect() as connection:
        assert connection.execute(select(func.count()).select_from(Withheld)).scalar_one() == 0


def test_a_fact_that_became_stricter_takes_its_finding_out(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection, tlp=1)
    run(engine)
    tighten(engine, 2)
    run(engine)
    assert last(engine, "indicator")[0]["revoked"] is True
    assert "55d920b0" not in str([row.body for row in rows(engine) if row.type != "marking-definition"])
    partners = last(engine, "indicator", "partners")[0]
    assert "revoked" not in partners
    assert partners["object_marking_refs"] == ["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]


def test_what_loading_makes_stricter_is_taken_out(engine: Engine) -> None:
    ingest(engine, [listed("login.example", tlp=TLP.GREEN)])
    with engine.begin() as connection:
        subject = factories.entity(connection, "domain", "login.example")
        [fact] = connection.execute(select(Fact.id)).scalars()
        factories.finding(connection, factories.watch(connection), subject, [fact])
    run(engine)
    assert "revoked" not in last(engine, "indicator")[0]
    ingest(engine, [listed("login.example", tlp=TLP.RED)])
    run(engine)
    assert last(engine, "indicator")[0]["revoked"] is True


@pytest.mark.parametrize("how", ["stricter", "dismissed", "policy"])
def test_what_was_taken_back_is_learnt_by_nobody_who_comes_later(engine: Engine, how: str) -> None:
    with engine.begin() as connection:
        first = factories.found(connection, value="secret.example", title="secret.example was listed", tlp=1)
        factories.found(connection, value="other.example")
    run(engine)
    [subject] = [one["id"] for one in last(engine, "domain-name") if one["value"] == "secret.example"]
    policy = POLICY
    if how == "stricter":
        with engine.begin() as connection:
            connection.execute(update(Fact).where(Fact.tlp == 1).values(tlp=4))
            write_cursor(connection, "tightened:feed", {"batch": 1}, None)
    elif how == "dismissed":
        change(engine, first, status="dismissed")
    else:
        policy = POLICY.model_copy(update={"collections": (COMMUNITY.model_copy(update={"tlp_ceiling": "TLP:CLEAR"}),)})
    run(engine, policy)
    said = str([row.body for row in served(engine)])
    assert "secret.example" not in said
    assert subject not in said
    assert "other.example" in said
    revoked = [row for row in served(engine) if row.finding_id == first]
    kinds = ["indicator", "note", "relationship", "relationship"]
    assert sorted(row.type for row in revoked) == kinds
    for row in revoked:
        body = msgspec.json.decode(row.body)
        assert body["revoked"] is True
        assert body["object_marking_refs"] == ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]
        result = validate_instance(body, ValidationOptions(version="2.1", disabled="103"))
        assert result.is_valid, (body, [str(error) for error in result.errors])
    assert run(engine, policy).objects == 0


@pytest.mark.parametrize("block_size", [1, 256])
def test_a_shared_sco_stays_as_long_as_a_finding_needs_it_and_as_strict_as_the_laxest(
    engine: Engine, block_size: int
) -> None:
    with engine.begin() as connection:
        clear = factories.found(connection, tlp=0, rule="exact")
        green = factories.found(connection, tlp=1, rule="same-domain", feed="other")
        address = factories.found(connection, "ip", "192.0.2.7", tlp=1)
        factories.found(connection, "endpoint", "192.0.2.7:8443", tlp=1)
    run(engine, block_size=block_size)
    change(engine, address, status="dismissed")
    change(engine, clear, status="dismissed")
    run(engine, block_size=block_size)
    assert [one["value"] for one in newest(served(engine), "ipv4-addr")] == ["192.0.2.7"]
    [name] = newest(served(engine), "domain-name")
    assert name["object_marking_refs"] == ["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]
    assert [row.tlp for row in rows(engine) if row.type == "domain-name"] == [1, 1]
    change(engine, green, status="dismissed")
    run(engine, block_size=block_size)
    assert newest(served(engine), "domain-name") == []
    change(engine, clear, status="open", changed_at=LATER + timedelta(days=1))
    run(engine, block_size=block_size)
    [name] = newest(served(engine), "domain-name")
    assert name["object_marking_refs"] == ["marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487"]
    assert run(engine, block_size=block_size).objects == 0


def test_a_watch_is_shown_as_long_as_a_collection_has_a_finding_of_it(engine: Engine) -> None:
    with engine.begin() as connection:
        actor = factories.entity(connection, "actor", "maltrail:apt_example")
        first = factories.found(connection, watch_id=factories.watch(connection, "pier", actor_id=actor))
    run(engine)
    change(engine, first, status="dismissed")
    run(engine)
    assert "pier" not in str([row.body for row in served(engine)])
    assert "apt_example" not in str([row.body for row in served(engine)])
    change(engine, first, status="open", changed_at=LATER + timedelta(days=1))
    run(engine)
    assert [one["name"] for one in newest(served(engine), "infrastructure")] == ["pier"]
    assert [one["name"] for one in newest(served(engine), "intrusion-set")] == ["apt_example"]


def test_a_stricter_marking_holds_for_older_versions_too(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection)
    run(engine)
    tighten(engine, 1)
    run(engine)
    about = ("indicator", "note", "domain-name")
    assert {row.tlp for row in rows(engine) if row.type in about} == {1}
    assert len([row for row in rows(engine) if row.type == "domain-name"]) == 2


def test_a_source_that_became_stricter_takes_its_findings_out(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection)
    run(engine)
    with engine.begin() as connection:
        connection.execute(update(Source).values(tlp=4))
    run(engine)
    assert last(engine, "indicator")[0]["revoked"] is True
    assert last(engine, "indicator", "partners")[0]["revoked"] is True


def test_where_nothing_changed_no_evidence_is_read(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(5):
            factories.found(connection, value=f"n{number}.example")
    run(engine, block_size=2)
    asked: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    run(engine, block_size=2)
    assert asked
    assert not [statement for statement in asked if "finding_fact" in statement]
    with engine.begin() as connection:
        factories.source(connection, "newcomer")
    asked.clear()
    assert run(engine, block_size=2).collections[0].findings == 0
    assert len([statement for statement in asked if "finding_fact" in statement]) == 1
    asked.clear()
    run(engine, block_size=2)
    assert not [statement for statement in asked if "finding_fact" in statement]


def test_a_change_that_nobody_told_of_is_seen_within_a_day(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection, tlp=1)
    run(engine)
    with engine.begin() as connection:
        connection.execute(update(Fact).values(tlp=2))
        connection.execute(update(Cursor).values(updated_at=func.clock_timestamp() - timedelta(hours=25)))
    run(engine)
    assert last(engine, "indicator")[0]["revoked"] is True


def test_a_source_whose_licence_was_corrected_takes_its_findings_out(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection)
    run(engine)
    with engine.begin() as connection:
        connection.execute(update(Source).values(redistribution=False))
    run(engine)
    assert last(engine, "indicator")[0]["revoked"] is True


def test_a_stricter_policy_is_applied_to_what_stands(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection)
    run(engine)
    entry = COMMUNITY.model_copy(update={"minimum_severity": 80})
    run(engine, POLICY.model_copy(update={"collections": (entry, PARTNERS)}))
    assert last(engine, "indicator")[0]["revoked"] is True
    assert "revoked" not in last(engine, "indicator", "partners")[0]


def test_two_findings_about_one_subject_share_its_sco_under_the_laxer_tlp(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection, tlp=1, rule="exact")
    run(engine)
    with engine.begin() as connection:
        factories.found(connection, tlp=0, rule="same-domain", feed="other")
        factories.found(connection, tlp=1, rule="registered", feed="third")
    run(engine)
    scos = [msgspec.json.decode(row.body) for row in rows(engine) if row.type == "domain-name"]
    assert [one["object_marking_refs"][0][20:28] for one in scos] == ["bab4a63c", "94868c89"]
    assert len(last(engine, "indicator")) == 3


def test_a_renamed_watch_keeps_its_id(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection)
    run(engine)
    with engine.begin() as connection:
        connection.execute(update(Watch).values(name="pier"))
    run(engine)
    versions = [msgspec.json.decode(row.body) for row in rows(engine) if row.type == "infrastructure"]
    assert [one["name"] for one in versions] == ["harbour", "pier"]
    assert versions[0]["id"] == versions[1]["id"]
    assert versions[1]["modified"] > versions[0]["modified"]


def test_an_incident_s_findings_wait_for_its_release(engine: Engine) -> None:
    with engine.begin() as connection:
        incident_id = factories.incident(connection)
        watch_id = factories.watch(connection, "incident-1", incident_id=incident_id)
        factories.found(connection, watch_id=watch_id)
    assert run(engine).collections[0].withheld == {"its incident is not for publication": 1}
    assert rows(engine) == []
    with engine.begin() as connection:
        connection.execute(text("UPDATE incident SET publish = true"))
    run(engine)
    assert (len(last(engine, "indicator")), len(last(engine, "indicator", "partners"))) == (0, 1)
    # It is marked AMBER until somebody says otherwise.
    with engine.begin() as connection:
        connection.execute(text("UPDATE incident SET tlp = 1"))
    run(engine)
    assert len(last(engine, "indicator")) == 1


def test_people_in_a_title_or_a_fact_stay_out(engine: Engine) -> None:
    with engine.begin() as connection:
        person = factories.entity(connection, "email", "jane@login.example")
        subject = factories.entity(connection, "domain", "login.example")
        stated = factories.fact(
            connection,
            subject,
            source_id=factories.source(connection),
            predicate="registered-by",
            object_id=person,
            reference="whois of jane@login.example",
        )
        factories.finding(connection, factories.watch(connection), subject, [stated], title="jane@login.example again")
        factories.found(connection, "email", "jane@login.example")
    run(engine)
    assert len(last(engine, "indicator")) == 1
    assert "jane" not in str([row.body for row in rows(engine)])


def test_a_subject_without_a_stix_form_is_withheld_with_the_reason(engine: Engine) -> None:
    with engine.begin() as connection:
        factories.found(connection, "registrar", "Example Registrar")
        factories.found(connection, "public-key", "b2" * 32)
    counts = run(engine)
    assert counts.collections[0].withheld == {
        "couldn't write a subject of kind registrar: STIX has no form for it; it is withheld": 1
    }
    assert len(last(engine, "extension-definition")) == 1


def test_a_change_that_commits_late_is_not_missed(engine: Engine) -> None:
    with engine.begin() as connection:
        first = factories.found(connection)
    run(engine)
    with engine.begin() as slow:
        # Its own time is before the publisher looks; its commit is after.
        slow.execute(update(Finding).where(Finding.id == first).values(severity=95, changed_at=LATER))
        late = factories.found(slow, value="late.example")
        with engine.begin() as quick:
            factories.found(quick, value="quick.example")
        run(engine)
        assert late not in {row.finding_id for row in rows(engine)}
    run(engine)
    assert {one["confidence"] for one in last(engine, "indicator")} == {95, 60}
    assert len(last(engine, "indicator")) == 3


def test_publishers_at_once_write_nothing_twice(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(40):
            factories.found(connection, value=f"n{number}.example")
    failed: list[BaseException] = []

    def work() -> None:
        try:
            run(engine, block_size=8)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    listed = rows(engine)
    assert len({row.stix_id for row in listed}) == len(listed)
    assert [row.position for row in listed] == list(range(1, len(listed) + 1))


_CHILD: Final = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from db.engine import open_engine
from intel.config.organisation import Organisation
from intel.config.publishing import read_publishing
from tasks.publish.publish import publish
engine = open_engine(sys.argv[1])
policy = read_publishing(Path(sys.argv[2]))
print("ready", flush=True)
publish(engine, policy, Organisation(), block_size=8, now=lambda: datetime(2026, 4, 1, tzinfo=UTC))
print("done", flush=True)
"""


def _start(url: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD, url, str(CHECKOUT / "configs")],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def _fill(engine: Engine) -> None:
    with engine.begin() as connection:
        for number in range(96):
            factories.found(connection, value=f"n{number}.example", tlp=number % 3, severity=number)


def _state(engine: Engine) -> list[tuple[str, str, str]]:
    return sorted((alias, row.stix_id, row.body) for alias in ("community", "partners") for row in rows(engine, alias))


@pytest.mark.slow
def test_killed_anywhere_a_rerun_gives_what_an_undisturbed_run_gives(
    database_url: str, empty_database_url: str
) -> None:
    from db.migrate import upgrade

    upgrade(empty_database_url)
    undisturbed, killed = open_engine(database_url), open_engine(empty_database_url)
    _fill(undisturbed)
    _fill(killed)
    with _start(database_url) as child:
        began = time.monotonic()
        assert child.wait() == 0
    lasted = time.monotonic() - began
    at = random.Random(20260301)  # seeded: the same five points each time
    interrupted = 0
    for _ in range(5):
        with _start(empty_database_url) as child:
            time.sleep(at.uniform(0.02, 0.2) * lasted)
            os.kill(child.pid, signal.SIGKILL)
            interrupted += child.wait() == -signal.SIGKILL
    assert interrupted >= 2
    with _start(empty_database_url) as child:
        assert child.wait() == 0
    assert _state(killed) == _state(undisturbed)
    for alias in ("community", "partners"):
        listed = rows(killed, alias)
        assert [row.position for row in listed] == list(range(1, len(listed) + 1))
        assert all(one.date_added < two.date_added for one, two in pairwise(listed))
    undisturbed.dispose()
    killed.dispose()


def test_an_actor_is_called_by_a_name_that_partners_may_have(engine: Engine) -> None:
    with engine.begin() as connection:
        actor = factories.entity(connection, "actor", "feed:intrusion-set--7")
        watch_id = factories.watch(connection, "pier", actor_id=actor)
        factories.found(connection, tlp=1, watch_id=watch_id)
        closed = factories.source(connection, "closed", redistribution=False)
        feed = factories.source(connection)
        for source_id, tlp, name in ((closed, 0, "Closed Bear"), (feed, 2, "Amber Bear"), (feed, 1, "jo@bear.example")):
            said = factories.entity(connection, "text", name)
            named = {"predicate": "described-as", "qualifiers": {"field": "name"}}
            factories.fact(connection, actor, source_id=source_id, object_id=said, tlp=tlp, **named)
    run(engine)
    [published] = last(engine, "intrusion-set")
    assert published["name"] == "intrusion-set--7"
    with engine.begin() as connection:
        feed = factories.source(connection)
        alias = factories.entity(connection, "label", "aaa bear")
        factories.fact(connection, actor, source_id=feed, object_id=alias, tlp=0, predicate="alias")
        said = factories.entity(connection, "text", "Green\nBear")
        factories.fact(
            connection, actor, source_id=feed, object_id=said, predicate="described-as", qualifiers={"field": "name"}
        )
        about = factories.entity(connection, "text", "A group.")
        factories.fact(connection, actor, source_id=feed, object_id=about, predicate="described-as")
    run(engine)
    [published] = last(engine, "intrusion-set")
    assert published["name"] == "Green Bear"
    assert "feed calls intrusion-set--7" in published["description"]
    assert published["external_references"] == [{"source_name": "feed", "external_id": "intrusion-set--7"}]
    assert run(engine).objects == 0
