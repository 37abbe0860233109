"""Normalisation of a slice: stored documents become staged facts and rejects.

Comes in: `Collected`. Goes out: a `Batch` that the load takes. A document that cannot be read costs itself: it becomes
one reject, with the reason; its neighbours are read.
"""

from __future__ import annotations

from sqlalchemy import Engine

from db import documents, runs
from db.load import Batch
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import RawDocument, Reject
from intel.settings import settings
from tasks.normalize.formats import read_document
from tasks.records import Collected


def stage(engine: Engine, source: Source, collected: Collected) -> Batch:
    """Stage what the documents of `collected` say. The documents are read one at a time."""
    store = settings().document_store
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
                    continue
                document = RawDocument(
                    document_id=row.id,
                    location=row.location,
                    body=body,
                    media_type=row.media_type,
                    as_of=row.as_of,
                )
                staging.add(document, read_document(document, source))
        connection.commit()
    return Batch(
        source=source.name,
        source_id=collected.source_id,
        run_id=collected.run_id,
        snapshot=collected.snapshot,
        documents=collected.documents,
        facts=staging.facts,
        rejects=staging.rejects,
        as_of=collected.as_of,
        cursor=collected.cursor,
        last=not collected.more,
        max_shrink=source.limits.max_shrink,
        problems=collected.problems,
    )
