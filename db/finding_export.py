"""Findings to be exported: records as publishing has them, and what an export shows besides. Read only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, text

from db.publishing_findings import findings
from db.publishing_records import FindingRecord

BLOCK: Final = 1_000
"""Findings that are read at once."""

# What publishing doesn't need of a finding. Uses pk_finding, pk_entity, uq_entity_digest and pk_ownership_end.
_MORE: Final = r"""
SELECT f.id, f.annotations, f.status_reason, EXISTS (
    SELECT FROM entity z JOIN ownership_end o ON o.entity_id = z.id AND o.ended_at >= coalesce(f.event_time, f.found_at)
    WHERE z.digest IN (e.digest, encode(substr(sha256(convert_to('domain', 'UTF8') || '\x00'::bytea
        || convert_to(e.scope, 'UTF8')), 1, 16), 'hex')::uuid)
) AS ended
FROM finding f JOIN entity e ON e.id = f.subject_id WHERE f.id >= :low AND f.id < :high
"""
# Blocks that have findings in these statuses; the others are not read. Uses ix_finding_status.
_BLOCKS: Final = """
SELECT DISTINCT id / :size AS block FROM finding WHERE status = ANY(:statuses) ORDER BY 1
"""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A finding, and what lists and people say of it; `annotations` as in `finding.annotations`.

    `ended` where the domain of its subject ceased to be whose it was, then or since (db/ownership.py).
    """

    record: FindingRecord
    annotations: tuple[dict[str, Any], ...] = ()
    status_reason: str = ""
    ended: bool = False


def exported(
    connection: Connection, *, statuses: Sequence[str], personal: frozenset[str], watch: str = "", size: int = BLOCK
) -> Iterator[Exported]:
    """The findings in these statuses, of one watch or all, in the order of their ids; a block at a time in memory."""
    values = {"size": size, "statuses": list(statuses)}
    wanted = frozenset(statuses)
    for block in connection.execute(text(_BLOCKS), values).scalars().all():
        bounds = {"low": block * size, "high": (block + 1) * size}
        more = {row.id: row for row in connection.execute(text(_MORE), bounds)}
        for record in findings(connection, block=block, size=size, personal=personal):
            if record.status in wanted and watch in {"", record.watch_name}:
                said = more[record.id]
                yield Exported(
                    record=record,
                    annotations=tuple(said.annotations),
                    status_reason=said.status_reason,
                    ended=said.ended,
                )
