"""What is watched of certificates: the active watches in, a `WatchSet` out.

Besides what the items say: what sources claim of followed actors, and what the warehouse knows of both. The key of a
certificate that names a watched name or address is watched, since that is what makes a reused key visible; so are the
other forms of a watched certificate, whichever hash it is watched by.

Raw SQL: joins with unnested arrays have no form in SQLAlchemy Core that would read better.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from uuid import UUID

from sqlalchemy import Connection, text

from intel.entities import Kind, digest
from intel.match.certificates import WatchSet
from intel.names import default_suffixes

T = TypeVar("T")

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

# The other forms of the watched certificates, up to three steps away, and the keys of all of them: a precertificate's
# fingerprint, the value that its log's leaf has, the final certificate's fingerprint, the same by another hash
# (tasks/normalize/ct_facts.py). Uses uq_entity_digest, pk_link and ix_link_object_id.
SAME_CERTIFICATE: Final = """
WITH RECURSIVE form (id, step) AS (
    SELECT e.id, 0 FROM unnest(CAST(:digests AS uuid[])) d (digest) JOIN entity e ON e.digest = d.digest
    UNION
    SELECT other.id, f.step + 1 FROM form f
    CROSS JOIN LATERAL (
        SELECT object_id AS id FROM link WHERE subject_id = f.id AND predicate = 'same-as'
        UNION ALL
        SELECT subject_id FROM link WHERE object_id = f.id AND predicate = 'same-as'
    ) other
    WHERE f.step < 3
)
SELECT e.value, k.value
FROM (SELECT DISTINCT id FROM form) f
JOIN entity e ON e.id = f.id AND e.kind = 'certificate'
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

# What changes when the watches do: an item more, a watch made, changed or removed. Uses pk_watch_item.
VERSION: Final = """
SELECT concat_ws(' ', (SELECT max(id) FROM watch_item),
    (SELECT md5(string_agg(concat_ws(' ', id, xmin), ',' ORDER BY id)) FROM watch))
"""


_PATTERNS: Final = ("lookalike", "keyword", "issuer", "subject", "serial")


@dataclass
class _Found:
    scopes: set[str] = field(default_factory=set)
    subtrees: set[str] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    certificates: set[bytes] = field(default_factory=set)
    other_hashes: set[str] = field(default_factory=set)
    """Certificates that are watched by another hash than SHA-256."""
    keys: set[bytes] = field(default_factory=set)
    patterns: dict[str, set[str]] = field(default_factory=lambda: {by: set() for by in _PATTERNS})

    def item(self, match: str, kind: str, value: str) -> None:
        if match == "scope":
            self.scopes.add(value)
        elif match == "subtree":
            (self.zones if default_suffixes().is_suffix(value) else self.subtrees).add(value)
        elif match == "network":
            self.address(value)
        elif match == "entity":
            self.entity(kind, value)

    def entity(self, kind: str, value: str) -> None:
        if kind in {Kind.DOMAIN, Kind.NAME_SERVER}:
            # Strangers hold what is below a suffix; below any other name, it is of the same hands.
            (self.names if default_suffixes().is_suffix(value) else self.subtrees).add(value)
        elif kind in {Kind.IP, Kind.NETWORK}:
            self.address(value)
        elif kind in {Kind.CERTIFICATE, Kind.PUBLIC_KEY}:
            self.digest(kind, value)
        elif kind == Kind.PATTERN:
            by, _, pattern = value.partition(":")
            if by in self.patterns:
                self.patterns[by].add(pattern)

    def address(self, value: str) -> None:
        network = ipaddress.ip_network(value, strict=False)
        self.addresses.add(str(network.network_address) if network.num_addresses == 1 else str(network))

    def digest(self, kind: str, value: str) -> None:
        algorithm, _, digits = value.partition(":")
        if algorithm == "sha256":  # a log's entries are met by this one alone
            (self.certificates if kind == Kind.CERTIFICATE else self.keys).add(bytes.fromhex(digits))
        elif kind == Kind.CERTIFICATE:
            self.other_hashes.add(value)


def load_watch_set(connection: Connection) -> WatchSet:
    """What the active watches look for in certificates, as the warehouse stands now."""
    found = _watched(connection)
    _add_same_certificates(connection, found)
    _add_keys(connection, found)
    return replace(
        _name_set(found),
        addresses=_taken(found.addresses),
        certificates=_taken(found.certificates),
        keys=_taken(found.keys),
        issuers=_taken(found.patterns["issuer"]),
        subjects=_taken(found.patterns["subject"]),
        serials=_taken(found.patterns["serial"]),
    )


def load_name_set(connection: Connection) -> WatchSet:
    """What the active watches look for in names alone."""
    return _name_set(_watched(connection))


def _name_set(found: _Found) -> WatchSet:
    return WatchSet(
        scopes=_taken(found.scopes),
        subtrees=_taken(found.subtrees),
        zones=_taken(found.zones),
        names=_taken(found.names),
        lookalikes=_taken(found.patterns["lookalike"]),
        keywords=_taken(found.patterns["keyword"]),
    )


def _watched(connection: Connection) -> _Found:
    """What the items say, and what sources claim of followed actors."""
    found = _Found()
    for match, kind, value in connection.execution_options(yield_per=10_000).execute(text(ITEMS)):
        found.item(match, kind, value)
    for kind, value, scope, address in connection.execute(text(FOLLOWED)):
        if scope:
            found.scopes.add(scope)
        if address:
            found.address(address)
        if kind in {Kind.CERTIFICATE, Kind.PUBLIC_KEY}:
            found.digest(kind, value)
    return found


def _taken(values: set[T]) -> frozenset[T]:
    """The values, taken out of what they were gathered in: a million of them need not be there twice."""
    taken = frozenset(values)
    values.clear()
    return taken


def watch_version(connection: Connection) -> str:
    """What differs where `load_watch_set` would load something else because of the watches; it costs next to nothing.

    It covers items (those that the monitors make of claims too) and watches, made, changed, removed. It does not cover
    what the warehouse comes to know of them: further forms and keys of certificates, and claims that no monitor has
    looked at yet. For those, load again after a while whatever the version.
    """
    return str(connection.execute(text(VERSION)).scalar_one())


def _add_same_certificates(connection: Connection, found: _Found) -> None:
    values = [*(f"sha256:{value.hex()}" for value in sorted(found.certificates)), *sorted(found.other_hashes)]
    digests = [UUID(bytes=digest(Kind.CERTIFICATE, value)) for value in values]
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
