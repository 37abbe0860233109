"""Whose a domain was, and when: the ends of its ownership in, lives out. Pure.

An end closes a life and opens the next. What a new registration opens is somebody's; what follows an expiry is
nobody's, and what follows a seizure or a sinkhole is the taker's: neither shares anything with whoever had it before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from intel.spans import ALWAYS, Spans, common

_ANEW: Final = "re-registered"
_MOMENT: Final = 0.001
"""What stands at the time of an end belongs to the life that begins there."""


@dataclass(frozen=True)
class Lives:
    """The lives of one domain. `ends` are (seconds since 1970, reason), in order."""

    ends: Sequence[tuple[float, str]] = field(default=())

    def spans(self, life: int) -> Spans:
        """When a life was."""
        if not self.ends:
            return ALWAYS
        begin = self.ends[life - 1][0] if life else -math.inf
        end = self.ends[life][0] - _MOMENT if life < len(self.ends) else math.inf
        return ((begin, end),) if begin <= end else ()

    def somebodys(self, life: int) -> bool:
        """Whether it was registered by somebody who had it for himself."""
        return life == 0 or self.ends[life - 1][1] == _ANEW

    def at(self, when: float | None) -> int:
        """The life at that time, or the last one before it that was somebody's; the first for no time."""
        if when is None or not self.ends:
            return 0
        life = sum(at <= when for at, _ in self.ends)
        while not self.somebodys(life):
            life -= 1
        return life

    def of(self, spans: Spans) -> int | None:
        """The first life that was somebody's and in which it was so; None where there is none."""
        for life in range(len(self.ends) + 1):
            if self.somebodys(life) and common(spans, self.spans(life)):
                return life
        return None

    def end(self, life: int) -> tuple[float, str] | None:
        """When and how a life ended; None where it goes on."""
        return self.ends[life] if life < len(self.ends) else None


NO_END: Final = Lives()
