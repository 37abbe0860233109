"""Tests of an entity as SQL: `Tests` and conditions without a time in, boolean expressions with bound parameters out.

What each means stands in intel/rules/__init__.py; intel/match/rule_tests.py says the same in Python. No value ever
stands in the text: `Parameters` names each, and only that name does.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final
from uuid import UUID

from intel.entities import digest
from intel.facts import Predicate
from intel.match.rule_tests import scopes_below
from intel.rules import records
from intel.rules.records import Tests
from intel.rules.words import TIME_FORM
from intel.traits import IDN, LENGTHS, Name

LOWERED: Final = "translate({0}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"
HOST: Final = r"""CASE WHEN {0}.scope = '' THEN ''
    WHEN {0}.kind = 'email' THEN substring({0}.value FROM '[^@]*$')
    WHEN {0}.kind = 'endpoint' THEN split_part({0}.value, ':', 1)
    WHEN {0}.kind = 'url' THEN split_part(regexp_replace(split_part(split_part(split_part(
        substring({0}.value FROM position('//' IN {0}.value) + 2), '/', 1), '?', 1), '#', 1), '^.*@', ''), ':', 1)
    ELSE {0}.value END"""
"""The host that an entity stands on, as db/watching_match.py has it."""

# What an item of the watch looks for: the things themselves, what stands on its domains and networks, and below its
# names. Uses uq_entity_digest, ix_entity_scope and ix_entity_address.
WATCHED: Final = r"""
SELECT e.id FROM watch_item i
CROSS JOIN LATERAL unnest(
    CASE WHEN i.kind = 'domain' THEN ARRAY['domain', 'name-server'] ELSE ARRAY[i.kind] END) k (kind)
JOIN entity e ON e.digest = encode(substr(sha256(
    convert_to(k.kind, 'UTF8') || '\x00'::bytea || convert_to(i.value, 'UTF8')), 1, 16), 'hex')::uuid
WHERE i.watch_id = :watch_id AND i.match = 'entity'
UNION
SELECT e.id FROM watch_item i JOIN entity e ON e.scope = i.value AND e.scope <> ''
WHERE i.watch_id = :watch_id AND i.match = 'scope'
UNION
SELECT e.id FROM watch_item i JOIN entity e ON e.address IS NOT NULL AND e.address >= i.network
    AND e.address <= set_masklen(broadcast(i.network), CASE family(i.network) WHEN 4 THEN 32 ELSE 128 END)
    AND e.address <<= i.network
WHERE i.watch_id = :watch_id AND i.match = 'network'
UNION
SELECT e.id FROM watch_item i
CROSS JOIN LATERAL (SELECT string_to_array(i.value, '.') AS labels) l
CROSS JOIN LATERAL generate_series(1, least(cardinality(l.labels), 127)) n
JOIN entity e ON e.scope = array_to_string(l.labels[n:], '.') AND e.scope <> ''
    AND right('.' || ({host}), length(i.value) + 1) = '.' || i.value
