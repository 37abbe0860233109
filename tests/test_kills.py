from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.bench import faults
from lab.bench._faults_child import PHASES
from lab.bench._faults_dump import Dump
from lab.bench.faults import Place, Told

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kills")]


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    # A process that dies takes nothing of the operating system's with it: only a power cut would need fsync.
    with faults.stage({"fsync": "off", "full_page_writes": "off"}) as made:
        yield made


@pytest.fixture(scope="module")
def expected(place: Place) -> Dump:
    return place.undisturbed()


def test_ten_kills_at_random_points_change_nothing_in_the_end(place: Place, expected: Dump) -> None:
    assert expected["findings"]
    assert expected["publications"]
    told = Told()
    faults.kills(place, expected, told, wanted=10, seed=faults.SEED)
    assert not told.wrong, "\n".join(told.wrong[:20])
    assert told.count("process") == 10
    # Publishing is short: on a busy machine, a kill that is meant for it may come too late.
    assert {phase for _, phase in told.hits} >= set(PHASES[:2])


def test_a_server_that_is_killed_and_one_that_is_stopped_change_nothing_in_the_end(
    place: Place, expected: Dump
) -> None:
    told = Told()
    faults.restarts(place, expected, told, wanted=2, seed=faults.SEED)
    assert not told.wrong, "\n".join(told.wrong[:20])
    assert told.count("kill server", "stop server") == 2
