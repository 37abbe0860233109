"""Asking about one domain: RDAP and WHOIS, server by server, each question through the gate, each answer kept.

In: a canonical registrable domain. Out: `Answer`s (bytes in the document store, what they say as a `Registration`) and
`Lookup`s, one per question, whose outcomes are never guesses. RFC 9082 (RDAP), RFC 3912 (WHOIS).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx

from db import documents
from db import lookups as log
from intel.config.lookups import WHOIS_PORT, Reach, split_server
from intel.errors import CollectError, ReadError, RefusedError, UnreachableError
from intel.registration import FieldState, Outcome, Registration
from intel.registration_words import RegistrationWords
from tasks.collect import rdap as rdap_client
from tasks.collect import whois as whois_client
from tasks.collect.fetched import public_url
from tasks.collect.whois import WhoisLimits
from tasks.enrich.facts_of_registration import Tier
from tasks.enrich.questions import Asker
from tasks.enrich.records import Lookup
from tasks.normalize.rdap import read_rdap
from tasks.normalize.whois import read_whois
from tasks.normalize.whois_worker import LibraryReading

Library = Callable[[str, str], LibraryReading]

_TIERS: Final[tuple[tuple[Tier, Reach], ...]] = (("registry", Reach.REGISTRY), ("registrar", Reach.REGISTRAR))
_CONTACT: Final = ("name", "organisation", "email", "phone")
_ASIDE: Final = frozenset({Outcome.THROTTLED, Outcome.BLOCKED})
"""Told to slow down or to go away is told, whatever the port: the registry's WHOIS is not asked in its place."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one server answered: `digest` is the SHA-256 of its bytes in the document store."""

    protocol: str
    tier: Tier
    query_id: int
    location: str
    digest: bytes
    size: int
    media_type: str
    fetched_at: datetime
    registration: Registration


@dataclass(kw_only=True)
class Conversation:
    """All that is asked about one domain."""

    asker: Asker
    store: Path
    domain: str
    entity_id: int
    words: RegistrationWords
    answers: list[Answer] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)

    def note(
        self, protocol: str, tier: str, server: str, outcome: str, detail: str = "", *, asked: bool = True
    ) -> None:
        """Add a line to what was asked."""
        self.lookups.append(
            Lookup(
                domain=self.domain,
                protocol=protocol,
                tier=tier,
                server=server,
                outcome=outcome,
                detail=detail,
                asked=asked,
            )
        )

    def keep(
        self,
        query_id: int,
        registration: Registration,
        *,
        tier: Tier,
        location: str,
        body: bytes,
        media_type: str,
        fetched_at: datetime,
    ) -> None:
        """Add an answer; its bytes are kept before anything is made of it."""
        digest = documents.put(self.store, body)
        self.answers.append(
            Answer(
                protocol=registration.protocol,
                tier=tier,
                query_id=query_id,
                location=location,
                digest=digest,
                size=len(body),
                media_type=media_type,
                fetched_at=fetched_at,
                registration=registration,
            )
        )
        self.asker.end(query_id, registration.outcome)

    def registered(self) -> list[Registration]:
        """The answers that are records."""
        return [one.registration for one in self.answers if one.registration.outcome is Outcome.REGISTERED]


def ask_rdap(talk: Conversation, client: httpx.Client, base: str) -> None:
    """Ask the registry, and the registrar that its answer is related to, as far as the ceiling allows."""
    url = f"{base.rstrip('/')}/domain/{talk.domain}"
    for tier, reach in _TIERS:
        body = _rdap(talk, client, url, tier, reach)
        following = rdap_client.referral(body) if body is not None else None
        if following is None or following == url:
            return
        url = following


def _rdap(talk: Conversation, client: httpx.Client, url: str, tier: Tier, reach: Reach) -> bytes | None:
    server = public_url(url).rpartition("/domain/")[0] or public_url(url)
    query_id: int | None = None
    try:
        query_id = talk.asker.begin(protocol="rdap", server=server, reach=reach, entity_id=talk.entity_id)
        fetched = rdap_client.fetch_answer(client, url, clock=talk.asker.clock)
    except (CollectError, ReadError) as error:
        _failed(talk, query_id, error, protocol="rdap", tier=tier, server=server)
        return None
    read = read_rdap(
        fetched.body, fetched.status, talk.words, domain=talk.domain, server=server, fetched_at=fetched.fetched_at
    )
    talk.keep(
        query_id,
        read,
        tier=tier,
        location=public_url(url),
        body=fetched.body,
        media_type=fetched.media_type or "",
        fetched_at=fetched.fetched_at,
    )
    talk.note("rdap", tier, server, read.outcome, read.reason)
    return fetched.body if read.outcome is Outcome.REGISTERED else None


