"""Reading the conditions of a rule: each is a mapping with one key, which says what it is.

Raises ReadError with the place; the forms stand in intel/rules/__init__.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from intel.entities import Kind
from intel.errors import ReadError
from intel.facts import Predicate, State
from intel.names import canonical_name
from intel.rules import records
from intel.rules.forms import at, flag, mapping, pair, texts
from intel.rules.records import Condition, Link, Tests
from intel.rules.words import any_kinds, day, duration, kinds_at, lowered, rarity, shell_pattern, values_of
from intel.traits import SHORTEST_WORD

_TESTS: Final = ("is", "matches", "in", "below", "kind", "watched", "rarer-than")
_OF_LINKS: Final = ("state", "role", "type", "field", "where")
_LABEL: Final = ("shape", "words", "matches", "length", "digits", "hyphens")
_PREDICATES: Final = frozenset(str(one) for one in Predicate) - frozenset(str(one) for one in records.DATED)
MAX_WHERE: Final = 2


def read_condition(value: object, about: tuple[str, ...], *, depth: int) -> Condition:
    """One condition. `about` are the kinds of subject, `depth` how many more may stand inside one another."""
    if not isinstance(value, Mapping) or len(value) != 1:
        raise ReadError("expected a mapping with one key, as `- registered-through: {is: [Example Registrar]}`")
    key, said = next(iter(value.items()))
    try:
        return _read(str(key), said, about, depth)
    except ReadError as error:
        raise ReadError(f"{key}: {error}") from error


def _read(key: str, said: object, about: tuple[str, ...], depth: int) -> Condition:
    if depth == 0:
        raise ReadError("conditions stand too deep inside one another")
    if key in _PREDICATES or key in records.INVERSES:
        return read_link(key, said)
    if key in records.DATED:
        return _dated(key, said)
    if key in _SHORT:
        return _SHORT[key](said)
    if key == "subject":
        return records.Own(tests=_tests(mapping(said, _TESTS, "tests"), any_kinds(about)))
    if key == "any":
        return _any(said, about, depth)
    if key == "not":
        return records.Never(condition=_inner(said, about, depth))
    if key == "absent":
        return _absent(said, about, depth)
    reader = _OTHERS.get(key)
    if reader is None:
        names = sorted({*_OTHERS, *_SHORT, *records.DATED, "subject", "any", "not", "absent"})
        raise ReadError(f"there is no such condition (there are links, as registered-through, and {', '.join(names)})")
    return reader(said)


def _inner(said: object, about: tuple[str, ...], depth: int) -> Condition:
    found = read_condition(said, about, depth=depth - 1)
    if isinstance(found, records.Burst):
        raise ReadError("a burst is a condition of the whole rule: it stands in no other")
    return found


def _any(said: object, about: tuple[str, ...], depth: int) -> Condition:
    if not isinstance(said, list | tuple) or not 0 < len(said) <= 100:
        raise ReadError("expected a list of conditions")
    of = tuple(_inner(one, about, depth) for one in said)
    if len({records.is_timeless(one) for one in of}) > 1:
        raise ReadError("some of them have a time and some have none: say them as two rules")
    return records.AnyOf(of=of)


def _absent(said: object, about: tuple[str, ...], depth: int) -> Condition:
    given = mapping(said, ("after", "without", "within"), "an absence", needed=("after", "without", "within"))
    after, no = (_inner(given[key], about, depth) for key in ("after", "without"))
    if records.is_timeless(after) or records.is_timeless(no):
        raise ReadError("both what came and what did not need a time")
    if any(isinstance(one, records.Absent) for each in (after, no) for one in records.parts(each)):
        raise ReadError("an absence stands in no other")
    return records.Absent(after=after, no=no, within=at("within", duration, given["within"]))


def read_link(key: str, said: object, *, depth: int = MAX_WHERE) -> Link:
    """A link, by the name of its predicate or of the inverse."""
    inverse = key in records.INVERSES
    predicate = str(records.INVERSES[key]) if inverse else key
    if predicate not in _PREDICATES:
        raise ReadError("there is no such link")
    kinds = kinds_at(predicate, inverse)
    if not isinstance(said, Mapping):
        return Link(predicate=predicate, inverse=inverse, tests=Tests(values=_values(said, kinds)))
    given = mapping(said, (*_TESTS, *_OF_LINKS), "a link")
    where = None
    if "where" in given:
        if depth == 0:
            raise ReadError(f"where: at most {MAX_WHERE} stand inside one another")
        inner = mapping(given["where"], None, "a condition on what stands there")
        if len(inner) != 1:
            raise ReadError("where: expected one link")
        name, rest = next(iter(inner.items()))
        where = at(f"where: {name}", lambda one: read_link(str(name), one, depth=depth - 1), rest)
    states = tuple(texts(given["state"], "state")) if "state" in given else (State.VALUE.value,)
    for state in states:
        if state not in set(State):
            raise ReadError(f"state: {state!r} is none of {', '.join(State)}")
    return Link(
        predicate=predicate,
        inverse=inverse,
        tests=_tests(given, kinds),
        states=states,
        roles=tuple(texts(given["role"], "role")) if "role" in given else (),
        types=tuple(texts(given["type"], "type")) if "type" in given else (),
        fields=tuple(texts(given["field"], "field")) if "field" in given else (),
        where=where,
    )


def _tests(given: Mapping[str, Any], kinds: Sequence[str]) -> Tests:
    of_kinds = tuple(texts(given["kind"], "kind")) if "kind" in given else ()
    for kind in of_kinds:
        if kind not in set(Kind):
            raise ReadError(f"kind: there is no kind {kind!r}")
    return Tests(
        values=at("is", lambda one: _values(one, of_kinds or kinds), given["is"]) if "is" in given else (),
        matches=_each(given, "matches", shell_pattern),
        networks=_each(given, "in", _network),
        below=_each(given, "below", _name),
        kinds=of_kinds,
        watched=at("watched", flag, given["watched"]) if "watched" in given else None,
        rarer_than=at("rarer-than", rarity, given["rarer-than"]) if "rarer-than" in given else None,
    )


def _values(said: object, kinds: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple(dict.fromkeys(one for text in texts(said, "values") for one in values_of(text, kinds)))


def _each(given: Mapping[str, Any], key: str, read: Callable[[str], str]) -> tuple[str, ...]:
    if key not in given:
        return ()

    def read_all(one: object) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(read, texts(one, key))))

    found: tuple[str, ...] = at(key, read_all, given[key])
    return found


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError as error:
        raise ReadError(f"{text[:60]!r} is no network") from error


def _name(text: str) -> str:
    # A suffix of one label is a place too, though no name.
    name = text.strip().lstrip(".")
    if not name:
        raise ReadError(f"{text[:60]!r} is no name")
    return canonical_name("x." + name).removeprefix("x.")


def _dated(key: str, said: object) -> records.Dated:
    given = mapping(said, ("within", "after", "before", "hour"), "a time")
    hours = None
    if "hour" in given:
        hours = pair(given["hour"], 0, 23)
    return records.Dated(
        predicate=key,
        within=at("within", duration, given["within"]) if "within" in given else None,
        after=at("after", day, given["after"]) if "after" in given else "",
        before=at("before", day, given["before"]) if "before" in given else "",
        hours=hours,
    )


def _changed(said: object) -> records.Changed:
    given = mapping(said, None, "a change")
    if len(given) != 1:
        raise ReadError("expected one link, as `changed: {uses-name-servers: {to: {below: example.net}}}`")
    key, rest = next(iter(given.items()))
    if key not in _PREDICATES:
        raise ReadError(f"{key}: there is no such link")
    sides = mapping(rest if rest is not None else {}, ("from", "to"), "a change")
    kinds = kinds_at(str(key), inverse=False)
    old, new = (_tests(mapping(sides.get(side) or {}, _TESTS, "tests"), kinds) for side in ("from", "to"))
    return records.Changed(predicate=str(key), old=old, new=new)


def _hidden(said: object, *, exposed: bool) -> records.Hidden:
    if isinstance(said, str):
        said = {said: {}}
    given = mapping(said, None, "a field")
    if len(given) != 1 or next(iter(given)) not in _PREDICATES:
        raise ReadError("expected one link, as `hidden: registered-by`")
    key, rest = next(iter(given.items()))
    of = mapping(rest or {}, ("role", "field"), "a field")
    return records.Hidden(
        predicate=str(key),
        roles=tuple(texts(of["role"], "role")) if "role" in of else (),
        fields=tuple(texts(of["field"], "field")) if "field" in of else (),
        exposed=exposed,
    )


def _renewed(said: object) -> records.Renewed:
    if said != "same-key":
        raise ReadError("expected `same-key`")
    return records.Renewed()


def _suffix(said: object) -> records.Suffix:
    # A suffix may be one label, which is no name.
    return records.Suffix(suffixes=tuple(dict.fromkeys(lowered(one).strip(".") for one in texts(said, "suffixes"))))


def _label(said: object) -> records.Label:
    given = mapping(said, _LABEL, "a label")
    if not given:
        raise ReadError(f"expected one of {', '.join(_LABEL)}")
    return records.Label(
        shapes=tuple(texts(given["shape"], "shape")) if "shape" in given else (),
        words=_each(given, "words", _word),
        matches=_each(given, "matches", shell_pattern),
        length=pair(given["length"], 1, 63) if "length" in given else None,
        digits=at("digits", flag, given["digits"]) if "digits" in given else None,
        hyphens=at("hyphens", flag, given["hyphens"]) if "hyphens" in given else None,
    )


def _word(text: str) -> str:
    word = lowered(text.strip())
    if len(word) < SHORTEST_WORD or not word.isascii() or not word.isalpha():
        raise ReadError(f"{text[:60]!r} is no run of at least {SHORTEST_WORD} letters; `matches` takes any part")
    return word


def _burst(said: object) -> records.Burst:
    given = mapping(said, ("at-least", "within", "sharing", "by"), "a burst", needed=("at-least", "within"))
    number = given["at-least"]
    if not isinstance(number, int) or isinstance(number, bool) or not 2 <= number <= 100_000:
        raise ReadError("at-least: expected a whole number from 2 on")
    sharing = tuple(texts(given["sharing"], "sharing")) if "sharing" in given else ()
    for one in sharing:
        if one not in _PREDICATES:
            raise ReadError(f"sharing: there is no link {one!r}")
    if len(sharing) > 3:
        raise ReadError("sharing: at most three links")
    if given.get("by", "seen") not in {"seen", "created"}:
        raise ReadError("by: expected seen or created")
    return records.Burst(
        at_least=number,
        within=at("within", duration, given["within"]),
        sharing=sharing,
        created=given.get("by") == "created",
    )


def _below(key: str, said: object, **more: Any) -> Link:
    tests = Tests(below=tuple(dict.fromkeys(_name(one) for one in texts(said, key))), **more.pop("tests", {}))
    return Link(predicate=str(key), tests=tests, **more)


def _network_of(said: object) -> Condition:
    """An address is part of an AS by what a feed says, or of a network that is, by what a registry does."""
    direct = read_link(Predicate.PART_OF.value, said)
    through = Link(predicate=Predicate.PART_OF.value, where=direct)
    of = tuple(Link(predicate=Predicate.RESOLVES_TO.value, where=one) for one in (direct, through))
    return records.AnyOf(of=of)


_SHORT: Final[dict[str, Callable[[object], Condition]]] = {
    "registrar": lambda said: read_link(Predicate.REGISTERED_THROUGH.value, said),
    "registrant": lambda said: read_link(
        Predicate.REGISTERED_BY.value, {"is": said, "kind": ["registrant"]} if not isinstance(said, Mapping) else said
    ),
    "email": lambda said: read_link(
        Predicate.REGISTERED_BY.value, {"is": said, "kind": ["email"]} if not isinstance(said, Mapping) else said
    ),
    "name-servers": lambda said: read_link(Predicate.USES_NAME_SERVERS.value, said),
    "mail-provider": lambda said: _below(
        Predicate.REGISTERED_BY.value, said, tests={"kinds": ("email",)}, roles=("registrant",)
    ),
    "name-server-provider": lambda said: _below(Predicate.USES_NAME_SERVERS.value, said),
    "mail-hosts": lambda said: _below(Predicate.USES_MAIL_HOST.value, said),
    "soa-contact": lambda said: read_link(Predicate.HAS_SOA_CONTACT.value, said),
    "address": lambda said: read_link(Predicate.RESOLVES_TO.value, said),
    "network": _network_of,
    "issuer": lambda said: Link(
        predicate=Predicate.NAMES.value, inverse=True, where=read_link(Predicate.ISSUED_BY.value, said)
    ),
    "certificate": lambda said: read_link("named-by", said),
    "key": lambda said: Link(
        predicate=Predicate.NAMES.value, inverse=True, where=read_link(Predicate.HAS_KEY.value, said)
    ),
}
"""Short forms: what a trait of a domain (intel.traits.Name) is a link to."""

_OTHERS: Final[dict[str, Callable[[object], Condition]]] = {
    "changed": _changed,
    "hidden": lambda said: _hidden(said, exposed=False),
    "exposed": lambda said: _hidden(said, exposed=True),
    "renewed": _renewed,
    "suffix": _suffix,
    "label": _label,
    "burst": _burst,
}
