"""What following a log costs a day: how fast it grows in, octets and processor seconds out.

The figures per entry are here and nowhere else, each with where it comes from.
"""

from __future__ import annotations

from typing import Final

import msgspec

WIRE_BYTES: Final = {"static": 372, "hybrid": 372, "rfc6962": 2_650}
"""Octets on the network for an entry: of a real tile, compressed; of get-entries, compressed, as one log sends it."""
ARCHIVE_BYTES: Final = 139
"""Octets in the archive for an entry, before ours has shown its own (`make bench NAME=hunt`): digests take 112."""
CPU_SECONDS: Final = 75e-6
"""Processor seconds for an entry, read, verified, matched with long lists and archived (`make bench NAME=ct`)."""
ENTRIES_A_DAY: Final = 12_000_000
"""What a log that takes current certificates grows in a day, before it has shown its own growth: one of 2026 did so by
11 to 12 million, the fastest by 33 at most."""
_DAY: Final = 86_400


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a day takes. `measured` is whether `entries` comes from the log's own growth."""

    entries: int
    wire_bytes: int
    archive_bytes: int
    cpu_seconds: int
    measured: bool = False


def cost(protocol: str, *, entries_per_second: float | None, archive_bytes: float | None, archived: bool) -> Cost:
    """What a day of a log takes. `archive_bytes` is what an entry takes in our archive, None where that is unknown."""
    entries = ENTRIES_A_DAY if entries_per_second is None else round(entries_per_second * _DAY)
    return Cost(
        entries=entries,
        wire_bytes=entries * WIRE_BYTES[protocol],
        archive_bytes=round(entries * (ARCHIVE_BYTES if archive_bytes is None else archive_bytes)) if archived else 0,
        cpu_seconds=round(entries * CPU_SECONDS),
        measured=entries_per_second is not None,
    )


def total(costs: list[Cost]) -> Cost:
    """All of them together."""
    return Cost(
        entries=sum(one.entries for one in costs),
        wire_bytes=sum(one.wire_bytes for one in costs),
        archive_bytes=sum(one.archive_bytes for one in costs),
        cpu_seconds=sum(one.cpu_seconds for one in costs),
        measured=bool(costs) and all(one.measured for one in costs),
    )
