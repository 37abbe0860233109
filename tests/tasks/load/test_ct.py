from __future__ import annotations

import hashlib
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from db import documents, runs
from intel.errors import (
    BusyError,
    CollectError,
    ConfigError,
    LapsewatchError,
    ReadError,
    RefusedError,
    UnreachableError,
    VerificationError,
)
from intel.facts import RawDocument
from intel.merkle import Frontier
from intel.settings import settings
from lab import world
from lab.bench.ct_kills import SEED, Killed, kill
from lab.certificates import Authority, Order, key_from_seed, spki_der
from lab.ct import CtLog, Protocol
from tasks.collect.ct import get_sth
from tasks.collect.http import HttpLimits
from tasks.collect.slices import http_client
from tasks.load.ct import resume
from tasks.normalize.ct_facts import read

AUTHORITY = Authority()
HERON = key_from_seed("grey heron's server")
CHECKOUT = Path(__file__).parents[3]


def issue(*names: str, key: Any = None) -> bytes:
    return AUTHORITY.issue(Order(names=names, key=key or key_from_seed(names[0])))


def grow(log: CtLog, count: int) -> None:
    for number in range(log.size, log.size + count):
        log.append(issue(f"parcel-{number}.example"))


def long_way(log: CtLog) -> None:
    log.maximum = 1024
    certificates = [issue(f"parcel-{number}.example") for number in range(10)]
    for number in range(3000 - log.size):
        log.append(certificates[number % 10])


def scope(name: str) -> tuple[str, str, str]:
    return "scope", "", name


def test_the_world_s_log_shows_the_known_name_and_the_reused_key(following: Any) -> None:
    for certificate in world.certificates(world.WEDNESDAY):
        following.log.append(certificate)
    following.watch(scope(world.KNOWN_DOMAIN))
    followed = following.run()
    assert (followed.entries, followed.hits, followed.more) == (following.log.size, 3, False)
    assert following.named() == {world.KNOWN_DOMAIN, world.NEW_DOMAIN, f"mail.{world.NEW_DOMAIN}", world.ANOTHER}
    keys = following.rows("SELECT DISTINCT object_id FROM fact WHERE predicate = 'has-key'")
    assert len(keys) == 1
    assert following.outcomes() == [("ok", "")]
    assert len(followed.batches) == 1


def test_a_reused_key_is_found_in_a_later_run_too(following: Any) -> None:
    following.watch(scope("evil.example"))
    following.log.append(issue("evil.example", key=HERON))
    following.run()
    following.log.append(issue("harmless.example", key=HERON))
    following.log.append(issue("other.example"))
    assert following.run().hits == 1
    assert following.named() == {"evil.example", "harmless.example"}


@pytest.mark.parametrize(
    "item",
    [
        ("entity", "domain", "login.evil.example"),
        ("subtree", "", "login.evil.example"),
        ("network", "", "192.0.2.0/28"),
        ("entity", "ip", "192.0.2.7"),
        ("entity", "public-key", f"sha256:{hashlib.sha256(spki_der(HERON)).hexdigest()}"),
        (
            "entity",
            "certificate",
            f"sha256:{hashlib.sha256(issue('login.evil.example', '192.0.2.7', key=HERON)).hexdigest()}",
        ),
    ],
)
def test_each_kind_of_item_finds_its_certificate(following: Any, item: tuple[str, str, str]) -> None:
    following.watch(item)
    grow(following.log, 3)
    following.log.append(issue("login.evil.example", "192.0.2.7", key=HERON))
    assert following.run().hits == 1
    assert following.named() == {"login.evil.example", "192.0.2.7"}


def test_a_wildcard_that_covers_a_watched_name_is_found_and_teaches_no_key(following: Any) -> None:
    following.watch(("entity", "domain", "host.shared.example"))
    following.log.append(issue("*.shared.example", key=HERON))
    following.log.append(issue("harmless.example", key=HERON))
    assert following.run().hits == 1
    assert following.named() == {"shared.example"}


def test_what_a_followed_actor_is_said_to_have_is_watched(following: Any) -> None:
    with following.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO entity (digest, kind, value, scope) VALUES"
            " (gen_random_uuid(), 'actor', 'lab:heron', ''),"
            " (gen_random_uuid(), 'url', 'http://a.evil.example/', 'evil.example');"
            "INSERT INTO link SELECT s.id, 'attributed-to', a.id, '{}', 1, 1 FROM entity a, entity s"
            " WHERE a.kind = 'actor' AND s.kind = 'url';"
            "INSERT INTO watch (name, origin, rules, actor_id, follows_actor)"
            " SELECT 'heron', 'file', '{*}', id, true FROM entity WHERE kind = 'actor'"
        )
    following.log.append(issue("new.evil.example"))
    assert following.run().hits == 1


