from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.first_seen import Compared, Creation, Seen, disagreements, words

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def created(year: int, month: int, day: int) -> Creation:
    at = datetime(year, month, day, tzinfo=UTC)
    return Creation(since=at, until=at + timedelta(days=1))


def seen(channel: str, days: float = 0) -> Seen:
    return Seen(channel=channel, at=NOON + timedelta(days=days))


def test_created_long_before_it_was_seen() -> None:
    assert disagreements([seen("zone")], created(2019, 3, 2)) == (
        "created 2019-03-02, first seen 2026-11-01 in a zone: 7 years unseen",
    )


def test_the_first_snapshot_of_a_zone_shows_what_was_there_before() -> None:
    zone = Compared(zone="example", first=NOON, last=NOON)
    assert disagreements([seen("zone")], created(2019, 3, 2), [zone]) == ()


def test_seen_before_it_was_created() -> None:
    assert disagreements([seen("ct")], created(2026, 11, 4)) == (
        "seen in CT 2 days before it was created: re-registered?",
    )


def test_channels_that_disagree_by_days() -> None:
    (said,) = disagreements([seen("zone", 5), seen("ct")], created(2026, 11, 1))
    assert said == "seen in a zone 5 days later than in CT"
    assert disagreements([seen("zone", 1), seen("ct")], created(2026, 11, 1)) == ()


def test_what_no_snapshot_of_its_zone_had_is_said() -> None:
    zone = Compared(zone="example", first=NOON - timedelta(days=30), last=NOON + timedelta(days=10))
    (said,) = disagreements([seen("ct")], created(2026, 11, 1), [zone])
    assert said.startswith("in no snapshot of the zone example until 2026-11-11, 9 days later")
    late = Compared(zone="example", first=NOON + timedelta(days=2), last=NOON + timedelta(days=10))
    assert disagreements([seen("ct")], created(2026, 11, 1), [late]) == ()


def test_agreement_and_ignorance_say_nothing() -> None:
    assert disagreements([]) == ()
    assert disagreements([seen("list")]) == ()
    assert disagreements([seen("list"), seen("zone")], created(2026, 10, 31)) == ()


@pytest.mark.parametrize(
    ("span", "said"),
    [
        (timedelta(hours=1), "1 hour"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=89), "89 days"),
        (timedelta(days=90), "3 months"),
        (timedelta(days=365 * 2), "24 months"),
        (timedelta(days=-3), "3 days"),
    ],
)
def test_spans_in_words(span: timedelta, said: str) -> None:
    assert words(span) == said


times = st.integers(-9_000, 9_000).map(lambda days: NOON + timedelta(days=days))


@settings(max_examples=60)
@given(st.lists(st.builds(lambda c, at: Seen(channel=c, at=at), st.sampled_from(["ct", "zone", "list"]), times)), times)
def test_any_times_give_sentences(found: list[Seen], at: datetime) -> None:
    said = disagreements(found, Creation(since=at, until=at), [Compared(zone="example", first=at, last=NOON)])
    assert all(isinstance(one, str) for one in said)
