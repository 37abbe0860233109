from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from intel.config.organisation import Organisation
from tasks.assess.targeting import targeting

US = Organisation(
    domains=("Example.com", "not a name"),
    brands=("Harbour Bank", "abc"),
    networks=("192.0.2.0/24", "2001:db8::/32", "nonsense"),
    expected_certificates=("SHA256:" + "AA" * 32,),
)


def test_what_touches_us_is_named_with_how_it_came_in() -> None:
    found = targeting(
        US,
        names=[
            ("www.example.com", "a"),
            ("harbour-bank-login.test", "b"),
            ("notexample.com", "c"),
            ("abc.test", "d"),
        ],
        addresses=[("192.0.2.7", "e"), ("198.51.100.1", "f"), ("2001:db8::1", "g"), ("192.0.2.0/24", "h")],
        certificates=[("sha256:" + "aa" * 32, "i"), ("sha256:" + "bb" * 32, "j")],
    )
    assert found.known
    assert (found.names, found.addresses) == (4, 4)
    assert [(one.value, one.ours, one.where) for one in found.touched] == [
        ("www.example.com", "our domain example.com", "a"),
        ("harbour-bank-login.test", "our brand Harbour Bank", "b"),
        ("192.0.2.7", "our network 192.0.2.0/24", "e"),
        ("2001:db8::1", "our network 2001:db8::/32", "g"),
        ("sha256:" + "aa" * 32, "a certificate or key of ours", "i"),
    ]


def test_who_says_nothing_of_himself_learns_nothing() -> None:
    found = targeting(Organisation(name="Us"), names=[("example.com", "a")], addresses=[])
    assert not found.known
    assert found.touched == ()


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_can_be_compared(name: str, address: str) -> None:
    targeting(US, names=[(name, "a")], addresses=[(address, "b")], certificates=[(name, "c")])
