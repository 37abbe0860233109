from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException

from apps.taxii.media import acceptable
from apps.taxii.paging import MAX_LIMIT, Signer, read_selection, timestamp
from apps.taxii.resources import stix_time, taxii_time

SIGNER = Signer(b"s" * 32)
SCOPE = ("1", "d2a0b40b-5fe3-46f7-a573-deca545d50b2", "objects", "")
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds UTC


@settings(max_examples=100, deadline=None)
@given(TIMES, st.integers(-23, 23), st.integers(0, 6))
def test_a_time_is_read_whatever_its_zone_and_precision(moment: datetime, hours: int, digits: int) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits))
    local = moment.astimezone(timezone(timedelta(hours=hours)))
    fraction = f".{local.microsecond:06}"[: digits + 1] if digits else ""
    text = f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{local:%z}"
    assert timestamp(f"{text[:-2]}:{text[-2:]}", "added_after") == moment


@settings(max_examples=100, deadline=None)
@given(TIMES)
def test_times_are_written_so_that_they_can_be_read(moment: datetime) -> None:
    assert timestamp(taxii_time(moment), "added_after") == moment
    assert timestamp(stix_time(moment), "match[version]") == moment


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["limit", "next", "added_after", "match[id]", "match[type]", "match[version]", "other"]),
        st.text(max_size=40),
    )
)
def test_whatever_is_asked_is_a_selection_or_a_400(query: dict[str, str]) -> None:
    refused = None
    try:
        selection = read_selection(QueryParams(query), SIGNER, SCOPE)
    except HTTPException as error:
        refused = error
    if refused is None:
        assert 1 <= selection.limit <= MAX_LIMIT
    else:
        assert refused.status_code == 400
        assert not any(len(value) > 3 and value in refused.detail for value in query.values())


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**62), st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40))
def test_a_token_says_what_was_signed(after: int, types: str) -> None:
    asked = read_selection(QueryParams({"match[type]": types, "limit": "7"}), SIGNER, SCOPE)
    again = read_selection(QueryParams({"next": SIGNER.sign(asked, after, SCOPE)}), SIGNER, SCOPE)
    assert (again.after, again.limit, again.types) == (after, 7, asked.types)


@pytest.mark.parametrize("place", range(4))
def test_a_token_of_another_scope_is_refused(place: int) -> None:
    token = SIGNER.sign(read_selection(QueryParams(), SIGNER, SCOPE), 5, SCOPE)
    other = [*SCOPE]
    other[place] += "x"
    with pytest.raises(HTTPException):
        SIGNER.read(token, other)
    with pytest.raises(HTTPException):
        Signer(b"t" * 32).read(token, SCOPE)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_any_accept_header_is_an_answer(header: str) -> None:
    assert acceptable(header) in {True, False}
    assert acceptable(header + ",application/taxii+json;version=2.1") or "taxii" in header.lower() or "," in header
