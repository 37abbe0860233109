"""What reference populations are counted from: zones on the disk, first sights, domains that chance chose.

Raw SQL: streams of a million rows, and a choice by chance, have no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from intel.facts import TLP

_AT_ONCE: Final = 10_000

# The newest snapshot of each zone whose file is still there. A source has some hundred rows.
ZONES: Final = """
SELECT DISTINCT ON (z.zone) z.zone, z.as_of, z.path, s.name AS source
FROM zone_snapshot z JOIN source s ON s.id = z.source_id WHERE z.path <> '' ORDER BY z.zone, z.as_of DESC
"""

# How many names lists and zones showed since, about. What certificates name is no new domain's in most cases.
# Uses ix_seen_domain_first_seen.
HOW_MANY: Final = """
SELECT count(*) FROM seen_domain s WHERE s.first_seen >= :since AND s.channel IN ('list', 'zone')
"""

# Those names, or of many the part that their hash chooses. Uses ix_seen_domain_first_seen.
NEW_NAMES: Final = """
SELECT DISTINCT s.name FROM seen_domain s
WHERE s.first_seen >= :since AND s.channel IN ('list', 'zone') AND mod(abs(hashtext(s.name)::bigint), :every) = 0
"""

# Names that chance chooses of those first seen in between, by sources that let look-ups be made.
# Uses ix_seen_domain_first_seen.
CHOICE: Final = """
SELECT q.name FROM (
    SELECT DISTINCT s.name FROM seen_domain s JOIN source o ON o.id = s.source_id
    WHERE s.first_seen >= :since AND s.first_seen < :until AND s.channel IN ('list', 'zone') AND o.tlp < :tlp
) q ORDER BY random() LIMIT :count
"""

# Domains that were not in the sample become part of it. Uses pk_reference_sample.
_CHOOSE: Final = """
INSERT INTO reference_sample (entity_id) SELECT e.id FROM unnest(CAST(:ids AS bigint[])) e (id) ORDER BY e.id
ON CONFLICT (entity_id) DO NOTHING RETURNING entity_id
"""

# Those that were chosen since and looked up. Uses pk_lookup; the sample has some thousand rows.
ANSWERED: Final = """
SELECT r.entity_id FROM reference_sample r JOIN lookup l ON l.entity_id = r.entity_id
WHERE r.chosen_at >= :since AND l.asked_at IS NOT NULL ORDER BY r.entity_id
"""

# How large the sample is. Uses pk_lookup.
SAMPLE_SIZE: Final = """
SELECT count(*) AS chosen, count(l.asked_at) AS answered
FROM reference_sample r LEFT JOIN lookup l ON l.entity_id = r.entity_id
"""


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of a zone on the disk: its file `path` is in the folder of its source. `as_of` is event time."""

    zone: str
    as_of: datetime
    path: str
    source: str


def zones(connection: Connection) -> list[Zone]:
    """The newest snapshot of each zone whose file is there."""
    return [Zone(**row) for row in connection.execute(text(ZONES)).mappings()]


def new_names(connection: Connection, since: datetime, most: int) -> Iterator[str]:
    """Names that lists and zones first showed since; of more than `most`, about so many, as their hash chooses."""
    there = int(connection.execute(text(HOW_MANY), {"since": since}).scalar_one())
    streaming = connection.execution_options(yield_per=_AT_ONCE)
    yield from streaming.execute(text(NEW_NAMES), {"since": since, "every": -(-there // most) or 1}).scalars()


def by_chance(connection: Connection, since: datetime, until: datetime, count: int) -> list[str]:
    """Names that chance chooses of those first seen from `since` to before `until` (event time)."""
    values = {"since": since, "until": until, "count": count, "tlp": int(TLP.AMBER_STRICT)}
    return list(connection.execute(text(CHOICE), values).scalars())


def choose(connection: Connection, entity_ids: list[int]) -> list[int]:
    """Make domains part of the sample; returns those that were not."""
    return list(connection.execute(text(_CHOOSE), {"ids": entity_ids}).scalars())


def answered(connection: Connection, since: datetime) -> list[int]:
    """The domains of the sample that were chosen since (recorded time) and looked up."""
    return list(connection.execute(text(ANSWERED), {"since": since}).scalars())


def sample_size(connection: Connection) -> dict[str, Any]:
    """How many domains are in the sample, and how many of them were looked up: chosen, answered."""
    return dict(connection.execute(text(SAMPLE_SIZE)).mappings().one())
