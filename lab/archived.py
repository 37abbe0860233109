"""What reading an answer gives the archive, made from rows that are wanted in it."""

from __future__ import annotations

from collections.abc import Sequence

from intel.ct_archived import Archived
from intel.match.entries import Columns


def columns(entries: Sequence[Archived]) -> Columns:
    """What reading gives for these."""
    return Columns(
        index=[one.index for one in entries],
        timestamp=[one.timestamp for one in entries],
        leaf_hash=[one.leaf_hash for one in entries],
        tbs=[one.tbs for one in entries],
        fingerprint=[one.fingerprint for one in entries],
        key=[one.key for one in entries],
        names=["\n".join(one.names) for one in entries],
        addresses=["\n".join(one.addresses) or None for one in entries],
        issuer=[one.issuer for one in entries],
        not_before=[one.not_before for one in entries],
        not_after=[one.not_after for one in entries],
    )
