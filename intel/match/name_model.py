"""What a name alone tells: names in, how much each resembles known bad ones, and why, out.

The model is a weighted sum of features of the registered label (its letters two to five at a time, its length, digits,
hyphens, words between hyphens) and of the suffix: the logarithm of the odds that a name is one of those that sources
list rather than an ordinary new one. Weights are learnt (tasks/upkeep/name_model.py), none is written here. A name's
score is a reason to look at it sooner, never a verdict.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from intel.errors import ReadError

FORM: Final = 1
"""Which features these are: a model of others is of no use."""
SIZES: Final = (2, 3, 4, 5)
"""Characters of the pieces of a label that are features."""
_LONGEST: Final = 63
_CONSONANTS: Final = re.compile("[bcdfghjklmnpqrstvwxz]+")
_REASONS: Final = 4


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One feature of a name, and what it adds to the score."""

    feature: str
    weight: float


class NameModel(msgspec.Struct, frozen=True, kw_only=True):
    """A learnt model. `made_at` is recorded time, UTC; `listed` and `ordinary` count the names that it rests on.

    Names that score more than `threshold` are as few of the ordinary ones as the settings say.
    """

    made_at: datetime
    listed: int
    ordinary: int
    bias: float
    threshold: float
    weights: dict[str, float]
    form: int = FORM

    def scores(self, names: Sequence[str]) -> list[float]:
        """The score of each name: log-odds, to be compared with one another. About 30,000 names a second."""
        get = self.weights.get
        return [self.bias + sum([get(feature, 0.0) for feature in dict.fromkeys(features(name))]) for name in names]

    def why(self, name: str) -> tuple[Part, ...]:
        """The features that add most to a name's score, the largest first."""
        parts = [Part(feature=one, weight=self.weights.get(one, 0.0)) for one in dict.fromkeys(features(name))]
        return tuple(sorted((one for one in parts if one.weight > 0), key=lambda one: -one.weight)[:_REASONS])


def features(name: str) -> Iterator[str]:
    """The features of a canonical registrable domain; some may come twice."""
    label, _, suffix = name.partition(".")
    label = label[:_LONGEST]
    yield f"suffix .{suffix}"
    yield from _shape(label)
    marked = f"^{label}$"
    for size in SIZES:
        for at in range(len(marked) - size + 1):
            yield marked[at : at + size]


def _shape(label: str) -> Iterator[str]:
    digits = sum(map(label.count, "0123456789"))
    hyphens = label.count("-")
    letters = len(label) - digits - hyphens
    vowels = sum(map(label.count, "aeiouy"))
    run = max(map(len, _CONSONANTS.findall(label)), default=0)
    yield f"length {min(len(label), 30)}"
    yield f"digits {min(digits, 6)}"
    yield f"hyphens {min(hyphens, 4)}"
    yield f"vowels {round(10 * vowels / letters) if letters else 0} of 10"
    yield f"consonants {min(run, 7)} in a row"
    if hyphens:
        for word in label.split("-"):
            yield f"word {word}"


def write_model(model: NameModel) -> bytes:
    """The model as kept: JSON."""
    return msgspec.json.encode(model)


def read_model(body: bytes) -> NameModel:
    """The model as kept. Raises ReadError for what is none, and for one of other features."""
    try:
        model = msgspec.json.decode(body, type=NameModel)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ReadError("couldn't read the model of names: it is none; the next nightly run makes another") from error
    if model.form != FORM:
        raise ReadError("couldn't use the model of names: it is of another release; the next nightly run makes another")
    return model