def wants_whois(talk: Conversation) -> bool:
    """Whether WHOIS may tell more than what RDAP answered: it did not answer, or its record is poorer than usual."""
    outcomes = {one.outcome for one in talk.lookups if one.protocol == "rdap" and one.tier == "registry"}
    if outcomes & _ASIDE or Outcome.NOT_FOUND in outcomes:
        return False
    records = talk.registered()
    if not records or all(one.created.state is not FieldState.VALUE for one in records):
        return True
    told = (getattr(one.registrant, part).state for one in records for part in _CONTACT)
    return all(state is FieldState.ABSENT for state in told)


def ask_whois(
    talk: Conversation,
    server: str | None,
    *,
    root: str,
    allow: frozenset[tuple[str, int]],
    library: Library | None,
    limits: WhoisLimits = WhoisLimits(hops=1),  # noqa: B008 - frozen
) -> None:
    """Ask `server` (host:port), or the one that the root names, and then the registrar's that it refers to."""
    if server is None and not root:
        talk.note("whois", "registry", "", Outcome.UNSUPPORTED, "no WHOIS server is known for its suffix", asked=False)
        return
    here = split_server(server or root)
    if server is None:
        body = _root(talk, here, allow, limits)
        following = whois_client.referral(body) if body is not None else None
        if following is None or following == here:
            if body is not None:
                talk.note("whois", "registry", here[0], Outcome.UNSUPPORTED, "its suffix has no WHOIS server")
            return
        here = following
    asked = set()
    for tier, reach in _TIERS:
        asked.add(here)
        body = _whois(talk, here, tier, reach, allow=allow, limits=limits, library=library)
        following = whois_client.referral(body) if body is not None else None
        # A registrar that refers back has said all that it will say.
        if following is None or following in asked:
            return
        here = following


def _label(where: tuple[str, int]) -> str:
    return where[0] if where[1] == WHOIS_PORT else f"{where[0]}:{where[1]}"


def _root(
    talk: Conversation, where: tuple[str, int], allow: frozenset[tuple[str, int]], limits: WhoisLimits
) -> bytes | None:
    """The root's answer, which is about the suffix and never about the domain: it is not read as a record."""
    query_id: int | None = None
    try:
        query_id = talk.asker.begin(
            protocol="whois", server=_label(where), reach=Reach.REGISTRY, entity_id=talk.entity_id
        )
        answer = whois_client.lookup(where[0], talk.domain, port=where[1], allow=allow, limits=limits)
    except (CollectError, ReadError) as error:
        _failed(talk, query_id, error, protocol="whois", tier="registry", server=_label(where))
        return None
    talk.asker.end(query_id, log.REFERRED)
    return answer.hops[0].body


def _whois(
    talk: Conversation,
    where: tuple[str, int],
    tier: Tier,
    reach: Reach,
    *,
    allow: frozenset[tuple[str, int]],
    limits: WhoisLimits,
    library: Library | None,
) -> bytes | None:
    server, query_id = _label(where), None
    try:
        query_id = talk.asker.begin(protocol="whois", server=server, reach=reach, entity_id=talk.entity_id)
        answer = whois_client.lookup(
            where[0], talk.domain, port=where[1], allow=allow, queries=talk.words.queries, limits=limits
        )
        hop = answer.hops[0]
        read = read_whois(
            hop.body,
            talk.words,
            domain=talk.domain,
            server=server,
            fetched_at=hop.fetched_at,
            cut=hop.cut,
            library=library,
        )
    except (CollectError, ReadError) as error:
        _failed(talk, query_id, error, protocol="whois", tier=tier, server=server)
        return None
    fetched_at = talk.asker.clock()
    location = f"whois://{server}/{talk.domain}"
    talk.keep(
        query_id, read, tier=tier, location=location, body=hop.body, media_type="text/plain", fetched_at=fetched_at
    )
    talk.note("whois", tier, server, read.outcome, read.reason)
    return hop.body if read.outcome is Outcome.REGISTERED else None


def _failed(
    talk: Conversation, query_id: int | None, error: Exception, *, protocol: str, tier: str, server: str
) -> None:
    """Note a question that has no answer: one that the gate stopped was never asked and is not in the log."""
    if isinstance(error, RefusedError):
        outcome = "refused"
    elif isinstance(error, UnreachableError):
        outcome = Outcome.TIMEOUT.value
    else:
        outcome = Outcome.MALFORMED.value
    if query_id is not None:
        talk.asker.end(query_id, outcome)
    talk.note(protocol, tier, server, outcome, str(error), asked=query_id is not None)
