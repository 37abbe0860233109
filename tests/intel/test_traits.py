from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from intel.entities import Kind, digest, entity
from intel.traits import (
    IDN,
    Name,
    Profile,
    Trait,
    hour,
    label,
    provider,
    providers,
    shape,
    suffix,
    trait_digest,
    traits,
    words,
)

AT = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)


def test_each_part_of_a_name_says_what_it_is() -> None:
    assert suffix("shop-42.example.com") == "example.com"
    assert label("shop-42.example.com") == "shop-42"
    assert shape("shop-42.example") == "6-8 digits hyphens"
    assert shape("abcde.example") == "1-5"
    assert shape("a" * 18 + ".example") == "18+"
    assert words("pay-login24now.example") == ("pay", "login", "now")


def test_another_script_has_a_shape_of_its_own_and_no_words() -> None:
    assert shape("xn--bcher-kva.example") == IDN
    assert words("xn--bcher-kva.example") == ()


def test_hosts_and_addresses_stand_on_somebodys_name() -> None:
    assert provider("ann@mail.example.org") == "example.org"
    assert providers(["b.ns.example.net", "a.ns.example.net", "ns.example.com"]) == "example.com example.net"
    assert providers([]) == ""


def test_an_hour_is_known_only_where_the_time_is() -> None:
    assert hour(AT, to_the_day=False) == "23"
    assert hour(AT, to_the_day=True) == ""
    assert hour(None, to_the_day=False) == ""


def test_what_is_not_known_gives_no_trait() -> None:
    assert {one.name for one in traits(Profile(domain="login.example"))} == {Name.SUFFIX, Name.SHAPE, Name.WORD}


def test_a_profile_gives_a_trait_for_each_value() -> None:
    found = traits(
        Profile(
            domain="login.example",
            created=AT,
            to_the_day=False,
            registrar="iana:9999",
            emails=("ann@mail.example.org",),
            name_servers=("b.ns.example.net", "a.ns.example.net"),
            mail_hosts=("mx.login.example", "mx.example.com"),
        )
    )
    assert Trait("name-servers", "a.ns.example.net b.ns.example.net") in found
    assert Trait("name-server-provider", "example.net") in found
    assert Trait("mail-provider", "example.org") in found
    assert Trait("mail-hosts", "example.com") in found
    assert Trait("hour", "23") in found


def test_the_digest_is_the_entitys_where_the_value_is_one() -> None:
    assert trait_digest(Trait("network", "AS64500")) == entity(Kind.AS, "64500").digest
    assert trait_digest(Trait("registrar", "iana:9999")) == digest("registrar", "iana:9999")
    assert trait_digest(Trait("name-servers", "b.example a.example")) == trait_digest(
        Trait("name-servers", "a.example b.example")
    )
    assert trait_digest(Trait("suffix", "example")) == digest("trait", "suffix:example")
    assert trait_digest(Trait("email", "no address")) == digest("trait", "email:no address")
    assert trait_digest(Trait("of no known name", "x")) == digest("trait", "of no known name:x")


@settings(max_examples=60)
@given(st.text(alphabet="abc-9x.é\0", max_size=80))
def test_no_name_makes_the_functions_fail(text: str) -> None:
    found = traits(Profile(domain=text))
    assert all(len(trait_digest(one)) == 16 for one in found)
