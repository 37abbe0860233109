"""The statements of the rules, by name: `watch_candidate`, `watch_mention` and `watch_hit` in, `watch_match` out.

A statement adds a row for each fact that makes a match: the item, what was found (`subject_id`), what else the title
names (`other_id`), the text whose digest is the finding's novelty (stable values only: digests of entities, names of
sources, days), and a known fact that the new one meets. `after` is the first day on which a fact is news to an item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from db.ownership_effects import applies, taken
from db.watching_hosts import REUSED_CERTIFICATE
from db.watching_patterns import NEW, OF_MATCHES, OF_NEW_DOMAINS
from db.watching_versions import OF_VERSIONS

# What the candidates name as something that a source points at: the subject of a statement by a source, and the object
# of what connects two things. Registration and resolution facts about a known name do not make that name news, and that
# two hashes are one certificate's is for the monitor of certificates.
MENTIONS: Final = f"""
INSERT INTO watch_mention
SELECT c.fact_id, c.subject_id, c.source_id, c.event_time
FROM watch_candidate c LEFT JOIN watch_entity o ON o.id = c.object_id
WHERE c.predicate IN ('attributed-to', 'reported-in', 'associated-with', 'communicates-with', 'downloads')
    OR (c.predicate = 'listed' AND (o.kind, o.value) IS DISTINCT FROM ('label', '{NEW}'))
UNION
SELECT c.fact_id, c.object_id, c.source_id, c.event_time
FROM watch_candidate c JOIN watch_entity o ON o.id = c.object_id
WHERE c.predicate IN ('uses-name-server', 'uses-mail-host', 'communicates-with', 'downloads', 'registered-by', 'uses')
    OR (c.predicate = 'resolves-to' AND o.scope <> '') OR (c.predicate = 'same-as' AND o.kind <> 'certificate')
"""  # noqa: S608 - put together from constants

_EXACT: Final = """
INSERT INTO watch_match
SELECT 'exact', h.watch_id, h.item_id, h.since, e.id, NULL, e.digest || ' ' || s.name, m.event_time,
    m.fact_id, NULL::bigint
FROM watch_mention m
JOIN watch_hit h ON h.entity_id = m.entity_id AND h.match = 'entity' AND (h.after IS NULL OR m.event_time >= h.after)
JOIN watch_entity e ON e.id = m.entity_id
JOIN source s ON s.id = m.source_id
"""

_SAME_DOMAIN: Final = """
INSERT INTO watch_match
SELECT 'same-domain', h.watch_id, h.item_id, h.since, e.id, NULL, e.digest::text, m.event_time,
    m.fact_id, NULL::bigint
FROM watch_mention m
JOIN watch_hit h ON h.entity_id = m.entity_id AND h.match IN ('scope', 'subtree')
    AND (h.after IS NULL OR m.event_time >= h.after)
JOIN watch_entity e ON e.id = m.entity_id AND e.kind IN ('domain', 'url', 'email', 'endpoint', 'name-server')
"""

_SAME_ADDRESS: Final = """
INSERT INTO watch_match
SELECT 'same-address', h.watch_id, h.item_id, h.since, e.id, NULL, e.digest::text, m.event_time,
    m.fact_id, NULL::bigint
FROM watch_mention m
JOIN watch_hit h ON h.entity_id = m.entity_id AND h.match = 'network' AND (h.after IS NULL OR m.event_time >= h.after)
JOIN watch_entity e ON e.id = m.entity_id AND e.kind IN ('ip', 'endpoint', 'url', 'network')
"""

_NEW_RESOLUTION: Final = """
INSERT INTO watch_match
SELECT 'new-resolution', h.watch_id, h.item_id, h.since, s.id, o.id, s.digest || ' ' || o.digest, c.event_time,
    c.fact_id, NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id
JOIN watch_entity o ON o.id = c.object_id
JOIN watch_hit h ON h.entity_id = c.subject_id AND h.match <> 'network' AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate IN ('resolves-to', 'uses-name-servers')
UNION ALL
SELECT 'new-resolution', h.watch_id, h.item_id, h.since, s.id, o.id, s.digest || ' ' || o.digest, c.event_time,
    c.fact_id, NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id
