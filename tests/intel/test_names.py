from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.names import Suffixes, default_suffixes

RULES = ("com", "uk", "co.uk", "ck", "*.ck", "!www.ck", "*.kawasaki.jp", "!city.kawasaki.jp", "jp", "host.example")
SUFFIXES = Suffixes(RULES, shared=("dyn.example", "com"))


def plain(name: str) -> str:
    """The algorithm as publicsuffix.org tells it: the matching rule with the most labels, an exception over all."""
    labels = name.split(".")

    def matches(rule: str) -> bool:
        parts = rule.removeprefix("!").split(".")
        return len(parts) <= len(labels) and all(
            part in {"*", label} for part, label in zip(reversed(parts), reversed(labels), strict=False)
        )

    found = [rule for rule in (*RULES, "dyn.example") if matches(rule)]
    exceptions = [rule for rule in found if rule.startswith("!")]
    best = exceptions[0] if exceptions else max(found, key=lambda rule: rule.count("."), default="*")
    count = best.count(".") + (0 if exceptions else 1)
    return ".".join(labels[-count - 1 :])


@pytest.mark.parametrize(
    ("name", "registrable"),
    [
        ("a.b.example.com", "example.com"),
        ("example.com", "example.com"),
        ("com", "com"),
        ("a.b.co.uk", "b.co.uk"),
        ("b.uk", "b.uk"),
        ("x.y.z.ck", "y.z.ck"),
        ("z.ck", "z.ck"),
        ("a.www.ck", "www.ck"),
        ("a.b.c.kawasaki.jp", "b.c.kawasaki.jp"),
        ("a.city.kawasaki.jp", "city.kawasaki.jp"),
        ("a.b.host.example", "b.host.example"),
        ("a.b.dyn.example", "b.dyn.example"),
        ("a.b.unknown", "b.unknown"),
        ("localhost", "localhost"),
    ],
)
def test_the_registrable_domain_is_the_suffix_and_one_label(name: str, registrable: str) -> None:
    assert SUFFIXES.registrable(name) == registrable == plain(name)


@settings(max_examples=300)
@given(st.lists(st.sampled_from(["a", "b", "com", "uk", "co", "ck", "www", "city", "kawasaki", "jp", "dyn", "example"]),
                min_size=1, max_size=6))  # fmt: skip
def test_it_is_what_the_list_s_algorithm_says(labels: list[str]) -> None:
    name = ".".join(labels)
    assert SUFFIXES.registrable(name) == plain(name)


def test_suffixes_are_told() -> None:
    assert [name for name in ("com", "z.ck", "www.ck", "dyn.example", "example.com", "co.uk") if
            SUFFIXES.is_suffix(name)] == ["com", "z.ck", "dyn.example", "co.uk"]  # fmt: skip
    assert SUFFIXES.shared == {"dyn.example"}


def test_a_name_of_a_hundred_labels_costs_what_its_octets_cost() -> None:
    long, short = ".".join(["a"] * 120) + ".example.com", "www.shop.example.com"
    suffixes = default_suffixes()
    costs = []
    for name in (long, short):
        began = time.process_time()
        for _ in range(2_000):
            suffixes.registrable(name)
        costs.append(time.process_time() - began)
    assert costs[0] < 30 * costs[1]
