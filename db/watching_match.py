"""What the monitors ask the warehouse: candidates and hits come in as tables of one transaction, findings go out.

A monitor fills `watch_candidate` with facts, `watch_hit` with the entities in them that a watch looks for, lets each
rule's statement (db/watching_rules.py) add to `watch_match`, and stores what came together as findings. The same
statements serve both directions: forwards over the facts of a batch, backwards over what stands in the warehouse about
the entities of new items. Every statement is monotone in facts, or withdraws what a later fact disproves, so that the
findings depend on what was stated, not on when it came.

Raw SQL: temporary tables, lateral joins and data-modifying CTEs have no form in SQLAlchemy Core that would read
better. Each statement has a name, and a test shows that its index is used.
"""

from __future__ import annotations

from typing import Final

HUB: Final = 1_000
"""Facts that name one registrant or one key, from which on it is a hub: no more of them are read for a batch, and what
rests on it says so."""

TEMPORARY: Final = """
CREATE TEMP TABLE watch_candidate (fact_id bigint PRIMARY KEY, subject_id bigint, predicate text, object_id bigint,
    source_id bigint, role text, event_time timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE watch_entity (id bigint PRIMARY KEY, digest uuid, kind text, value text, scope text, address inet,
    host text) ON COMMIT DROP;
CREATE TEMP TABLE watch_hit (entity_id bigint, watch_id bigint, item_id bigint, match text, since timestamptz,
    after timestamptz) ON COMMIT DROP;
CREATE TEMP TABLE watch_mention (fact_id bigint, entity_id bigint, source_id bigint, event_time timestamptz)
    ON COMMIT DROP;
CREATE TEMP TABLE watch_match (rule text, watch_id bigint, item_id bigint, since timestamptz, subject_id bigint,
    other_id bigint, novelty text, event_time timestamptz, fact_id bigint, known_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE watch_form (id bigint PRIMARY KEY, own text, label text) ON COMMIT DROP;
CREATE TEMP TABLE watch_known (certificate_id bigint, watch_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE watch_note (watch_id bigint, certificate_id bigint, hub text, list text, what text) ON COMMIT DROP;
CREATE TEMP TABLE watch_domain (id bigint PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE watch_taker (reason text, match text, value text, network inet, since timestamptz, until timestamptz,
    how text) ON COMMIT DROP;
CREATE TEMP TABLE watch_end (entity_id bigint, ended_at timestamptz, reason text, fact_id bigint, known_id bigint,
    how text) ON COMMIT DROP;
CREATE TEMP TABLE watch_moved (id bigint PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE watch_ended (entity_id bigint, ended_at timestamptz, reason text) ON COMMIT DROP;
CREATE TEMP TABLE watch_said (rule text, watch_id bigint, novelty text, field text, how text, began timestamptz)
    ON COMMIT DROP;
CREATE TEMP TABLE watch_judged (rule text, fact_id bigint, subject_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE watch_hub (id bigint PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE watch_chunk (id bigint PRIMARY KEY, match text, kind text, value text, scope text, network inet)
    ON COMMIT DROP;
CREATE TEMP TABLE watch_swept_entity (id bigint PRIMARY KEY) ON COMMIT DROP;
CREATE TEMP TABLE watch_found (rule text, watch_id bigint, novelty uuid, item_id bigint, subject_id bigint,
    other_id bigint, event_time timestamptz, fact_id bigint) ON COMMIT DROP;
CREATE TEMP TABLE watch_new (watch_id bigint, rule text, novelty uuid, lapse boolean, title text, severity smallint,
    annotations jsonb) ON COMMIT DROP;
"""


