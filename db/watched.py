"""What is watched of certificates: the active watches in, a `WatchSet` out.

Besides what the items say: what sources claim of followed actors, and what the warehouse knows of both. The key of a
certificate that names a watched name or address is watched, since that is what makes a reused key visible; so is the
final certificate of a watched precertificate.

Raw SQL: joins with unnested arrays have no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlalchemy import Connection, text

from intel.entities import Kind, digest
from intel.match.certificates import WatchSet
from intel.names import default_suffixes

# The items of active watches. Uses pk_watch.
ITEMS: Final = """
SELECT i.match, i.kind, i.value FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.active
"""

# What sources claim of followed actors. Uses ix_link_object_id and pk_entity.
FOLLOWED: Final = """
SELECT DISTINCT e.kind, e.value, e.scope, e.address::text
FROM watch w
JOIN link l ON l.object_id = w.actor_id AND l.predicate = 'attributed-to'
JOIN entity e ON e.id = l.subject_id
WHERE w.active AND w.follows_actor
"""

# A certificate's fingerprint leads to the value that it shares with its precertificate, and that one to the other
# fingerprints. Uses uq_entity_digest, pk_link and ix_link_object_id.
SAME_CERTIFICATE: Final = """
WITH watched AS (
    SELECT e.id FROM unnest(CAST(:digests AS uuid[])) d (digest) JOIN entity e ON e.digest = d.digest
), shared AS (
    SELECT id FROM watched
    UNION SELECT l.object_id FROM watched w JOIN link l ON l.subject_id = w.id AND l.predicate = 'same-as'
), same AS (
    SELECT id FROM shared
    UNION SELECT l.subject_id FROM shared s JOIN link l ON l.object_id = s.id AND l.predicate = 'same-as'
)
SELECT e.value, k.value
FROM same s
JOIN entity e ON e.id = s.id AND e.kind = 'certificate'
LEFT JOIN link h ON h.subject_id = e.id AND h.predicate = 'has-key'
LEFT JOIN entity k ON k.id = h.object_id
"""

# The keys of the certificates that name what is watched. Uses ix_entity_scope, uq_entity_digest, ix_link_object_id and
# pk_link.
KEYS: Final = """
WITH named AS (
    SELECT e.id FROM unnest(CAST(:scopes AS text[])) w (scope)
    JOIN entity e ON e.scope = w.scope AND e.scope <> '' AND e.kind = 'domain'
    UNION
    SELECT e.id FROM unnest(CAST(:subtree_scopes AS text[]), CAST(:subtrees AS text[])) w (scope, name)
    JOIN entity e ON e.scope = w.scope AND e.scope <> '' AND e.kind = 'domain'
        AND (e.value = w.name OR right(e.value, length(w.name) + 1) = '.' || w.name)
    UNION
    SELECT e.id FROM unnest(CAST(:digests AS uuid[])) d (digest) JOIN entity e ON e.digest = d.digest
)
SELECT DISTINCT k.value
FROM named n
JOIN link c ON c.object_id = n.id AND c.predicate = 'names'
JOIN link h ON h.subject_id = c.subject_id AND h.predicate = 'has-key'
JOIN entity k ON k.id = h.object_id
"""


@dataclass
class _Found:
    scopes: set[str] = field(default_factory=set)
    subtrees: set[str] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    certificates: set[bytes] = field(default_factory=set)
    keys: set[bytes] = field(default_factory=set)

    def item(self, match: str, kind: str, value: str) -> None:
        if match == "scope":
            self.scopes.add(value)
        elif match == "subtree":
            (self.zones if default_suffixes().is_suffix(value) else self.subtrees).add(value)
        elif match == "network":
            self.address(value)
        else:
            self.entity(kind, value)

    def entity(self, kind: str, value: str) -> None:
        if kind in {Kind.DOMAIN, Kind.NAME_SERVER}:
            # Strangers hold what is below a suffix; below any other name, it is of the same hands.
            (self.names if default_suffixes().is_suffix(value) else self.subtrees).add(value)
        elif kind in {Kind.IP, Kind.NETWORK}:
            self.address(value)
        elif kind in {Kind.CERTIFICATE, Kind.PUBLIC_KEY}:
            self.digest(kind, value)

    def address(self, value: str) -> None:
        network = ipaddress.ip_network(value, strict=False)
        self.addresses.add(str(network.network_address) if network.num_addresses == 1 else str(network))

    def digest(self, kind: str, value: str) -> None:
        algorithm, _, digits = value.partition(":")
        if algorithm == "sha256":  # a log's entries are met by this one alone
            (self.certificates if kind == Kind.CERTIFICATE else self.keys).add(bytes.fromhex(digits))


def load_watch_set(connection: Connection) -> WatchSet:
    """What the active watches look for in certificates, as the warehouse stands now."""
    found = _Found()
    for match, kind, value in connection.execute(text(ITEMS)):
        found.item(match, kind, value)
    for kind, value, scope, address in connection.execute(text(FOLLOWED)):
        if scope:
            found.scopes.add(scope)
        if address:
            found.address(address)
        if kind in {Kind.CERTIFICATE, Kind.PUBLIC_KEY}:
            found.digest(kind, value)
    _add_same_certificates(connection, found)
    _add_keys(connection, found)
    return WatchSet(
        scopes=frozenset(found.scopes),
        subtrees=frozenset(found.subtrees),
        zones=frozenset(found.zones),
        names=frozenset(found.names),
        addresses=frozenset(found.addresses),
        certificates=frozenset(found.certificates),
        keys=frozenset(found.keys),
    )


def _add_same_certificates(connection: Connection, found: _Found) -> None:
    digests = [UUID(bytes=digest(Kind.CERTIFICATE, f"sha256:{value.hex()}")) for value in sorted(found.certificates)]
    if not digests:
        return
    for certificate, key in connection.execute(text(SAME_CERTIFICATE), {"digests": digests}):
        found.digest(Kind.CERTIFICATE, certificate)
        if key is not None:
            found.digest(Kind.PUBLIC_KEY, key)


def _add_keys(connection: Connection, found: _Found) -> None:
    exact = [UUID(bytes=digest(Kind.DOMAIN, name)) for name in sorted(found.names)]
    exact += [UUID(bytes=digest(Kind.IP, value)) for value in sorted(found.addresses) if "/" not in value]
    subtrees = sorted(found.subtrees)
    values = {
        "scopes": sorted(found.scopes),
        "subtrees": subtrees,
        "subtree_scopes": [default_suffixes().registrable(name) for name in subtrees],
        "digests": exact,
    }
    for (key,) in connection.execute(text(KEYS), values):
        found.digest(Kind.PUBLIC_KEY, key)
