"""Findings as a queue: listed, the most urgent first. Read only."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text

# Uses ix_finding_status.
LIST: Final = """
SELECT f.id AS finding, f.severity, f.lapse, w.name AS watch, f.rule, f.title, f.status, f.status_reason, f.event_time,
    f.found_at, e.kind AS subject_kind, e.value AS subject,
    (SELECT count(*) FROM finding_fact ff WHERE ff.finding_id = f.id) AS evidence,
    jsonb_array_length(f.annotations) AS annotations
FROM finding f JOIN watch w ON w.id = f.watch_id JOIN entity e ON e.id = f.subject_id
WHERE (:status = 'all' OR f.status = :status) AND (:watch = '' OR w.name = :watch) AND (NOT :lapses OR f.lapse)
ORDER BY f.severity DESC, f.id DESC LIMIT :limit
"""


def list_findings(
    connection: Connection, *, status: str = "open", watch: str = "", lapses: bool = False, limit: int = 50
) -> list[dict[str, Any]]:
    """Findings in a status (`all` for every one), of a watch, or lapses alone; titles have people's data masked."""
    values = {"status": status, "watch": watch, "lapses": lapses, "limit": limit}
    return [dict(row) for row in connection.execute(text(LIST), values).mappings()]
