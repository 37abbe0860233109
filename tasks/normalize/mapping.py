"""A source's mapping, compiled: records of a table or of JSON in, facts and rejects out.

The mapping (`intel.config.sources.Mapping`) is turned into closures once for each document, because a feed has millions
of records and a mapping only a handful of terms. How a column is found is the format's own business (`Columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Generic, TypeVar

import msgspec

from intel.config.sources import Mapping, Source, Statement, Term
from intel.entities import PERSONAL, Entity, Kind, entity, guess, literal
from intel.errors import ConfigError, ReadError
from intel.facts import TLP, Fact, Predicate, Reject
from tasks.normalize.lines import excerpt
from tasks.normalize.times import canonical_time, event_time

Record = TypeVar("Record")
Column = str | int
Values = tuple[Sequence[Entity], Sequence[str]]
"""The entities that a term gives, and why others of its values give none."""
Said = tuple[Entity, Entity]

MOST_VALUES: Final = 1000
"""Values of one cell, and facts of one statement of one record."""
LONGEST_TEXT: Final = 2048
"""Characters of a reference or qualifier."""


class Columns(msgspec.Struct, Generic[Record], frozen=True, kw_only=True):
    """How a format finds a column: `text` gives its value ("" where there is none), `texts` all its values.

    Both raise ReadError for a column that the document does not have and that is not `optional`. `show` gives the
    record for the excerpt of a reject.
    """

    text: Callable[[Column, bool], Callable[[Record], str]]
    texts: Callable[[Column, bool], Callable[[Record], Sequence[str]]]
    show: Callable[[Record], str]


def compile_mapping(source: Source, columns: Columns[Record]) -> Callable[[Record, str], list[Fact | Reject]]:
    """What makes facts and rejects of a record and its locator.

    Raises ConfigError for a mapping that cannot mean anything, and ReadError for a document without its columns.
    """
    mapping = source.options.mapping
    if mapping is None:
        raise ConfigError(f"couldn't read a document of {source.name}: its options have no mapping; enter one")
    skips = [(columns.text(column, True), frozenset(values)) for column, values in mapping.skip.items()]
    ends = [(columns.text(column, False), value) for column, value in mapping.ends.items()]
    statements = [_statement(source, statement, columns) for statement in mapping.statements]
    about = _about(mapping, columns)
    show: Callable[[Record], str] = (lambda _record: "") if _names_people(mapping) else columns.show

    def read_record(record: Record, locator: str) -> list[Fact | Reject]:
        for text, values in skips:
            if text(record) in values:
                return []
        found: list[Fact | Reject] = []
        reasons: list[str] = []
        try:
            at, reference, confidence, tlp = about(record)
        except ReadError as error:
            return [Reject(locator=locator, reason=str(error), excerpt=excerpt(show(record)))]
        ended = any(text(record) == value for text, value in ends)
        for predicate, say, qualify in statements:
            said, faults = say(record)
            reasons += faults
            qualifiers = qualify(record) if qualify is not None else ()
            found += [
                Fact(
                    subject=subject,
                    predicate=predicate,
                    object=thing,
                    qualifiers=qualifiers,
                    reference=reference,
                    tlp=tlp,
                    confidence=confidence,
                    event_time=at,
                    ends=ended,
                    personal=subject.kind in PERSONAL or thing.kind in PERSONAL,
                    locator=locator,
                )
                for subject, thing in said
            ]
        if reasons:
            # Statements that share a subject fail for the same reason: it is said once.
            shown = excerpt(show(record))
            found += [Reject(locator=locator, reason=reason, excerpt=shown) for reason in dict.fromkeys(reasons)]
        return found

    return read_record


def _names_people(mapping: Mapping) -> bool:
    terms = [term for said in mapping.statements for term in (said.subject, said.object) if term is not None]
    return any(PERSONAL.intersection((term.kind, *term.kinds.values())) for term in terms)


_About = Callable[[Record], tuple[datetime | None, str, int | None, int | None]]


def _about(mapping: Mapping, columns: Columns[Record]) -> _About[Record]:
    """What gives event time, reference, confidence and TLP of a record; an empty cell is none."""
    time_text = _text(mapping.event_time, columns)
    reference_text = _text(mapping.reference, columns)
    confidence_text = _text(mapping.confidence, columns)
    tlp_text = _text(mapping.tlp, columns)

    def about(record: Record) -> tuple[datetime | None, str, int | None, int | None]:
        when = time_text(record) if time_text is not None else ""
        return (
            event_time(when) if when else None,
            _plain(reference_text(record)) if reference_text is not None else "",
            _confidence(confidence_text(record)) if confidence_text is not None else None,
            _tlp(tlp_text(record)) if tlp_text is not None else None,
        )

    return about


def _plain(text: str) -> str:
    return text[:LONGEST_TEXT].replace("\0", " ")


def _confidence(text: str) -> int | None:
    if not text:
        return None
    whole = text.partition(".")[0]
    if not whole.isascii() or not whole.isdigit() or len(whole) > 3 or int(whole) > 100:
        raise ReadError("couldn't read a confidence: not a number from 0 to 100")
    return int(whole)


def _tlp(text: str) -> int | None:
    if not text:
        return None
    try:
        return int(TLP.parse(text))
    except ValueError as error:
        raise ReadError("couldn't read a TLP label: none of TLP 2.0") from error


def _text(term: Term | None, columns: Columns[Record]) -> Callable[[Record], str] | None:
    """The text of a term that makes no entity."""
    if term is None:
        return None
    prefix = term.prefix
    if term.column is None:
        constant = prefix + (term.value or "")
        return lambda _record: constant
    cell = columns.text(term.column, False)
    if not prefix:
        return cell
    return lambda record: prefix + text if (text := cell(record)) else ""


_Statement = tuple[
    Predicate,
    Callable[[Record], tuple[list[Said], Sequence[str]]],
    Callable[[Record], tuple[tuple[str, str], ...]] | None,
]


def _statement(source: Source, statement: Statement, columns: Columns[Record]) -> _Statement[Record]:
    subjects = _term(source, statement.subject, columns, optional=statement.optional)
    if statement.object is not None:
        objects = _term(source, statement.object, columns, optional=statement.optional)
    elif statement.predicate is Predicate.LISTED:
        listed: Values = ((entity(Kind.LABEL, source.options.label or source.name),), ())

        def objects(_record: Record) -> Values:
            return listed

    else:
        raise ConfigError(
            f"couldn't read a document of {source.name}: a statement {statement.predicate} has no object; enter one"
        )

    def say(record: Record) -> tuple[list[Said], Sequence[str]]:
        left, left_faults = subjects(record)
        right, right_faults = objects(record)
        if len(left) == 1 and len(right) == 1:
            return [(left[0], right[0])], (*left_faults, *right_faults)
        said = [(subject, thing) for subject in left for thing in right[: MOST_VALUES // len(left) or 1]]
        return said[:MOST_VALUES], (*left_faults, *right_faults)

    return statement.predicate, say, _qualifiers(statement, columns)


def _qualifiers(
    statement: Statement, columns: Columns[Record]
) -> Callable[[Record], tuple[tuple[str, str], ...]] | None:
    if not statement.qualifiers:
        return None
    texts = [(name, text) for name, term in statement.qualifiers.items() if (text := _text(term, columns)) is not None]
    return lambda record: tuple((name, _plain(value)) for name, text in texts if (value := text(record)))


def _term(source: Source, term: Term, columns: Columns[Record], *, optional: bool) -> Callable[[Record], Values]:
    """What makes the entities of a term; a value that names none is a fault, an absent one only where asked for."""
    prefix = term.prefix
    if term.column is None:
        if term.value is None:
            raise ConfigError(f"couldn't read a document of {source.name}: a term has neither column nor value")
        constant: Values = ((_maker(term.kind)(prefix + term.value),), ())
        return lambda _record: constant
    cells = columns.texts(term.column, optional)
    split = term.split
    nothing: Values = ((), () if optional else (f"couldn't read column {term.column}: empty",))
    make_for = _makers(term, columns)

    def read(record: Record) -> Values:
        texts = cells(record)
        if split is not None:
            texts = [part for text in texts for part in map(str.strip, text.split(split, MOST_VALUES)) if part]
        if not texts:
            return nothing
        try:
            make = make_for(record)
        except ReadError as error:
            return (), (str(error),)
        if len(texts) == 1:
            try:
                return (make(prefix + texts[0]),), ()
            except ReadError as error:
                return (), (str(error),)
        return _each([prefix + text for text in texts], make)

    return read


def _each(texts: Sequence[str], make: Callable[[str], Entity]) -> Values:
    found, faults = [], []
    if len(texts) > MOST_VALUES:
        faults.append(f"couldn't read all values of a cell: more than {MOST_VALUES}; the rest is left out")
    for text in texts[:MOST_VALUES]:
        try:
            found.append(make(text))
        except ReadError as error:
            faults.append(str(error))
    return found, faults


def _maker(kind: str) -> Callable[[str], Entity]:
    if kind == Kind.TIME:
        return lambda text: literal(Kind.TIME, canonical_time(text))
    return guess if kind == "auto" else partial(entity, kind)


def _makers(term: Term, columns: Columns[Record]) -> Callable[[Record], Callable[[str], Entity]]:
    """What makes an entity of a text, for a record: of one kind, or of the kind that a column says."""
    if term.kind_from is None:
        one = _maker(term.kind)
        return lambda _record: one
    said_kind = columns.text(term.kind_from, False)
    makers = {word.lower(): _maker(kind) for word, kind in (term.kinds or {kind: kind for kind in Kind}).items()}

    def make_for(record: Record) -> Callable[[str], Entity]:
        word = said_kind(record)
        make = makers.get(word.lower())
        if make is None:
            raise ReadError(f"couldn't read a value: its kind {excerpt(word)[:60]!r} is none that the mapping knows")
        return make

    return make_for
