"""Sources and documents for the tests of readers.

make_source   (format, **options) -> a source named `feed`
read_all      (source, body, location) -> its facts and its rejects, as `read_document` gives them
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from intel.config.sources import Source
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.formats import read_document

MakeSource = Callable[..., Source]
ReadAll = Callable[..., tuple[list[Fact], list[Reject]]]


@pytest.fixture(scope="session")
def make_source() -> MakeSource:
    def make(name: str, /, **options: object) -> Source:
        return Source.model_validate(
            {
                "name": "feed",
                "title": "A feed",
                "transport": "folder",
                "format": name,
                "location": "feed",
                "semantics": "snapshot",
                "cadence": "daily",
                "reliability": "B",
                "tlp": "clear",
                "licence": {"name": "CC0-1.0", "commercial_use": True, "redistribution": True},
                "enabled": True,
                "options": options,
            }
        )

    return make


@pytest.fixture(scope="session")
def read_all() -> ReadAll:
    def read(
        source: Source, body: bytes | str, location: str = "feed/apt_example.txt"
    ) -> tuple[list[Fact], list[Reject]]:
        raw = body.encode() if isinstance(body, str) else body
        document = RawDocument(document_id=1, location=location, body=raw, as_of=datetime(2026, 1, 1, tzinfo=UTC))
        facts: list[Fact] = []
        rejects: list[Reject] = []
        for item in read_document(document, source):
            if isinstance(item, Fact):
                assert item.event_time is None or item.event_time.tzinfo is UTC
                facts.append(item)
            else:
                assert "\0" not in item.reason + item.excerpt + item.locator
                rejects.append(item)
        return facts, rejects

    return read
