# ruff: noqa: RUF001  # letters that look like others are what is tested
from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match import lookalikes
from intel.match.glyphs import collapsed, folded, plain, shown
from intel.match.imitations import Imitation, are_lures, near, within
from intel.match.lookalikes import MAX_IMITATED, Lookalikes
from intel.names import default_suffixes


def encoded(label: str) -> str:
    return "xn--" + label.encode("punycode").decode()


def found(watched: str | set[str], name: str) -> list[tuple[str, str, str]]:
    items = {watched} if isinstance(watched, str) else watched
    result = Lookalikes(items).find(name, default_suffixes().registrable(name))
    return [(one.watched, one.how.value, one.why) for one in result]


def imitated(watched: str | set[str], *names: str) -> list[str]:
    return [name for name in names if found(watched, name)]


@pytest.mark.parametrize(
    ("name", "how", "why"),
    [
        ("sampleco.test", "other suffix", "the same label under test"),
        ("www.sampleco.co.uk", "other suffix", "the same label under co.uk"),
        ("sampleco.github.io", "other suffix", "the same label under github.io"),
        ("sanpleco.test", "letter replaced", "one letter replaced: m by n, at the 3rd place"),
        ("saampleco.test", "letter added", "one letter added: a, at the 3rd place"),
        ("sam-pleco.test", "letter added", "a hyphen added, at the 4th place"),
        ("s-a-m-p-l-e-co.test", "letter added", "hyphens added"),
        ("smpleco.test", "letter left out", "one letter left out: a, at the 2nd place"),
        ("smapleco.test", "letters swapped", "two letters swapped: a and m, at the 2nd place"),
        ("samp1eco.test", "homoglyph", "looks alike: 1 for l, at the 5th place"),
        ("sarnpleco.test", "homoglyph", "looks alike: rn for m, at the 3rd place"),
        (
            "sarnp1eco.test",
            "homoglyph",
            "looks alike: rn for m, at the 3rd place; looks alike: 1 for l, at the 5th place",
        ),
        ("samp1ecoo.test", "letter added", None),
        (encoded("sámpleco") + ".test", "internationalised", "internationalised: á (U+00E1) for a, at the 2nd place"),
        (encoded("ѕаmрlесо") + ".test", "internationalised", None),
        ("sampleco-login.test", "added words", "words added: login"),
        ("secure-sampleco-login.test", "added words", "words added: secure, login"),
        ("securesampleco.test", "added words", "words added: secure"),
        ("samplecoverylongword.test", "added words", "words added: verylongword"),
        ("samp1eco-login.test", "added words", "looks alike: 1 for l, at the 5th place; words added: login"),
        ("sarnpleco-login.test", "added words", "read as sampleco-login; words added: login"),
        ("sampleco.example.evil.test", "below a stranger's domain", "the whole name stands below evil.test"),
        ("www.sampleco.example.a.evil.test", "below a stranger's domain", "the whole name stands below evil.test"),
        ("sampleco.evil.test", "below a stranger's domain", "the label stands below evil.test"),
        ("x.sampleco-login.evil.test", "below a stranger's domain", "words added: login; below evil.test"),
        (encoded("sámpleco") + ".evil.test", "below a stranger's domain", "the label stands below evil.test"),
        ("sam.pleco.test", "dot within", "a dot within: sam.pleco.test"),
    ],
)
def test_each_kind_says_how(name: str, how: str, why: str | None) -> None:
    result = found("sampleco.example", name)
    assert [one[:2] for one in result] == [("sampleco.example", how)]
    if why is not None:
        assert result[0][2] == why


def test_a_watched_domain_and_what_is_below_it_imitate_nothing() -> None:
    watched = {"sampleco.example", "samp1eco.test", "sampleco", "sampleco.github.io"}
    own = (
        "sampleco.example",
        "www.sampleco.example",
        "sampleco-login.sampleco.example",
        "samp1eco.test",
        "x.sampleco.github.io",
    )
    assert imitated(watched, *own) == []
    assert {one[0] for one in found(watched, "sampleco.test")} == {
        *("sampleco.example", "sampleco", "sampleco.github.io", "samp1eco.test")
    }


