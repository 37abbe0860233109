from __future__ import annotations

from tests.homes import home, world

__all__ = ["home", "world"]
