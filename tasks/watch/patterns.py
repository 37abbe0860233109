"""Registration patterns of a watch: its known domains in, proposals out; a person accepts, edits or refuses them.

A proposal rests on known domains and on how rare the combination is elsewhere. One whose expected false positives
nobody can tell, or that are more than configs/patterns.yaml allows, is not accepted as it stands: somebody has to edit
it, and so to say what it shall be. An accepted one becomes a rule of the watch's own, of origin `pattern`. What was
refused stays refused, however often it is learned again.
"""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from sqlalchemy import Connection, Engine

from db import pattern_rows, watch_rules
from db.pattern_rows import Proposed
from db.prevalence import prevalence
from db.profiles import profiles
from db.registrars import known_registrars
from db.rules_sql import compile_rule
from intel.config.patterns import read_settings
from intel.config.registrars import read_registrars
from intel.entities import Kind, entity
from intel.errors import ConfigError, ReadError
from intel.patterns.background import Background, Names
from intel.patterns.burst import Burst, members, read_burst
from intel.patterns.learn import learn
from intel.patterns.records import Pattern, key_of
from intel.patterns.rolling import Strangers
from intel.patterns.rule import to_rule
from intel.rules.read import read_rule
from intel.rules.records import Rule
from intel.settings import settings
from intel.traits import Name, Profile, Trait, trait_digest, traits
from tasks.pivot.hubs import hubs_of
from tasks.watch.own_rules import add_rule
from tasks.watch.own_rules_named import with_registrars

ORIGIN: Final = "pattern"
_NAMES: Final = 50_000
_SEVERITY: Final = 50
_KINDS: Final = {
    Name.ADDRESS: Kind.IP,
    Name.EMAIL: Kind.EMAIL,
    Name.REGISTRANT: Kind.REGISTRANT,
    Name.SOA_CONTACT: Kind.EMAIL,
    Name.NAME_SERVERS: Kind.NAME_SERVER_SET,
}


@lru_cache(maxsize=65_536)
def factor(trait: Trait) -> float:
    """What a trait is worth by the kind of shared thing that it is: 0 for a hub that says nothing of the hand."""
    kind = _KINDS.get(Name(trait.name))
    if kind is None:
        return 1.0
    try:
        return min((hub.factor for hub in hubs_of(entity(kind, trait.value))), default=1.0)
    except ReadError:
        return 1.0


def propose(engine: Engine, watch: int | str) -> list[Proposed]:
    """Learn anew from a watch's known domains. Returns its patterns, those to be decided on first.

    Raises ConfigError where there is no such watch.
    """
    chosen = read_settings(settings().configs)
    with engine.connect() as connection:
        watch_id = _watch(connection, watch)
        known = pattern_rows.known_domains(connection, watch_id)
        listed = profiles(connection, known)
        learned = learn(listed, background(connection, known, listed), chosen, factor)
    with engine.begin() as connection:
        pattern_rows.lock(connection, watch_id)
        pattern_rows.supersede(connection, watch_id, [one.key for one in learned])
        pattern_rows.put(connection, watch_id, learned)
    _look_back(engine, watch_id, known)
    with engine.connect() as connection:
        return pattern_rows.patterns(connection, watch_id=watch_id)


def _look_back(engine: Engine, watch_id: int, known: Sequence[int]) -> None:
    """Find what else in the warehouse has the traits of what is proposed, by the rule that it would become."""
    with engine.connect() as connection:
        proposed = [one for one in pattern_rows.patterns(connection, watch_id=watch_id) if one.status == "proposed"]
    for row in proposed:
        with engine.begin() as connection:
            try:
                rule = with_registrars(connection, _rule(connection, row, known))
            except ConfigError:
                continue
            statement = compile_rule(rule, watch_id=watch_id, burst=False)
            found = pattern_rows.look_back(connection, statement.sql, statement.parameters, known)
            if found is not None:
                pattern_rows.put_lookbacks(connection, row.id, found)


def relearn(engine: Engine) -> int:
    """Learn anew for each watch of which more, or fewer, domains are known than when it was learned last.

    Watches of fewer known domains than configs/patterns.yaml asks for are left alone: `propose` learns from them when
    somebody asks. Returns for how many it was done. Run twice, the second time does nothing.
    """
    least = read_settings(settings().configs).least_known
    with engine.connect() as connection:
        due = [
            watch
            for watch, known in pattern_rows.learned_from(connection).items()
            if known != (count := len(pattern_rows.known_domains(connection, watch))) and count >= least
        ]
    for watch in due:
        propose(engine, watch)
    return len(due)


def background(connection: Connection, known: Sequence[int], listed: Sequence[Profile]) -> Background:
    """What the warehouse knows of strangers: the reference sample, names, and counts of the values at hand."""
    return strangers(connection, known, listed).whole


def strangers(connection: Connection, known: Sequence[int], listed: Sequence[Profile]) -> Strangers:
    """The same, with the sample at hand: what is not among the known, whose profiles are `listed`."""
    sample = profiles(connection, pattern_rows.sample(connection, known))
    mine = {one.domain for one in listed}
    names = Names(name for name in pattern_rows.new_names(connection, _NAMES) if name not in mine)
    found = sorted({trait for one in listed for trait in traits(one)})
    wanted = {trait: (trait.name, trait_digest(trait)) for trait in found}
    counted = prevalence(connection, list(wanted.values()))
    populations = sorted({one.population for one in counted.values()})
    called = ", ".join([*populations, *([f"{len(sample):,} domains of the reference sample"] if sample else [])])
    by_value = {trait: counted[by] for trait, by in wanted.items() if by in counted}
    return Strangers(sample, names, by_value, called=called, daily=pattern_rows.new_a_day(connection))


