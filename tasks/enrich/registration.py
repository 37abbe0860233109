"""Registration look-ups of a case: its registrable domains are asked about, and what was answered is loaded.

In: a case and who asks. Out: `Registered`. Each answer becomes a document of source `rdap` or `whois`; each domain is
loaded by itself, so that one that fails costs itself. Answers of the same domain are versions: what an answer no longer
states has ended at its time. Reach: registry, then registrar where the ceiling allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from typing import Final

from publicsuffixlist import PublicSuffixList
from sqlalchemy import Engine

from db import lookups as log
from db.entities import ensure_entities
from intel.config.lookups import Lookups, Reach, read_lookups
from intel.entities import Entity, Kind, entity
from intel.errors import RefusedError
from intel.facts import Predicate
from intel.registration import Outcome
from intel.registration_words import RegistrationWords, read_words
from intel.settings import settings
from tasks.collect.fetched import utc_now
from tasks.collect.http import open_client
from tasks.collect.rdap import RDAP_LIMITS
from tasks.collect.session import find_source
from tasks.collect.slices import policy
from tasks.enrich.answers import Conversation, Library, ask_rdap, ask_whois, wants_whois
from tasks.enrich.known import claims
from tasks.enrich.questions import Asker
from tasks.enrich.rdap_servers import USER_AGENT, RdapServers
from tasks.enrich.records import Case, Lookup, Registered, Subject
from tasks.enrich.versions import load_answers
from tasks.normalize.whois_worker import WhoisWorker

_TOP: Final = 100
_STATED: Final = (
    Predicate.CREATED,
    Predicate.UPDATED,
    Predicate.EXPIRES,
    Predicate.REGISTERED_THROUGH,
    Predicate.REGISTERED_BY,
    Predicate.USES_NAME_SERVERS,
    Predicate.HAS_STATUS,
)


def registration(
    engine: Engine,
    case: Case,
    *,
    clock: Callable[[], datetime] = utc_now,
    sleep: Callable[[float], None] = time.sleep,
) -> Registered:
    """Ask registries and registrars about the case's domains, within configs/lookups.yaml.

    `clock` gives recorded time (aware UTC). Raises ConfigError and WarehouseError; what one look-up comes to, a refusal
    included, is in the result.
    """
    configs = settings().configs
    lookups = read_lookups(configs)
    words = read_words((configs / "registration.yaml").read_bytes())
    domains, aside = domains_of(case.subjects)
    with engine.begin() as connection:
        ids = ensure_entities(connection, domains)
    asker = Asker(
        engine=engine,
        lookups=lookups,
        reason=f"incident {case.incident}",
        ceiling=lookups.reach.incident,
        entity_ids=tuple(ids.values()),
        clock=clock,
        sleep=sleep,
    )
    asked: list[Lookup] = list(aside)
    new, ended = 0, 0
    with _open(engine, asker, words) as ask:
        for domain in domains:
            talk = ask(domain, ids[domain.digest], _standing_on(domain, case.subjects))
            asked += talk.lookups
            for name in ("rdap", "whois"):
                answers = [one for one in talk.answers if one.protocol == name]
                if answers:
                    loaded = load_answers(engine, find_source(name), domain, ids[domain.digest], answers)
                    new, ended = new + loaded.facts_new, ended + loaded.facts_ended
    with engine.connect() as connection:
        history = claims(connection, tuple(ids.values()), _STATED, top=_TOP)
    return Registered(lookups=tuple(asked), history=history, facts_new=new, facts_ended=ended)


def domains_of(subjects: Sequence[Subject]) -> tuple[tuple[Entity, ...], tuple[Lookup, ...]]:
    """The registrable domains of what a case is about, and a note for each that no registry holds.

    What stands below the suffix of a private host (dynamic DNS, say) was handed out by that host.
    """
    found: list[Entity] = []
    aside: list[Lookup] = []
    for scope in dict.fromkeys(subject.scope for subject in subjects if subject.scope):
        if _registry_suffixes().privatesuffix(scope) == scope:
            found.append(entity(Kind.DOMAIN, scope))
        else:
            aside.append(
                Lookup(
                    domain=scope,
                    protocol="rdap",
                    tier="registry",
                    server="",
                    outcome=Outcome.UNSUPPORTED,
                    detail="it stands below a shared suffix, whose host gives names out; no registry knows it",
                    asked=False,
                )
            )
    return tuple(found), tuple(aside)


@cache
def _registry_suffixes() -> PublicSuffixList:
    return PublicSuffixList(only_icann=True)


def _standing_on(domain: Entity, subjects: Sequence[Subject]) -> list[Entity]:
    """The domain, and the case's own entities that stand on it: any of them may be marked."""
    return [domain, *(entity(one.kind, one.value) for one in subjects if one.scope == domain.value)]


@contextmanager
def _open(
    engine: Engine, asker: Asker, words: RegistrationWords
) -> Iterator[Callable[[Entity, int, list[Entity]], Conversation]]:
    lookups = asker.lookups
    servers = RdapServers(engine, lookups, asker.clock)
    store = settings().document_store
    allow = policy().allow
    with open_client(policy(), user_agent=USER_AGENT, limits=RDAP_LIMITS) as client, WhoisWorker() as worker:

        def ask(domain: Entity, entity_id: int, marked: list[Entity]) -> Conversation:
            talk = Conversation(asker=asker, store=store, domain=domain.value, entity_id=entity_id, words=words)
            try:
                asker.refuse_secret(domain.value, marked)
            except RefusedError as error:
                talk.note("rdap", "registry", "", "refused", str(error), asked=False)
                return talk
            used_again = _used_again(talk, "rdap") if lookups.rdap else False
            if lookups.rdap and not used_again:
                base = servers.of(talk)
                if base is not None:
                    ask_rdap(talk, client, base)
            _then_whois(talk, lookups, used_again=used_again, allow=allow, library=worker.read)
            return talk

        yield ask


def _then_whois(
    talk: Conversation, lookups: Lookups, *, used_again: bool, allow: frozenset[tuple[str, int]], library: Library
) -> None:
    if not lookups.whois:
        return
    before = talk.asker.recent(protocol="whois", entity_id=talk.entity_id)
    if before and set(before.values()) <= log.CONCLUSIVE:
        _note_used_again(talk, "whois", before)
        return
    # An RDAP answer that is used again was judged when it was new: WHOIS is asked again only where it then failed.
    if (used_again and before) or (not used_again and wants_whois(talk)):
        ask_whois(talk, lookups.whois_server(talk.domain), root=lookups.whois_root, allow=allow, library=library)


def _used_again(talk: Conversation, protocol: str) -> bool:
    before = talk.asker.recent(protocol=protocol, entity_id=talk.entity_id)
    if not before or not set(before.values()) <= log.CONCLUSIVE:
        return False
    # Whoever asked may have had less reach: the registrar is then asked for once more, and no more than that.
    farther = talk.asker.ceiling >= Reach.REGISTRAR and before.get(Reach.REGISTRY.label) == Outcome.REGISTERED
    if farther and Reach.REGISTRAR.label not in before and not talk.asker.has_asked(talk.entity_id):
        return False
    _note_used_again(talk, protocol, before)
    return True


def _note_used_again(talk: Conversation, protocol: str, before: dict[str, str]) -> None:
    detail = f"answered within the last {talk.asker.lookups.reuse_days:g} days; that answer is used"
    for tier, outcome in before.items():
        talk.note(protocol, tier, "", outcome, detail, asked=False)
