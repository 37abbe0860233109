"""Where logs hold the certificate of a finding: a finding in, places out, in every form and log. Read only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

# The forms of the finding's certificate, up to three steps away (db/watching_forms.py), and the entries that hold them.
# Uses pk_finding, pk_link, ix_link_object_id and ix_fact_subject_id_predicate_object_id.
PLACES: Final = """
WITH RECURSIVE form (id, step) AS (
    SELECT e.id, 0 FROM finding n JOIN entity e ON e.id = n.subject_id AND e.kind = 'certificate'
    WHERE n.id = :finding_id
    UNION
    SELECT other.id, f.step + 1 FROM form f
    CROSS JOIN LATERAL (
        SELECT object_id AS id FROM link WHERE subject_id = f.id AND predicate = 'same-as'
        UNION ALL
        SELECT subject_id FROM link WHERE object_id = f.id AND predicate = 'same-as'
    ) other
    WHERE f.step < 3
)
SELECT s.name AS log, e.value AS certificate, CAST(f.qualifiers->>'index' AS bigint) AS index,
    f.qualifiers->>'leaf-hash' AS leaf_hash, coalesce(f.qualifiers->>'chain', '') AS chain, d.location, d.sha256,
    coalesce(c.protocol, '') AS protocol
FROM (SELECT DISTINCT id FROM form) x
JOIN fact f ON f.subject_id = x.id AND f.predicate = 'logged-in'
JOIN entity e ON e.id = f.subject_id
JOIN source s ON s.id = f.source_id
LEFT JOIN document d ON d.id = f.document_id
LEFT JOIN ct_log c ON c.name = s.name
ORDER BY s.name, index, f.id LIMIT :limit
"""


def places(connection: Connection, finding_id: int, *, limit: int) -> Sequence[Any]:
    """The entries that hold the certificate of a finding; none where it is about none."""
    return connection.execute(text(PLACES), {"finding_id": finding_id, "limit": limit}).all()
