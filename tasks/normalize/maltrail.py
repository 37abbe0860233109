"""Maltrail trail files: one file an actor (or malware family), its indicators under the reports that named them.

    # Aliases: apt-0, example bear
    # Reference: https://report.example/1
    # Reference: https://report.example/2

    name.example
    192.0.2.1:4444

In: such a file. Out: for each indicator two facts, the claim that it is the actor's and that the report names it (the
second is what joins indicators of one report, and costs a fact a line); the actor's aliases; further references of a
block as descriptions of its report. A run of reference lines is one block, and its first reference is the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from intel.config.sources import Source
from intel.entities import PERSONAL, Entity, Kind, entity, guess, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, RawDocument, Reject
from tasks.normalize.lines import line_fault, line_reject, text_lines
from tasks.normalize.mapping import LONGEST_TEXT

# Real files misspell the word in several ways.
_REFERENCE: Final = re.compile(r"#\s{0,8}Refer\w{1,8}:(.*)", re.IGNORECASE)
_ALIASES: Final = re.compile(r"#\s{0,8}Alias(?:es)?:(.*)", re.IGNORECASE)
_SECTION: Final = re.compile(r"#\s{0,8}(?:Generic|Misc\.?)\s{0,8}", re.IGNORECASE)
_ACTOR_FILE: Final = "apt_"


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Two facts an indicator, one an alias, one a further reference; locators are `line N`.

    Files whose name begins with `apt_` are an actor's (`attributed-to`), others a malware family's
    (`associated-with`). Raises ReadError for a document whose location has no file name.
    """
    owner, predicate = _owner(document.location, source.options.naming_authority or "maltrail")
    report: Entity | None = None
    in_block = False
    for number, line in text_lines(document.body, source.options.encoding):
        text = line.strip()
        if not text:
            continue
        locator = f"line {number}"
        fault = line_fault(line)
        if fault:
            yield line_reject(number, fault, text)
            continue
        if not text.startswith("#"):
            in_block = False
            yield from _indicator(text, number, owner, predicate, report)
            continue
        reference = _REFERENCE.fullmatch(text)
        if reference is not None:
            named = _reference(reference[1])
            if not named:
                report, in_block = None, False
            elif in_block and report is not None:
                yield Fact(
                    subject=report,
                    predicate=Predicate.DESCRIBED_AS,
                    object=literal(Kind.TEXT, named),
                    qualifiers=(("field", "reference"),),
                    locator=locator,
                )
            else:
                report, in_block = _report(named), True
        elif _SECTION.fullmatch(text):
            report, in_block = None, False
        elif (aliases := _ALIASES.fullmatch(text)) is not None:
            yield from _aliases(aliases[1], owner, locator)


def _owner(location: str, authority: str) -> tuple[Entity, Predicate]:
    name = re.split(r"[?#]", location, maxsplit=1)[0].replace("\\", "/").rpartition("/")[2].lower().removesuffix(".txt")
    if not name:
        raise ReadError("couldn't read a trail file: its name, which says whose it is, is missing")
    if name.startswith(_ACTOR_FILE):
        return entity(Kind.ACTOR, f"{authority}:{name}"), Predicate.ATTRIBUTED_TO
    return entity(Kind.SOFTWARE, f"{authority}:{name}"), Predicate.ASSOCIATED_WITH


def _reference(text: str) -> str:
    """The URL, without remarks behind it (`(Korean)`); text where it is no URL."""
    clean = text.strip()[:LONGEST_TEXT]
    return clean.split(None, 1)[0] if "://" in clean else clean


def _report(named: str) -> Entity | None:
    try:
        return entity(Kind.REPORT, named)
    except ReadError:
        return None


def _aliases(text: str, owner: Entity, locator: str) -> Iterator[Fact]:
    for alias in dict.fromkeys(part.strip() for part in text.split(",")):
        if alias:
            yield Fact(subject=owner, predicate=Predicate.ALIAS, object=entity(Kind.LABEL, alias), locator=locator)


def _indicator(
    text: str, number: int, owner: Entity, predicate: Predicate, report: Entity | None
) -> Iterator[Fact | Reject]:
    value = text.partition(" #")[0].partition("\t#")[0]
    if value.startswith("/"):
        yield line_reject(number, "couldn't read a URL: a path without a host", text)
        return
    try:
        subject = guess(value)
    except ReadError as error:
        yield line_reject(number, str(error), text)
        return
    reference = report.value if report is not None else ""
    personal = subject.kind in PERSONAL
    locator = f"line {number}"
    yield Fact(
        subject=subject, predicate=predicate, object=owner, reference=reference, personal=personal, locator=locator
    )
    if report is not None:
        yield Fact(
            subject=subject,
            predicate=Predicate.REPORTED_IN,
            object=report,
            reference=reference,
            personal=personal,
            locator=locator,
        )
