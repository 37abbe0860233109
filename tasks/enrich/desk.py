"""The desk at which look-ups are done: the client, the readers and the lists that all questions of a process share.

In: a domain that somebody wants to know about. Out: a `Conversation`, with what was asked and answered. Safe to share
between threads. Reach: registry, then registrar where the asker's ceiling allows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
from sqlalchemy import Engine

from db import lookups as log
from intel.config.lookups import Lookups, read_lookups
from intel.entities import Entity
from intel.errors import RefusedError
from intel.registration import Outcome
from intel.registration_words import RegistrationWords, read_words
from intel.settings import settings
from tasks.collect.fetched import utc_now
from tasks.collect.http import open_client
from tasks.collect.rdap import RDAP_LIMITS
from tasks.collect.slices import policy
from tasks.enrich.answers import LATER, Conversation, ask_rdap, ask_whois, wants_whois
from tasks.enrich.questions import Asker
from tasks.enrich.rdap_servers import USER_AGENT, RdapServers
from tasks.normalize.whois_worker import WhoisWorker

_BEST_FIRST: Final = (
    *("registered", "not_found", LATER, "throttled", "timeout", "blocked", "malformed", "refused", "unsupported"),
)


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What is shared; made by `open_desk`."""

    engine: Engine
    lookups: Lookups
    words: RegistrationWords
    client: httpx.Client
    worker: WhoisWorker
    servers: RdapServers
    allow: frozenset[tuple[str, int]]
    store: Path
    lock: threading.Lock
    """Held while a list of servers is asked for: one thread fetches it for all."""
    put_off: dict[tuple[str, int], datetime] = field(default_factory=dict)
    """Until when things of a priority are put off that wait for a server: the next of them comes behind."""

    def ask(
        self, asker: Asker, domain: Entity, entity_id: int, *, marked: Sequence[Entity], since: datetime
    ) -> Conversation:
        """Ask about a registrable domain. Answers since then (recorded time) are used again.

        `marked` are the entities of which one may be marked so that nothing of it leaves the machine.
        """
        talk = Conversation(
            asker=asker,
            store=self.store,
            domain=domain.value,
            entity_id=entity_id,
            words=self.words,
            library=self.worker.read,
        )
        try:
            asker.refuse_secret(domain.value, marked)
        except RefusedError as error:
            talk.note("rdap", "registry", "", "refused", str(error), asked=False)
            return talk
        with self.engine.connect() as connection:
            kept = log.kept_answers(connection, entity_id=entity_id, since=since)
        talk.kept = {(row.protocol, row.reach): row for row in kept}
        if self.lookups.rdap:
            with self.lock:
                base = self.servers.of_talk(talk)
            if base is not None:
                ask_rdap(talk, self.client, base)
        if self.lookups.whois and talk.later is None and wants_whois(talk):
            ask_whois(talk, self.lookups, allow=self.allow)
        return talk


@contextmanager
def open_desk(engine: Engine, *, clock: Callable[[], datetime] = utc_now) -> Iterator[Desk]:
    """A desk until the block ends. Raises ConfigError."""
    configs = settings().configs
    lookups = read_lookups(configs)
    words = read_words((configs / "registration.yaml").read_bytes())
    allowed = policy()
    with open_client(allowed, user_agent=USER_AGENT, limits=RDAP_LIMITS) as client, WhoisWorker() as worker:
        yield Desk(
            engine=engine,
            lookups=lookups,
            words=words,
            client=client,
            worker=worker,
            servers=RdapServers(engine, lookups, clock),
            allow=allowed.allow,
            store=settings().document_store,
            lock=threading.Lock(),
        )


def outcome_of(talk: Conversation) -> str:
    """How a look-up ended as a whole: the best that any server said of the domain."""
    said = [str(one.registration.outcome) for one in talk.answers]
    return best_of([*said, *(one.outcome for one in talk.lookups)])


def best_of(outcomes: Sequence[str]) -> str:
    """The outcome of several questions: what one server said of it outweighs those that said nothing.

    Of those, what may be otherwise next time outweighs what will not.
    """
    return next((one for one in _BEST_FIRST if one in outcomes), Outcome.UNSUPPORTED.value)
