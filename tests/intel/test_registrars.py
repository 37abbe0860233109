from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.config.registrars import read_registrars
from intel.errors import ConfigError
from intel.registrars import fold, number_of, registrars
from intel.settings import CHECKOUT

BOOK = registrars(
    {146: ["GoDaddy.com, LLC", "GoDaddy.com, Inc."], 269: ["Key-Systems GmbH"], 1345: ["Key-Systems, LLC"]},
    [("iana:7001", "Example Registrar Ltd"), ("iana:7001", "Renamed Example AB"), ("iana:9999", "Registry Itself")],
)


@pytest.mark.parametrize(
    "name",
    ["iana:146", "GoDaddy.com, LLC", "GODADDY.COM INC.", "Godaddy.com", "GoDaddy.com, Inc.", "godaddy.com  llc"],
)
def test_one_registrar_has_many_names(name: str) -> None:
    assert BOOK.identity(name) == "iana:146"
    assert BOOK.shown(name) == "GoDaddy.com, LLC (IANA 146)"


def test_what_registries_told_is_learned() -> None:
    assert BOOK.same("iana:7001", "RENAMED EXAMPLE A.B.")
    assert BOOK.same("Renamed Example", "Example Registrar, Inc")
    assert BOOK.shown("iana:7001") == "Example Registrar Ltd (IANA 7001)"


def test_an_ambiguous_name_stays_itself() -> None:
    assert BOOK.identity("Key-Systems GmbH") == "iana:269"
    assert BOOK.identity("KEY SYSTEMS LLC") == "iana:1345"
    assert BOOK.identity("Key-Systems") == "name:key systems"
    assert BOOK.identity("Key-Systems Ltd") == "name:key systems ltd"
    assert not BOOK.same("Key-Systems Ltd", "Key-Systems AG")
    assert BOOK.shown("Key-Systems") == "Key-Systems"


def test_an_unknown_name_is_compared_without_its_legal_form() -> None:
    assert BOOK.same("Nobody Knows, S.r.l.", "nobody knows SRL")
    assert BOOK.same("Nobody Knows, S.r.l.", "Nobody Knows")
    assert not BOOK.same("Nobody Knows", "Somebody Knows")
    assert BOOK.shown("Nobody Knows") == "Nobody Knows"
    assert BOOK.shown("iana:4242") == "IANA 4242"


def test_the_end_of_a_domain_name_is_no_legal_form() -> None:
    assert fold("names.co") == "names co"
    assert fold("Names Co.") == "names"
    assert fold("Limited") == ""
    assert BOOK.identity("Limited") == "name:limited"


def test_a_number_that_many_share_teaches_no_name() -> None:
    assert BOOK.identity("Registry Itself") == "name:registry itself"
    assert BOOK.shown("iana:9999") == "Registry Itself (IANA 9999)"


def test_a_list_made_by_hand_is_believed_over_what_came_with_another_number() -> None:
    book = registrars({146: ["GoDaddy.com, LLC"]}, [("iana:1", "GoDaddy.com, LLC"), ("iana:440", "GoDaddy.com, LLC")])
    assert book.identity("GoDaddy.com, LLC") == "iana:146"


def test_the_shipped_list_is_read_and_none_of_its_names_is_two_registrars() -> None:
    listed = read_registrars(CHECKOUT / "configs").by_number
    book = registrars(listed)
    for number, names in listed.items():
        assert {book.identity(name) for name in names} == {f"iana:{number}"}


def test_a_wrong_list_is_said(tmp_path: Path) -> None:
    assert read_registrars(tmp_path).registrars == ()
    entry = "  - { iana_id: 7, names: [One] }\n"
    (tmp_path / "registrars.yaml").write_text(f"registrars:\n{entry}{entry}")
    with pytest.raises(ConfigError, match="twice"):
        read_registrars(tmp_path)
    (tmp_path / "registrars.yaml").write_text("registrars: [{ iana_id: 0, names: [] }]")
    with pytest.raises(ConfigError, match=r"registrars\.yaml"):
        read_registrars(tmp_path)


names = st.one_of(st.text(max_size=30), st.builds("iana:{}".format, st.integers(0, 10**10)))


@settings(max_examples=80)
@given(st.dictionaries(st.integers(1, 50), st.lists(names, min_size=1, max_size=3), max_size=5), names)
def test_any_name_has_one_identity(known: dict[int, list[str]], name: str) -> None:
    book = registrars(known, [(f"iana:{number}", one) for number, some in known.items() for one in some])
    assert book.identity(name) == book.identity(name)
    assert book.same(name, name)
    assert isinstance(book.shown(name), str)
    assert number_of(name) is None or book.identity(name) == f"iana:{number_of(name)}"
