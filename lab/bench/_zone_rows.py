"""Two days of an invented zone, as gzip files: names, name servers and what differs are the same each time.

Names are two invented words and a number under `example`, in ICANN's form, sorted as registries give them but for small
disorders. Most delegate to one of some thousands of hosters with a skew, as in a real zone; one in thirty is signed,
one in a hundred has glue.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

ADDED: Final = 0.002
REMOVED: Final = 0.0015
MOVED: Final = 0.005
SEED: Final = 20261124
_SOA: Final = "example.\t900\tin\tsoa\ta.nic.example. h.nic.example. {} 1800 900 604800 86400\n"
_SYLLABLES: Final = [a + b for a in "bdfghklmnprstvz" for b in ("a", "e", "i", "o", "u", "ar", "en", "il", "or", "un")]
_BLOCK: Final = 20_000
_DISORDER: Final = 30


def days(folder: Path, count: int) -> tuple[Path, Path]:
    """Write both days of a zone of `count` names; their files."""
    paths = folder / "2026-03-01.gz", folder / "2026-03-02.gz"
    packers = [zlib.compressobj(1, zlib.DEFLATED, 31) for _ in paths]
    with paths[0].open("wb") as one, paths[1].open("wb") as two:
        files = one, two
        for day in (0, 1):
            files[day].write(packers[day].compress(_SOA.format(2026030100 + day).encode()))
        for blocks in _blocks(count):
            for day in (0, 1):
                files[day].write(packers[day].compress(blocks[day].encode()))
        for day in (0, 1):
            files[day].write(packers[day].compress(_SOA.format(2026030100 + day).encode()) + packers[day].flush())
    return paths


def hosters(first: int, behind: int) -> list[str]:
    """The registrable domains of some hosters; a lower number has more names."""
    sets, _ = _hosters(Random(SEED))
    return [hosts[0].partition(".")[2] for hosts in sets[first:behind]]


def _hosters(random: Random) -> tuple[list[list[str]], list[float]]:
    sets = []
    for number in range(5000):
        host = f"{random.choice(_SYLLABLES)}{random.choice(_SYLLABLES)}{number}.test"
        sets.append([f"ns{place}.{host}" for place in range(1, random.choice((2, 2, 2, 2, 3, 4)) + 1)])
    total, weights = 0.0, []
    for number in range(len(sets)):
        total += 1 / (number + 3)
        weights.append(total)
    return sets, weights


def _blocks(count: int) -> Iterator[tuple[str, str]]:
    """The lines of some names on both days; a block's names sort before the next one's."""
    random = Random(SEED)
    sets, weights = _hosters(random)
    width = len(str(count))
    for start in range(0, count, _BLOCK):
        size = min(_BLOCK, count - start)
        # Sorted by the digits in front, which stand for the two words' order among twenty million others.
        names = [
            f"{_letters(start + number, width)}{random.choice(_SYLLABLES)}{random.choice(_SYLLABLES)}"
            for number in range(size)
        ]
        chosen = random.choices(sets, cum_weights=weights, k=size)
        fates = [random.random() for _ in range(size)]
        others = random.choices(sets, cum_weights=weights, k=size)
        days: tuple[list[str], list[str]] = ([], [])
        for name, hosts, other, fate in zip(names, chosen, others, fates, strict=True):
            if fate >= ADDED:
                days[0].append(_record(name, hosts, fate))
            if not ADDED <= fate < ADDED + REMOVED:
                moved = ADDED + REMOVED <= fate < ADDED + REMOVED + MOVED
                days[1].append(_record(name, other if moved else hosts, fate))
        for records in days:
            _disturb(records, random)
        yield "".join(days[0]), "".join(days[1])


def _letters(number: int, width: int) -> str:
    return f"{number:0{width}d}".translate(_DIGITS)


_DIGITS: Final = str.maketrans("0123456789", "bcdfghjklm")


def _record(name: str, hosts: list[str], fate: float) -> str:
    lines = "".join([f"{name}.example.\t172800\tin\tns\t{host}.\n" for host in hosts])
    place = int(fate * 1e6) % 300
    if place < 10:
        lines = f"{name}.example.\t86400\tin\tds\t{place + 10_000} 13 2 {'0123456789ABCDEF' * 4}\n{lines}"
    if place < 3:
        lines += f"ns1.{name}.example.\t172800\tin\ta\t192.0.2.{place}\n"
    return lines


def _disturb(records: list[str], random: Random) -> None:
    """Swap a few records with near ones."""
    for _ in range(len(records) // 200):
        place = random.randrange(len(records))
        other = min(len(records) - 1, place + random.randrange(_DISORDER))
        records[place], records[other] = records[other], records[place]


if __name__ == "__main__":
    days(Path(sys.argv[1]), int(sys.argv[2]))
