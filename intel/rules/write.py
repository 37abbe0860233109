"""Writing a rule as the mapping that `read_rule` reads, and its digest: the same for the same rule, however written."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from intel.facts import Predicate, State
from intel.rules import records
from intel.rules.records import Condition, Link, Rule, Tests
from intel.rules.words import duration_words, rarity_words

_NAMES = {predicate: name for name, predicate in records.INVERSES.items()}


def write_rule(rule: Rule) -> dict[str, Any]:
    """A mapping for YAML or JSON; `read_rule` of it is the same rule."""
    said: dict[str, Any] = {"name": rule.name, "about": _one(rule.about), "when": [_write(one) for one in rule.when]}
    if rule.over is not None:
        said["over"] = duration_words(rule.over)
    if rule.rare is not None:
        said["rare"] = rarity_words(rule.rare)
    return {**said, "say": rule.say, "severity": rule.severity, "lapse": rule.lapse}


def rule_digest(rule: Rule) -> bytes:
    """128 bits of SHA-256 over the rule's content."""
    return hashlib.sha256(msgspec.json.encode(write_rule(rule), order="sorted")).digest()[:16]


def _write(condition: Condition) -> dict[str, Any]:
    match condition:
        case Link():
            return _link(condition)
        case records.Dated():
            return {condition.predicate: _dated(condition)}
        case records.Changed():
            sides = {"from": _tests(condition.old), "to": _tests(condition.new)}
            return {"changed": {condition.predicate: {side: said for side, said in sides.items() if said}}}
        case records.Hidden():
            of = {"role": _one(condition.roles), "field": _one(condition.fields)}
            key = "exposed" if condition.exposed else "hidden"
            return {key: {condition.predicate: {name: said for name, said in of.items() if said}}}
        case records.Renewed():
            return {"renewed": "same-key"}
        case records.Suffix():
            return {"suffix": list(condition.suffixes)}
        case records.Label():
            return {"label": _label(condition)}
        case records.Own():
            return {"subject": _tests(condition.tests)}
        case records.Burst():
            return {"burst": _burst(condition)}
        case records.Absent():
            said = {"after": _write(condition.after), "without": _write(condition.no)}
            return {"absent": {**said, "within": duration_words(condition.within)}}
        case records.AnyOf():
            return {"any": [_write(one) for one in condition.of]}
        case records.Never():
            return {"not": _write(condition.condition)}


def _link(link: Link) -> dict[str, Any]:
    said = _tests(link.tests)
    if link.states != (State.VALUE.value,):
        said["state"] = _one(link.states)
    for name, values in (("role", link.roles), ("type", link.types), ("field", link.fields)):
        if values:
            said[name] = _one(values)
    if link.where is not None:
        said["where"] = _link(link.where)
    return {_NAMES[Predicate(link.predicate)] if link.inverse else link.predicate: said}


def _tests(tests: Tests) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if tests.values:
        said["is"] = _one([f"{kind}:{value}" if kind != "url" else value for kind, value in tests.values])
    for name, values in (("matches", tests.matches), ("in", tests.networks), ("below", tests.below)):
        if values:
            said[name] = _one(values)
    if tests.kinds:
        said["kind"] = _one(tests.kinds)
    if tests.watched is not None:
        said["watched"] = tests.watched
    if tests.rarer_than is not None:
        said["rarer-than"] = rarity_words(tests.rarer_than)
    return said


def _dated(condition: records.Dated) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if condition.within is not None:
        said["within"] = duration_words(condition.within)
    if condition.after:
        said["after"] = condition.after
    if condition.before:
        said["before"] = condition.before
    if condition.hours is not None:
        said["hour"] = list(condition.hours)
    return said


def _label(label: records.Label) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, values in (("shape", label.shapes), ("words", label.words), ("matches", label.matches)):
        if values:
            said[name] = _one(values)
    if label.length is not None:
        said["length"] = list(label.length)
    if label.digits is not None:
        said["digits"] = label.digits
    if label.hyphens is not None:
        said["hyphens"] = label.hyphens
    return said


def _burst(burst: records.Burst) -> dict[str, Any]:
    said: dict[str, Any] = {"at-least": burst.at_least, "within": duration_words(burst.within)}
    if burst.sharing:
        said["sharing"] = list(burst.sharing)
    if burst.created:
        said["by"] = "created"
    return said


def _one(values: Sequence[str]) -> Any:
    """A single value stands alone."""
    return values[0] if len(values) == 1 else list(values)