def test_a_watch_that_is_switched_off_finds_nothing(following: Any) -> None:
    following.watch(scope("evil.example"))
    with following.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE watch SET active = false")
    following.log.append(issue("evil.example"))
    assert following.run().hits == 0


def test_a_watched_certificate_is_met_through_its_precertificate(following: Any) -> None:
    order = Order(names=("evil.example",), key=HERON)
    precertificate = AUTHORITY.precertificate(order)
    following.watch(("entity", "certificate", f"sha256:{hashlib.sha256(precertificate).hexdigest()}"))
    sct = following.log.append(precertificate, issuer_key_hash=AUTHORITY.key_hash)
    following.run()
    assert following.named() == {"evil.example"}
    following.log.append(AUTHORITY.final(order, [sct]))
    following.log.append(issue("harmless.example", key=HERON))
    assert following.run().hits == 2
    assert len(following.rows("SELECT DISTINCT subject_id FROM fact WHERE predicate = 'names'")) == 3


def test_a_log_attached_at_its_head_begins_with_the_next_entry(following: Any) -> None:
    following.watch(scope("evil.example"))
    grow(following.log, 99)
    following.log.append(issue("old.evil.example"))
    source = following.source(follow="head")
    assert following.run(source).position == 100
    assert following.named() == set()
    following.log.append(issue("new.evil.example"))
    grow(following.log, 5)
    assert following.run(source).position == 106
    assert following.named() == {"new.evil.example"}
    assert following.rows("SELECT qualifiers->>'index' FROM fact WHERE predicate = 'logged-in'") == [("100",)]


def test_an_empty_log_can_be_attached_to(following: Any) -> None:
    source = following.source(follow="head")
    assert following.run(source).position == 0
    grow(following.log, 1)
    assert following.run(source).entries == 1


def test_short_answers_are_taken_and_nothing_is_missed(following: Any) -> None:
    following.log.maximum = 7
    following.watch(scope("evil.example"))
    grow(following.log, 30)
    following.log.append(issue("a.evil.example"))
    grow(following.log, 30)
    following.log.append(issue("b.evil.example"))
    followed = following.run(chunk_entries=20)
    assert (followed.entries, followed.hits) == (62, 2)
    assert following.cursor()["position"] == 62
    assert following.cursor()["head"]["root"] == following.log.tree_head().root_hash.hex()
    assert (
        Frontier.from_bytes(bytes.fromhex(following.cursor()["frontier"])).root().hex()
        == (following.cursor()["head"]["root"])
    )


def test_the_number_of_entries_and_the_time_are_bounded(following: Any) -> None:
    long_way(following.log)
    assert following.run(max_entries=20).position == 20
    at = following.run(max_seconds=0).position
    assert 20 < at < 3000
    followed = following.run(max_entries=1)
    assert (followed.position, followed.more) == (at + 1, True)
    assert following.run().position == 3000


def test_nothing_new_costs_one_row_in_run(following: Any) -> None:
    following.watch(scope("evil.example"))
    following.log.append(issue("evil.example"))
    following.run()
    counts = "SELECT (SELECT count(*) FROM document), (SELECT count(*) FROM fact_history), (SELECT count(*) FROM batch)"
    before, cursor = following.rows(counts), following.cursor()
    assert following.run().entries == 0
    assert (following.rows(counts), following.cursor()) == (before, cursor)
    assert [outcome for outcome, _ in following.outcomes()] == ["ok", "unchanged"]


def test_the_hits_can_be_read_again_from_their_document(following: Any) -> None:
    following.watch(scope("evil.example"))
    grow(following.log, 5)
    following.log.append(issue("evil.example"))
    following.run()
    ((number, digest, location),) = following.rows("SELECT id, sha256, location FROM document WHERE loaded")
    body = documents.get(settings().document_store, digest)
    held = json.loads(body)
    assert [entry["index"] for entry in held["entries"]] == [5]
    assert held["sth"]["tree_size"] == 6
    raw = RawDocument(document_id=number, location=location, body=body, as_of=datetime.now(UTC))
    assert len(list(read(raw, following.source()))) == following.rows("SELECT count(*) FROM fact")[0][0]


def test_unreadable_entries_leave_a_record_and_stop_nothing(following: Any) -> None:
    following.watch(scope("evil.example"))
    for number in range(150):
        following.log.append_raw(b"\0\0broken %d" % number)
    following.log.append(issue("evil.example"))
    assert following.run().hits == 1
    reasons = following.rows("SELECT reason FROM reject")
    assert len(reasons) == 101
    assert sum("50 more" in reason for (reason,) in reasons) == 1


def position(following: Any) -> int:
    cursor = following.cursor()
    return cursor["position"] if cursor else 0


