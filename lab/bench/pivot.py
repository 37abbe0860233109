"""`pivot`: how long the neighbourhood of a domain takes at depth 2, in a warehouse of 10 and of 50 million links.

The warehouse is generated (_links.py: one address that most domains share, skewed addresses, sets, registrars,
mailboxes, certificates and keys). 200 domains are drawn evenly: each stands beside the hub or a large host, as most do.
`first` is a domain's first pivot, with what the server has in memory by chance after the warehouse was made; `again` is
the second.
All of it is timed: statements, weighing, prevalence, ends, facts. A warm-up on other domains reads the lists of
`configs/hubs*` and lets the driver prepare its statements, as in a process that is at work.

`seconds_10m` and `seconds_50m` are medians of the first; `growth` is the second over the first. LAPSEWATCH_BENCH_LINKS
changes the 50 million, for a quick look; the smaller warehouse is a fifth of it. The larger takes 20 GB of disk.
"""

from __future__ import annotations

import os
import random
import statistics
import time
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from intel.settings import CHECKOUT
from lab.bench._links import World, generate, state
from lab.bench.place import fresh_warehouse
from lab.bench.result import Result, Table
from tasks.pivot.pivot import Budget, Neighbourhood, pivot

LINKS: Final = int(os.environ.get("LAPSEWATCH_BENCH_LINKS", "50000000"))
_SMALLER: Final = 5
_DOMAINS: Final = 200
_WARM: Final = 30
_STATED: Final = 100_000
"""Domains whose links are stated as facts, too."""
_SEED: Final = 20_261_124
BUDGET: Final = Budget(depth=2)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Seconds of each pivot, the first and the second time, and what they came to."""

    links: int
    made: float
    gigabytes: float
    first: list[float]
    again: list[float]
    read: list[int]
    found: list[int]
    stopped: int

    @property
    def median(self) -> float:
        """Of the first."""
        return statistics.median(self.first)


def run(links: int = LINKS) -> Result:
    """Make both warehouses, one after the other, and pivot in them."""
    small, large = measure(links // _SMALLER), measure(links)
    return Result(
        tables=(
            Table(
                title=f"seconds for the neighbourhood of a domain at depth 2, of {_DOMAINS} domains",
                columns=(
                    "links", "median", "p95", "again, median", "again, p95", "links read", "neighbours", "cut short",
                    "made in s", "GB",
                ),
                rows=tuple(_row(one) for one in (small, large)),
            ),
        ),
        figures={
            "seconds_10m": round(small.median, 4),
            "seconds_50m": round(large.median, 4),
            "p95_10m": round(_p95(small.first), 4),
            "p95_50m": round(_p95(large.first), 4),
            "growth": round(large.median / small.median, 2),
            "links": large.links,
        },
    )  # fmt: skip


def measure(links: int) -> Measured:
    """Make a warehouse of so many links and pivot in it."""
    with fresh_warehouse(CHECKOUT) as engine, engine.connect() as connection:
        began = time.perf_counter()
        world = generate(connection, links)
        made = time.perf_counter() - began
        state(connection, min(world.domains, _STATED))
        size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar_one()
        connection.rollback()
        draw = random.Random(_SEED)
        for _ in range(_WARM):
            _pivot(connection, world, draw.randrange(world.domains))
        drawn = [draw.randrange(world.domains) for _ in range(_DOMAINS)]
        first = [_pivot(connection, world, one) for one in drawn]
        again = [_pivot(connection, world, one) for one in drawn]
    return Measured(
        links=world.links,
        made=made,
        gigabytes=size / 1e9,
        first=[seconds for seconds, _ in first],
        again=[seconds for seconds, _ in again],
        read=[found.links for _, found in first],
        found=[len(found.neighbours) for _, found in first],
        stopped=sum(bool(found.stopped) for _, found in first),
    )


def _pivot(connection: Connection, world: World, number: int) -> tuple[float, Neighbourhood]:
    began = time.perf_counter()
    found = pivot(connection, [world.domain(number)], BUDGET)
    seconds = time.perf_counter() - began
    connection.rollback()
    return seconds, found


def _row(one: Measured) -> tuple[str | int | float, ...]:
    return (
        f"{one.links:,}",
        round(one.median, 3),
        round(_p95(one.first), 3),
        round(statistics.median(one.again), 3),
        round(_p95(one.again), 3),
        round(statistics.median(one.read)),
        round(statistics.median(one.found)),
        one.stopped,
        round(one.made, 1),
        round(one.gigabytes, 2),
    )


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]
