"""Whether a snapshot can follow the last one: both in, why not out, or nothing.

The words are those of db/load.py: what is refused ends nothing, and is an alarm on the run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from db import zones
from intel.config.sources import Source
from tasks.load.zones_snapshot import Snapshot

_FEW: Final = 10
_MALFORMED: Final = 0.001
"""Share of malformed lines beyond which, where they are not few, a part of the zone is taken to be missing."""
_MAX_SERIAL: Final = 1 << 32


def same(snapshot: Snapshot, before: zones.Standing) -> bool:
    """Whether a snapshot is the last one once more."""
    return before.sha256.hex() == snapshot.sha256 and (before.zone, before.serial) == (snapshot.zone, snapshot.serial)


def lack(source: Source, place: Path, snapshot: Snapshot) -> str:
    """Why a snapshot is none by itself; empty where it is whole."""
    if snapshot.problem:
        return snapshot.problem
    if not (place / snapshot.path).is_file():
        return f"the sorted file of {source.name} is gone before all of it was loaded; the next one is compared instead"
    if not snapshot.names:
        return f"the snapshot of {source.name} delegates no name; it changes nothing"
    if snapshot.malformed > max(_FEW, _MALFORMED * snapshot.lines):
        return (
            f"a part of the snapshot of {source.name} could not be read, {snapshot.malformed} of {snapshot.lines}"
            f" lines, the first {snapshot.first_malformed}; it ends nothing"
        )
    return ""


def refusal(source: Source, snapshot: Snapshot, before: zones.Standing | None, *, closed: bool) -> str:
    """Why a snapshot cannot follow the last one; empty where it can. `closed`: an SOA stood at the end of the last."""
    if before is None:
        return ""
    if snapshot.zone != before.zone:
        return (
            f"the snapshot of {source.name} is of the zone {snapshot.zone!r}, the ones before of {before.zone!r}; it"
            " changes nothing. Enter another zone as a source of its own"
        )
    if snapshot.as_of <= before.as_of:
        return (
            f"the snapshot of {source.name} is of {snapshot.as_of:%Y-%m-%d %H:%M} UTC, not later than the last, of"
            f" {before.as_of:%Y-%m-%d %H:%M} UTC; it ends nothing"
        )
    if snapshot.serial is not None and before.serial is not None and not _later(snapshot.serial, before.serial):
        return (
            f"the snapshot of {source.name} has the serial number {snapshot.serial}, not later than that of the last,"
            f" {before.serial}; it ends nothing. Where the registry counts anew, enter it under another name"
        )
    if closed and not snapshot.closed:
        return f"the snapshot of {source.name} lacks the SOA record at its end that the last one had; it ends nothing"
    return ""


def _later(serial: int, before: int) -> bool:
    """Whether a serial number comes after another: they go round (RFC 1982 section 3.2)."""
    return 0 < (serial - before) % _MAX_SERIAL < _MAX_SERIAL // 2