def test_near_misses() -> None:
    names = (
        *("sampl.test", "sampxecx.test", "example.test", "asampleoco.test", "pleco.test", "sam.plec.test"),
        *("samplec.evil.test", "a.sampl.evil.test", "test", "localhost", "com"),
    )
    assert imitated("sampleco.example", *names) == []


def test_a_single_label_is_imitated_under_every_suffix() -> None:
    assert [one[1] for one in found("sampleco", "sampleco.example")] == ["other suffix"]
    assert imitated("sampleco", "sampleco.example", "www.sampleco.test", "sampleco.evil.test", "sanpleco.test") == [
        *("sampleco.example", "www.sampleco.test", "sampleco.evil.test", "sanpleco.test")
    ]


def test_of_three_letters_only_what_is_surely_meant() -> None:
    alike = (
        *("jk1.test", "jkl.test", "jkl-track.test", "track-jkl.test", "jkkl.test", "jk-l.test"),
        *("jkl.example.evil.test", encoded("jkł") + ".test"),
    )
    chance = (
        *("jkx.test", "jk.test", "jklx.test", "kjl.test", "myjkl.test", "jkltrack.test", "jkl.evil.test"),
        *("j.kl.test", "x.jkl-track.evil.test"),
    )
    assert imitated("jkl.example", *alike, *chance) == list(alike)


def test_of_four_letters_a_little_more() -> None:
    alike = (
        *("wo0m.test", "w00m.test", "woorn.test", "wooom.test", "woomx.test", "owom.test", "eoom.test", "wom.test"),
        *("woomlogin.test", "my-woom.test", "woom.example.evil.test"),
    )
    chance = ("boom.test", "oom.test", "woomery.test", "kawoom1.test", "woom123.test", "woom.evil.test", "wo.om.test")
    assert imitated("woom.example", *alike, *chance) == list(alike)


def test_of_two_letters_the_label_and_the_whole_name() -> None:
    alike = ("qz.test", "qz.example.evil.test", "www.qz.example.evil.test")
    chance = ("qx.test", "qzz.test", "my-qz.test", "qz.evil.test", "q-z.test")
    assert imitated("qz.example", *alike, *chance) == list(alike)


def test_added_words_without_hyphens_are_words_of_lures_for_short_names() -> None:
    alike = ("samplelogin.test", "mysampleonline24.test", "sample-anything.test", "anything-sample-else.test")
    assert imitated("sample.example", *alike, "resampled.test", "sampleanything.test", "oversample.test") == list(alike)
    assert imitated("apqle.example", "apqle33.test", "pineapqle.test", "apqleid24.test") == ["apqleid24.test"]
    assert are_lures("secure-login-24")
    assert are_lures("")
    assert not are_lures("securex")
    assert not are_lures("mysecureloginpage")


def test_hyphens_of_a_watched_name_may_go() -> None:
    names = ("samplebank.test", "sample-bank-login.test", "sampl-ebank.test", "samplebank-login.test")
    assert imitated("sample-bank.example", *names) == list(names)


def test_an_internationalised_name_is_watched_too() -> None:
    watched = "xn--mnchenbank-9db.test"
    assert found(watched, "munchenbank.test") == [(watched, "internationalised", "without the accents of münchenbank")]
    assert [one[1] for one in found(watched, "munchenbamk.test")] == ["letter replaced"]
    assert found(watched, "www.xn--mnchenbank-9db.test") == []
    assert [one[1] for one in found(watched, "xn--mnchenbank-9db.example")] == ["other suffix"]


def test_wildcards_and_odd_names_do_no_harm() -> None:
    names = ("", ".", "..", "a..b", "-.-", "x" * 300, "xn--.test", "xn--\x00.test", "sampl\x00eco.test", "\ud800.test")
    asked = Lookalikes({"sampleco.example", "sampleco"})
    for name in names:
        for one in asked.find(name, default_suffixes().registrable(name)):
            assert one.why.isprintable()


