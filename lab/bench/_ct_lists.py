"""What is watched in the benchmark `ct`: so many things in each list, always the same, on reserved names.

The names are such as real lists hold (labels of some syllables); five of the domains are named by entries of the log.
"""

from __future__ import annotations

import hashlib
import ipaddress
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Engine, text

from db.rows import driver

MET: Final = tuple(f"watched-{number}.example" for number in range(5))
EVERY: Final = 10_000
"""One entry in so many names one of `MET`."""
_SYLLABLES: Final = tuple(consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou")
_ZONES: Final = (".example", ".test")

Row = tuple[str, str, str]
"""match, kind, value: a watch item."""


def special(number: int) -> str:
    """What the entry of that number names besides."""
    return f"host-{number}.{MET[number // EVERY % len(MET)]}" if number % EVERY == EVERY // 2 else ""


def domains(count: int) -> list[str]:
    """So many registrable domains, those that are met among them."""
    return list(MET) + [label + zone for label, zone in _labelled("domain", count - len(MET))]


def only_domains(count: int) -> Iterator[Row]:
    """Registrable domains and all below."""
    return (("scope", "", domain) for domain in domains(count))


def everything(count: int) -> Iterator[Row]:
    """So many in each list at once."""
    yield from only_domains(count)
    for kind, match in (("subtree", "subtree"), ("name", "entity")):
        for label, zone in _labelled(kind, count):
            yield match, "" if match == "subtree" else "domain", f"host.{label}{zone}"
    for number in range(count):
        yield "entity", "ip", str(ipaddress.IPv4Address(0xC6120000 + number))  # 198.18.0.0/15, for benchmarks
        yield "entity", "certificate", f"sha256:{_hex('certificate', number)}"
        yield "entity", "public-key", f"sha256:{_hex('key', number)}"
        yield "entity", "pattern", f"serial:{_hex('issuer', number % 100)}/{_hex('serial', number)[:32]}"
    for label, zone in _labelled("lookalike", count):
        yield "entity", "pattern", f"lookalike:{label}{zone}"
    for label, _ in _labelled("keyword", count):
        yield "entity", "pattern", f"keyword:{label}"
    for label, _ in _labelled("issuer", count):
        yield "entity", "pattern", f"issuer:*cn={label}*"
    for label, _ in _labelled("subject", count):
        yield "entity", "pattern", f"subject:*cn={label}*"


def _hex(kind: str, number: int) -> str:
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()


def _labelled(kind: str, count: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(f"labels {kind}")
    seen: set[str] = set()
    while len(seen) < count:
        label = "".join(chance.choices(_SYLLABLES, k=chance.randint(4, 6)))
        if label not in seen:
            seen.add(label)
            yield label, chance.choice(_ZONES)


def watch(engine: Engine, rows: Iterator[Row]) -> None:
    """Make one watch of them, as a watch file would; items are written by COPY, since there may be a million."""
    with engine.begin() as connection:
        watch_id = connection.execute(
            text("INSERT INTO watch (name, origin, rules) VALUES ('bench', 'command', '{*}') RETURNING id")
        ).scalar_one()
        columns = "COPY watch_item (watch_id, match, kind, value, added_at, swept) FROM STDIN"
        with driver(connection).cursor().copy(columns) as copy:
            for match, kind, value in rows:
                copy.write_row((watch_id, match, kind, value, datetime.now(UTC), ["certificates"]))


def watch_file(rows: Sequence[str]) -> str:
    """certspotter's: a dot in front takes all that is below."""
    return "".join(f".{domain}\n" for domain in rows)
