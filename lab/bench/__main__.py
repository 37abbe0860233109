"""`python -m lab.bench NAME` runs a benchmark, `--list` names them.

Each is a module of this folder with `run() -> Result`. Its tables go to the terminal, its figures are the last line,
one JSON object. Exit status 2: it could not be run.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import sys
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table as Grid

import lab.bench
from intel.errors import LapsewatchError
from lab.bench.result import Result, Table

_PARTS: Final = frozenset({"__main__", "result", "place"})


def names() -> list[str]:
    """The benchmarks, by name."""
    return sorted(
        name
        for _, name, _ in pkgutil.iter_modules(lab.bench.__path__)
        if name not in _PARTS and not name.startswith("_")
    )


def main(arguments: Sequence[str]) -> int:
    """Run what `arguments` ask for; returns the exit status."""
    if list(arguments) == ["--list"]:
        print("\n".join(names()))
        return 0
    if len(arguments) != 1 or arguments[0] not in names():
        print(f"usage: python -m lab.bench NAME | --list; NAME is one of: {', '.join(names())}", file=sys.stderr)
        return 2
    module = importlib.import_module(f"lab.bench.{arguments[0]}")
    try:
        result: Result = module.run()
    except LapsewatchError as error:
        print(error, file=sys.stderr)
        return 2
    # A pipe has no width of its own; eighty columns would fold every cell.
    console = Console() if sys.stdout.isatty() else Console(width=180)
    for table in result.tables:
        console.print(_grid(table))
    print(json.dumps(result.figures, sort_keys=True))
    return 0


def _grid(table: Table) -> Grid:
    grid = Grid(title=table.title, title_justify="left")
    for number, column in enumerate(table.columns):
        numeric = all(isinstance(row[number], int | float) for row in table.rows) and bool(table.rows)
        grid.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in table.rows:
        grid.add_row(*(_cell(value) for value in row))
    return grid


def _cell(value: str | float) -> str:
    return f"{value:,}" if isinstance(value, int | float) else value.replace("[", r"\[")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
