from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.match.certificates import WatchSet
from intel.match.hits import Hit
from intel.match.new_names import NameMatcher
from intel.x509 import CertificateView

WATCHED = ("sampleco.example", "heron-mail.example", "dhl.example", "rnodern.test", "a-b-c.example", "quiet.co.uk")
WATCH = WatchSet(
    scopes=frozenset({"evil.example", "shop.co.uk"}),
    subtrees=frozenset({"bad.example", "deep.host.example"}),
    zones=frozenset({"strangers.example"}),
    names=frozenset({"one.example", "co.uk"}),
    lookalikes=frozenset({*WATCHED, "sampleco", "brand"}),
    keywords=frozenset({"sampleco", "wallet", "münze", "a.b"}),
)
LABELS = st.one_of(
    st.sampled_from([name.partition(".")[0] for name in WATCHED]),
    st.sampled_from(
        ["sanpleco", "samp1eco", "sarnpleco", "secure-sampleco", "heronmail", "my-dhl-pay", "modern", "abc"]
    ),
    st.sampled_from(
        [
            "xn--mnze-0ra",
            "xn--smpleco-8ta",
            "wallet",
            "evil",
            "bad",
            "one",
            "deep",
            "host",
            "www",
            "*",
            "a*b",
            "q-u-i-e-t",
        ]
    ),
    st.text("samplecobrnd-1", min_size=1, max_size=12),
)
NAMES = st.builds(
    lambda labels, suffix: ".".join([*labels, suffix]),
    st.lists(LABELS, min_size=1, max_size=3),
    st.sampled_from(["example", "test", "co.uk", "evil.example", "github.io"]),
)


def slow(watch: WatchSet, names: list[str]) -> list[tuple[str, tuple[Hit, ...]]]:
    found = [(name, watch.match(CertificateView(names=(name,)))) for name in names]
    return [(name, hits) for name, hits in found if hits]


MATCHER = NameMatcher(WATCH)


@settings(max_examples=300, deadline=None)
@given(st.lists(NAMES, max_size=8))
def test_what_it_finds_is_what_the_watch_set_finds(names: list[str]) -> None:
    assert list(MATCHER.match(names)) == slow(WATCH, names)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("abn-.*?rx", min_size=1, max_size=20), max_size=4))
def test_text_that_is_no_name_is_treated_alike(names: list[str]) -> None:
    assert list(MATCHER.match(names)) == slow(WATCH, names)


def test_each_kind_of_hit_comes_through() -> None:
    names = ["evil.example", "bad.example", "sanpleco.test", "mywallet.test", "quiet.test", "nothing.test"]
    found = {name: sorted(hit.by.value for hit in hits) for name, hits in MATCHER.match(names)}
    assert found == {
        "evil.example": ["scope"],
        "bad.example": ["subtree"],
        "sanpleco.test": ["lookalike", "lookalike"],
        "mywallet.test": ["keyword"],
        "quiet.test": ["lookalike"],
    }


def test_hosts_are_met_by_what_is_held_alone() -> None:
    assert [hit.by.value for hit in MATCHER.held("ns1.evil.example")] == ["scope"]
    assert MATCHER.held("ns1.sanpleco.test") == ()


def test_an_empty_watch_set_matches_nothing_of_many() -> None:
    assert list(NameMatcher(WatchSet()).match(f"name{number}.example" for number in range(5_000))) == []


def test_names_beyond_one_batch_keep_their_order() -> None:
    names = [f"filler{number}.test" for number in range(5_000)]
    names[4_999], names[2_047], names[2_048] = "evil.example", "bad.example", "sanpleco.test"
    assert [name for name, _ in MATCHER.match(names)] == ["bad.example", "sanpleco.test", "evil.example"]