def candidates(facts: str, *, role: str = "NULL") -> str:
    """The statement that adds to the candidates the facts `f` of a FROM clause that were ever so.

    The event time is when a fact was first so (pk_fact_history). OFFSET 0 keeps the planner from asking for it twice.
    """
    return f"""
INSERT INTO watch_candidate
SELECT * FROM (
    SELECT f.id, f.subject_id, f.predicate, f.object_id, f.source_id, {role},
        (SELECT min(h.event_time) FROM fact_history h WHERE h.fact_id = f.id AND NOT h.ended) AS first
    {facts}
    OFFSET 0
) facts WHERE first IS NOT NULL
ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants


# A match is stated as unparsed where it was found in octets that nobody can parse: the role says so.
_ROLE: Final = "coalesce(f.qualifiers->>'role', nullif(f.state, 'value'))"
_STATED: Final = "(f.state = 'value' OR f.predicate = 'matches')"

# The facts of a batch. Uses ix_fact_batch_id.
BATCH_FACTS: Final = candidates(
    f"FROM fact f WHERE f.batch_id = :batch_id AND f.predicate = ANY(:predicates) AND {_STATED}",
    role=_ROLE,
)

# Facts of earlier batches that this batch states as of an earlier time than anybody before, and facts that had only
# ever been ended. Uses ix_fact_history_batch_id, pk_fact and pk_fact_history.
RESTATED_FACTS: Final = f"""
WITH restated AS MATERIALIZED (
    SELECT fact_id, event_time FROM (
        SELECT fact_id, min(event_time) AS event_time FROM fact_history WHERE batch_id = :batch_id AND NOT ended
        GROUP BY fact_id
    ) r
    WHERE NOT EXISTS (SELECT FROM fact_history h
                      WHERE h.fact_id = r.fact_id AND h.event_time < r.event_time AND NOT h.ended)
)
INSERT INTO watch_candidate
SELECT f.id, f.subject_id, f.predicate, f.object_id, f.source_id, {_ROLE}, r.event_time
FROM restated r
JOIN fact f ON f.id = r.fact_id AND f.batch_id <> :batch_id AND f.predicate = ANY(:predicates) AND {_STATED}
ON CONFLICT DO NOTHING
"""  # noqa: S608 - put together from constants

# What sources claim of followed actors in the candidates becomes items: the places that it stands on, and certificates
# and keys themselves. A place that many share is followed too: lists and hubs take from what a finding there is worth,
# they drop none. The earliest claim counts: an item that turns out to be known earlier is looked backwards for again.
FOLLOW: Final = """
INSERT INTO watch_item (watch_id, match, kind, value, network, since)
SELECT w.id, x.match, x.kind, x.value, x.network, min(c.event_time)
FROM watch_candidate c
JOIN watch w ON w.actor_id = c.object_id AND w.follows_actor AND w.active
JOIN entity e ON e.id = c.subject_id
CROSS JOIN LATERAL (VALUES ('scope', '', e.scope, NULL::inet), ('network', '', CASE WHEN masklen(e.address) =
    CASE family(e.address) WHEN 4 THEN 32 ELSE 128 END THEN host(e.address) ELSE text(network(e.address)) END,
    network(e.address)::inet), ('entity', e.kind, CASE WHEN e.kind IN ('certificate', 'public-key') THEN e.value END,
    NULL)) x (match, kind, value, network)
