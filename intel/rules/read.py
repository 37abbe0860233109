"""Reading a rule: a mapping, as YAML or JSON gives it, in; a `Rule` out. What is wrong is said with its place.

The forms stand in intel/rules/__init__.py. Whatever is not one of them is refused: a rule that looks for something else
than its author meant is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from intel.entities import Kind
from intel.errors import ReadError
from intel.rules import conditions, forms
from intel.rules.records import AnyOf, Burst, Condition, Dated, Link, Rule, links
from intel.rules.words import duration, rarity

MAX_CONDITIONS: Final = 24
MAX_DEPTH: Final = 3
MAX_PARTS: Final = 10_000
"""Keys and values of a whole rule: what a short file repeats by references counts as often as it stands there."""
_KEYS: Final = ("name", "about", "when", "over", "rare", "say", "severity", "lapse")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SLOT: Final = re.compile(r"\{([^{}]*)\}")
SLOTS: Final = ("subject", "found", "day", "count")
"""What `say` takes: what was found, what it met, the day, and how many a burst has at least."""
MAX_SAY: Final = 300


def read_rule(value: object) -> Rule:
    """The rule that a mapping says. Raises ReadError that names the rule and the place in it."""
    said = forms.mapping(value, _KEYS, "a rule")
    name = said.get("name")
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise ReadError("a rule needs a name of small letters, digits and hyphens")
    with _at(f"rule {name}"):
        _bound(said)
        for key in ("when", "say"):
            if key not in said:
                raise ReadError(f"`{key}` is missing")
        about = _about(said.get("about", "domain"))
        rule = Rule(
            name=name,
            about=about,
            when=_when(said["when"], about),
            over=None if said.get("over") is None else _field(said, "over", duration),
            rare=None if said.get("rare") is None else _field(said, "rare", rarity),
            say=_field(said, "say", _say),
            severity=_field(said, "severity", _severity) if "severity" in said else 50,
            lapse=_field(said, "lapse", forms.flag) if "lapse" in said else False,
        )
        _check(rule)
    return rule


def _bound(said: object) -> None:
    left, count = [said], 0
    while left:
        one = left.pop()
        inner = [part for pair in one.items() for part in pair] if isinstance(one, Mapping) else one
        if isinstance(inner, list | tuple):
            count += len(inner)
            if count > MAX_PARTS:
                raise ReadError(f"it has more than {MAX_PARTS} keys and values")
            left.extend(inner)


def _when(value: object, about: tuple[str, ...]) -> tuple[Condition, ...]:
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MAX_CONDITIONS:
        raise ReadError(f"when: expected a list of 1 to {MAX_CONDITIONS} conditions")
    found = []
    for number, one in enumerate(value, 1):
        with _at(f"when: condition {number}"):
            found.append(conditions.read_condition(one, about, depth=MAX_DEPTH))
    return tuple(found)


def _check(rule: Rule) -> None:
    bursts = sum(isinstance(one, Burst) for one in rule.when)
    if bursts > 1:
        raise ReadError("when: there is more than one burst")
    if not [one for one in rule.when if not isinstance(one, Burst)]:
        raise ReadError("when: a burst needs conditions besides, or everything that came at once is one")
    said = [link for one in rule.when for link in links(one)]
    if rule.rare is not None and not said:
        raise ReadError("rare: there is no link whose rarity could be told")
    if rule.over is not None and len(rule.timed) < 2:
        raise ReadError("over: there are no two conditions with a time")
    if not rule.timed:
        raise ReadError("when: nothing in it has a time: add when it was stated, as `created: {}`")
    if _broad(rule):
        raise ReadError("when: nothing says what to look for: name a value, a change, a burst or what the name is like")


def _broad(rule: Rule) -> bool:
    """Whether all of it is so of nearly everything: links to anything at all, or what is not so."""

    def says_much(one: Condition) -> bool:
        if isinstance(one, Link):
            return not one.tests.is_empty() or one.states != ("value",) or one.where is not None
        if isinstance(one, AnyOf):
            return all(says_much(each) for each in one.of)
        if isinstance(one, Dated):
            return one != Dated(predicate=one.predicate)
        return one.__struct_config__.tag != "not"

    return not any(says_much(one) for one in rule.when)


def _about(value: object) -> tuple[str, ...]:
    kinds = tuple(forms.texts(value, "about"))
    for kind in kinds:
        if kind not in set(Kind):
            raise ReadError(f"about: there is no kind {kind!r} (there are {', '.join(Kind)})"[:400])
    return kinds


def _say(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > MAX_SAY or not text.isprintable():
        raise ReadError(f"expected a sentence of at most {MAX_SAY} characters")
    slots = _SLOT.findall(text)
    for slot in slots:
        if slot not in SLOTS:
            raise ReadError(f"there is no {{{slot}}}: it takes {', '.join(f'{{{one}}}' for one in SLOTS)}")
    if text.count("{") != len(slots) or text.count("}") != len(slots):
        raise ReadError("a brace stands alone in it")
    return text


def _severity(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100:
        raise ReadError("expected a whole number from 0 to 100")
    return value


def _field(said: Mapping[str, Any], key: str, read: Callable[[object], Any]) -> Any:
    with _at(key):
        return read(said[key])


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Name the place in what is raised inside."""
    try:
        yield
    except ReadError as error:
        raise ReadError(f"{place}: {error}") from error
