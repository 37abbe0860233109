"""What a STIX pattern (STIX 2.1 section 9) names, as entities.

Comes in: a `Pattern`. Goes out: `Observables`: the entities, what is stated between
them, and what names none, each with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from intel.entities import Entity, Kind, entity, guess
from intel.errors import ReadError
from intel.facts import Predicate
from intel.stix_pattern import Comparison, Group, Pattern, Step


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """Something stated between two of the entities."""

    subject: Entity
    predicate: str
    object: Entity
    qualifiers: tuple[tuple[str, str], ...] = ()


class Observables(msgspec.Struct, frozen=True, kw_only=True):
    """What was named. `partial` are those that mean something only together with others. `refused` are reasons."""

    entities: tuple[Entity, ...] = ()
    partial: frozenset[Entity] = frozenset()
    links: tuple[Link, ...] = ()
    refused: tuple[str, ...] = ()


KINDS: Final[Mapping[tuple[str, tuple[Step, ...]], str]] = {
    ("domain-name", ("value",)): Kind.DOMAIN,
    ("domain-name", ("resolves_to_refs", "*", "value")): "host",
    ("ipv4-addr", ("value",)): Kind.IP,
    ("ipv6-addr", ("value",)): Kind.IP,
    ("url", ("value",)): Kind.URL,
    ("email-addr", ("value",)): Kind.EMAIL,
    ("email-message", ("from_ref", "value")): Kind.EMAIL,
    ("email-message", ("sender_ref", "value")): Kind.EMAIL,
    ("file", ("name",)): Kind.FILE_NAME,
    ("file", ("path",)): Kind.FILE_NAME,
    ("autonomous-system", ("number",)): Kind.AS,
    ("network-traffic", ("dst_ref", "value")): "host",
    ("network-traffic", ("src_ref", "value")): "host",
    ("network-traffic", ("extensions", "http-request-ext", "request_header", "User-Agent")): Kind.USER_AGENT,
    ("mutex", ("name",)): Kind.MUTEX,
    ("windows-registry-key", ("key",)): Kind.REGISTRY_KEY,
    ("user-account", ("account_login",)): Kind.HANDLE,
    ("user-account", ("user_id",)): Kind.HANDLE,
    ("user-account", ("display_name",)): Kind.HANDLE,
    ("software", ("name",)): Kind.SOFTWARE,
    # Not of the standard, and written by many platforms all the same.
    ("cryptocurrency-wallet", ("value",)): Kind.WALLET,
    ("cryptocurrency-wallet", ("address",)): Kind.WALLET,
    ("phone-number", ("value",)): Kind.PHONE,
    ("user-agent", ("value",)): Kind.USER_AGENT,
}
"""Kind of what a property holds; `host` is an address or a name, told by its form or by the type beside it."""

HASHED: Final = {"file": Kind.FILE, "artifact": Kind.FILE, "x509-certificate": Kind.CERTIFICATE}
_ALGORITHMS: Final = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512"})
_STRENGTH: Final = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")
_FUZZY: Final = frozenset({"imphash", "ssdeep", "tlsh", "vhash", "authentihash", "pehash", "telfhash", "cdhash"})
_TYPE_HINTS: Final = {"domain-name": Kind.DOMAIN, "ipv4-addr": Kind.IP, "ipv6-addr": Kind.IP, "url": Kind.URL}
_MAX_REFUSED: Final = 50
OBSERVABLE_TYPES: Final = frozenset({key[0] for key in KINDS} | set(HASHED))


@lru_cache(maxsize=2048)
def _kind(object_type: str, path: tuple[Step, ...]) -> str | None:
    """The kind of what the property holds; `hash:KIND:ALGORITHM` for hashes, None for what is no entity."""
    if len(path) == 2 and path[0] == "hashes" and object_type in HASHED:
        algorithm = str(path[1]).lower().replace("-", "").replace("_", "")
        if algorithm in _ALGORITHMS:
            return f"hash:{HASHED[object_type]}:{algorithm}"
        return f"fuzzy:{algorithm}" if algorithm in _FUZZY else None
    plain = tuple("*" if isinstance(step, int) else step for step in path)
    return KINDS.get((object_type, plain))


def _read(kind: str, text: str) -> Entity:
    if kind.startswith("hash:"):
        _, of, algorithm = kind.split(":")
        return entity(of, f"{algorithm}:{text}")
    if kind.startswith("fuzzy:"):
        # Only ssdeep tells upper from lower case.
        return entity(Kind.FINGERPRINT, f"{kind[6:]}:{text.strip() if kind[6:] == 'ssdeep' else text.strip().lower()}")
    if kind == "host":
        return _host(text)
    if kind == Kind.IP and "/" in text:
        return _network(text)
    return entity(kind, text)


def _host(text: str) -> Entity:
    found = guess(text)
    if found.kind not in {Kind.DOMAIN, Kind.IP, Kind.NETWORK}:
        raise ReadError("couldn't read a host: neither an address nor a name")
    return found


def _network(text: str) -> Entity:
    """A network; the one address of a /32 or /128 is that address."""
    network = entity(Kind.NETWORK, text)
    address, _, length = network.value.partition("/")
    return entity(Kind.IP, address) if length == ("128" if ":" in address else "32") else network


def of_pattern(pattern: Pattern) -> Observables:
    """What the comparisons of a pattern name. One that negates, orders, or matches text names nothing."""
    entities: dict[Entity, None] = {}
    partial: dict[Entity, bool] = {}
    links: list[Link] = []
    refused: dict[str, None] = {}
    for group in pattern.groups:
        for found in _of_group(group):
            if isinstance(found, Link):
                links.append(found)
            elif isinstance(found, str):
                refused[found] = None
            else:
                entities[found[0]] = None
                # One place that is enough by itself makes it whole.
                partial[found[0]] = partial.get(found[0], True) and found[1]
    reasons = list(refused)
    if len(reasons) > _MAX_REFUSED:
        reasons = [*reasons[:_MAX_REFUSED], f"and {len(reasons) - _MAX_REFUSED} more comparisons that name no entity"]
    return Observables(
        entities=tuple(entities),
        partial=frozenset(item for item, part in partial.items() if part),
        links=tuple(links),
        refused=tuple(reasons),
    )


def _of_group(group: Group) -> Iterator[tuple[Entity, bool] | Link | str]:
    together = group.operator == "AND"
    comparisons, hints = _with_ends(group.comparisons) if together else (group.comparisons, {})
    units: list[tuple[Comparison, list[Entity]]] = []
    conditions = 0
    for comparison in comparisons:
        found: list[Entity] = []
        for item in _of_comparison(comparison, hints):
            if isinstance(item, str):
                conditions += 1
                yield item
            else:
                found.append(item)
        if found:
            units.append((comparison, found))
    hashes = [item for comparison, found in units if _is_hash(comparison) for item in found]
    yield from _same(hashes)
    if together:
        yield from _resolutions(units)
    alone = not together or len(units) + conditions == 1
    for comparison, found in units:
        # A hash fixes the file, whatever else is said of it.
        whole = alone or _is_hash(comparison)
        for item in found:
            yield item, group.partial or not whole


def _is_hash(comparison: Comparison) -> bool:
    return comparison.path[0] == "hashes"


def _of_comparison(comparison: Comparison, hints: Mapping[str, str]) -> Iterator[Entity | str]:
    kind = _kind(comparison.object_type, comparison.path)
    operator = comparison.operator
    if kind is None and comparison.object_type == _ENDPOINT:
        kind = Kind.ENDPOINT
    if operator == "ISSUBSET" and kind in {Kind.IP, "host"}:
        kind = Kind.IP
    elif kind is None or comparison.negated or operator not in {"=", "IN"}:
        said = f"NOT {operator}" if comparison.negated else operator
        yield f"not an entity: pattern compares {comparison.place[:200]} with {said}"
        return
    if kind == "host" and comparison.object_type == "network-traffic":
        kind = hints.get(str(comparison.path[0]), kind)
    for value in comparison.values:
        try:
            yield _read(kind, value)
        except ReadError as error:
            yield str(error)


_ENDPOINT: Final = "-endpoint"  # no STIX type can be named so


def _with_ends(comparisons: tuple[Comparison, ...]) -> tuple[list[Comparison], dict[str, str]]:
    """Network traffic whose address, port and type are compared side by side: address and port become one endpoint.

    Returns the comparisons that are left, and the kind that each end's type names. `dst_ref.type` itself goes, since
    it says only how to read the value.
    """
    traffic = {
        comparison.path: comparison.values[0]
        for comparison in comparisons
        if comparison.object_type == "network-traffic" and comparison.operator == "=" and not comparison.negated
    }
    if not traffic:
        return list(comparisons), {}
    hints: dict[str, str] = {}
    gone: set[tuple[Step, ...]] = set()
    added = []
    for end in ("dst", "src"):
        hint = _TYPE_HINTS.get(traffic.get((f"{end}_ref", "type"), ""))
        host, port = traffic.get((f"{end}_ref", "value")), traffic.get((f"{end}_port",))
        if hint is not None and host is not None:
            hints[f"{end}_ref"] = hint
            gone.add((f"{end}_ref", "type"))
        if host is not None and port is not None:
            gone |= {(f"{end}_ref", "value"), (f"{end}_port",)}
            added.append(Comparison(_ENDPOINT, ("value",), "=", (endpoint(host, port),)))
    left = [item for item in comparisons if item.object_type != "network-traffic" or item.path not in gone]
    return left + added, hints


def endpoint(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _same(hashes: list[Entity]) -> Iterator[Link]:
    """Hashes side by side are of one file where no algorithm occurs twice; each is tied to the strongest of them."""
    hashes = [item for item in hashes if item.kind != Kind.FINGERPRINT]
    by_algorithm = {(item.kind, item.value.partition(":")[0]): item for item in hashes}
    if len(hashes) < 2 or len(by_algorithm) != len(hashes):
        return
    strongest = min(hashes, key=lambda item: _STRENGTH.index(item.value.partition(":")[0]))
    for item in hashes:
        if item is not strongest and item.kind == strongest.kind:
            yield Link(subject=item, predicate=Predicate.SAME_AS, object=strongest)


def _resolutions(units: list[tuple[Comparison, list[Entity]]]) -> Iterator[Link]:
    names = [found for comparison, found in units if comparison.path == ("value",) and found[0].kind == Kind.DOMAIN]
    if len(names) != 1 or len(names[0]) != 1:
        return
    for comparison, found in units:
        if comparison.path[0] == "resolves_to_refs":
            for item in found:
                yield resolution(names[0][0], item)


def resolution(name: Entity, target: Entity) -> Link:
    """`name` resolves to `target`, an address or another name."""
    record = "CNAME" if target.kind == Kind.DOMAIN else "AAAA" if ":" in target.value else "A"
    return Link(subject=name, predicate=Predicate.RESOLVES_TO, object=target, qualifiers=(("type", record),))
