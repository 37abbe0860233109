"""The rules on connections with watched servers: flows in the clear, and clients outside the usual ranges.

`watch_flow` takes the flows with what is touched and watched, from the warehouse (see db/watching_whole.py). A fact
stands for all connections of one client and one service in a file, at their first and at their last time
(tasks/normalize/flow_records.py). Uses of ranges: an address is inside when a network that holds it, of any width, was
on a list of such networks on the day of the connection.
"""

from __future__ import annotations

from typing import Final

MOST: Final = 1_000
"""Facts on flows with one server that are read."""

TEMPORARY: Final = """
CREATE TEMP TABLE watch_flow (id bigint, way text, fact_id bigint, client_id bigint, kind text, port integer,
    proto text, services text[], first timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE watch_connection (id bigint, fact_id bigint, client_id bigint, address inet, port integer,
    event_time timestamptz, until timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE watch_range (source_id bigint, until timestamptz, used timestamptz, later boolean) ON COMMIT DROP;
CREATE TEMP TABLE watch_inside (address inet, until timestamptz, fact_id bigint) ON COMMIT DROP
"""

# Whether a batch says anything of ranges, that some are gone included. Uses ix_fact_history_batch_id and pk_fact, or
# ix_fact_object_id where few are listed.
RANGES_TOUCHED: Final = """
SELECT EXISTS (
    SELECT FROM fact_history h JOIN fact f ON f.id = h.fact_id AND f.predicate = 'listed'
    WHERE h.batch_id = :batch_id
        AND f.object_id IN (SELECT id FROM entity WHERE digest = ANY(CAST(:labels AS uuid[]))))
"""

# The watched servers with which somebody talked: their connections are judged with the ranges that are known now. Uses
# ix_entity_address and ix_fact_object_id.
REACH_SERVERS: Final = """
INSERT INTO watch_server
SELECT DISTINCT e.id
FROM (SELECT DISTINCT i.network FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.active
      WHERE i.match = 'network'
      UNION
      SELECT e.address FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.active
      JOIN entity e ON e.digest = encode(substr(sha256(convert_to(i.kind, 'UTF8') || '\\x00'::bytea
          || convert_to(i.value, 'UTF8')), 1, 16), 'hex')::uuid AND e.address IS NOT NULL
      WHERE i.match = 'entity' AND i.kind IN ('ip', 'endpoint')) c
CROSS JOIN LATERAL (SELECT id FROM entity WHERE address IS NOT NULL AND address >= c.network
    AND address <= set_masklen(broadcast(c.network), CASE family(c.network) WHEN 4 THEN 32 ELSE 128 END)
    AND address <<= c.network AND kind = 'endpoint' OFFSET 0) e
CROSS JOIN LATERAL (SELECT FROM fact WHERE object_id = e.id AND predicate = 'communicates-with' LIMIT 1) f
ON CONFLICT DO NOTHING
"""

_FIRST: Final = "(SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = f.id AND NOT h.ended)"
_FLOW: Final = "f.predicate = 'communicates-with' AND f.state = 'value' AND f.qualifiers->>'answered' IS NULL"

# The flows with what is touched and watched: to an endpoint, to a name in HTTP, and from an address. Uses
# ix_fact_object_id, ix_fact_subject_id_predicate_object_id, pk_entity and pk_fact_history.
FILL: Final = rf"""
INSERT INTO watch_flow
WITH touched AS (
    SELECT t.id, e.kind, e.value FROM (
        SELECT object_id AS id FROM watch_candidate WHERE predicate = 'communicates-with'
        UNION
        SELECT subject_id FROM watch_candidate WHERE predicate IN ('communicates-with', 'presents', 'uses')
        UNION
        SELECT id FROM watch_server
    ) t JOIN watch_entity e ON e.id = t.id AND e.kind IN ('endpoint', 'domain', 'ip')
    WHERE EXISTS (SELECT FROM watch_hit h WHERE h.entity_id = t.id)
)
SELECT t.id, 'to', f.id, f.subject_id, t.kind, substring(t.value FROM ':([0-9]+)$')::integer, f.qualifiers->>'proto',
    CASE WHEN f.qualifiers->>'field' = 'http-host' THEN ARRAY['http']
        ELSE string_to_array(f.qualifiers->>'service', ',') END, {_FIRST}
FROM touched t
CROSS JOIN LATERAL (SELECT * FROM fact f WHERE f.object_id = t.id AND {_FLOW} AND f.qualifiers->>'proto' IS NOT NULL
    AND (t.kind = 'endpoint' OR f.qualifiers->>'field' = 'http-host') LIMIT {MOST}) f
JOIN entity k ON k.id = f.subject_id AND k.kind = 'ip'
WHERE t.kind IN ('endpoint', 'domain')
UNION ALL
SELECT t.id, 'from', f.id, f.object_id, t.kind, substring(o.value FROM ':([0-9]+)$')::integer, f.qualifiers->>'proto',
    string_to_array(f.qualifiers->>'service', ','), {_FIRST}
FROM touched t
CROSS JOIN LATERAL (SELECT * FROM fact f WHERE f.subject_id = t.id AND {_FLOW} AND f.qualifiers->>'proto' IS NOT NULL
    LIMIT {MOST}) f
JOIN entity o ON o.id = f.object_id AND o.kind = 'endpoint'
WHERE t.kind = 'ip'
"""  # noqa: S608 - put together from constants

