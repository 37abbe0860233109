from __future__ import annotations

import pytest

from intel.ct_answer import read_answer
from intel.match.certificates import By
from intel.match.entries import judge
from intel.match.patterns import pattern
from lab.bench import reading
from lab.bench._ct_lists import everything, only_domains
from lab.bench._reading_peers import could_be_a_name
from lab.bench._reading_watch import watch_set
from lab.certificates_bulk import made


def test_both_formats_of_the_answers_hold_the_same_entries() -> None:
    entries = list(made(0, 512, special=lambda number: "host.watched-1.example" if number == 300 else ""))
    watch = watch_set(only_domains(5))
    for tile, answer in zip(reading._tiles(entries), reading._json(entries), strict=True):
        judged = judge(tile, watch, archive=True)
        assert judged == judge(answer, watch, archive=True)
        assert len(read_answer(tile)) == 256
        assert judged.unreadable == judged.misplaced == []
        assert [index for index, _ in judged.hits] == ([300] if tile.first == 256 else [])


def test_every_list_is_filled_with_what_a_watch_may_hold() -> None:
    watch = watch_set(everything(20))
    lists = (watch.scopes, watch.subtrees, watch.names, watch.addresses, watch.certificates, watch.keys)
    patterns = {
        By.LOOKALIKE: watch.lookalikes,
        By.KEYWORD: watch.keywords,
        By.ISSUER: watch.issuers,
        By.SUBJECT: watch.subjects,
        By.SERIAL: watch.serials,
    }
    assert all(len(one) == 20 for one in (*lists, *patterns.values()))
    assert all(pattern(by, one) == one for by, listed in patterns.items() for one in listed)


def test_steps_and_readers_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "ROUNDS", 1)
    entries = list(made(0, 256))
    tiles, answers = list(reading._tiles(entries)), list(reading._json(entries))
    few, many = watch_set(only_domains(5)), watch_set(everything(20))
    assert all(row[1] > 0 for row in reading._steps(tiles, answers, few, many).rows)
    assert all(row[1] > 0 for row in reading._readers(entries).rows)
    rates, figures = reading._rates(tiles, answers, few, many)
    assert len(rates.rows) == len(figures) == 8


def test_what_could_be_a_name() -> None:
    assert all(map(could_be_a_name, ("www.example.com", "*.a.test", "192.0.2.1", "2001:db8::1")))
    assert not any(
        map(could_be_a_name, ("", "localhost", "Some Name v1.0", "http://a.test/", "bücher.example", "a\0b.c"))
    )
