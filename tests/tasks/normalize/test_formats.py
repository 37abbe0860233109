from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from intel.config.sources import Format, Source
from intel.ct import logged_entry
from intel.facts import Fact, RawDocument, Reject
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog
from tasks.normalize.ct_facts import Hits, write
from tasks.normalize.formats import READERS, read_document


def test_every_format_with_documents_has_a_reader() -> None:
    assert set(Format) - set(READERS) <= {Format.LOOKUP, Format.DOMAINS, Format.ZONE}


def test_a_format_without_documents_is_one_reject(make_source: Any, read_all: Any) -> None:
    facts, rejects = read_all(make_source("lookup"), b"x")
    assert not facts
    assert [reject.locator for reject in rejects] == [""]


def test_a_document_that_fails_on_the_way_keeps_what_was_read(
    make_source: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from intel.entities import guess
    from intel.errors import ReadError

    def read(document: RawDocument, source: Source) -> Iterator[Fact]:
        yield Fact(subject=guess("a.example"), predicate="listed", locator="line 1")
        raise ReadError("couldn't read the rest: it ends too soon")

    monkeypatch.setitem(READERS, Format.LIST, read)
    document = RawDocument(document_id=1, location="x", body=b"", as_of=datetime(2026, 1, 1, tzinfo=UTC))
    first, last = read_document(document, make_source("list"))
    assert first.locator == "line 1"
    assert last == Reject(locator="", reason="couldn't read the rest: it ends too soon")


@pytest.mark.parametrize("error", [KeyError, RecursionError, AttributeError, UnicodeError, OverflowError])
def test_a_fault_of_a_reader_costs_the_document_and_tells_no_values(
    make_source: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    from intel.entities import guess

    def read(document: RawDocument, source: Source) -> Iterator[Fact]:
        yield Fact(subject=guess("a.example"), predicate="listed", locator="line 1")
        raise error("ada@person.example")

    monkeypatch.setitem(READERS, Format.LIST, read)
    document = RawDocument(document_id=1, location="x", body=b"", as_of=datetime(2026, 1, 1, tzinfo=UTC))
    first, last = read_document(document, make_source("list"))
    assert first.locator == "line 1"
    assert isinstance(last, Reject)
    assert last.locator == ""
    assert f"fault of Lapsewatch: {error.__name__}" in last.reason
    assert error.__name__ in caplog.text
    assert "test_formats.py" in caplog.text
    assert "ada@" not in last.reason + caplog.text.replace('raise error("ada@person.example")', "")


def test_a_wrong_entry_is_not_the_documents_fault(make_source: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from intel.errors import ConfigError

    def read(document: RawDocument, source: Source) -> Iterator[Fact]:
        raise ConfigError("couldn't use the entry")

    monkeypatch.setitem(READERS, Format.LIST, read)
    document = RawDocument(document_id=1, location="x", body=b"", as_of=datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(ConfigError):
        list(read_document(document, make_source("list")))


def test_a_document_of_a_log_is_read_again(make_source: Any, read_all: Any) -> None:
    log = CtLog()
    authority = Authority()
    log.append(authority.issue(Order(names=("evil.example",), key=key_from_seed("heron"))))
    entry = logged_entry(0, log.entry(0).leaf_input, log.entry(0).extra_data)
    hits = Hits(log="feed", first=0, next=1, head=log.tree_head(), entries=(entry,))
    facts, rejects = read_all(make_source("ct"), write(hits))
    assert ("names", "evil.example") in {(fact.predicate, fact.object.value) for fact in facts}
    assert not rejects
