"""Which names imitate a watched one: watched domains and labels, and names in; what imitates which, and how, out.

What is compared is the label that somebody registered (`example` of www.example.com), and for imitations below a
stranger's domain the labels before it. All is found by look-ups in an index of what the watched labels become when
letters that look alike are made one and at most one letter is left out; what is found is verified, explained and
judged in `imitations.py`.

Watched domains, and names below them, imitate nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Final

import msgspec

from intel.match.glyphs import MAX_LABEL, collapsed, folded, plain, printable, shown
from intel.match.imitations import MIN_BELOW, MIN_INNER, MIN_TOKEN, Imitation, Verdict, near, within
from intel.match.near import Halves, NearIndex
from intel.match.words import WordSearch

MAX_IMITATED: Final = 16
"""Watched things that one label imitates at most."""
_CACHED: Final = 32_768  # registrable domains, about 5 MB: certificates of the same one come close together
_EDGES: Final = frozenset({"", ".", "-"})


class Lookalike(msgspec.Struct, frozen=True, kw_only=True):
    """That something imitates `watched`; `why` says it in words."""

    watched: str
    how: Imitation
    why: str


class _Label(msgspec.Struct, frozen=True):
    """A label as a name has it, as it is shown, and its plain form (`glyphs.py`)."""

    label: str
    text: str
    bare: str


class Lookalikes:
    """The watched domains and labels, ready to be asked: built in about 1.5 s per 100,000, for one process."""

    def __init__(self, watched: Iterable[str]) -> None:
        items: dict[str, list[str]] = {}
        for item in sorted(watched):
            items.setdefault(item.partition(".")[0], []).append(item)
        self._labels: Final = tuple(items)
        self._items: Final = tuple(tuple(found) for found in items.values())
        self._plain: Final = tuple(plain(shown(label)) for label in items)
        self._own: Final = frozenset(item for found in self._items for item in found if "." in item)
        self._index: Final = NearIndex(self._forms(), len(items))
        self._search: Final = WordSearch(form for _, form in self._forms() if MIN_INNER <= len(form) <= MAX_LABEL)
        self._short: Final = frozenset(form for _, form in self._forms() if len(form) < MIN_INNER)
        self._known: dict[str, tuple[Lookalike, ...]] = {}
        self._idle: set[str] = set()

    @cached_property
    def _halves(self) -> Halves:
        return Halves(form for _, form in self._forms())

    def _forms(self) -> Iterator[tuple[int, str]]:
        for number, text in enumerate(self._plain):
            form = folded(text)
            yield number, form
            other = folded(collapsed(text))
            if other != form:
                yield number, other
            if "-" in form:
                yield number, form.replace("-", "")

    def _is_own(self, registrable: str) -> bool:
        """Whether a registrable domain is watched itself, or stands below a watched one."""
        own = self._own
        while "." in registrable:
            if registrable in own:
                return True
            registrable = registrable.partition(".")[2]
        return False

    def find(self, name: str, registrable: str) -> tuple[Lookalike, ...]:
        """What a name imitates, given its registrable domain: by what was registered, and by what is before it."""
        known = self._known.get(registrable)
        if known is None:
            known = self._remember(registrable)
        if name == registrable:
            return known
        left = name[: -len(registrable) - 1]
        # Most names have no more than this before, and nobody's label is "www".
        if left == "www" or self._is_own(registrable):
            return known
        return known + self._before(left, registrable)

    def suspects(self, registrables: Sequence[str]) -> set[int]:
        """The places of those registrable domains that `find` has an answer for.

        For streams of names that hardly ever have one: they are folded and searched together.
        """
        if not registrables:
            return set()
        labels = [name.partition(".")[0] for name in registrables]
        # A label that is shown as something else is worth the whole look.
        found = {place for place, label in enumerate(labels) if label.startswith("xn--") or not label.isascii()}
        found.update(self._suspect("\n".join(labels)))
        pairs = [place for place, label in enumerate(labels) if collapsed(label) is not label]
        if pairs:
            text = "\n".join(collapsed(labels[place]) for place in pairs)
            found.update(pairs[number] for number in self._suspect(text))
        return {place for place in found if self.find(registrables[place], registrables[place])}

    def _suspect(self, text: str) -> set[int]:
        """The numbers of the lines, plain labels, that are near to what is watched, or hold it beside what may be."""
        form = folded(text)
        forms = form.split("\n")
        found = set(self._index.has_near(forms, self._halves))
        at = self._index.at
        for number, one in enumerate(forms):
            if "-" in one and number not in found and self._between_hyphens(one):
                found.add(number)
        starts: list[int] = []
        for start, end in self._search.spans(form):
            numbers = at(form[start:end])
            if numbers:
                starts = starts or list(accumulate((len(one) + 1 for one in forms), initial=0))
                line = bisect_right(starts, start) - 1
                if line not in found and self._holds(text, (start, end), (starts[line], starts[line + 1] - 1), numbers):
                    found.add(line)
        return found

    def _holds(self, text: str, span: tuple[int, int], line: tuple[int, int], numbers: Sequence[int]) -> bool:
        """Whether one of these watched labels, which a part of a line may look like, is imitated within the line."""
        (start, end), (first, last) = span, line
        label = text[first:last]
        return any(within(self._plain[one], label, label, start - first, end - first) for one in numbers)

    def _between_hyphens(self, form: str) -> bool:
        at = self._index.at
        if form.count("-") > 1 and at(form.replace("-", "")):
            return True
        return any(MIN_TOKEN <= len(token) < MIN_INNER and at(token) for token in form.split("-"))

    def _remember(self, registrable: str) -> tuple[Lookalike, ...]:
        if len(self._known) >= _CACHED:
            self._known.clear()
        known = () if self._is_own(registrable) else self._judge(printable(registrable))
        self._known[registrable] = known
        return known

    def _before(self, left: str, registrable: str) -> tuple[Lookalike, ...]:
        found: list[Lookalike] = []
        if left not in self._idle:
            found += self._below(printable(left), printable(registrable))
            if not found:
                if len(self._idle) >= _CACHED:
                    self._idle.clear()
                self._idle.add(left)
        found += self._dotted(left.rpartition(".")[2], registrable)
        return tuple(found[:MAX_IMITATED])

    def _judge(self, registrable: str) -> tuple[Lookalike, ...]:
        label, _, suffix = registrable.partition(".")
        if not suffix or len(label) > MAX_LABEL:
            return ()
        text = shown(label)
        this = _Label(label, text, plain(text))
        found: dict[int, Verdict] = {}
        form = folded(this.bare)
        self._near(form, this, suffix, found)
        self._within(form, this, found)
        pairs = collapsed(this.bare)
        if pairs is not this.bare:
            form = folded(pairs)
            self._near(form, this, suffix, found)
            self._within(form, _Label(label, text, pairs), found)
        return self._chosen(found) if found else ()

    def _near(self, form: str, this: _Label, suffix: str, found: dict[int, Verdict]) -> None:
        """Watched labels that the label as a whole is, or is near to."""
        numbers = self._index.near(form)
        if form.count("-") > 1:
            numbers += self._index.at(form.replace("-", ""))
        for number in numbers:
            if number in found:
                continue
            if self._labels[number] == this.label:
                found[number] = Verdict(how=Imitation.SUFFIX, why=f"the same label under {suffix}")
                continue
            verdict = near(self._plain[number], this.text, this.bare)
            if verdict is None and self._plain[number] == this.bare:
                verdict = Verdict(how=Imitation.IDN, why=f"without the accents of {shown(self._labels[number])}")
            if verdict is not None:
                found[number] = verdict

    def _within(self, form: str, this: _Label, found: dict[int, Verdict]) -> None:
        """Watched labels that stand in the label, other words beside them."""
        spans = self._search.spans(form)
        if "-" in form:
            # What is shorter than the search looks for counts between hyphens.
            start = 0
            for token in form.split("-"):
                if MIN_TOKEN <= len(token) < MIN_INNER:
                    spans.append((start, start + len(token)))
                start += len(token) + 1
        for start, end in spans:
            if end - start < len(form):
                self._verify_within(form, (start, end), this, found)

    def _verify_within(self, form: str, span: tuple[int, int], this: _Label, found: dict[int, Verdict]) -> None:
        start, end = span
        for number in self._index.at(form[start:end]):
            if number not in found:
                verdict = within(self._plain[number], this.text, this.bare, start, end)
                if verdict is not None:
                    found[number] = verdict

    def _chosen(self, found: dict[int, Verdict]) -> tuple[Lookalike, ...]:
        return tuple(
            Lookalike(watched=item, how=verdict.how, why=verdict.why)
            for number, verdict in sorted(found.items())[:MAX_IMITATED]
            for item in self._items[number][:MAX_IMITATED]
        )[:MAX_IMITATED]

    def _below(self, left: str, registrable: str) -> Iterator[Lookalike]:
        bare = left
        if "xn--" in left or not left.isascii():
            bare = ".".join(plain(shown(label)) for label in left.split("."))
        form = folded(bare)
        # One search over all labels: a name of 120 of them costs no more than one of two.
        spans = self._search.spans(form)
        if not self._short.isdisjoint(form.split(".")):
            spans += _short_labels(form)
        for start, end in spans:
            before, after = form[start - 1 : start], form[end : end + 1]
            if before not in _EDGES or after not in _EDGES:
                continue
            for number in self._index.at(form[start:end]):
                if self._plain[number] == bare[start:end]:
                    yield from self._alone(number, bare, (start, end), registrable)

    def _alone(self, number: int, bare: str, span: tuple[int, int], registrable: str) -> Iterator[Lookalike]:
        """A watched label is a label below a stranger's domain, or part of one between hyphens."""
        start, end = span
        first = bare.rfind(".", 0, start) + 1
        label = bare[first:].partition(".")[0]
        if end - start < len(label):
            verdict = within(self._plain[number], label, label, start - first, end - first)
            why = f"{verdict.why}; below {registrable}" if verdict is not None else ""
        else:
            why = f"the label stands below {registrable}"
        if end - start < MIN_BELOW:
            why = ""
        for item in self._items[number]:
            if "." in item and f"{bare[start:]}.".startswith(f"{item}."):
                yield Lookalike(watched=item, how=Imitation.BELOW, why=f"the whole name stands below {registrable}")
            elif why:
                yield Lookalike(watched=item, how=Imitation.BELOW, why=why)

    def _dotted(self, label: str, registrable: str) -> list[Lookalike]:
        """A watched label with a dot in it: exam.ple.com."""
        joined = label + registrable.partition(".")[0]
        return [
            Lookalike(watched=item, how=Imitation.DOTTED, why=f"a dot within: {label}.{printable(registrable)}")
            for number in self._index.at(folded(joined))
            if self._plain[number] == joined and len(joined) >= MIN_BELOW
            for item in self._items[number]
        ]


def _short_labels(form: str) -> Iterator[tuple[int, int]]:
    """Where the labels stand that are shorter than what the search looks for."""
    start = 0
    for label in form.split("."):
        if len(label) < MIN_INNER:
            yield start, start + len(label)
        start += len(label) + 1
