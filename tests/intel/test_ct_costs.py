from __future__ import annotations

from intel.ct_costs import ENTRIES_A_DAY, WIRE_BYTES, cost, total


def test_a_log_that_has_not_shown_its_growth() -> None:
    found = cost("static", entries_per_second=None, archive_bytes=None, archived=True)
    assert not found.measured
    assert found.entries == ENTRIES_A_DAY
    assert found.wire_bytes == ENTRIES_A_DAY * WIRE_BYTES["static"]
    assert found.archive_bytes > 0
    assert found.cpu_seconds > 0


def test_a_log_that_has() -> None:
    found = cost("rfc6962", entries_per_second=10, archive_bytes=50.5, archived=True)
    assert (found.measured, found.entries) == (True, 864_000)
    assert found.wire_bytes == 864_000 * 2650
    assert found.archive_bytes == 43_632_000


def test_without_an_archive() -> None:
    assert cost("hybrid", entries_per_second=10, archive_bytes=50, archived=False).archive_bytes == 0


def test_several() -> None:
    one = cost("static", entries_per_second=1, archive_bytes=100, archived=True)
    assert total([one, one]).entries == 2 * one.entries
    assert total([one, one]).measured
    assert not total([one, cost("static", entries_per_second=None, archive_bytes=None, archived=True)]).measured
    assert not total([]).measured