WHERE c.predicate = 'attributed-to' AND x.value <> ''
GROUP BY w.id, x.match, x.kind, x.value, x.network
ORDER BY w.id, x.match, x.kind, x.value
ON CONFLICT (watch_id, match, digest) DO UPDATE SET since = excluded.since, swept = '{}'
WHERE watch_item.since > excluded.since
"""

# All that is claimed of the actor of one watch. Uses ix_fact_object_id.
CLAIMS: Final = candidates(
    "FROM watch w JOIN fact f ON f.object_id = w.actor_id"
    " WHERE w.id = :watch_id AND f.predicate = 'attributed-to' AND f.state = 'value'"
)

# Facts that name a registrant which the candidates name too, as many as a hub has. Uses ix_fact_object_id.
SAME_REGISTRANT: Final = candidates(
    "FROM (SELECT DISTINCT object_id FROM watch_candidate WHERE predicate = 'registered-by') c"  # noqa: S608 - constants
    " CROSS JOIN LATERAL (SELECT * FROM fact WHERE object_id = c.object_id AND predicate = 'registered-by'"
    f" AND state = 'value' LIMIT {HUB}) f",
    role=_ROLE,
)

# What is stated of certificates, and so makes one a candidate.
_OF_CERTIFICATES: Final = "('names', 'has-key', 'matches', 'logged-in', 'same-as')"

# The keys of the candidates' certificates and of their other forms (db/watching_forms.py), and the certificates with
# them, as many as a hub has. Uses ix_fact_object_id and ix_fact_subject_id_predicate_object_id.
SAME_KEY: Final = candidates(f"""FROM (
        SELECT object_id AS key_id FROM watch_candidate WHERE predicate = 'has-key'
        UNION
        SELECT k.object_id FROM (
            SELECT subject_id AS id FROM watch_candidate WHERE predicate IN {_OF_CERTIFICATES}
            UNION
            SELECT object_id FROM watch_candidate WHERE predicate IN ('same-as', 'presents')
        ) c JOIN fact k ON k.subject_id = c.id AND k.predicate = 'has-key' AND k.state = 'value'
    ) keys
    CROSS JOIN LATERAL (SELECT * FROM fact WHERE object_id = keys.key_id AND predicate = 'has-key' AND state = 'value'
        LIMIT {HUB}) f""")  # noqa: S608 - put together from constants

# Registrants and keys that so many of the candidates name.
HUBS: Final = f"""
INSERT INTO watch_hub
SELECT object_id FROM watch_candidate WHERE predicate IN ('registered-by', 'has-key')
GROUP BY object_id HAVING count(*) >= {HUB}
"""  # noqa: S608 - put together from constants

# All that the candidates' certificates name and match, and where they were logged. Uses
# ix_fact_subject_id_predicate_object_id.
CERTIFICATE_NAMES: Final = candidates(
    f"""FROM (
        SELECT subject_id AS id FROM watch_candidate WHERE predicate IN {_OF_CERTIFICATES}
        UNION
        SELECT object_id FROM watch_candidate WHERE predicate IN ('same-as', 'presents')
    ) c
    JOIN fact f ON f.subject_id = c.id AND f.predicate IN ('names', 'matches', 'logged-in') AND {_STATED}""",  # noqa: S608 - constants
    role=_ROLE,
)

# The entities that the candidates speak of, with the host that a name stands on. Uses pk_entity.
ENTITIES: Final = r"""
INSERT INTO watch_entity
SELECT e.id, e.digest, e.kind, e.value, e.scope, e.address, CASE
    WHEN e.scope = '' THEN ''
    WHEN e.kind = 'email' THEN substring(e.value FROM '[^@]*$')
    WHEN e.kind = 'endpoint' THEN split_part(e.value, ':', 1)
    WHEN e.kind = 'url' THEN split_part(regexp_replace(split_part(split_part(split_part(
        substring(e.value FROM position('//' IN e.value) + 2), '/', 1), '?', 1), '#', 1), '^.*@', ''), ':', 1)
    ELSE e.value END
FROM (SELECT subject_id AS id FROM watch_candidate UNION SELECT object_id FROM watch_candidate
      UNION SELECT id FROM watch_domain) c
JOIN entity e ON e.id = c.id
"""

# Which of them a watch looks for. Equality joins only: a name is looked up under each of its parents, an address in
# each width of network that is watched, so that 100,000 entities meet 100,000 items in one pass over each, and a few
# entities meet them through ix_watch_item_match_digest and ix_watch_item_network.
HITS: Final = """
WITH item AS NOT MATERIALIZED (
    SELECT i.id, i.watch_id, i.match, i.digest, i.network, i.since,
        date_trunc('day', i.since, 'UTC') + interval '24 hours' AS after
    FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.active
), width AS (
    SELECT DISTINCT family(network) AS family, masklen(network) AS bits FROM item WHERE match = 'network'
), parent AS (
    SELECT e.id, array_to_string(label[n:], '.') AS name
    FROM (SELECT id, string_to_array(host, '.') AS label FROM watch_entity WHERE host <> ''
          AND EXISTS (SELECT FROM item WHERE match = 'subtree')) e
    CROSS JOIN LATERAL generate_series(1, least(cardinality(label), 127)) n
)
INSERT INTO watch_hit
SELECT e.id, i.watch_id, i.id, i.match, i.since, i.after
FROM watch_entity e
JOIN item i ON i.match = 'entity'
    AND i.digest = md5(CASE e.kind WHEN 'name-server' THEN 'domain' ELSE e.kind END || ' ' || e.value)::uuid
