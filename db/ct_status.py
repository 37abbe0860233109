"""What is known of the logs that are or were followed: a row for each, from its cursors and its last runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

# Each of the named sources with its two cursors, what a log list says of it, and its newest run. Uses pk_cursor,
# uq_source_name and ix_run_source_id_started_at.
LOGS: Final = """
SELECT n.name AS source, p.value AS position, k.value AS known, l.operator, l.description, l.state, l.mmd, l.listed,
    r.outcome, r.started_at, r.finished_at, r.error
FROM unnest(CAST(:names AS text[])) n (name)
LEFT JOIN cursor p ON p.name = 'source:' || n.name
LEFT JOIN cursor k ON k.name = 'ct:' || n.name
LEFT JOIN ct_log l ON l.name = n.name
LEFT JOIN source s ON s.name = n.name
LEFT JOIN LATERAL (
    SELECT outcome, started_at, finished_at, error FROM run WHERE run.source_id = s.id ORDER BY started_at DESC LIMIT 1
) r ON true
ORDER BY n.name
"""

# Logs of a list that were read once: they are shown after they are no longer chosen. Uses pk_cursor.
ONCE_READ: Final = """
SELECT l.name FROM ct_log l WHERE EXISTS (SELECT FROM cursor c WHERE c.name = 'source:' || l.name) ORDER BY l.name
"""


def logs(connection: Connection, names: Sequence[str]) -> list[dict[str, Any]]:
    """A row for each name: `position` and `known` as their cursors say, None where nothing was written."""
    return [dict(row) for row in connection.execute(text(LOGS), {"names": list(names)}).mappings()]


def once_read(connection: Connection) -> list[str]:
    """The sources of listed logs that have a position."""
    return list(connection.execute(text(ONCE_READ)).scalars())