WHERE i.watch_id = :watch_id AND i.match = 'subtree'
""".replace("{host}", HOST.format("e"))

_TRAITS: Final = {
    "registrar": Name.REGISTRAR,
    "registrant": Name.REGISTRANT,
    "email": Name.EMAIL,
    "name-server-set": Name.NAME_SERVERS,
    "ip": Name.ADDRESS,
    "certificate": Name.CERTIFICATE,
    "public-key": Name.KEY,
    "as": Name.NETWORK,
}
"""What a population counts a value as, by its kind, if not by the predicate that leads to it."""


class Parameters:
    """The values of a statement, each under a name of its own."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add(self, value: Any, as_type: str = "") -> str:
        """The placeholder that stands for a value, cast to a type where one is given."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f"CAST(:{name} AS {as_type})" if as_type else f":{name}"


def entity_test(tests: Tests, predicate: str, alias: str, parameters: Parameters) -> str:
    """That the entity `alias` passes; `predicate` is of the link that leads to it, empty for the subject itself."""
    checks = []
    if tests.kinds:
        checks.append(f"{alias}.kind = ANY({parameters.add(list(tests.kinds), 'text[]')})")
    if tests.values:
        digests = [UUID(bytes=digest(kind, value)) for kind, value in tests.values]
        checks.append(f"{alias}.digest = ANY({parameters.add(digests, 'uuid[]')})")
    if tests.networks:
        checks.append(_any(_network(network, alias, parameters) for network in tests.networks))
    if tests.below:
        checks.append(_any(_below(name, predicate, alias, parameters) for name in tests.below))
    if tests.matches:
        lowered = LOWERED.format(f"{alias}.value")
        checks.append(f"{lowered} LIKE ANY({parameters.add([_like(one) for one in tests.matches], 'text[]')})")
    if tests.watched is not None:
        checks.append(f"{alias}.id {'' if tests.watched else 'NOT '}IN (SELECT id FROM watched)")  # noqa: S608 - bound
    if tests.rarer_than is not None:
        limit = parameters.add(tests.rarer_than, "double precision")
        name = parameters.add(predicate)
        checks.append(f"({rarity(alias, name)}) < {limit}")
    return " AND ".join(checks) or "true"


def rarity(alias: str, predicate: str) -> str:
    """How many of a million have the entity `alias`, in the largest population that can tell; null where none can.

    Which can is said by db/prevalence.py; a value is counted by what it is, or by the predicate that leads to it. Uses
    pk_prevalence.
    """
    traits = " ".join(f"WHEN '{kind}' THEN '{trait.value}'" for kind, trait in _TRAITS.items())
    trait = (
        f"CASE WHEN {predicate} = 'issued-by' THEN 'issuer' WHEN {predicate} = 'has-soa-contact' THEN 'soa-contact'"
        f" ELSE CASE {alias}.kind {traits} ELSE '' END END"
    )
    return f"""
    SELECT (coalesce(x.count, 0)::double precision + 0.5) * 1000000.0::double precision
        / (greatest(CAST(p.traits ->> w.trait AS bigint), x.count)::double precision + 1.0)
    FROM (VALUES ({trait}), ({predicate})) w (trait)
    JOIN population p ON p.traits ? w.trait
    LEFT JOIN prevalence x ON (x.population, x.trait, x.digest) = (p.name, w.trait, {alias}.digest)
    WHERE x.count IS NOT NULL OR NOT p.partial
    ORDER BY CAST(p.traits ->> w.trait AS bigint) DESC, p.name, w.trait LIMIT 1"""  # noqa: S608 - constants


def timeless_test(condition: records.Condition, alias: str, parameters: Parameters) -> str | None:
    """That the subject `alias` is as a condition without a time says; None for `not`, which asks for facts."""
    if isinstance(condition, records.Suffix):
        suffixes = parameters.add(list(condition.suffixes), "text[]")
        return f"substr({alias}.scope, strpos({alias}.scope, '.') + 1) = ANY({suffixes})"
    if isinstance(condition, records.Label):
        return _label(condition, alias, parameters)
    if isinstance(condition, records.Own):
        return entity_test(condition.tests, "", alias, parameters)
    return None


def time_of(alias: str, parameters: Parameters) -> str:
    """The time that the literal `alias` says; null where it says none that Python would read."""
    return (
        f"(CASE WHEN {alias}.value ~ {parameters.add(TIME_FORM)} THEN ({alias}.value || CASE WHEN"
        f" length({alias}.value) = 10 THEN ' 00:00:00+00' ELSE '' END)::timestamptz END)"
    )


def _network(text: str, alias: str, parameters: Parameters) -> str:
    network = ipaddress.ip_network(text)
    first, last = (
        parameters.add(one, "inet") for one in (str(network), f"{network.broadcast_address}/{network.max_prefixlen}")
    )
    return f"({alias}.address >= {first} AND {alias}.address <= {last} AND {alias}.address <<= {first})"


def _below(name: str, predicate: str, alias: str, parameters: Parameters) -> str:
    exact, below = parameters.add(name), parameters.add("%." + _escaped(name))
    if predicate == Predicate.USES_NAME_SERVERS:
        host = "h.host"
        return (
            f"EXISTS (SELECT FROM unnest(string_to_array({alias}.value, ' ')) h (host)"
            f" WHERE {host} = {exact} OR {host} LIKE {below})"
        )
    scope = scopes_below(name)
    on = f"{alias}.scope = {parameters.add(scope)}" if scope else f"{alias}.scope <> ''"
    host = f"({HOST.format(alias)})"
    return f"({on} AND ({host} = {exact} OR {host} LIKE {below}))"


def _label(condition: records.Label, alias: str, parameters: Parameters) -> str:
    name = f"split_part({alias}.scope, '.', 1)"
    checks = [f"{name} <> ''"]
    if condition.shapes:
        checks.append(f"{_shape(name)} = ANY({parameters.add(list(condition.shapes), 'text[]')})")
    if condition.words:
        words = parameters.add(list(condition.words), "text[]")
        runs = f"string_to_array(regexp_replace({name}, '[^a-z]+', ' ', 'g'), ' ')"
        checks.append(f"({name} NOT LIKE 'xn--%' AND {runs} && {words})")
    if condition.matches:
        checks.append(f"{name} LIKE ANY({parameters.add([_like(one) for one in condition.matches], 'text[]')})")
    if condition.length is not None:
        least, most = (parameters.add(one) for one in condition.length)
        checks.append(f"length({name}) BETWEEN {least} AND {most}")
    if condition.digits is not None:
        checks.append(f"({name} ~ '[0-9]') = {parameters.add(condition.digits)}")
    if condition.hyphens is not None:
        checks.append(f"(strpos({name}, '-') > 0) = {parameters.add(condition.hyphens)}")
    return "(" + " AND ".join(checks) + ")"


def _shape(name: str) -> str:
    """The shape of a label, as intel.traits.shape has it."""
    classes = " ".join(f"WHEN length({name}) <= {most} THEN '{called}'" for most, called in LENGTHS)
    return (
        f"CASE WHEN {name} LIKE 'xn--%' THEN '{IDN}' ELSE CASE {classes} ELSE '18+' END"
        f" || CASE WHEN {name} ~ '[0-9]' THEN ' digits' ELSE '' END"
        f" || CASE WHEN strpos({name}, '-') > 0 THEN ' hyphens' ELSE '' END END"
    )


def _like(pattern: str) -> str:
    return _escaped(pattern).replace("*", "%").replace("?", "_")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _any(checks: Any) -> str:
    return "(" + " OR ".join(checks) + ")"
