"""Counts given by hand: a CSV file `trait,value,count,total` in, a population of chosen values out.

An analyst who may ask a provider how many domains of the whole world have a value brings its answers along. What such a
file lacks may be common all the same. The file is somebody else's: a row that is wrong costs itself and is said.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import Engine

from db.prevalence import Counted, replace
from intel.config.registrars import read_registrars
from intel.errors import OversizedError, ReadError
from intel.registrars import Registrars, registrars
from intel.settings import settings
from intel.traits import Name
from tasks.pivot.prevalence_records import Part
from tasks.pivot.prevalence_tally import digest_of

COLUMNS: Final = ("trait", "value", "count", "total")
MOST_BYTES: Final = 67_108_864
MOST_ROWS: Final = 1_000_000
_LONGEST: Final = 8_192
_LARGEST: Final = 10**15
_SAID: Final = 20


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken of a file; `rejected` rows were not, the first of which `reasons` tell."""

    part: Part
    rejected: int
    reasons: tuple[str, ...]


def take_counts(engine: Engine, path: Path, *, name: str, as_of: datetime) -> Given:
    """Put the counts of a file in the place of those that were given under this name before.

    `as_of` is the time that they speak of. Raises ReadError where the file cannot be read, lacks the columns or has no
    good row; then what was given before stands.
    """
    reader = _Reader()
    rows = list(reader.read(path))
    if not rows:
        why = f" ({reader.reasons[0]})" if reader.reasons else ""
        raise ReadError(f"couldn't use {path.name}: no row of it counts a value{why}; nothing is changed")
    population = Counted(
        name=f"given:{name}",
        title=f"counts given by hand as {name}",
        total=max(reader.totals.values()),
        traits=reader.totals,
        as_of=as_of,
        partial=True,
    )
    with engine.begin() as connection:
        values = replace(connection, population, rows)
    part = Part(population=population.name, total=population.total, values=values)
    return Given(part=part, rejected=reader.rejected, reasons=tuple(reader.reasons))


class _Reader:
    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.rejected = 0
        self.reasons: list[str] = []

    def read(self, path: Path) -> Iterator[tuple[str, bytes, int]]:
        """(trait, digest, count) of each row that is good."""
        try:
            size = path.stat().st_size
            if size > MOST_BYTES:
                raise OversizedError(f"couldn't read {path.name}: {size} bytes are too many; nothing is changed")
            with path.open(encoding="utf-8-sig", errors="strict", newline="") as file:
                yield from self._rows(csv.reader(file, strict=True), path.name)
        except OSError as error:
            raise ReadError(f"couldn't read {path.name}: {error.strerror}; nothing is changed") from error
        except UnicodeDecodeError as error:
            raise ReadError(f"couldn't read {path.name}: it is not UTF-8; nothing is changed") from error
        except csv.Error as error:
            raise ReadError(f"couldn't read {path.name}: it is not CSV ({error}); nothing is changed") from error

    def _rows(self, rows: Iterator[list[str]], called: str) -> Iterator[tuple[str, bytes, int]]:
        header = [column.strip().lower() for column in next(rows, [])]
        if sorted(header) != sorted(COLUMNS):
            raise ReadError(
                f"couldn't read {called}: its first line has to name {', '.join(COLUMNS)}; nothing is changed"
            )
        for number, row in enumerate(rows, 2):
            if number > MOST_ROWS + 1:
                raise OversizedError(f"couldn't read {called}: more than {MOST_ROWS} rows; nothing is changed")
            if not any(row):
                continue
            try:
                yield self._row(dict(zip(header, row, strict=True)))
            except ValueError:
                self._reject(number, "it has another number of columns")
            except ReadError as error:
                self._reject(number, str(error))

    def _row(self, row: dict[str, str]) -> tuple[str, bytes, int]:
        trait, value = row["trait"].strip(), row["value"].strip()
        count, total = _number(row["count"]), _number(row["total"])
        if not value or len(value) > _LONGEST:
            raise ReadError("its value is empty or too long")
        if count > total or not total:
            raise ReadError("its count is more than its total, or its total is nothing")
        digest = digest_of(trait, registrar_identity(value) if trait == Name.REGISTRAR else value)
        if not digest:
            raise ReadError("its trait is none that is counted, or its value none of that trait")
        if self.totals.setdefault(trait, total) != total:
            raise ReadError("another row of its trait has another total: counts of one file are of one population")
        return trait, digest, count

    def _reject(self, number: int, reason: str) -> None:
        self.rejected += 1
        if len(self.reasons) < _SAID:
            self.reasons.append(f"line {number}: {reason}")


def registrar_identity(value: str) -> str:
    """The registrar as profiles and populations call it: IANA's number where configs/registrars.yaml knows the name."""
    return _book().identity(value)


@cache
def _book() -> Registrars:
    return registrars(read_registrars(settings().configs).by_number)


def _number(text: str) -> int:
    digits = text.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15 or int(digits) > _LARGEST:
        raise ReadError("its count or total is no number that can be")
    return int(digits)