# All flows that were read. No index: temporary tables.
JUDGED: Final = """
INSERT INTO watch_judged SELECT r.rule, f.fact_id FROM watch_flow f
CROSS JOIN (VALUES ('clear-c2'), ('outside-vpn')) r (rule)
"""

# Flows whose service says all to whoever listens, and those to ports of such services of which nobody saw what they
# said. What is new is the server: clients are many. Whether TLS was seen with it as well is said besides. Uses
# ix_fact_subject_id_predicate_object_id.
CLEAR: Final = """
WITH placed AS MATERIALIZED (
    SELECT f.*, CASE
        WHEN f.services && CAST(:secure AS text[]) THEN 'secure'
        WHEN f.services && CAST(:clear AS text[]) THEN 'clear'
        WHEN f.services IS NULL AND f.proto = 'tcp' AND f.port = ANY(:ports) THEN 'port' END AS class
    FROM watch_flow f
), found AS MATERIALIZED (
    SELECT h.watch_id, h.item_id, h.since, e.digest::text AS novelty, p.*
    FROM placed p JOIN watch_entity e ON e.id = p.id JOIN watch_hit h ON h.entity_id = p.id
    WHERE p.class IN ('clear', 'port')
), said AS (
    INSERT INTO watch_said
    SELECT 'clear-c2', f.watch_id, f.novelty, '', CASE f.class WHEN 'port' THEN 'port ' || f.port ELSE 'service ' || (
        SELECT min(s) FROM unnest(f.services) s WHERE s = ANY(CAST(:clear AS text[]))) END, NULL::timestamptz
    FROM found f
    UNION
    SELECT 'clear-c2', f.watch_id, f.novelty, '', 'tls-clients', NULL FROM found f
    GROUP BY f.watch_id, f.novelty
    HAVING bool_and(EXISTS (SELECT FROM placed x
        WHERE (x.id, x.client_id, x.way, x.class) = (f.id, f.client_id, f.way, 'secure')))
    UNION
    SELECT 'clear-c2', f.watch_id, f.novelty, '', 'tls-server', NULL FROM found f
    WHERE EXISTS (SELECT FROM fact t WHERE t.subject_id = f.id AND t.predicate = 'presents' AND t.state = 'value')
        OR EXISTS (SELECT FROM placed x WHERE (x.id, x.way, x.class) = (f.id, f.way, 'secure'))
)
INSERT INTO watch_match
SELECT 'clear-c2', watch_id, item_id, since, id, NULL::bigint, novelty, first, fact_id, NULL::bigint FROM found
"""

# Connections with the administration of a watched server, at each time that is known of them, with the end of the day.
# Uses pk_entity and pk_fact_history.
CONNECTIONS: Final = """
INSERT INTO watch_connection
SELECT f.id, f.fact_id, f.client_id, k.address, f.port, h.event_time,
    date_trunc('day', h.event_time, 'UTC') + interval '24 hours'
FROM watch_flow f
JOIN entity k ON k.id = f.client_id AND NOT k.address <<= ANY(ARRAY['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16',
    '100.64.0.0/10', 'fc00::/7', 'fe80::/10']::inet[] || CAST(:own AS inet[]))
JOIN fact_history h ON h.fact_id = f.fact_id AND NOT h.ended
WHERE f.kind = 'endpoint' AND f.way = 'to'
    AND (f.port = ANY(:ports) OR f.services && CAST(:services AS text[]))
"""

# Which list of ranges speaks of each day, by source: the last that was taken by its end; where there is none, the first
# one after, which is said. Uses ix_fact_object_id, ix_document_source_id_location and ix_run_source_id_started_at.
RANGES: Final = """
INSERT INTO watch_range
SELECT s.source_id, u.until, coalesce(b.at, l.at), b.at IS NULL
FROM (SELECT DISTINCT source_id FROM fact WHERE predicate = 'listed'
      AND object_id IN (SELECT id FROM entity WHERE digest = ANY(CAST(:labels AS uuid[])))) s
CROSS JOIN (SELECT DISTINCT until FROM watch_connection) u
CROSS JOIN LATERAL (SELECT greatest(
    (SELECT max(as_of) FROM document d WHERE d.source_id = s.source_id AND d.as_of < u.until),
    (SELECT max(started_at) FROM run r WHERE r.source_id = s.source_id AND r.outcome = 'unchanged'
        AND r.started_at < u.until)) AS at) b
CROSS JOIN LATERAL (SELECT min(as_of) AS at FROM document d WHERE d.source_id = s.source_id) l
WHERE coalesce(b.at, l.at) IS NOT NULL
"""

