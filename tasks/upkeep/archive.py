"""Upkeep of the archive: small segments become large ones, what is too much goes, what nobody needs is removed.

It costs nothing where there is no archive: nothing of the extra is imported then.
"""

from __future__ import annotations

from sqlalchemy import Engine

from db.archive_compact import Compacted
from db.archive_compact import compact as compact_segments
from db.archive_manifest import begun
from db.archive_retain import Retained
from db.archive_retain import tidy as tidy_files
from intel.config.ct import read_ct
from intel.settings import settings


def compact(engine: Engine) -> Compacted:
    """Merge what is due. Raises BusyError where another process is at it, UnavailableError where the disk is full."""
    if not _there(engine):
        return Compacted()
    return compact_segments(engine, read_ct(settings().configs).archive, settings().home)


def tidy(engine: Engine) -> Retained:
    """Drop what is too old or too much, and remove files that nobody needs. Raises BusyError, and ConfigError where
    the folder is another warehouse's.
    """
    if not _there(engine):
        return Retained()
    return tidy_files(engine, read_ct(settings().configs).archive, settings().home)


def _there(engine: Engine) -> bool:
    with engine.connect() as connection:
        return begun(connection)
