"""The records of a rule: what `read_rule` makes, and SQL and matcher read. The words are in intel/rules/__init__.py.

Values are canonical, times are seconds, texts of patterns are in lower case (ASCII letters only, as they are compared).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from intel.facts import Predicate, State

INVERSES: Final = {
    "lists": Predicate.LISTED,
    "actor-of": Predicate.ATTRIBUTED_TO,
    "reports": Predicate.REPORTED_IN,
    "software-of": Predicate.ASSOCIATED_WITH,
    "alias-of": Predicate.ALIAS,
    "resolved-from": Predicate.RESOLVES_TO,
    "name-server-of": Predicate.USES_NAME_SERVER,
    "name-servers-of": Predicate.USES_NAME_SERVERS,
    "mail-host-of": Predicate.USES_MAIL_HOST,
    "soa-contact-of": Predicate.HAS_SOA_CONTACT,
    "registrar-of": Predicate.REGISTERED_THROUGH,
    "registrant-of": Predicate.REGISTERED_BY,
    "named-by": Predicate.NAMES,
    "key-of": Predicate.HAS_KEY,
    "issuer-of": Predicate.ISSUED_BY,
    "presented-by": Predicate.PRESENTS,
    "pattern-of": Predicate.MATCHES,
    "has-part": Predicate.PART_OF,
    "contacted-by": Predicate.COMMUNICATES_WITH,
    "downloaded-by": Predicate.DOWNLOADS,
    "used-by": Predicate.USES,
}
"""What a predicate is called from its object's end."""

DATED: Final = (
    Predicate.CREATED,
    Predicate.UPDATED,
    Predicate.EXPIRES,
    Predicate.VALID_FROM,
    Predicate.VALID_UNTIL,
)
"""Predicates whose object is a time."""

HIDING: Final = (State.REDACTED.value, State.PROXY.value, State.PLACEHOLDER.value)
"""The states of a field whose value somebody keeps back."""


