from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.spans import DAY, apart, common, joined, length, overlap, widened

SPANS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20)), max_size=4).map(
    lambda pairs: joined((begin, begin + size) for begin, size in pairs)
)


@settings(max_examples=100, deadline=None)
@given(SPANS, SPANS)
def test_what_two_have_in_common_is_what_both_hold(
    left: tuple[tuple[float, float], ...], right: tuple[tuple[float, float], ...]
) -> None:
    both = common(left, right)
    for moment in range(90):
        inside = [any(begin <= moment <= end for begin, end in spans) for spans in (left, right, both)]
        assert inside[2] == (inside[0] and inside[1])
    assert common(right, left) == both
    assert 0 <= overlap(left, right, now=100) <= 1
    assert (apart(left, right) == 0) == bool(both)


def test_times_meet_as_far_as_they_do() -> None:
    assert overlap(((0, 10),), ((5, 15),), now=20) == 0.5
    assert overlap(((0, math.inf),), ((5, 5),), now=20) == 1  # a moment within
    assert overlap(((0, 4),), ((5, 15),), now=20) == 0
    assert apart(((0, 4),), ((5, 15),)) == 1
    assert apart((), ((5, 15),)) == math.inf
    assert length(((0, math.inf),), until=20) == 20
    assert widened(((10 * DAY, 10 * DAY), (13 * DAY, 14 * DAY)), 2) == ((8 * DAY, 16 * DAY),)
