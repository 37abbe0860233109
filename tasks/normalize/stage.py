"""Normalisation of a slice: stored documents become staged facts and rejects.

Comes in: `Collected`. Goes out: a `Batch` that the load takes. A document that cannot be read costs itself: it becomes
one reject, with the reason; its neighbours are read, and the run ends as `partial`. So does one that has records and
of which none could be read: its format has changed, or its bytes are in another encoding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import Engine

from db import documents, runs
from db.load import Batch
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from intel.settings import settings
from tasks.collect.fetched import public_url
from tasks.normalize.formats import read_document
from tasks.normalize.lines import printable
from tasks.records import Collected


def stage(engine: Engine, source: Source, collected: Collected) -> Batch:
    """Stage what the documents of `collected` say. The documents are read one at a time."""
    store = settings().document_store
    problems = list(collected.problems)
    unread: set[int] = set()
    with engine.connect() as connection:
        rows = runs.documents(connection, collected.documents)
        connection.commit()
        with Staging(
            driver(connection), run_id=collected.run_id, source=source.name, tlp=int(source.default_tlp)
        ) as staging:
            for row in rows:
                try:
                    body = documents.get(store, row.sha256)
                except ReadError as error:
                    empty = RawDocument(document_id=row.id, location=row.location, body=b"", as_of=row.as_of)
                    staging.add(empty, [Reject(locator="", reason=str(error))])
                    problems.append(str(error))
                    unread.add(row.id)
                    continue
                document = RawDocument(
                    document_id=row.id,
                    location=row.location,
                    body=body,
                    media_type=row.media_type,
                    as_of=row.as_of,
                )
                heard = _Heard(read_document(document, source))
                staging.add(document, heard)
                if heard.fault:
                    said = printable(heard.fault, 500)
                    problems.append(f"couldn't read {public_url(row.location)}: {said}; the document is kept")
                    unread.add(row.id)
        connection.commit()
    return Batch(
        source=source.name,
        source_id=collected.source_id,
        run_id=collected.run_id,
        snapshot=collected.snapshot,
        documents=_read(collected, unread),
        facts=staging.facts,
        rejects=staging.rejects,
        as_of=collected.as_of,
        cursor=collected.cursor,
        last=not collected.more,
        max_shrink=source.limits.max_shrink,
        problems=tuple(problems),
    )


def _read(collected: Collected, unread: set[int]) -> tuple[int, ...]:
    """The documents that later ones are compared with. One that could not be read is none: should the source give the
    same again, the next run has to say so again, rather than that nothing has changed. In the middle of a sequence it
    counts as read all the same, or the sequence would never go on.
    """
    return collected.documents if collected.more else tuple(one for one in collected.documents if one not in unread)


class _Heard:
    """Records on their way to staging, listened to: `fault` says afterwards why the document is as good as unread."""

    def __init__(self, records: Iterable[Fact | Reject]) -> None:
        self._records = records
        self._facts = self._rejects = 0
        self._first = self._whole = ""

    def __iter__(self) -> Iterator[Fact | Reject]:
        for record in self._records:
            if isinstance(record, Fact):
                self._facts += 1
            else:
                self._rejects += 1
                self._first = self._first or record.reason
                self._whole = self._whole or (record.reason if not record.locator else "")
            yield record

    @property
    def fault(self) -> str:
        """Empty where the document was read, but for records here and there."""
        if self._whole or self._facts or not self._rejects:
            return self._whole
        return f"none of its {self._rejects} records could be read, the first for this reason: {self._first}"