def stopped(following: Any, *, at: int | None = None, **more: Any) -> str:
    """The log is stopped at a position, its heads are kept, and the next run refuses; the run's error."""
    due = position(following) if at is None else at
    with pytest.raises(VerificationError):
        following.run(**more)
    assert position(following) == due
    outcome, error = following.outcomes()[-1]
    assert outcome == "failed"
    halted = following.cursor("ct:lab-log")["halted"]
    kept = following.rows("SELECT id, sha256 FROM document WHERE location LIKE '%get-sth'")
    assert {number for number, _ in kept} == set(halted["documents"])
    heads = [json.loads(documents.get(settings().document_store, digest)) for _, digest in kept]
    assert all("tree_head_signature" in shown for shown in heads)
    asked = len(following.log.requests)
    with pytest.raises(VerificationError, match="stopped"):
        following.run()
    assert len(following.log.requests) == asked
    return str(error)


def ready(following: Any) -> None:
    following.watch(scope("evil.example"))
    grow(following.log, 10)
    following.run()
    grow(following.log, 10)
    following.log.append(issue("evil.example"))


@pytest.mark.parametrize("fault", ["bad_signature", "wrong_root"])
def test_a_head_that_does_not_add_up_stops_the_log(following: Any, fault: str) -> None:
    ready(following)
    setattr(following.log.faults, fault, True)
    assert "couldn't believe lab-log" in stopped(following)
    assert following.named() == set()
    setattr(following.log.faults, fault, False)
    assert resume(following.engine, "lab-log")
    assert not resume(following.engine, "lab-log")
    assert following.run().position == 21
    assert following.named() == {"evil.example"}


def test_a_flipped_leaf_stops_the_log_before_anything_is_judged(following: Any) -> None:
    ready(following)
    following.log.faults.flipped_leaf = 12
    stopped(following)
    assert following.named() == set()
    assert len(following.rows("SELECT 1 FROM document")) == 2


def test_a_flipped_leaf_stops_a_slice_before_the_head(following: Any) -> None:
    following.log.maximum = 2
    ready(following)
    following.log.faults.flipped_leaf = 12
    stopped(following, at=12, chunk_entries=4)


def test_a_flipped_leaf_where_a_log_is_attached_stops_it(following: Any) -> None:
    grow(following.log, 10)
    following.log.faults.flipped_leaf = 9
    stopped(following, source=following.source(follow="head"))


def test_a_shrunk_tree_stops_the_log(following: Any) -> None:
    ready(following)
    following.log.faults.shrunk_to = 9
    assert "9 leaves after" in stopped(following)
    assert len(following.cursor("ct:lab-log")["halted"]["documents"]) == 2


def test_a_forked_tree_of_the_same_size_stops_the_log(following: Any) -> None:
    ready(following)
    following.run()
    fork = CtLog()
    grow(fork, 21)
    following.log._tree, following.log._entries = fork._tree, fork._entries
    assert "two roots" in stopped(following)


def test_a_fault_that_is_gone_when_asked_again_is_noted_on_the_run(following: Any) -> None:
    ready(following)
    faults = following.log.faults

    class Once:
        def __init__(self) -> None:
            self.left = 1

        def __eq__(self, other: object) -> bool:
            if other == 12 and self.left:
                self.left = 0
                return True
            return False

        __hash__ = None  # type: ignore[assignment]  # it is compared once

    faults.flipped_leaf = Once()
    assert following.run().position == 21
    outcome, error = following.outcomes()[-1]
    assert outcome == "partial"
    assert "asked for once more, it added up" in error
    assert following.named() == {"evil.example"}


def test_an_older_head_is_passed_over(following: Any) -> None:
    times = [datetime(2026, 1, 3, tzinfo=UTC)]
    following.log._clock = lambda: times[0]
    ready(following)
    following.run(max_entries=4)
    following.log.faults.shrunk_to = 9
    times[0] = datetime(2026, 1, 2, tzinfo=UTC)
    assert following.run().position == 21
    assert following.outcomes()[-1][0] == "partial"
    assert "halted" not in following.cursor("ct:lab-log")


@pytest.mark.parametrize(
    ("fault", "value", "error"),
    [
        ("throttled", True, CollectError),
        ("no_entries", True, CollectError),
        ("web_page", True, ReadError),
    ],
)
def test_what_could_not_be_had_is_asked_for_in_the_next_run(
    following: Any, fault: str, value: Any, error: type[LapsewatchError]
) -> None:
    following.log.maximum = 4
    ready(following)
    before = following.cursor()
    setattr(following.log.faults, fault, value)
    with pytest.raises(error):
        following.run(chunk_entries=8)
    assert following.cursor() == before
    assert following.outcomes()[-1][0] == "failed"
    setattr(following.log.faults, fault, False)
    assert "halted" not in following.cursor("ct:lab-log")
    assert following.run().position == 21
    assert following.named() == {"evil.example"}


