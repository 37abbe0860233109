"""Where a chunk goes besides the warehouse: into the archive, where it is switched on (configs/ct.yaml).

The file is whole on the disk before the transaction that makes it part of the archive by its row in the manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

from intel.config.ct import Archive
from intel.config.sources import Source
from intel.settings import settings
from tasks.load.ct_chunk import Chunk
from tasks.records import Run

if TYPE_CHECKING:
    from db.archive import Segment


class Segments:
    """Writes segments, or nothing where the archive is off."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @property
    def enabled(self) -> bool:
        """Whether anything is written."""
        return self._archive.enabled

    def write(self, source: Source, chunk: Chunk) -> Segment | None:
        """The chunk's file. Raises ConfigError where the extra `archive` is not installed, UnavailableError where it
        cannot be kept.
        """
        if not self.enabled:
            return None
        from db.archive import write_segment  # noqa: PLC0415 - the archive is an extra

        rows = [one.rows for one in chunk.reads]
        return write_segment(self._archive, settings().home, source.name, rows, chunk.first, chunk.frontier.size)

    def add(self, connection: Connection, segment: Segment | None, run: Run, chunk: Chunk) -> None:
        """The manifest's row, in the transaction that moves the cursor."""
        if segment is None:
            return
        from db.archive import add_segment  # noqa: PLC0415 - the archive is an extra

        add_segment(connection, segment, source_id=run.source_id, run_id=run.run_id, judged_at=chunk.watched_at)
