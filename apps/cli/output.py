"""What a person sees: tables that fit the terminal, or JSON, never both; errors in one line, with a useful exit code.

Exit codes: 0 done, 1 done and something needs a look (a failed source, say), 2 wrong use or configuration,
3 something outside could not be reached, 4 the database or Prefect's server could not, or holds no such thing.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Final
from uuid import UUID

import typer
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from sqlalchemy.exc import ArgumentError, OperationalError

from intel.errors import CollectError, ConfigError, LapsewatchError, UnavailableError, WarehouseError
from intel.registration_shown import printable

console: Final = Console(highlight=False)
errors: Final = Console(stderr=True, highlight=False)

ATTENTION: Final = 1
_OBEYED: Final = re.compile("[\x7f-\x9f]")
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
    table = Table(
        title=title or None, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, show_edge=False,
        pad_edge=False, padding=(0, 1, 0, 0),
    )  # fmt: skip
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


def show_blocks(title: str, blocks: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Print each block as a line of its own and, indented, the lines that belong to it; nothing where there is none.

    For records with long values: five columns of a table leave each of them a sliver at 80 columns. What a terminal
    would act on is left out: much of what is shown are other people's words.
    """
    for number, (head, lines) in enumerate(blocks):
        if not number:
            console.print()
            console.print(Text(title, style="bold"))
        console.print(Padding(Text(printable(head), overflow="fold"), (0, 0, 0, 2), expand=False))
        for line in filter(None, lines):
            console.print(Padding(Text(printable(line), style="dim", overflow="fold"), (0, 0, 0, 6), expand=False))


def cell(value: Any) -> str:
    """A value as people read it, without what a terminal would act on. Times are UTC, to the minute."""
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
    return printable(str(value))


def print_json(value: Any) -> None:
    """Print JSON to standard output, and nothing else.

    JSON escapes the controls below U+0020 by itself; a terminal also obeys DEL and those of C1 (ECMA-48 8.3).
    """
    text = json.dumps(value, default=_plain, ensure_ascii=False, indent=2)
    sys.stdout.write(_OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
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
        # What a parser says may have lines of its own; the tail of a service's log is meant to.
        said = str(error) if isinstance(error, UnavailableError) else " ".join(str(error).split())
        raise _exit(said, next((code for kind, code in _CODES if isinstance(error, kind)), ATTENTION)) from error
    except ArgumentError as error:
        # Without the URL: it may hold a password.
        raise _exit("couldn't read LAPSEWATCH_DATABASE_URL: it is no URL of a database", 2) from error
    except OperationalError as error:
        cause = " ".join(str(error.orig).split())[:300]
        raise _exit(f"couldn't use the database: {cause}; nothing is changed", 4) from error


def _exit(said: str, code: int) -> typer.Exit:
    errors.print(Text(said, style="red"), soft_wrap=True)
    return typer.Exit(code)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """A spinner on standard error while something takes its time; silent where nobody watches."""
    if not errors.is_terminal:
        yield
        return
    with errors.status(what):
        yield
