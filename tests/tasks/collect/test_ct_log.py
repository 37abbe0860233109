from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from intel.ct_answer import AnswerFormat, read_answer
from intel.errors import ConfigError, ReadError, StatusError, ThrottledError, UnreachableError
from lab.ct import CtLog, Protocol
from tasks.collect.ct_log import start_index, user_agent
from tasks.collect.retry import RetryPolicy
from tests.tasks.collect.ct_world import Breaking, Refusing, World, opened, read_all, source_of

pytestmark = pytest.mark.usefixtures("home")

BOTH = pytest.mark.parametrize("protocol", ["rfc6962", "static", "hybrid"])
TILED = pytest.mark.parametrize("protocol", ["static", "hybrid"])
CLASSIC = pytest.mark.parametrize("protocol", ["rfc6962", "hybrid"])


# --- all entries, in order


@BOTH
@pytest.mark.parametrize(("size", "first", "behind"), [(1, 0, 1), (255, 0, 255), (256, 0, 256), (700, 100, 700)])
@pytest.mark.parametrize("most_at_once", [1, 8])
def test_entries_come_whole_and_in_order(
    protocol: Protocol, size: int, first: int, behind: int, most_at_once: int
) -> None:
    world = World(protocol, size, maximum=100)
    with opened(world.log, most_at_once=most_at_once) as reader:
        head = reader.head()
        assert read_all(reader, first, behind, head) == world.hashes()[first:behind]


@BOTH
@pytest.mark.parametrize(("first", "behind"), [(0, 0), (600, 600), (250, 300), (511, 513), (599, 600)])
def test_any_part_of_a_log(protocol: Protocol, first: int, behind: int) -> None:
    world = World(protocol, 600)
    with opened(world.log) as reader:
        assert read_all(reader, first, behind, reader.head()) == world.hashes()[first:behind]


@BOTH
def test_parts_that_the_head_does_not_have(protocol: Protocol) -> None:
    with opened(World(protocol, 5).log) as reader:
        head = reader.head()
        for first, behind in ((0, 6), (-1, 3), (4, 3)):
            with pytest.raises(ValueError, match="no entries"):
                list(reader.answers(first, behind, head))


def test_a_hybrid_is_read_by_tiles_and_its_end_by_get_entries() -> None:
    world = World("hybrid", 600)
    with opened(world.log) as reader:
        head = reader.head()
        formats = [(answer.format, answer.first, answer.next) for answer in reader.answers(100, 600, head)]
    assert formats == [
        (AnswerFormat.TILE, 100, 256),
        (AnswerFormat.TILE, 256, 512),
        (AnswerFormat.ENTRIES, 512, 600),
    ]


def test_a_hybrid_whose_tiles_are_not_there_yet() -> None:
    world = World("hybrid", 600)
    gone = CtLog(protocol="rfc6962")
    gone.key, gone.key_der = world.log.key, world.log.key_der  # type: ignore[misc]  # one log, two ways to ask it
    for index in range(600):
        entry = world.log.entry(index)
        gone.append_raw(entry.leaf_input, entry.extra_data)
    with opened(gone, options={"protocol": "hybrid"}) as reader:
        assert read_all(reader, 0, 600, reader.head()) == world.hashes()


def test_a_log_attached_at_its_head_begins_with_the_next_entry() -> None:
    for protocol in ("rfc6962", "static", "hybrid"):
        world = World(protocol, 100)  # type: ignore[arg-type]  # the tuple's members are what it takes
        with opened(world.log) as reader:
            head = reader.head()
            frontier = reader.frontier(start_index(reader, source_of("", world.log), head), head)
            assert frontier.size == 100
            world.grow(3)
            grown = reader.head()
            (answer,) = reader.answers(100, grown.tree_size, grown)
            assert [entry.index for entry in read_answer(answer)] == [100, 101, 102]
            assert frontier.extend(world.hashes()[100:]).root() == grown.root_hash


# --- manners


