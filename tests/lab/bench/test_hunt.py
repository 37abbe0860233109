from __future__ import annotations

import pytest

from lab.bench import hunt
from lab.bench._hunt_rows import rows


def test_the_invented_entries_are_the_same_each_time_but_for_their_digests() -> None:
    one, two = rows(1000, 1300), rows(1000, 1300)
    assert one["names"].equals(two["names"])
    assert not one["key_head"].equals(two["key_head"])
    assert one["index"].to_pylist() == list(range(1000, 1300))
    assert one["fingerprint_head"].null_count == 150
    suffixes = {name.rpartition(".")[2] for names in one["names"].to_pylist() for name in names.split("\n")}
    assert suffixes == {"example", "test"}


@pytest.mark.slow
def test_a_small_run_finds_what_it_asks_for_and_gives_the_figures(
    database_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", database_server)
    monkeypatch.setattr(hunt, "_BLOCK", 2 * hunt.CHUNK)
    monkeypatch.setattr(hunt, "_MEASURED", 1)
    result = hunt.run(5 * hunt.CHUNK)
    asked, watched, parts = result.tables
    found = {str(row[0]).partition(" ")[0]: row[1] for row in asked.rows}
    assert found["key"] == found["certificate,"] == 1
    assert found["tree"] >= 1
    assert found["suffix"] >= 1
    assert watched.rows[0][2] > 0
    assert {"names", "names index, key"} <= {str(row[0]) for row in parts.rows}
    assert {"key_s", "tree_s", "regex_s", "bytes_per_entry", "write_us_per_entry"} <= set(result.figures)
    assert 100 < float(result.figures["bytes_per_entry"]) < 200
