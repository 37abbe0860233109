"""Plain lists: one value a line, with comments; each is on the list of its source.

In: a document of lines. Out: for each value the fact that it is listed, as the label of the source's entry (or the
source's name) says; a line that names nothing is a reject. Hundreds of public block lists have this form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from intel.config.sources import Options, Source
from intel.entities import PERSONAL, Entity, Kind, entity, guess
from intel.errors import ReadError
from intel.facts import Fact, Predicate, RawDocument, Reject
from tasks.normalize.lines import line_fault, line_reject, text_lines


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """One `listed` fact or one reject a line, but for blank lines and comments.

    Locators are `line N`. Raises ReadError where the encoding is unknown.
    """
    options = source.options
    label = entity(Kind.LABEL, options.label or source.name)
    make: Callable[[str], Entity] = guess if options.kind == "auto" else partial(entity, options.kind)
    comments = tuple(options.comment.split())
    value_of = _value_of(options, comments)
    for number, line in text_lines(document.body, options.encoding):
        text = line.strip()
        if not text or text.startswith(comments):
            continue
        fault = line_fault(line)
        if fault:
            yield line_reject(number, fault, text)
            continue
        try:
            subject = make(value_of(text))
        except ReadError as error:
            yield line_reject(number, str(error), "" if options.kind in PERSONAL else text)
            continue
        yield Fact(
            subject=subject,
            predicate=Predicate.LISTED,
            object=label,
            personal=subject.kind in PERSONAL,
            locator=f"line {number}",
        )


def _value_of(options: Options, comments: tuple[str, ...]) -> Callable[[str], str]:
    """What cuts comments and further columns off a line; plain searches, so that no line takes long."""
    marks = [space + comment for comment in comments for space in " \t"]
    ends = [mark for mark in options.value_ends_at if not mark.isspace()]
    at_space = len(ends) < len(options.value_ends_at)

    def value_of(text: str) -> str:
        if " " in text or "\t" in text:
            for mark in marks:
                text = text.partition(mark)[0]
            if at_space:
                text = text.split(None, 1)[0]
        for mark in ends:
            text = text.partition(mark)[0]
        return text

    return value_of
