"""Which values join no findings: shared for reasons that say nothing about the hand."""

from __future__ import annotations

from functools import lru_cache

from intel.entities import Entity
from tasks.pivot.hubs import hubs_of


@lru_cache(maxsize=65_536)
def is_hub(item: Entity) -> bool:
    """Whether sharing an entity says nothing, by a list or by configs/hubs*."""
    return any(not hub.links for hub in hubs_of(item))