JOIN watch_entity o ON o.id = c.object_id AND o.address IS NOT NULL
JOIN watch_hit h ON h.entity_id = c.object_id AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate = 'resolves-to'
"""

# Sources give the creation time to the second or to the day: a registration is one per day.
_REGISTERED: Final = """
INSERT INTO watch_match
SELECT 'registered', h.watch_id, h.item_id, h.since, s.id, o.id, s.digest || ' ' || left(o.value, 10), c.event_time,
    c.fact_id, r.fact_id
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id
JOIN watch_entity o ON o.id = c.object_id
JOIN watch_hit h ON h.entity_id = c.subject_id AND h.match <> 'network' AND (h.after IS NULL OR c.event_time >= h.after)
LEFT JOIN watch_candidate r ON r.subject_id = c.subject_id AND r.predicate IN ('registered-through', 'registered-by')
WHERE c.predicate = 'created'
"""

# The person who registered, not the technical contact, who is often the hoster's. Two names of the watch count as well:
# whether both are watched may depend on what is claimed later, and a shared registrant is a lapse all the same. Two
# known domains are enough to compare with, those known longest: every other one differs from at least one of them. What
# was stated of a domain that was no longer whose it had been ties nobody to it (db/ownership.py).
_SHARED_REGISTRANT: Final = f"""
WITH known AS (
    SELECT DISTINCT ON (h.watch_id, w.object_id, e.scope) h.watch_id, h.item_id, h.since, h.after, w.object_id,
        w.fact_id, e.id AS entity_id, e.scope
    FROM watch_candidate w
    JOIN watch_hit h ON h.entity_id = w.subject_id AND h.match <> 'network'
    JOIN watch_entity e ON e.id = w.subject_id AND e.scope <> ''
    WHERE w.predicate = 'registered-by' AND coalesce(w.role, 'registrant') = 'registrant'
        AND NOT EXISTS (SELECT FROM watch_ended o WHERE o.entity_id = w.subject_id AND o.ended_at <= w.event_time
            AND {applies("o", "h.since", "watch_ended")})
    ORDER BY h.watch_id, w.object_id, e.scope, h.since NULLS FIRST, h.item_id, w.fact_id
)
INSERT INTO watch_match
SELECT 'shared-registrant', k.watch_id, k.item_id, k.since, d.id, k.entity_id, d.digest || ' ' || r.digest,
    c.event_time, c.fact_id, k.fact_id
FROM (
    SELECT *, row_number() OVER (PARTITION BY watch_id, object_id ORDER BY since NULLS FIRST, item_id, fact_id) AS rank
    FROM known
) k
JOIN watch_candidate c ON c.object_id = k.object_id AND c.predicate = 'registered-by'
    AND coalesce(c.role, 'registrant') = 'registrant' AND (k.after IS NULL OR c.event_time >= k.after)
JOIN watch_entity d ON d.id = c.subject_id AND d.scope <> '' AND d.scope <> k.scope
JOIN watch_entity r ON r.id = c.object_id AND r.kind IN ('email', 'registrant', 'phone', 'handle')
WHERE k.rank <= 2 AND NOT EXISTS (SELECT FROM watch_ended o WHERE o.entity_id = c.subject_id
    AND {taken("o", "c.event_time", "watch_ended")})
"""  # noqa: S608 - put together from constants

_CERTIFICATE_NAME: Final = """
INSERT INTO watch_match
SELECT 'certificate-name', h.watch_id, h.item_id, h.since, s.id, o.id, s.digest::text, c.event_time,
    c.fact_id, NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id AND s.kind = 'certificate'
JOIN watch_entity o ON o.id = c.object_id
JOIN watch_hit h ON h.entity_id = c.object_id AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate = 'names'
"""

# A renewal for the same registrable domain with the same key says nothing new; the key of a certificate that names
# watched names in a certificate for another domain does. Two certificates of each domain are enough to compare with:
# every other one differs from at least one of them. A certificate that the watch knows by itself is not another one.
_REUSED_KEY: Final = """
WITH certificate AS (
    SELECT DISTINCT ON (h.watch_id, k.object_id, e.place, n.subject_id) h.watch_id, h.item_id, h.since, h.after,
        k.object_id AS key_id, k.fact_id AS key_fact_id, n.fact_id AS name_fact_id, n.subject_id AS certificate_id,
        e.place
    FROM watch_candidate n
    JOIN watch_hit h ON h.entity_id = n.object_id
    JOIN LATERAL (SELECT coalesce(nullif(scope, ''), value) AS place FROM watch_entity WHERE id = n.object_id) e ON true
    JOIN watch_candidate k ON k.subject_id = n.subject_id AND k.predicate = 'has-key'
    WHERE n.predicate = 'names'
    ORDER BY h.watch_id, k.object_id, e.place, n.subject_id, h.since NULLS FIRST, h.item_id, n.fact_id
), watched AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY watch_id, key_id, place ORDER BY since NULLS FIRST, item_id,
            name_fact_id) AS rank FROM certificate
    ) ranked WHERE rank <= 2
)
INSERT INTO watch_match
SELECT 'reused-key', h.watch_id, h.item_id, h.since, s.id, NULL::bigint, o.digest || ' ' || s.digest, c.event_time,
    c.fact_id, NULL::bigint
