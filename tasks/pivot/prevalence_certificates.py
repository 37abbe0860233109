"""Counts logged certificates: the newest segments of the archive in, how many each issuer and each key has out.

A key that many certificates have is a hosting company's or a content network's. What stands for a certificate
(`issued-by`, `has-key`) counts for a domain's issuer and key as well, which are those of its certificates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from db import archive_manifest
from db.archive_counts import Logged, logged
from db.archive_manifest import Held
from db.archive_store import open_store
from db.prevalence import Counted, replace
from intel.config.ct import read_ct
from intel.config.prevalence import Counting
from intel.entities import Kind, digest, literal
from intel.facts import Predicate
from intel.settings import settings
from intel.traits import Name
from tasks.pivot.prevalence_records import Done, Part

CERTIFICATES: Final = "certificates"
_ISSUER: Final = (Name.ISSUER.value, Predicate.ISSUED_BY.value)
_KEY: Final = (Name.KEY.value, Predicate.HAS_KEY.value)


def count_certificates(engine: Engine, counting: Counting, now: datetime | None = None) -> Done:
    """Count what was logged lately and archived; nothing where there is no archive.

    Raises ConfigError without the extra `archive`, ReadError where a file cannot be read.
    """
    since = (now or datetime.now(UTC)) - timedelta(days=counting.days)
    with engine.connect() as connection:
        segments = _newest(archive_manifest.held(connection, since=since), counting.most_certificates)
    if not segments:
        return Done()
    with logged(open_store(read_ct(settings().configs).archive, settings().home), segments) as certificates:
        population = Counted(
            name=CERTIFICATES,
            title=f"certificates that were logged within {counting.days:g} days and archived, the newest",
            total=certificates.total,
            traits=dict.fromkeys(_ISSUER, certificates.with_issuer) | dict.fromkeys(_KEY, certificates.with_key),
            as_of=max(one.time_max for one in segments),
        )
        with engine.begin() as connection:
            values = replace(connection, population, _counts(certificates, counting))
    return Done(parts=(Part(population=CERTIFICATES, total=population.total, values=values),))


def _newest(segments: Sequence[Held], most: int) -> list[Held]:
    """The segments that were logged last, as many as hold so many entries at most, but for one that is larger."""
    taken: list[Held] = []
    for one in sorted(segments, key=lambda one: one.time_max, reverse=True):
        if taken and sum(other.entries for other in taken) + one.entries > most:
            break
        taken.append(one)
    return taken if most else []


def _counts(certificates: Logged, counting: Counting) -> Iterator[tuple[str, bytes, int]]:
    for issuer, count in certificates.issuers(counting.least, counting.most_values):
        for trait in _ISSUER:
            yield trait, literal(Kind.TEXT, issuer).digest, count
    for key, count in certificates.keys(counting.least, counting.most_values):
        for trait in _KEY:
            yield trait, digest(Kind.PUBLIC_KEY, f"sha256:{key.hex()}"), count