class Tests(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Tests of an entity: all that are given must hold, each by one of its values.

    `values` are (kind, canonical value); `rarer_than` is per million of a reference population.
    """

    values: tuple[tuple[str, str], ...] = ()
    matches: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    watched: bool | None = None
    rarer_than: float | None = None

    def is_empty(self) -> bool:
        """Whether everything passes."""
        return self == Tests()


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="link"):
    """That a fact of `predicate` names something that passes the tests; `inverse`: that something's fact names it.

    `roles`, `types` and `fields` are of the qualifiers of these names. `where` is what else must be so of the other
    end.
    """

    predicate: str
    inverse: bool = False
    tests: Tests = Tests()
    states: tuple[str, ...] = (State.VALUE.value,)
    roles: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    where: Link | None = None


class Dated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="dated"):
    """That a time was stated (`created`, ...) which is so: `within` seconds before its statement, between days (ISO
    8601, the first included, the second not), in hours of the day (UTC, both included).
    """

    predicate: str
    within: int | None = None
    after: str = ""
    before: str = ""
    hours: tuple[int, int] | None = None


class Changed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="changed"):
    """That a value took the place of another, by one source and tier."""

    predicate: str
    old: Tests = Tests()
    new: Tests = Tests()


class Hidden(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="hidden"):
    """That a field had a value and then was kept back, or, `exposed`, the reverse."""

    predicate: str = Predicate.REGISTERED_BY
    roles: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    exposed: bool = False


class Renewed(msgspec.Struct, frozen=True, kw_only=True, tag="renewed"):
    """That a certificate has the key and a name of one that was valid from an earlier time."""


class Suffix(msgspec.Struct, frozen=True, kw_only=True, tag="suffix"):
    """That the subject is a name under one of these public suffixes."""

    suffixes: tuple[str, ...]


class Label(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="label"):
    """What the label below the suffix looks like. `length`: characters, both included."""

    shapes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    length: tuple[int, int] | None = None
    digits: bool | None = None
    hyphens: bool | None = None


class Own(msgspec.Struct, frozen=True, kw_only=True, tag="own"):
    """That the subject itself passes tests."""

    tests: Tests


class Burst(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag="burst"):
    """That so many subjects which fulfil the rest did within so many seconds of one another.

    `sharing`: predicates whose values they have in common. `created`: the time that counts is that of creation.
    """

    at_least: int
    within: int
    sharing: tuple[str, ...] = ()
    created: bool = False


class Absent(msgspec.Struct, frozen=True, kw_only=True, tag="absent"):
    """That within so many seconds after a witness of `after` there was none of `no`."""

    after: Condition
    no: Condition
    within: int


class AnyOf(msgspec.Struct, frozen=True, kw_only=True, tag="any"):
    """That one of them is so."""

    of: tuple[Condition, ...]


class Never(msgspec.Struct, frozen=True, kw_only=True, tag="not"):
    """That it never was so."""

    condition: Condition


Condition: TypeAlias = Link | Dated | Changed | Hidden | Renewed | Suffix | Label | Own | Burst | Absent | AnyOf | Never
TIMELESS: Final = (Suffix, Label, Own, Never)
"""Conditions that are so of the subject or not, without a time."""
OCCASIONS: Final = (Changed, Hidden)
"""Conditions that may be so of a subject more than once, each time anew."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule: kinds of its subjects, conditions, `over` (seconds), `rare` (per million), and what a finding says.

    `severity` is 0 to 100, before known-good lists and hubs take their part; `lapse`: a mistake of the actor's.
    """

    name: str
    when: tuple[Condition, ...]
    say: str
    about: tuple[str, ...] = ("domain",)
    over: int | None = None
    rare: float | None = None
    severity: int = 50
    lapse: bool = False

    @property
    def timed(self) -> tuple[Condition, ...]:
        """The conditions with a time, in their order; what `rare` asks is one more of them."""
        said = tuple(one for one in self.when if not is_timeless(one) and not isinstance(one, Burst))
        if self.rare is None:
            return said
        return (*said, AnyOf(of=tuple(_rarer(link, self.rare) for one in said for link in links(one))))

    @property
    def timeless(self) -> tuple[Condition, ...]:
        """The conditions without a time."""
        return tuple(one for one in self.when if is_timeless(one))

    @property
    def burst(self) -> Burst | None:
        """How many at once, if that is asked."""
        return next((one for one in self.when if isinstance(one, Burst)), None)

    @property
    def occasion(self) -> int | None:
        """Which of the timed conditions says what is new, if one does."""
        return next((at for at, one in enumerate(self.timed) if isinstance(one, OCCASIONS)), None)

    @property
    def waits(self) -> bool:
        """Whether time alone can fulfil it."""
        return any(isinstance(one, Absent) for each in self.when for one in parts(each))


def is_timeless(condition: Condition) -> bool:
    """Whether a condition is so or not, without a time."""
    if isinstance(condition, AnyOf):
        return all(is_timeless(one) for one in condition.of)
    return isinstance(condition, TIMELESS)


def parts(condition: Condition) -> Iterator[Condition]:
    """A condition and all inside it."""
    yield condition
    if isinstance(condition, AnyOf):
        for one in condition.of:
            yield from parts(one)
    elif isinstance(condition, Never):
        yield from parts(condition.condition)
    elif isinstance(condition, Absent):
        yield from parts(condition.after)
        yield from parts(condition.no)


def links(condition: Condition) -> Iterator[Link]:
    """The links among which something rare is looked for: itself, or one of several."""
    if isinstance(condition, Link):
        yield condition
    elif isinstance(condition, AnyOf):
        for one in condition.of:
            yield from links(one)


def _rarer(link: Link, limit: float) -> Link:
    """The same link to something that is as rare as that."""
    known = link.tests.rarer_than
    tests = msgspec.structs.replace(link.tests, rarer_than=limit if known is None else min(known, limit))
    return msgspec.structs.replace(link, tests=tests)