FROM watch_candidate c
JOIN watch_entity s ON s.id = c.subject_id
JOIN watch_entity o ON o.id = c.object_id
JOIN watch_hit h ON h.entity_id = c.object_id AND h.match = 'entity' AND (h.after IS NULL OR c.event_time >= h.after)
WHERE c.predicate = 'has-key'
    AND NOT EXISTS (SELECT FROM watch_known x WHERE (x.certificate_id, x.watch_id) = (c.subject_id, h.watch_id))
UNION ALL
SELECT 'reused-key', w.watch_id, w.item_id, w.since, s.id, w.certificate_id, o.digest || ' ' || s.digest, c.event_time,
    c.fact_id, known.fact_id
FROM watched w
JOIN watch_candidate c ON c.object_id = w.key_id AND c.predicate = 'has-key' AND c.subject_id <> w.certificate_id
    AND (w.after IS NULL OR c.event_time >= w.after)
JOIN watch_entity s ON s.id = c.subject_id
JOIN watch_entity o ON o.id = c.object_id
CROSS JOIN LATERAL (VALUES (w.key_fact_id), (w.name_fact_id)) known (fact_id)
WHERE EXISTS (
    SELECT FROM watch_candidate n JOIN watch_entity e ON e.id = n.object_id
    WHERE n.subject_id = c.subject_id AND n.predicate = 'names' AND coalesce(nullif(e.scope, ''), e.value) <> w.place)
    AND NOT EXISTS (SELECT FROM watch_known x WHERE (x.certificate_id, x.watch_id) = (c.subject_id, w.watch_id))
"""

_MIXED_CERTIFICATE: Final = """
INSERT INTO watch_match
SELECT 'mixed-certificate', w.watch_id, w.item_id, w.since, s.id, u.id, s.digest::text, c.event_time,
    c.fact_id, w.fact_id
FROM (
    SELECT DISTINCT ON (h.watch_id, n.subject_id) h.watch_id, h.item_id, h.since, h.after, n.subject_id, n.fact_id
    FROM watch_candidate n
    JOIN watch_hit h ON h.entity_id = n.object_id AND (h.after IS NULL OR n.event_time >= h.after)
    JOIN watch_entity e ON e.id = n.object_id AND e.scope <> ''
    WHERE n.predicate = 'names'
    ORDER BY h.watch_id, n.subject_id, h.since NULLS FIRST, h.item_id, n.fact_id
) w
JOIN watch_entity s ON s.id = w.subject_id AND s.kind = 'certificate'
JOIN watch_candidate c ON c.subject_id = w.subject_id AND c.predicate = 'names'
JOIN watch_entity u ON u.id = c.object_id AND u.scope <> ''
WHERE NOT EXISTS (
    SELECT FROM watch_candidate n
    JOIN watch_hit h ON h.entity_id = n.object_id
    JOIN watch_entity e ON e.id = n.object_id
    WHERE n.predicate = 'names' AND (n.subject_id, h.watch_id, e.scope) = (w.subject_id, w.watch_id, u.scope))
"""

STATEMENTS: Final[Mapping[str, str]] = {
    "exact": _EXACT,
    "same-domain": _SAME_DOMAIN,
    "same-address": _SAME_ADDRESS,
    "new-resolution": _NEW_RESOLUTION,
    "registered": _REGISTERED,
    "shared-registrant": _SHARED_REGISTRANT,
    "certificate-name": _CERTIFICATE_NAME,
    "reused-key": _REUSED_KEY,
    "reused-certificate": REUSED_CERTIFICATE,
    "mixed-certificate": _MIXED_CERTIFICATE,
    **OF_MATCHES,
    **OF_NEW_DOMAINS,
    **OF_VERSIONS,
}

# What rested on something not being watched is withdrawn once it is: otherwise the findings would depend on whether the
# claim or the certificate came first. Uses ix_finding_subject_id.
WITHDRAW_WATCHED: Final = """
UPDATE finding n SET status = 'withdrawn', status_reason = 'what it named as unwatched is watched now',
    changed_at = clock_timestamp()
FROM (
    SELECT DISTINCT c.subject_id, h.watch_id, CASE c.predicate WHEN 'names' THEN ARRAY['mixed-certificate']
        ELSE ARRAY['reused-certificate', 'reused-key'] END AS rules
    FROM watch_candidate c
    JOIN watch_hit h ON h.entity_id = CASE c.predicate WHEN 'names' THEN c.object_id ELSE c.subject_id END
    WHERE c.predicate IN ('names', 'presents')
) x
WHERE n.subject_id = x.subject_id AND n.watch_id = x.watch_id AND n.rule = ANY(x.rules)
    AND n.status IN ('open', 'acknowledged')
    AND NOT EXISTS (SELECT FROM watch_match m WHERE (m.watch_id, m.rule, m.subject_id)
                    = (n.watch_id, n.rule, n.subject_id))
"""
