"""What a benchmark gives back: tables for people, figures for the record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under named columns; numbers are shown to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]


@dataclass(frozen=True, kw_only=True)
class Result:
    """The outcome of one benchmark. `figures` are what a later run is compared with; units are in their names."""

    tables: tuple[Table, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
