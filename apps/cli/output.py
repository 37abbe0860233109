"""What a person sees: tables that fit the terminal, or JSON, never both; errors in one line, with a useful exit code.

Exit codes: 0 done, 1 done and something needs a look (a failed source, say), 2 wrong use or configuration,
3 something outside could not be reached, 4 the database could not.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from intel.errors import CollectError, ConfigError, LapsewatchError, WarehouseError

console: Final = Console(highlight=False)
errors: Final = Console(stderr=True, highlight=False)

ATTENTION: Final = 1
_CODES: Final = ((ConfigError, 2), (CollectError, 3), (WarehouseError, 4))


def show_table(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, title: str = "", empty: str = "nothing", as_json: bool
) -> None:
    """Print `rows` as a table of `columns`, or as a JSON list of all that they hold."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        console.print(empty)
        return
    table = Table(title=title or None, title_justify="left", header_style="bold", pad_edge=False, expand=False)
    for column in columns:
        number = all(isinstance(row.get(column), int) and not isinstance(row.get(column), bool) for row in rows)
        table.add_column(column, overflow="fold", justify="right" if number else "left")
    for row in rows:
        table.add_row(*(Text(cell(row.get(column))) for column in columns))
    console.print(table)


def show_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Print one record, a line for each field, or as a JSON object."""
    if as_json:
        print_json(record)
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in record.items():
        table.add_row(name, Text(cell(value)))
    console.print(table)


def cell(value: Any) -> str:
    """A value as people read it. Times are UTC, to the minute."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value) or "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {cell(item)}" for name, item in value.items()) or "-"
    return str(value)


def print_json(value: Any) -> None:
    """Print JSON to standard output, and nothing else."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False, indent=2) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.hex()
    if hasattr(value, "__struct_fields__"):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    raise TypeError(f"no JSON form of {type(value).__name__}")


@contextmanager
def faults_to_exit_codes() -> Iterator[None]:
    """Say an error in one line, and end with its code; anything unforeseen keeps its traceback."""
    try:
        yield
    except LapsewatchError as error:
        errors.print(Text(str(error), style="red"))
        code = next((code for kind, code in _CODES if isinstance(error, kind)), ATTENTION)
        raise typer.Exit(code) from error


@contextmanager
def progress(what: str) -> Iterator[None]:
    """A spinner on standard error while something takes its time; silent where nobody watches."""
    if not errors.is_terminal:
        yield
        return
    with errors.status(what):
        yield
