from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.config.sources import Source
from intel.errors import LapsewatchError, OversizedError, ReadError
from intel.facts import RawDocument, Reject
from intel.names import default_suffixes
from intel.new_domains import Arrival
from tasks.normalize.domains import MAX_REJECTS, read

DAY = datetime(2026, 3, 1, tzinfo=UTC)


def source(**values: Any) -> Source:
    return Source.model_validate(
        {
            "name": "lists",
            "title": "Lists",
            "transport": "folder",
            "format": "domains",
            "location": "lists",
            "semantics": "stream",
            "cadence": "daily",
            "reliability": "C",
            "tlp": "clear",
            "licence": {"name": "none", "commercial_use": True, "redistribution": True},
            "enabled": True,
            **values,
        }
    )


def records(body: bytes, **values: Any) -> list[Arrival | Reject]:
    document = RawDocument(document_id=1, location="list.txt", body=body, as_of=DAY)
    return list(read(document, source(**values)))


def names(body: bytes, **values: Any) -> list[str]:
    return [one.name for one in records(body, **values) if isinstance(one, Arrival)]


def rejects(body: bytes, **values: Any) -> list[Reject]:
    return [one for one in records(body, **values) if isinstance(one, Reject)]


def zipped(files: dict[str, bytes]) -> bytes:
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return body.getvalue()


def test_a_plain_list_is_read_in_its_order_with_the_time_of_the_document() -> None:
    assert records(b"one.example\ntwo.test\n") == [
        Arrival(name="one.example", seen_at=DAY),
        Arrival(name="two.test", seen_at=DAY),
    ]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ONE.Example.", "one.example"),
        ("ns1.one.example", "one.example"),
        ("*.one.example", "one.example"),
        (".one.example", "one.example"),
        ('"one.example","2026-03-01"', "one.example"),
        ("one.example;registrar", "one.example"),
        ("one.example\t2026-03-01", "one.example"),
        ("one.example # new", "one.example"),
        ("shop.co.uk", "shop.co.uk"),
        ("www.shop.co.uk", "shop.co.uk"),
        ("münze.example", "xn--mnze-0ra.example"),
    ],
)
def test_what_a_line_may_look_like(line: str, name: str) -> None:
    assert names(f"{line}\r\n".encode()) == [name]


def test_comments_blank_lines_and_a_header_say_nothing() -> None:
    assert records(b"domain,created\n\n# of today\none.example,2026-03-01\n") == [
        Arrival(name="one.example", seen_at=DAY)
    ]


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_decides(codec: str) -> None:
    assert names("one.example\ntwo.example\n".encode(codec)) == ["one.example", "two.example"]


def test_a_bad_line_costs_itself_and_says_where_it_stands() -> None:
    found = rejects(b"one.example\nnot a name\nhttp://x.example/\n\xff\xfe.example\ntwo.example\n")
    assert [one.locator for one in found] == ["line 2", "line 3", "line 4"]
    assert names(b"one.example\nbad name\ntwo.example\n") == ["one.example", "two.example"]


def test_of_many_bad_lines_the_first_are_kept_and_the_rest_counted() -> None:
    found = rejects(b"-\n" * (MAX_REJECTS + 7) + b"one.example\n")
    assert len(found) == MAX_REJECTS + 1
    assert "7 more lines" in found[-1].reason


def test_archives_are_unpacked() -> None:
    assert names(zipped({"domain-names.txt": b"one.example\n"})) == ["one.example"]
    assert names(zipped({"readme.md": b"hello", "domain-names.txt": b"one.example\n"})) == ["one.example"]
    assert names(zipped({"list.csv": b"one.example\n"})) == ["one.example"]
    assert names(gzip.compress(b"one.example\n")) == ["one.example"]


def test_an_archive_of_several_lists_is_refused() -> None:
    with pytest.raises(ReadError, match="2 files match"):
        names(zipped({"a.csv": b"one.example", "b.csv": b"two.example"}))


def test_an_archive_that_expands_without_end_is_refused() -> None:
    with pytest.raises(OversizedError):
        names(zipped({"domain-names.txt": b"a.example\n" * 1_000_000}), limits={"bytes": 100_000})


def test_an_unknown_encoding_is_the_sources_fault() -> None:
    with pytest.raises(ReadError, match="no text encoding"):
        names(b"one.example", options={"encoding": "klingon"})


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes_give_registrable_names_and_rejects_or_one_of_our_errors(body: bytes) -> None:
    try:
        found = records(body)
    except LapsewatchError:
        return
    for one in found:
        if isinstance(one, Arrival):
            assert default_suffixes().registrable(one.name) == one.name
        else:
            assert one.reason


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_archive_is_refused_or_read(tail: bytes, place: int, octet: int) -> None:
    body = bytearray(zipped({"domain-names.txt": b"one.example\ntwo.example\n"}) + tail)
    body[place % len(body)] = octet
    with contextlib.suppress(ReadError):
        records(bytes(body))


def test_the_real_lists_are_read_whole(data_dir: Path) -> None:
    lists = sorted((data_dir / "registration" / "nrd").glob("shreshta_*.csv"))
    assert len(lists) == 10
    for path in lists:
        body = path.read_bytes()
        assert rejects(body) == []
        assert len(names(body)) == len(body.split())