def test_what_one_name_imitates_is_bounded() -> None:
    watched = {f"sampleco.t{number}" for number in range(100)}
    assert len(found(watched, "sampleco.example")) == MAX_IMITATED
    assert len(found(watched, "sampleco.evil.example")) == MAX_IMITATED


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalikes, "_CACHED", 10)
    asked = Lookalikes({"sampleco.example"})
    for number in range(100):
        name = f"host{number}.other{number}.test"
        assert asked.find(name, f"other{number}.test") == ()
        assert asked.find("sanpleco.test", "sanpleco.test") != ()
    assert len(asked._known) <= 10
    assert len(asked._idle) <= 10


LABEL = st.text(alphabet="abcdl1ornm-", min_size=3, max_size=9)
ACCENTED = st.text(alphabet="abcdé1оrnm", min_size=3, max_size=9).map(
    lambda text: text if text.isascii() else encoded(text)
)
JOINED = st.tuples(LABEL, st.sampled_from(["login", "-my", "x", ""]), st.booleans()).map(
    lambda parts: parts[0] + parts[1] if parts[2] else parts[1] + parts[0]
)


def scan(watched: list[str], label: str) -> set[str]:
    """What the label imitates, each watched label compared with it at every place."""
    text = shown(label)
    bare = plain(text)
    result = set()
    for item in watched:
        brand = plain(shown(item))
        same = item == label or brand == bare
        if same or near(brand, text, bare):
            result.add(item)
        for read in {bare, collapsed(bare)}:
            spans = [(start, end) for start in range(len(read)) for end in range(start + 1, len(read) + 1)]
            if any(
                within(brand, text, read, start, end)
                for start, end in spans
                if end - start < len(read) and folded(read[start:end]) in {folded(brand), folded(collapsed(brand))}
            ):
                result.add(item)
    return result


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(LABEL, ACCENTED), max_size=8, unique=True), st.one_of(LABEL, ACCENTED, JOINED))
def test_the_index_finds_what_a_scan_finds(watched: list[str], label: str) -> None:
    asked = Lookalikes(watched)
    assert {one.watched for one in asked.find(f"{label}.test", f"{label}.test")} == scan(watched, label)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="abcdefgh", min_size=5, max_size=9), st.data())
def test_every_single_edit_of_five_letters_or_more_is_found(brand: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(brand) - 2))
    mark = data.draw(st.sampled_from("abcdefghxyz0"))
    edits = (
        brand[:place] + mark + brand[place + 1 :],
        brand[:place] + mark + brand[place:],
        brand[:place] + brand[place + 1 :],
        brand[:place] + brand[place + 1] + brand[place] + brand[place + 2 :],
    )
    asked = Lookalikes({f"{brand}.example"})
    for label in edits:
        how = [one.how for one in asked.find(f"{label}.test", f"{label}.test")]
        assert len(how) == 1
        assert (how[0] is Imitation.SUFFIX) == (label == brand)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_no_text_breaks_it(left: str, right: str) -> None:
    asked = Lookalikes({"sampleco.example", "xn--mnchen-3ya", "jkl.test"})
    for name in (left, f"{left}.{right}", f"{left}.sampleco.{right}", f"sampleco-{left}.{right}"):
        for one in asked.find(name, default_suffixes().registrable(name)):
            assert one.why.isprintable()


def test_a_name_of_many_labels_is_quick() -> None:
    asked = Lookalikes({"qz.example", "sampleco.example"})
    started = time.process_time()
    for number in range(2_000):
        name = "a." * 110 + f"n{number}.test"
        asked.find(name, f"n{number}.test")
    assert time.process_time() - started < 1


@pytest.mark.slow
def test_a_hundred_thousand_watched_names_are_quick() -> None:
    firsts = ("alphabank", "alphashop", "deltabank", "deltashop")
    watched = [f"{first}{number}.example" for first in firsts for number in range(25_000)]
    started = time.process_time()
    asked = Lookalikes(watched)
    assert time.process_time() - started < 10
    names = [f"harmless{number * 7}.test" for number in range(50_000)]
    started = time.process_time()
    assert not any(asked.find(name, name) for name in names)
    assert len(names) / (time.process_time() - started) > 50_000
