from __future__ import annotations

from pathlib import Path

import pytest

from lab.bench.maltrail import Oracle, measure

_EXAMPLE = "# Reference: https://report.example/1\n\nevil.example\nmine.duckdns.org\n192.0.2.7:443\n"
_OTHER = "# Reference: https://report.example/2\n\nsecond.example\n"
_TIMELINE = """date,commit,actor,op,type,indicator,reference
2026-01-03T10:00:00+00:00,aaaaaaaaaaaa,one,add,domain,same-day.evil.example,https://report.example/3
2026-01-04T10:00:00+00:00,aaaaaaaaaaaa,one,add,domain,www.evil.example,https://report.example/3
2026-01-04T10:00:00+00:00,aaaaaaaaaaaa,one,add,domain,other.duckdns.org,https://report.example/3
2026-01-04T10:00:00+00:00,aaaaaaaaaaaa,one,add,domain,fresh.example,https://report.example/3
2026-01-04T10:00:00+00:00,aaaaaaaaaaaa,one,add,url,/gate.php,https://report.example/3
2026-01-05T23:30:00-02:00,bbbbbbbbbbbb,one,add,ip:port,192.0.2.7:8443,https://report.example/4
2026-01-06T10:00:00+00:00,bbbbbbbbbbbb,two,add,domain,a.fresh.example,https://report.example/4
2026-01-06T10:00:00+00:00,bbbbbbbbbbbb,three,add,domain,third.example,https://report.example/4
2026-01-07T10:00:00+00:00,cccccccccccc,three,add,url,third.example/path,https://report.example/4
2026-01-07T10:00:00+00:00,cccccccccccc,two,remove,domain,second.example,https://report.example/4
"""


@pytest.mark.slow
def test_a_replay_finds_what_the_oracle_expects_and_nothing_else(tmp_path: Path, database_server: str) -> None:
    folder = tmp_path / "actors" / "maltrail_apt"
    (folder / "baseline_2026-01-03").mkdir(parents=True)
    (folder / "baseline_2026-01-03" / "apt_one.txt").write_text(_EXAMPLE)
    (folder / "baseline_2026-01-03" / "apt_two.txt").write_text(_OTHER)
    (folder / "timeline_2026.csv").write_text(_TIMELINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TEST_DATABASE_URL", database_server)
        figures = measure(tmp_path).figures
    # www.evil, :8443 of one; a.fresh for its owner, who is not the actor it was added to; third.example/path.
    assert {name: figures[name] for name in ("expected", "found", "missed", "extra", "wrong_actor", "overlaps")} == {
        "expected": 4,
        "found": 4,
        "missed": 0,
        "extra": 0,
        "wrong_actor": 0,
        "overlaps": 1,
    }
    assert figures["hostless"] == 1
    assert figures["baseline_findings"] == 0


@pytest.mark.parametrize(
    ("indicator", "place"),
    [
        ("a.b.evil.example", "evil.example"),
        ("a.mine.duckdns.org", "mine.duckdns.org"),
        ("a.mine.co.uk", "mine.co.uk"),
        ("192.0.2.1:80", "192.0.2.1"),
        ("http://user@www.evil.example:8080/x", "evil.example"),
        ("2001:db8::1", "2001:db8::1"),
        ("/path/only", ""),
        ("word", ""),
    ],
)
def test_the_oracle_knows_what_stands_where(indicator: str, place: str) -> None:
    assert Oracle().place(indicator) == place
