"""Whether the disk has room for what is about to be written: asked before gigabytes are, not after."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from intel.errors import UnavailableError

SPARE: Final = 256 << 20
"""Bytes that stay free for others: the warehouse may be on the same disk."""


def need_room(folder: Path, size: int, what: str) -> None:
    """Raise UnavailableError where `folder` has no room for `size` bytes more; `what` is what they are needed for."""
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        raise UnavailableError(
            f"couldn't {what}: it needs {size / 1e9:.1f} GB on the disk of the zones' folder, where"
            f" {free / 1e9:.1f} GB are free; make room, the next run tries again"
        )