def test_a_throttling_log_is_waited_for(following: Any) -> None:
    ready(following)
    following.log.faults.throttled, following.log.faults.retry_after = True, "0"

    class Relents(list[str]):
        def append(self, item: str) -> None:
            following.log.faults.throttled = len(self) % 2 == 0
            super().append(item)

    following.log.requests = Relents()
    assert following.run().position == 21
    assert following.outcomes()[-1] == ("ok", "")


def test_what_came_before_an_error_is_committed(following: Any) -> None:
    ready(following)
    long_way(following.log)

    class Breaks(list[str]):
        def append(self, item: str) -> None:
            following.log.faults.no_entries = "start=2048" in item
            super().append(item)

    following.log.requests = Breaks()
    with pytest.raises(CollectError):
        following.run()
    assert following.cursor()["position"] == 2048
    assert following.named() == {"evil.example"}
    assert following.outcomes()[-1][0] == "failed"


def test_a_flipped_chain_costs_the_precertificate_s_fingerprint_only(following: Any) -> None:
    following.watch(scope("evil.example"))
    order = Order(names=("evil.example",), key=HERON)
    following.log.append(AUTHORITY.precertificate(order), issuer_key_hash=AUTHORITY.key_hash)
    following.log.faults.flipped_extra_data = 0
    assert following.run().hits == 1
    assert following.rows("SELECT count(*) FROM fact WHERE predicate = 'same-as'") == [(0,)]
    assert following.rows("SELECT count(*) FROM reject") == [(1,)]
    assert following.named() == {"evil.example"}


def test_a_log_that_hangs_fails_the_run_and_stops_nothing(following: Any) -> None:
    ready(following)
    before = following.cursor()
    following.log.faults.hang_seconds = 3.0
    source = following.source()
    started = time.monotonic()
    with http_client(source) as (client, _), pytest.raises(UnreachableError):
        get_sth(client, source.location, limits=HttpLimits(max_seconds=2.0, read_seconds=0.3))
    assert time.monotonic() - started < 2
    following.log.faults.hang_seconds = 0.0
    assert following.cursor() == before
    assert following.run().position == 21


def test_a_log_in_a_private_range_is_refused(following: Any) -> None:
    ready(following)
    gone = following.source().model_copy(update={"location": "http://127.0.0.1:9/"})
    with pytest.raises(RefusedError):
        following.run(gone)
    assert following.outcomes()[-1][0] == "failed"
    assert "halted" not in following.cursor("ct:lab-log")


def test_more_entries_than_asked_for_are_refused(following: Any) -> None:
    ready(following)
    following.log.faults.too_many_entries = True
    with pytest.raises(CollectError):
        following.run(max_entries=4)
    assert position(following) == 10
    assert following.run().position == 21
    assert following.named() == {"evil.example"}


@pytest.mark.parametrize("key", ["", "!", "AAAA"])
def test_a_log_needs_its_key(following: Any, key: str) -> None:
    with pytest.raises(ConfigError):
        following.run(following.source(log_key=key))
    assert following.cursor("ct:lab-log") is None


def test_two_at_once_do_not_happen(following: Any) -> None:
    with runs.exclusive(following.engine, "source:lab-log"), pytest.raises(BusyError):
        following.run()


@pytest.mark.slow
@pytest.mark.parametrize(("protocol", "wanted"), [("rfc6962", 5), ("static", 5)])
def test_killed_anywhere_nothing_is_lost_and_nothing_doubled(
    engine: Any, tmp_path: Path, protocol: Protocol, wanted: int
) -> None:
    killed = Killed()
    kill(engine, tmp_path / "home", protocol, killed, wanted=wanted, seed=SEED)
    assert killed.wrong == []
    assert killed.kills[protocol] == wanted


@pytest.mark.slow
def test_the_rate_over_twenty_thousand_entries(following: Any, capsys: pytest.CaptureFixture[str]) -> None:
    certificates = [issue(f"parcel-{number}.example", f"www.parcel-{number}.example") for number in range(500)]
    following.log.maximum = 256
    for number in range(20_000):
        following.log.append(certificates[number % 500], chain=[AUTHORITY.certificate])
    following.log.append(issue("evil.example"))
    following.watch(scope("evil.example"), *(scope(f"evil{number}.example") for number in range(1_000)))
    started, cpu = time.monotonic(), time.process_time()
    followed = following.run()
    took, busy = time.monotonic() - started, time.process_time() - cpu
    assert (followed.entries, followed.hits) == (20_001, 1)
    with capsys.disabled():
        sys.stdout.write(f"\n{20_001 / took:,.0f} entries/s, {20_001 / busy:,.0f} per CPU second with the lab's log\n")
