"""Answers that are kept, read again: what a better reader makes of them, without asking anybody anything.

In: a domain. Out: what changed. Only the last answer of each protocol and tier is read again: it is what stands. What
it is no longer found to state ends at its own time, as if it had been read so at first.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from sqlalchemy import Engine

from db import lookups as log
from db.entities import find_entities
from intel.config.lookups import Reach
from intel.entities import Entity, Kind, entity
from tasks.collect.session import find_source
from tasks.enrich.answers import Conversation
from tasks.enrich.desk import open_desk
from tasks.enrich.questions import Asker
from tasks.enrich.versions import Told, load_versions

_EVER: Final = datetime(2000, 1, 1, tzinfo=UTC)


class Reread(msgspec.Struct, frozen=True, kw_only=True):
    """How many answers were read again, and what that changed."""

    answers: int = 0
    facts_new: int = 0
    facts_ended: int = 0


def reread(engine: Engine, domain: str) -> Reread:
    """Read the last answers about a registrable domain again. Raises ReadError, ConfigError and WarehouseError."""
    thing = entity(Kind.DOMAIN, domain)
    with engine.connect() as connection:
        entity_id = find_entities(connection, [thing]).get(thing.digest)
    if entity_id is None:
        return Reread()
    done = Reread()
    with open_desk(engine) as desk:
        asker = Asker(engine=engine, lookups=desk.lookups, reason="reading again", ceiling=Reach.LOCAL)
        talk = Conversation(
            asker=asker,
            store=desk.store,
            domain=thing.value,
            entity_id=entity_id,
            words=desk.words,
            library=desk.worker.read,
        )
        with engine.connect() as connection:
            talk.kept = {
                (row.protocol, row.reach): row for row in log.kept_answers(connection, entity_id=entity_id, since=_EVER)
            }
        for protocol, tier in talk.kept:
            talk.again(protocol, tier)  # type: ignore[arg-type]  # the table holds what `Protocol` and `Tier` say
        for source in ("rdap", "whois"):
            done = _load(engine, source, thing, talk, done)
    return done


def _load(engine: Engine, source: str, thing: Entity, talk: Conversation, done: Reread) -> Reread:
    answers = tuple(one for one in talk.answers if one.protocol == source)
    if not answers:
        return done
    told = Told(domain=thing, entity_id=talk.entity_id, answers=answers)
    loaded = load_versions(engine, find_source(source), [told], stale=timedelta(0)).loaded
    return Reread(
        answers=done.answers + len(answers),
        facts_new=done.facts_new + loaded.facts_new,
        facts_ended=done.facts_ended + loaded.facts_ended,
    )