def test_ranges_are_aligned_and_the_maximum_is_learned() -> None:
    world = World("rfc6962", 2100, maximum=64)
    with opened(world.log, most_at_once=1) as reader:
        head = reader.head()
        read_all(reader, 100, 2100, head)
    asked = [path.partition("?")[2] for path in world.log.requests if "get-entries" in path]
    assert asked[0] == "start=100&end=511"
    assert asked[1:4] == ["start=164&end=191", "start=192&end=255", "start=256&end=319"]
    assert len(asked) == 2 + (2100 - 192 + 63) // 64


@pytest.mark.parametrize(("maximum", "size"), [(1, 12), (7, 200), (32, 600), (1000, 2500), (5000, 2500)])
def test_a_log_is_asked_as_often_as_it_must_be(maximum: int, size: int) -> None:
    world = World("rfc6962", size, maximum=maximum)
    with opened(world.log, most_at_once=2) as reader:
        assert read_all(reader, 0, size, reader.head()) == world.hashes()
    asked = sum("get-entries" in path for path in world.log.requests)
    assert asked <= -(-size // min(maximum, 512)) + 4


def test_a_log_that_refuses_wide_ranges() -> None:
    world = World("rfc6962", 300)
    with opened(Refusing(world.log, most=40)) as reader:
        assert read_all(reader, 0, 300, reader.head()) == world.hashes()


@BOTH
def test_every_tile_and_range_is_asked_for_once(protocol: Protocol) -> None:
    world = World(protocol, 1500)
    with opened(world.log) as reader:
        read_all(reader, 0, 1500, reader.head())
        world.log.requests.clear()
        read_all(reader, 0, 1500, reader.head())
    again = Counter(world.log.requests)
    assert max(again.values()) == 1


def test_a_partial_tile_is_asked_for_as_the_head_implies_it() -> None:
    world = World("static", 300)
    with opened(world.log) as reader:
        head = reader.head()
        read_all(reader, 290, 300, head)
        assert [path for path in world.log.requests if "data" in path] == ["/tile/data/001.p/44"]
        # It has not grown: nothing is asked for.
        world.log.requests.clear()
        head = reader.head()
        assert list(reader.answers(300, head.tree_size, head)) == []
        assert world.log.requests == ["/checkpoint"]
        # An older head implies another one.
        assert world.log.statuses[404] == 0


def test_a_partial_tile_that_became_full() -> None:
    world = World("static", 300)
    world.log.faults.partial_vanishes = True
    with opened(world.log) as reader:
        head = reader.head()
        world.grow(300)
        assert read_all(reader, 200, 300, head) == world.hashes()[200:300]
        assert reader.frontier(300, head).root() == head.root_hash
        assert world.log.statuses[404] == 2
        assert "/tile/data/001" in world.log.requests


def test_tiles_that_are_not_compressed() -> None:
    world = World("static", 300, compressed=False)
    with opened(world.log) as reader:
        assert read_all(reader, 0, 300, reader.head()) == world.hashes()


def test_who_asks_says_so(home: Path) -> None:
    (home / "configs" / "organisation.yaml").write_text("contact: https://www.heron.example/contact\n")
    world = World("static", 3)
    world.log.faults.wants_contact = True
    with opened(world.log) as reader:
        reader.head()
    assert world.log.agents == {"Lapsewatch/0.1 (+https://www.heron.example/contact)"}
    (home / "configs" / "organisation.yaml").write_text("contact: security@heron.example\n")
    assert user_agent() == "Lapsewatch/0.1 (security@heron.example)"
    (home / "configs" / "organisation.yaml").write_text('contact: "a\\r\\nX-Other: b"\n')
    with pytest.raises(ConfigError, match="plain ASCII"):
        user_agent()
    (home / "configs" / "organisation.yaml").unlink()
    assert user_agent() == "Lapsewatch/0.1"


@BOTH
def test_told_to_wait_again_and_again(protocol: Protocol) -> None:
    world = World(protocol, 2000, maximum=100)
    with opened(world.log, patience=RetryPolicy(retries=20, base_seconds=0.005, max_backoff_seconds=0.02)) as reader:
        head = reader.head()
        world.log.faults.throttled_share = 0.4
        assert read_all(reader, 0, 2000, head) == world.hashes()
        assert reader.pace.throttled >= 4
        assert reader.pace.state()["throttled"] == reader.pace.throttled


def test_retry_after_is_kept_by_everybody() -> None:
    world = World("static", 2000)
    with opened(world.log, pace={"in_flight": 8}) as reader:
        head = reader.head()
        asked: list[float] = []
        world.log.before_answer = lambda _path: asked.append(time.monotonic())
        world.log.faults.throttled_next = 1
        world.log.faults.retry_after = "1"
        assert read_all(reader, 0, 2000, head) == world.hashes()
    gaps = [after - before for before, after in itertools.pairwise(asked)]
    assert max(gaps) > 0.9
    # Before the pause, no more than were under way when it was asked for.
    assert gaps.index(max(gaps)) < 8


def test_more_patience_than_we_have_ends_it_and_is_kept_for_the_next_run() -> None:
    world = World("static", 2000)
    with opened(world.log) as reader:
        head = reader.head()
        world.log.faults.throttled, world.log.faults.retry_after = True, "600"
        with pytest.raises(ThrottledError) as caught:
            list(reader.answers(0, 2000, head))
        state = reader.pace.state()
    assert caught.value.retry_after is not None
    assert 590 < state["wait_until"] - time.time() <= 600
    world.log.faults.throttled = False
    world.log.requests.clear()
    with opened(world.log, pace=state) as reader, pytest.raises(ThrottledError, match="left alone"):
        reader.head()
    assert world.log.requests == []


@BOTH
def test_a_log_that_always_says_wait(protocol: Protocol) -> None:
    world = World(protocol, 20)
    world.log.faults.throttled = True
    with opened(world.log) as reader, pytest.raises(ThrottledError):
        reader.head()
    assert 2 <= len(world.log.requests) <= 5


# --- what goes wrong


@BOTH
def test_an_error_comes_at_its_place(protocol: Protocol) -> None:
    world = World(protocol, 2000)
    word = "start=1024" if protocol == "rfc6962" else "tile/data/004"

    def throttle(_path: str) -> None:
        world.log.faults.web_page = word in world.log.requests[-1]

    world.log.before_answer = throttle
    got: list[int] = []
    with opened(world.log) as reader:
        head = reader.head()
        indexes = (entry.index for answer in reader.answers(0, 2000, head) for entry in read_answer(answer))
        with pytest.raises(ReadError, match="web page"):
            got.extend(indexes)
    assert got == list(range(1024))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ct-ahead")] == []


@BOTH
def test_closing_ends_transfers_that_hang(protocol: Protocol) -> None:
    world = World(protocol, 2000)
    with opened(world.log) as reader:
        head = reader.head()
        answers = reader.answers(0, 2000, head)
        next(answers)
        world.log.faults.hang_seconds = 20
        time.sleep(0.05)
        began = time.monotonic()
        answers.close()  # type: ignore[attr-defined]  # a generator
        assert time.monotonic() - began < 1.5
        assert [thread.name for thread in threading.enumerate() if thread.name.startswith("ct-ahead")] == []
        # The connections are gone, the reader is not.
        world.log.faults.hang_seconds = 0
        assert reader.head() == head


@BOTH
def test_reading_ends_in_time(protocol: Protocol) -> None:
    world = World(protocol, 2000)
    with opened(world.log, most_at_once=1) as reader:
        head = reader.head()
        (answer, *more) = reader.answers(0, 2000, head, until=time.monotonic() - 1)
        assert answer.first == 0
        assert len(more) <= 3  # what was asked for as one range


@BOTH
def test_a_log_that_breaks_off_is_asked_again(protocol: Protocol) -> None:
    world = World(protocol, 300)
    with opened(world.log) as reader:
        head = reader.head()
    with opened(Breaking(world.log, 2)) as reader:
        assert read_all(reader, 0, 300, head) == world.hashes()
    with opened(Breaking(world.log, 1000)) as reader, pytest.raises((UnreachableError, StatusError)):
        read_all(reader, 0, 300, head)
