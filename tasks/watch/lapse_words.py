"""What is said besides of a lapse: words of the statements in (`watch_said.how`), phrases and annotations out. Pure.

A statement says what it saw in a word and a value (`port 80`, `used 2026-01-31`); here that becomes what titles take
and what lowers a finding. Annotations are about `EVIDENCE`: they change when what is known does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec

from intel.entities import Entity, Kind, entity, literal
from intel.facts import Predicate
from tasks.pivot.hubs import hubs_of

EVIDENCE: Final = "evidence"
"""What an annotation is about that says how good the evidence is."""

_SERVICES: Final = {80: "http", 8000: "http", 8008: "http", 8080: "http", 8888: "http", 21: "ftp", 23: "telnet"}
_SOURCES: Final = {
    "registered-by": "the registrant",
    "has-soa-contact": "the zone's contact",
    "names": "named in a certificate",
    "uses": "used",
    "communicates-with": "talked to",
    "associated-with": "named together",
    "attributed-to": "claimed to be an actor's",
    "reported-in": "named in a report",
}
_STEPS: Final = {"created": "registered", "names": "first certificate", "resolves-to": "first resolution"}
_TIES: Final = {"address": "on a watched address", "name-servers": "with a watched domain's name servers"}


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a title takes, and the annotations."""

    how: str = ""
    ranges: str = ""
    notes: tuple[dict[str, Any], ...] = ()


def lapse_words(rule: str, said: Iterable[str]) -> Words | None:
    """The words for a rule on lapses; None for another."""
    maker = _MAKERS.get(rule)
    return None if maker is None else maker(_read(said))


def _read(said: Iterable[str]) -> Mapping[str, Sequence[str]]:
    values: dict[str, list[str]] = {}
    for one in sorted(set(said)):
        word, _, value = one.partition(" ")
        values.setdefault(word, []).append(value)
    return values


def _note(hub: str, takes: int, why: str, at: str = "") -> dict[str, Any]:
    return {"about": EVIDENCE, "list": at, "hub": hub, "takes": takes, "why": why}


def _clear(said: Mapping[str, Sequence[str]]) -> Words:
    services, ports = said.get("service", ()), sorted({int(port) for port in said.get("port", ())})
    notes = []
    if not services:
        why = "the port only was seen, not what was said: no TLS was recognised"
        notes.append(_note("port-only", 30, why))
    if "tls-clients" in said:
        notes.append(_note("tls-too", 40, "everybody who spoke in the clear with it spoke TLS with it as well"))
    elif "tls-server" in said:
        notes.append(_note("tls-too", 15, "it was seen with TLS as well"))
    seen = [f"{_SERVICES[port]} by its port {port}" if port in _SERVICES else f"port {port}" for port in ports]
    return Words(how=", ".join([*services, *seen]), notes=tuple(notes))


def _outside(said: Mapping[str, Sequence[str]]) -> Words:
    ports = sorted({int(port) for port in said.get("port", ())})
    usual = max((int(count) for count in said.get("usual", ())), default=0)
    notes, days = [], []
    for one in said.get("ranges", ()):
        when, _, rest = one.partition(" ")
        day, _, source = rest.partition(" ")
        days.append((when, day))
        if when == "later":
            notes.append(_note("ranges-of-a-later-day", 30, f"none of that day or before is known: of {day}", source))
        elif when == "earlier":
            notes.append(_note("ranges-of-an-earlier-day", 5, f"no list of that day is known: of {day}", source))
    told = "all VPN and proxy ranges of that day"
    others = sorted({f"{day}, which is later" if when == "later" else day for when, day in days if when != "same"})
    if others:
        told = f"all known VPN and proxy ranges (lists of {', '.join(others)})"
    where = f"administration, port {', '.join(map(str, ports))}" if ports else "administration"
    return Words(how=f"{where}; {usual} other connections came from inside", ranges=told, notes=tuple(notes))


def _handle(said: Mapping[str, Sequence[str]]) -> Words:
    notes = []
    alike = "alike" in said and "same" not in said
    if alike:
        notes.append(_note("handle-only", 30, "the handle is the same, at another provider: others may have it too"))
    there = ", ".join(_SOURCES.get(one, one) for one in said.get("there", ()))
    here = ", ".join(_SOURCES.get(one, one) for one in said.get("here", ()))
    how = f"{there} there, {here} here"
    return Words(how=f"the same handle at another provider, {how}" if alike else how, notes=tuple(notes))


def _prepared(said: Mapping[str, Sequence[str]]) -> Words:
    steps = [f"{words} {said[step][0]}" for step, words in _STEPS.items() if step in said]
    if "unused" in said:
        began = said["created"][0]
        ties = [f"{words} {_days(began, said[tie][0])} later" for tie, words in _TIES.items() if tie in said]
        return Words(how=f"stands ready and is not known to be used: registered {began}, {', '.join(ties)}")
    used = said["used"][0]
    days = max((_between(said[step][0], used) for step in _STEPS if step in said), default=0)
    why = "known infrastructure: it tells how long before use the actor prepares"
    return Words(
        how=f"was prepared {days} days before its first known use on {used}: {', '.join(steps)}",
        notes=(_note("known-already", 25, why),),
    )


def _between(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


def _days(first: str, last: str) -> str:
    days = max(0, _between(first, last))
    return "1 day" if days == 1 else f"{days} days"


def _host(said: Mapping[str, Sequence[str]]) -> Words:
    notes: list[dict[str, Any]] = []
    subjects, issuers = said.get("subject", ()), said.get("issuer", ())
    for text in subjects:
        notes += _of_value(literal(Kind.TEXT, text), Predicate.DESCRIBED_AS)
    for text in issuers:
        notes += _of_value(literal(Kind.TEXT, text), Predicate.ISSUED_BY)
    for text in said.get("key", ()):
        notes += _of_value(entity(Kind.PUBLIC_KEY, text), Predicate.HAS_KEY)
    if set(subjects) & set(issuers):
        notes.append(_note("self-signed", 0, "it signed itself: no log holds such certificates"))
    notes += [_note("listed", 0, f"listed as {one}") for one in said.get("listed", ()) if one]
    for count in said.get("names", ()):
        notes.append(_note("shared-certificate", 50, f"it names {count} registrable domains: a hoster's, for many"))
    if "hub" in said:
        notes.append(_note("shared", 40, "so many certificates have the key that it says little about any of them"))
    if "claimed" in said:
        notes.append(_note("claimed", 30, "a source claims the host for the same actor already"))
    return Words(notes=tuple(notes))


def _of_value(item: Entity, predicate: str) -> Iterable[dict[str, Any]]:
    for hub in hubs_of(item, predicate=predicate):
        yield _note(hub.hub, hub.takes, hub.why, hub.list)


_MAKERS: Final[Mapping[str, Callable[[Mapping[str, Sequence[str]]], Words]]] = {
    "clear-c2": _clear,
    "outside-vpn": _outside,
    "shared-handle": _handle,
    "prepared-before-use": _prepared,
    "reused-certificate": _host,
    "reused-key": _host,
}