UNION ALL
SELECT e.id, i.watch_id, i.id, i.match, i.since, i.after
FROM watch_entity e JOIN item i ON i.match = 'scope' AND i.digest = md5(' ' || e.scope)::uuid WHERE e.scope <> ''
UNION ALL
SELECT p.id, i.watch_id, i.id, i.match, i.since, i.after
FROM parent p JOIN item i ON i.match = 'subtree' AND i.digest = md5(' ' || p.name)::uuid
UNION ALL
SELECT a.id, i.watch_id, i.id, i.match, i.since, i.after
FROM (SELECT e.id, network(set_masklen(e.address, width.bits))::inet AS network
      FROM watch_entity e JOIN width ON width.family = family(e.address) AND width.bits <= masklen(e.address)
      WHERE e.address IS NOT NULL) a
JOIN item i ON i.match = 'network' AND i.network = a.network
"""

# Items that this monitor has not looked backwards for, locked until they are marked: nobody moves their `since` in
# between. The oldest first, so that a flood of new ones cannot starve them.
TAKE_CHUNK: Final = """
INSERT INTO watch_chunk
SELECT i.id, i.match, i.kind, i.value, '', i.network
FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.active
WHERE NOT i.swept @> ARRAY[:mark]
ORDER BY i.id LIMIT :size
FOR UPDATE OF i
"""

# Entities that the chunk looks for exactly, and what is expected: a SHA-256 may be a certificate's or a key's. Uses
# uq_entity_digest.
SWEEP_ENTITY: Final = r"""
INSERT INTO watch_swept_entity
SELECT e.id FROM watch_chunk c
CROSS JOIN LATERAL unnest(CASE WHEN c.match <> 'entity' THEN ARRAY['certificate', 'public-key']
    WHEN c.kind = 'domain' THEN ARRAY['domain', 'name-server'] ELSE ARRAY[c.kind] END) k (kind)
JOIN entity e ON e.digest = encode(substr(sha256(
    convert_to(k.kind, 'UTF8') || '\x00'::bytea || convert_to(c.value, 'UTF8')), 1, 16), 'hex')::uuid
WHERE c.match IN ('entity', 'expected', 'ours')
ON CONFLICT DO NOTHING
"""

# Entities on the chunk's registrable domains. Uses ix_entity_scope.
SWEEP_SCOPE: Final = """
INSERT INTO watch_swept_entity
SELECT e.id FROM (SELECT DISTINCT scope FROM watch_chunk WHERE scope <> '') c
JOIN entity e ON e.scope = c.scope AND e.scope <> ''
ON CONFLICT DO NOTHING
"""

# Entities on the chunk's networks: an index range, from the network's first address to its last. Uses
# ix_entity_address.
SWEEP_NETWORK: Final = """
INSERT INTO watch_swept_entity
SELECT e.id FROM (SELECT DISTINCT network FROM watch_chunk WHERE match = 'network') c
JOIN entity e ON e.address IS NOT NULL AND e.address >= c.network
    AND e.address <= set_masklen(broadcast(c.network), CASE family(c.network) WHEN 4 THEN 32 ELSE 128 END)
    AND e.address <<= c.network
ON CONFLICT DO NOTHING
"""

# All that is stated about them. Uses ix_fact_subject_id_predicate_object_id and ix_fact_object_id.
SWEPT_FACTS: Final = candidates(
    f"""FROM (
        SELECT f.* FROM watch_swept_entity s JOIN fact f ON f.subject_id = s.id
        WHERE f.predicate = ANY(:predicates) AND {_STATED}
        UNION ALL
        SELECT f.* FROM watch_swept_entity s JOIN fact f ON f.object_id = s.id
        WHERE f.predicate = ANY(:predicates) AND {_STATED}
    ) f""",  # noqa: S608 - put together from constants
    role=_ROLE,
)

MARK_CHUNK: Final = """
UPDATE watch_item SET swept = array_append(swept, :mark) FROM watch_chunk c WHERE watch_item.id = c.id
"""
