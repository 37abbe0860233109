from __future__ import annotations

import pytest

from lab.bench import lookups


@pytest.mark.slow
@pytest.mark.xdist_group("kills")
def test_names_end_rightly_with_a_worker_killed_and_no_limit_broken(
    database_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", database_server)
    monkeypatch.setattr(lookups, "NAMES", 100)
    result = lookups.run()
    told = {table.title: table.rows for table in result.tables}
    assert result.figures["right"] == result.figures["domains"] == 100, told
    assert result.figures["servers"] == 50
    assert result.figures["violations"] == 0, told
    assert result.figures["asked_twice"] == 0, told
    assert 0 < int(result.figures["killed_after"]) < 100
