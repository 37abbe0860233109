"""Counts new domains: names first seen in, how common suffixes, shapes and words are out; and the sample of chance.

The sample is what nobody chose for a reason: of the names first seen the day before, chance takes some, which are asked
about when nothing more urgent is. What registries say of them is what registrations are like that do not interest us.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from db import new_domains, prevalence_sources
from db.entities import ensure_entities
from db.lookup_queue import Priority, want
from db.prevalence import Counted, replace
from db.profiles import profiles
from intel.config.lookups import Lookups
from intel.config.prevalence import Counting
from intel.entities import Kind, entity
from intel.facts import Predicate
from intel.traits import Name, Profile, Trait, shape, suffix, traits, words
from tasks.pivot.prevalence_records import Done, Part
from tasks.pivot.prevalence_tally import Tally

REASON: Final = "reference sample"
NEW_DOMAINS: Final = "new-domains"
SAMPLE: Final = "sample"
_PROFILES: Final = 1_000
_OF_NAMES: Final = frozenset({Name.SUFFIX, Name.SHAPE, Name.WORD})


def count_new_domains(engine: Engine, counting: Counting, now: datetime | None = None) -> Done:
    """Count the names of lists and zones that were first seen lately, by what the name alone tells."""
    until = now or datetime.now(UTC)
    tally = Tally(counting.most_values)
    with engine.connect() as connection:
        for name in prevalence_sources.new_names(
            connection, until - timedelta(days=counting.days), counting.most_names
        ):
            tally.add(_of_name(name))
    if not tally.total:
        return Done()
    population = Counted(
        name=NEW_DOMAINS,
        title=f"new domains of lists and zones, first seen within {counting.days:g} days",
        total=tally.total,
        # A label without a word tells as much about words as one with some.
        traits={name.value: tally.total for name in _OF_NAMES},
        as_of=until,
    )
    with engine.begin() as connection:
        values = replace(connection, population, tally.rows(counting.least))
    return Done(parts=(Part(population=NEW_DOMAINS, total=tally.total, values=values),))


def _of_name(name: str) -> list[Trait]:
    found = [Trait(Name.SUFFIX.value, suffix(name)), Trait(Name.SHAPE.value, shape(name))]
    return found + [Trait(Name.WORD.value, word) for word in words(name)]


def _of_profile(profile: Profile) -> list[Trait]:
    """What a registration shows, and the mail hosts one by one: links lead over these, patterns over providers."""
    found = [trait for trait in traits(profile) if trait.name not in _OF_NAMES]
    return found + [Trait(Predicate.USES_MAIL_HOST.value, host) for host in profile.mail_hosts]


def choose_sample(engine: Engine, counting: Counting, lookups: Lookups, now: datetime | None = None) -> int:
    """Let chance choose among the names first seen within a day, and want them looked up, last of all.

    Returns how many were chosen anew. What an earlier run of the day chose counts against the day's number.
    """
    until = now or datetime.now(UTC)
    with engine.begin() as connection:
        count = new_domains.take_budget(connection, SAMPLE, counting.sample_per_day, counting.sample_per_day, until)
        if not count:
            return 0
        names = prevalence_sources.by_chance(connection, until - timedelta(days=1), until, count)
        ids = sorted(ensure_entities(connection, [entity(Kind.DOMAIN, name) for name in names]).values())
        chosen = prevalence_sources.choose(connection, ids)
        want(connection, chosen, priority=Priority.REFRESH, reason=REASON, reach=lookups.reach.feed.label, due_at=until)
    return len(chosen)


def count_sample(engine: Engine, counting: Counting, now: datetime | None = None) -> Done:
    """Count what is known of the domains that chance chose: registrar, mail provider, network, hour and the rest."""
    until = now or datetime.now(UTC)
    tally = Tally(counting.most_values)
    with engine.connect() as connection:
        ids = prevalence_sources.answered(connection, until - timedelta(days=counting.sample_days))
        for start in range(0, len(ids), _PROFILES):
            for profile in profiles(connection, ids[start : start + _PROFILES]):
                tally.add(_of_profile(profile))
    if not tally.total:
        return Done()
    population = Counted(
        name=SAMPLE,
        title=f"new domains that chance chose to be looked up within {counting.sample_days:g} days",
        total=tally.total,
        traits=tally.known,
        as_of=until,
    )
    with engine.begin() as connection:
        values = replace(connection, population, tally.rows(least=1))
    return Done(parts=(Part(population=SAMPLE, total=tally.total, values=values),))
