"""What holds for every kind of log: RFC 6962, tiles, and tiles under the heads of RFC 6962."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from intel.errors import CollectError, LapsewatchError, ThrottledError, VerificationError
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog, Protocol, growing
from lab.server import serve
from tasks.load.ct import resume

AUTHORITY = Authority()
EVERY = pytest.mark.parametrize("protocol", ["rfc6962", "static", "hybrid"])
TILED = pytest.mark.parametrize("protocol", ["static", "hybrid"])

CERTIFICATES = [
    AUTHORITY.issue(Order(names=(f"parcel-{number}.example",), key=key_from_seed(f"parcel {number % 7}")))
    for number in range(40)
]


def evil(name: str = "evil.example") -> bytes:
    return AUTHORITY.issue(Order(names=(name,), key=key_from_seed(name)))


def grow(log: CtLog, count: int, *, hit: int | None = None) -> None:
    """Add entries; the one with the index `hit` names what is watched."""
    for index in range(log.size, log.size + count):
        certificate = evil(f"n{index}.evil.example") if index == hit else CERTIFICATES[index % len(CERTIFICATES)]
        log.append(certificate, chain=[AUTHORITY.certificate])


def watch(following: Any) -> None:
    following.watch(("scope", "", "evil.example"))


def indexes(following: Any) -> list[int]:
    rows = following.rows("SELECT qualifiers->>'index' FROM fact WHERE predicate = 'logged-in'")
    return sorted(int(index) for (index,) in rows)


@EVERY
def test_every_entry_is_read_once_however_the_log_grows(following: Any) -> None:
    watch(following)
    grow(following.log, 700, hit=300)
    assert (first := following.run()).position == 700
    assert (first.entries, first.hits) == (700, 1)
    for more in (1, 67, 256, 300):
        grow(following.log, more, hit=following.log.size + more - 1)
        assert following.run().entries == more
    assert following.cursor()["position"] == following.log.size == 1324
    assert indexes(following) == [300, 700, 767, 1023, 1323]


@EVERY
def test_a_log_attached_at_size_100_begins_with_entry_100(following: Any) -> None:
    watch(following)
    grow(following.log, 100, hit=99)
    source = following.source(follow="head")
    assert following.run(source).position == 100
    grow(following.log, 3, hit=100)
    assert following.run(source).entries == 3
    assert indexes(following) == [100]


@EVERY
@pytest.mark.parametrize("at", ["1", "255", "256", "300", "511"])
def test_a_log_can_be_begun_at_any_index(following: Any, at: str) -> None:
    watch(following)
    grow(following.log, 512, hit=int(at))
    followed = following.run(following.source(follow=at))
    assert (followed.position, followed.entries) == (512, 512 - int(at))
    assert indexes(following) == [int(at)]


@EVERY
def test_a_log_can_be_begun_at_a_time(following: Any) -> None:
    watch(following)
    moments = [datetime(2026, 1, 1, tzinfo=UTC)]
    following.log._clock = lambda: moments[0]
    grow(following.log, 300)
    moments[0] = datetime(2026, 1, 3, tzinfo=UTC)
    grow(following.log, 50, hit=300)
    followed = following.run(following.source(follow="2026-01-02"))
    assert (followed.position, followed.entries) == (350, 50)
    assert indexes(following) == [300]


@EVERY
def test_a_log_that_grows_while_it_is_followed_loses_nothing(following: Any) -> None:
    watch(following)
    grow(following.log, 50)
    hits = [index for index in range(50, 450) if index % 60 == 0]

    def append(index: int) -> None:
        grow(following.log, 1, hit=index if index in hits else None)

    with growing(append, per_second=300, first=50) as done:
        while following.log.size < 450:
            following.run(chunk_entries=32)
        done.set()
    following.run()
    assert following.cursor()["position"] == following.log.size
    assert indexes(following) == hits


TAMPERED = [
    ("rfc6962", {"flipped_leaf": 290}),
    ("static", {"flipped_leaf": 290}),
    ("hybrid", {"flipped_leaf": 290}),
    ("static", {"flipped_tile": 0}),
    ("hybrid", {"flipped_tile": 0}),
    ("static", {"cut_tile": 0}),
    ("static", {"flipped_hash_tile": (0, 2)}),
    ("rfc6962", {"shifted": 1}),
    ("static", {"shifted": 1}),
    *((protocol, {"flipped_head": what}) for protocol in ("rfc6962", "static") for what in
      ("size", "root", "timestamp", "signature")),
    *((protocol, {"wrong_root": True}) for protocol in ("rfc6962", "static", "hybrid")),
    *((protocol, {"bad_signature": True}) for protocol in ("rfc6962", "static", "hybrid")),
    *((protocol, {"shrunk_to": 100}) for protocol in ("rfc6962", "static", "hybrid")),
]  # fmt: skip


@pytest.mark.parametrize(("protocol", "faults"), TAMPERED)
def test_tampering_is_noticed_and_nothing_of_it_is_used(
    following: Any, protocol: Protocol, faults: dict[str, Any]
) -> None:
    watch(following)
    tile = "flipped_tile" in faults or "cut_tile" in faults
    grow(following.log, 0 if tile or "flipped_hash_tile" in faults else 280)
    if following.log.size:
        following.run()
    before = following.cursor()
    grow(following.log, 600 - following.log.size, hit=295)
    for name, value in faults.items():
        setattr(following.log.faults, name, value)
    # In small chunks, so that a static log's hash tiles are asked for.
    with pytest.raises(LapsewatchError) as caught:
        following.run(chunk_entries=256)
    assert indexes(following) == []
    outcome, error = following.outcomes()[-1]
    assert (outcome, bool(error)) == ("failed", True)
    if isinstance(caught.value, VerificationError):
        assert following.cursor("ct:lab-log")["halted"]["documents"]
        assert following.rows("SELECT count(*) FROM document WHERE NOT loaded")[0][0] > 0
    if not tile and "flipped_hash_tile" not in faults and "shifted" not in faults:
        assert isinstance(caught.value, VerificationError)
        assert following.cursor() == before
    for name in faults:
        setattr(following.log.faults, name, getattr(type(following.log.faults)(), name))
    resume(following.engine, "lab-log")
    assert following.run().position == 600
    assert indexes(following) == [295]


@EVERY
def test_a_split_view_stops_the_log_with_both_heads(following: Any) -> None:
    watch(following)
    grow(following.log, 300)
    following.run()
    following.log.fork(100)
    following.log.faults.split_view = ""
    with pytest.raises(VerificationError):
        following.run()
    assert len(following.cursor("ct:lab-log")["halted"]["documents"]) == 2
    with pytest.raises(VerificationError, match="stopped"):
        following.run()


@EVERY
def test_a_fork_of_what_was_not_read_yet_is_noticed(following: Any) -> None:
    watch(following)
    grow(following.log, 600)
    following.run(max_entries=256)
    following.log.fork(400)
    grow(following.log, 10)
    following.log.faults.split_view = ""
    with pytest.raises(VerificationError):
        following.run()
    assert len(following.cursor("ct:lab-log")["halted"]["documents"]) == 2


@TILED
def test_a_partial_tile_that_became_full_is_read_as_the_full_one(following: Any) -> None:
    watch(following)
    grow(following.log, 200)
    following.run()
    grow(following.log, 40)
    with_head = following.log.tree_head()
    following.log.faults.stale = with_head
    grow(following.log, 100, hit=230)
    following.log.faults.partial_vanishes = True
    assert following.run().position == 240
    following.log.faults.stale = None
    assert following.run().position == 340


@pytest.mark.parametrize("protocol", ["static"])
def test_a_partial_tile_that_has_not_grown_is_not_asked_for_again(following: Any) -> None:
    watch(following)
    grow(following.log, 300)
    following.run()
    following.log.requests.clear()
    assert following.run().entries == 0
    assert [path for path in following.log.requests if "tile" in path] == []


@EVERY
def test_a_storm_of_429_is_sat_out(following: Any) -> None:
    watch(following)
    grow(following.log, 900, hit=880)
    following.log.faults.throttled_share = 0.4
    following.log.faults.retry_after = "0"
    for _ in range(20):
        try:
            following.run()
        except CollectError:
            continue
        break
    assert following.cursor()["position"] == 900
    assert indexes(following) == [880]
    assert following.cursor("ct:lab-log")["pace"]["throttled"] > 0


def test_a_log_that_wants_to_be_left_alone_is_left_alone_by_the_next_run_too(following: Any) -> None:
    grow(following.log, 10)
    following.run()
    following.log.faults.throttled = True
    following.log.faults.retry_after = "300"
    with pytest.raises(ThrottledError):
        following.run()
    asked = len(following.log.requests)
    with pytest.raises(ThrottledError):
        following.run()
    assert len(following.log.requests) == asked
    assert following.cursor("ct:lab-log")["pace"]["throttled"] == 1


@EVERY
def test_clocks_that_jump_lose_nothing(following: Any) -> None:
    watch(following)
    for jump in (0, 90_000_000, -90_000_000, 7):
        following.log.faults.head_offset_ms = jump
        following.log.faults.entry_offset_ms = -jump
        size = following.log.size
        grow(following.log, 50, hit=size + 10)
        if jump < 0:
            # A larger tree with an older time: the log's clock was set back.
            assert following.run().position == size + 50
            continue
        assert following.run().position == size + 50
    assert indexes(following) == [10, 60, 110, 160]


@EVERY
def test_a_precertificate_is_met_and_joined_whatever_carries_it(following: Any) -> None:
    order = Order(names=("evil.example",), key=key_from_seed("evil"))
    precertificate = AUTHORITY.precertificate(order)
    following.watch(("entity", "certificate", f"sha256:{hashlib.sha256(precertificate).hexdigest()}"))
    grow(following.log, 256)
    sct = following.log.append(precertificate, chain=[AUTHORITY.certificate], issuer_key_hash=AUTHORITY.key_hash)
    grow(following.log, 300)
    assert following.run().hits == 1
    watch(following)
    following.log.append(AUTHORITY.final(order, [sct]), chain=[AUTHORITY.certificate])
    assert following.run().hits == 1
    assert following.rows("SELECT count(*) FROM fact WHERE predicate = 'same-as'")[0][0] == 3


# Of RFC 6962's chain, what counts is the issuer's key, which the leaf names: one that is another is told
# (tests/tasks/normalize/test_ct_facts.py).
@pytest.mark.parametrize(
    ("protocol", "fault"),
    [
        *((protocol, "flipped_precertificate") for protocol in ("rfc6962", "static", "hybrid")),
        *((protocol, "flipped_chain") for protocol in ("static", "hybrid")),
    ],
)
def test_what_the_tree_does_not_cover_is_checked_where_it_matters(following: Any, fault: str) -> None:
    watch(following)
    grow(following.log, 10)
    order = Order(names=("evil.example",), key=key_from_seed("evil"))
    following.log.append(
        AUTHORITY.precertificate(order), chain=[AUTHORITY.certificate], issuer_key_hash=AUTHORITY.key_hash
    )
    grow(following.log, 300)
    setattr(following.log.faults, fault, 10)
    assert following.run().hits == 1
    assert following.named() == {"evil.example"}
    outcome, said = following.outcomes()[-1]
    assert outcome == "partial"
    assert "chain" in said or "issuer" in said or "precertificate" in said


def test_a_slow_log_does_not_hold_up_a_fast_one(following: Any, tmp_path: Path) -> None:
    watch(following)
    grow(following.log, 600, hit=599)
    slow = CtLog(seed="slow log")
    grow(slow, 600, hit=10)
    slow.faults.drip_seconds = 1.0
    with serve(slow.app()) as served:
        (tmp_path / "configs" / "network.yaml").write_text(
            f'allow: ["127.0.0.1:{following.served.port}", "127.0.0.1:{served.port}"]\n'
        )
        other = dataclasses.replace(following, log=slow, served=served, name="slow-log")
        ended: dict[str, float] = {}

        def run(name: str, one: Any) -> None:
            assert one.run().position == 600
            ended[name] = time.monotonic()

        threads = [
            threading.Thread(target=run, args=(name, one)) for name, one in (("slow", other), ("fast", following))
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert ended["fast"] - began < ended["slow"] - began
    assert indexes(following) == [10, 599]