def accept(engine: Engine, pattern_id: int, reason: str, edited: Sequence[Trait] | None = None) -> Proposed:
    """Make a pattern, or what it was edited into, a rule of its watch.

    Raises ConfigError, changing nothing, where its expected false positives are unknown or too many, edited or not: no
    pattern is accepted on support alone; and where it was refused, or is out of date.
    """
    chosen = read_settings(settings().configs)
    with engine.begin() as connection:
        row = _pattern(connection, pattern_id)
        pattern_rows.lock(connection, row.watch_id)
        row = _pattern(connection, pattern_id)
        if row.status == "accepted" and edited is None:
            return row
        if edited is None and row.status != "proposed":
            raise ConfigError(
                f"couldn't accept pattern {pattern_id}: it is {row.status}; nothing is changed,"
                " `lapsewatch pattern list` names those that are proposed"
            )
        known = pattern_rows.known_domains(connection, row.watch_id)
        if edited is not None:
            row = _edited(connection, row, tuple(sorted(set(edited))), known, reason)
        if not row.is_counted or row.per_million > chosen.per_million:
            expected = f"{row.per_million:,.0f} of a million" if row.is_counted else "unknown"
            raise ConfigError(
                f"couldn't accept pattern {pattern_id}: its expected false positives are {expected}, and none is"
                f" accepted above {chosen.per_million:,.0f}; nothing is changed, `lapsewatch pattern edit` narrows it"
            )
        rule_id = _add_rule(connection, row, known)
        pattern_rows.decide(
            connection, row.id, status="accepted", reason=reason, decided_by=getpass.getuser(), rule_id=rule_id
        )
        return _pattern(connection, row.id)


def refuse(engine: Engine, pattern_id: int, reason: str) -> Proposed:
    """Refuse a pattern for good; its rule, where it had become one, is evaluated no more. Raises ConfigError."""
    with engine.begin() as connection:
        row = _pattern(connection, pattern_id)
        pattern_rows.lock(connection, row.watch_id)
        if row.rule_id is not None:
            watch_rules.remove_rule(connection, row.rule_id)
        pattern_rows.decide(
            connection, pattern_id, status="refused", reason=reason, decided_by=getpass.getuser(), rule_id=None
        )
        return _pattern(connection, pattern_id)


def _watch(connection: Connection, watch: int | str) -> int:
    found = pattern_rows.find_watch(connection, watch)
    if found is None:
        raise ConfigError(
            f"couldn't learn patterns: there is no watch {str(watch)[:60]!r}; `lapsewatch watch list` names them"
        )
    return found


def _pattern(connection: Connection, pattern_id: int) -> Proposed:
    found = pattern_rows.patterns(connection, pattern_id=pattern_id)
    if not found:
        raise ConfigError(f"couldn't find pattern {pattern_id}; `lapsewatch pattern list` names them")
    return found[0]


def _edited(
    connection: Connection, row: Proposed, wanted: tuple[Trait, ...], known: Sequence[int], reason: str
) -> Proposed:
    """The row of the combination that a pattern was edited into, with its own figures."""
    if not wanted:
        raise ConfigError(f"couldn't edit pattern {row.id}: it needs at least one trait; nothing is changed")
    if key_of(wanted) == key_of(row.traits):
        return row
    listed = profiles(connection, known)
    having = [one for one in listed if all(_has(one, trait) for trait in wanted)]
    bursts = [members(_burst(one), having) for one in wanted if one.name == Name.BURST]
    holders = [one.domain for place, one in enumerate(having) if all(among >> place & 1 for among in bursts)]
    expected, basis = background(connection, known, listed).per_million(wanted)
    made = Pattern(
        traits=wanted,
        known=len(listed),
        support=len(holders),
        per_million=expected,
        basis=basis,
        bits=0.0,
        examples=tuple(holders[:5]),
    )
    pattern_rows.put(connection, row.watch_id, [made])
    if row.rule_id is not None:
        watch_rules.remove_rule(connection, row.rule_id)
    pattern_rows.decide(
        connection, row.id, status="superseded", reason=reason, decided_by=getpass.getuser(), rule_id=None
    )
    return pattern_rows.patterns(connection, watch_id=row.watch_id, key=made.key)[0]


def _burst(trait: Trait) -> Burst:
    try:
        return read_burst(trait.value)
    except ReadError as error:
        raise ConfigError(f"{error}; nothing is changed") from error


def _has(profile: Profile, trait: Trait) -> bool:
    if trait.name == Name.WORD:
        return trait.value in profile.domain.partition(".")[0]
    return trait.name == Name.BURST or trait in traits(profile)


def _add_rule(connection: Connection, row: Proposed, known: Sequence[int]) -> int:
    return add_rule(connection, row.watch_id, _rule(connection, row, known), ORIGIN)


def _rule(connection: Connection, row: Proposed, known: Sequence[int]) -> Rule:
    """The rule that a pattern becomes. Raises ConfigError where no rule tells it."""
    identities = {trait.value for trait in row.traits if trait.name == Name.REGISTRAR}
    called: list[str] = []
    if identities:
        said = pattern_rows.registrars_of(connection, known)
        book = known_registrars(connection, said, read_registrars(settings().configs).by_number)
        called = [value for value in said if book.identity(value) in identities]
        called += [value for value in identities if value.startswith("iana:") and value not in called]
    try:
        return read_rule(to_rule(f"pattern-{row.id}", row.traits, severity=_SEVERITY, registrars=called))
    except ReadError as error:
        raise ConfigError(f"couldn't accept pattern {row.id}: {error}; nothing is changed") from error
