from __future__ import annotations

import pytest

from lab.bench import rules


@pytest.mark.slow
def test_a_small_run_agrees_and_gives_the_figures(database_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A server of its own for each of the four warehouses would be most of the time.
    monkeypatch.setenv("TEST_DATABASE_URL", database_server)
    result = rules.run(links=5_000, histories=50)
    assert result.figures["agree"] == result.figures["histories"] == 50
    assert result.figures["facts_per_s"] > 0
    assert {"sql_s_10m", "sql_s_50m", "growth", "links"} <= set(result.figures)
    assert [len(table.rows) for table in result.tables] == [1, 1, len(rules.OVER_LINKS)]
