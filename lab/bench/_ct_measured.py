"""What one run of a monitor came to."""

from __future__ import annotations

from typing import Final

import msgspec

MB: Final = 1_000_000


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One monitor, one log, once. `cpu` is user and system of the monitor and its children, in seconds.

    `seconds` are from its first request for entries until the last of them is verified and that is stored. `database`
    is PostgreSQL's part, which `cpu` does not hold; `parts` is where the CPU went. `lists` says what was watched.
    """

    system: str
    protocol: str
    watched: str
    entries: int
    seconds: float
    cpu: float
    largest: int
    """Octets of the largest process at its peak."""
    together: int
    """Octets of all of its processes at once; what they share counts for each."""
    hits: int
    database: float = 0.0
    server: float = 0.0
    parts: dict[str, float] = {}  # msgspec copies an empty dictionary for each record
    lists: str = ""

    @property
    def rate(self) -> float:
        """Entries a second."""
        return self.entries / self.seconds

    @property
    def each(self) -> float:
        """Microseconds of CPU an entry."""
        return self.cpu / self.entries * 1e6
