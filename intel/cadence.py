"""How often something is asked about again: as often as it changes.

In: the days between the last two looks, whether the last one brought something new, and what the record says of the
domain's life. Out: days until the next look. Pure.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

YOUNG: Final = timedelta(days=14)
"""A domain so young is looked at daily: that is when registrants hide, and servers move."""
NEAR: Final = timedelta(days=5)
"""So near its expiry, and after it, a domain is looked at daily: it is renewed, lapses, or changes hands."""
GONE: Final = timedelta(days=80)
"""After so long past its expiry it has been renewed or deleted: grace and redemption are over."""
_ENDING: Final = ("redemption", "pending delete", "pendingdelete")


def next_every(
    every: float,
    *,
    changed: bool,
    least: float,
    most: float,
    now: datetime,
    created: datetime | None = None,
    expires: datetime | None = None,
    statuses: tuple[str, ...] = (),
) -> float:
    """Days until the next look: half of `every` after a change, half as much more without, within `least` and `most`.

    `created` and `expires` are event times, `now` recorded time (aware UTC); `statuses` are EPP's, in any case.
    """
    days = every / 2 if changed else every * 1.5
    young = created is not None and now - created < YOUNG
    ending = expires is not None and -GONE < expires - now < NEAR
    if young or ending or any(word in status.lower() for status in statuses for word in _ENDING):
        days = min(days, 1.0)
    return max(least, min(days, most))
