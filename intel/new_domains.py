"""What a channel of new domains says of a name: that it arrived, left, or moved to other name servers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec


class Channel(StrEnum):
    """Where new domains are seen. Each has its own first sight of a name, so that they can be compared."""

    LIST = "list"
    """Daily lists of newly registered domains."""
    ZONE = "zone"
    """Zone files, compared with the day before."""
    CT = "ct"
    """Names in certificates that were logged."""


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One registrable domain, canonical, as a channel showed it at `seen_at` (event time, UTC).

    `name_servers` are canonical, sorted: those that a zone delegates to, after the change (before it, where the name
    was removed); empty where the channel does not say.
    """

    name: str
    seen_at: datetime
    change: Literal["added", "removed", "name-servers"] = "added"
    name_servers: tuple[str, ...] = ()