# Networks of the ranges that hold a client, and that their list named then: an equality for each width that a network
# may have. Uses ix_entity_address, ix_fact_subject_id_predicate_object_id and pk_fact_history.
INSIDE: Final = """
WITH holding AS MATERIALIZED (
    SELECT c.address, c.until, e.id
    FROM (SELECT DISTINCT address, until FROM watch_connection) c
    CROSS JOIN LATERAL (
        SELECT network(set_masklen(c.address, bits))::inet AS network
        FROM generate_series(8, CASE family(c.address) WHEN 4 THEN 32 ELSE 128 END) bits
    ) n
    CROSS JOIN LATERAL (SELECT id FROM entity WHERE address = n.network AND address IS NOT NULL
        AND kind IN ('network', 'ip') OFFSET 0) e
)
INSERT INTO watch_inside
SELECT DISTINCT c.address, c.until, f.id
FROM holding c
CROSS JOIN LATERAL (SELECT * FROM fact WHERE subject_id = c.id AND predicate = 'listed' AND state = 'value' OFFSET 0) f
JOIN entity l ON l.id = f.object_id AND l.digest = ANY(CAST(:labels AS uuid[]))
JOIN watch_range r ON (r.source_id, r.until) = (f.source_id, c.until)
CROSS JOIN LATERAL (SELECT CASE WHEN r.later THEN r.used + interval '1 microsecond' ELSE r.until END AS by) t
WHERE EXISTS (SELECT FROM fact_history b WHERE b.fact_id = f.id AND NOT b.ended AND b.event_time < t.by
    AND NOT EXISTS (SELECT FROM fact_history p WHERE p.fact_id = f.id AND p.ended AND p.event_time > b.event_time
        AND p.event_time < t.by))
"""

_DAY: Final = "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD')"

# Clients outside of all ranges of the day, where the same port of the same server is usually reached from inside them.
# What is new is who came; up to three of the usual connections, and the ranges that hold them, are known.
OUTSIDE: Final = f"""
WITH placed AS MATERIALIZED (
    SELECT c.*, EXISTS (SELECT FROM watch_inside i WHERE (i.address, i.until) = (c.address, c.until)) AS inside
    FROM watch_connection c WHERE EXISTS (SELECT FROM watch_range r WHERE r.until = c.until)
), usual AS MATERIALIZED (
    SELECT id, count(DISTINCT (client_id, until)) FILTER (WHERE inside) AS inside FROM placed GROUP BY id
    HAVING count(DISTINCT (client_id, until)) FILTER (WHERE inside) >= :usual
        AND count(DISTINCT (client_id, until)) FILTER (WHERE inside)
            > count(DISTINCT (client_id, until)) FILTER (WHERE NOT inside)
), known AS MATERIALIZED (
    SELECT u.id, x.fact_id FROM usual u
    CROSS JOIN LATERAL (SELECT fact_id, address, until FROM placed p WHERE p.id = u.id AND p.inside
        ORDER BY event_time, fact_id LIMIT 3) c
    CROSS JOIN LATERAL (SELECT c.fact_id UNION SELECT min(i.fact_id) FROM watch_inside i
        WHERE (i.address, i.until) = (c.address, c.until)) x
), found AS MATERIALIZED (
    SELECT h.watch_id, h.item_id, h.since, k.digest || ' ' || e.digest AS novelty, p.*, u.inside AS usual,
        min(p.until) OVER (PARTITION BY h.watch_id, p.client_id, p.id) AS first
    FROM placed p JOIN usual u ON u.id = p.id JOIN watch_hit h ON h.entity_id = p.id
    JOIN watch_entity e ON e.id = p.id JOIN entity k ON k.id = p.client_id
    WHERE NOT p.inside
), said AS (
    INSERT INTO watch_said
    SELECT 'outside-vpn', watch_id, novelty, '', 'port ' || port, NULL::timestamptz FROM found
    UNION
    SELECT 'outside-vpn', watch_id, novelty, '', 'usual ' || usual, NULL FROM found
    UNION
    SELECT 'outside-vpn', f.watch_id, f.novelty, '', 'ranges ' || CASE WHEN r.later THEN 'later '
        WHEN r.used >= r.until - interval '24 hours' THEN 'same ' ELSE 'earlier ' END || {_DAY.format("r.used")} || ' '
        || s.name, NULL
    FROM found f JOIN watch_range r ON r.until = f.first JOIN source s ON s.id = r.source_id
)
INSERT INTO watch_match
SELECT 'outside-vpn', f.watch_id, f.item_id, f.since, f.client_id, f.id, f.novelty, f.event_time, f.fact_id, k.fact_id
FROM found f JOIN known k ON k.id = f.id
"""  # noqa: S608 - put together from constants
