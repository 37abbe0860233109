from __future__ import annotations

import pytest

from lab.bench.lookalikes import (
    BRANDS,
    Recall,
    common_suffixes,
    common_words,
    imitations,
    invented,
    listed,
    recall,
    speed,
)


def test_there_are_a_hundred_brands() -> None:
    assert len(set(BRANDS)) == 100


def test_names_are_counted_by_how_they_imitate() -> None:
    names = ("sampleco.test", "samp1eco.test", "www.sampleco-login.test", "sampleco.example", "harmless.test")
    found = imitations({"sampleco.example"}, names)
    assert {how: [name for name, _ in hits] for how, hits in found.items()} == {
        "other suffix": ["sampleco.test"],
        "homoglyph": ["samp1eco.test"],
        "added words": ["www.sampleco-login.test"],
    }


def test_words_and_suffixes_are_those_of_the_names() -> None:
    names = ("one-two.test", "two-x-24.co.uk", "plain.test", "a.two-three.example")
    assert common_words(names, 1) == ["two"]
    assert common_suffixes(names, 1) == ["test"]


def test_the_lists_are_installed() -> None:
    assert len(listed("tranco10k")) == 10_000
    assert not any(name.startswith(".") for name in listed("bank-website"))


def test_what_an_independent_maker_makes_is_found() -> None:
    pytest.importorskip("dnstwist", reason="the extra `bench` is not installed")
    found = recall(("sampleco.example",), ("login", "unheardof"), ("test", "co.uk"))
    assert {"addition", "bitsquatting", "homoglyph", "omission", "tld-swap", "transposition"} <= set(found)
    for fuzzer in ("addition", "bitsquatting", "omission", "repetition", "tld-swap", "transposition", "hyphenation"):
        assert found[fuzzer].share == 1, found[fuzzer].missed
    assert found["homoglyph"].share > 0.97
    assert "*original" not in found
    assert Recall().share == 1


def test_speed_is_measured_with_invented_names() -> None:
    assert len(invented(500)) == 500
    count, _, rate = speed(100, [f"harmless{number}.test" for number in range(500)])
    assert count == 100
    assert rate > 1_000
