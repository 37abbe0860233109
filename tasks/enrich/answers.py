"""Asking about one domain: RDAP and WHOIS, server by server, each question through the gate, each answer kept.

In: a canonical registrable domain. Out: `Answer`s (bytes in the document store, what they say as a `Registration`) and
`Lookup`s, one per question, whose outcomes are never guesses. What was answered lately is read again in place of being
asked again; so a look-up that was broken off goes on where it was. RFC 9082 (RDAP), RFC 3912 (WHOIS).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx

from db import documents
from db import lookups as log
from intel.config.lookups import WHOIS_PORT, Lookups, Reach, split_server
from intel.errors import CollectError, LaterError, ReadError, RefusedError, UnreachableError
from intel.registration import FieldState, Outcome, Protocol, Registration
from intel.registration_words import RegistrationWords
from tasks.collect import rdap as rdap_client
from tasks.collect import whois as whois_client
from tasks.collect.fetched import Fetched, public_url
from tasks.collect.media import parse_retry_after
from tasks.enrich.facts_of_registration import Tier
from tasks.enrich.questions import Asker
from tasks.enrich.records import Lookup
from tasks.normalize.rdap import read_rdap
from tasks.normalize.whois import read_whois
from tasks.normalize.whois_worker import LibraryReading

Library = Callable[[str, str], LibraryReading]

LATER: Final = "later"
"""Outcome of a question whose turn comes later; nothing was sent."""
_TIERS: Final[tuple[tuple[Tier, Reach], ...]] = (("registry", Reach.REGISTRY), ("registrar", Reach.REGISTRAR))
_CONTACT: Final = ("name", "organisation", "email", "phone")
_ASIDE: Final = frozenset({Outcome.THROTTLED, Outcome.BLOCKED})
"""Told to slow down or to go away is told, whatever the port: the registry's WHOIS is not asked in its place."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one server answered: `digest` is the SHA-256 of its bytes in the document store.

    `document_id` is set where its facts are in the warehouse already; `cut` is why it is not whole.
    """

    protocol: Protocol
    tier: Tier
    query_id: int
    location: str
    digest: bytes
    size: int
    media_type: str
    fetched_at: datetime
    registration: Registration
    document_id: int | None = None
    cut: str = ""


@dataclass(kw_only=True)
class Conversation:
    """All that is asked about one domain. `kept` are answers of late, by protocol and tier: they are not asked again.

    `later` is when to go on, where a server's turn comes later.
    """

    asker: Asker
    store: Path
    domain: str
    entity_id: int
    words: RegistrationWords
    library: Library | None
    kept: dict[tuple[str, str], Any] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    later: datetime | None = None

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

    def read(self, protocol: str, body: bytes, *, server: str, at: datetime, status: int, cut: str) -> Registration:
        """What an answer says. Raises ReadError."""
        if protocol == "rdap":
            return read_rdap(body, status, self.words, domain=self.domain, server=server, fetched_at=at)
        return read_whois(
            body, self.words, domain=self.domain, server=server, fetched_at=at, cut=cut, library=self.library
        )

    def keep(
        self,
        query_id: int,
        read: Registration,
        *,
        tier: Tier,
        location: str,
        body: bytes,
        at: datetime,
        media_type: str = "",
        status: int | None = None,
        cut: str = "",
        retry_after: float | None = None,
    ) -> None:
        """Add an answer; its bytes and its row are kept before anything is made of it."""
        digest = documents.put(self.store, body)
        with self.asker.engine.begin() as connection:
            log.keep_answer(
                connection,
                query_id,
                outcome=read.outcome,
                location=location,
                sha256=digest,
                answered_at=at,
                status=status,
                cut=cut,
            )
        self.answers.append(
            Answer(
                protocol=read.protocol,
                tier=tier,
                query_id=query_id,
                location=location,
                digest=digest,
                size=len(body),
                media_type=media_type,
                fetched_at=at,
                registration=read,
                cut=cut,
            )
        )
        self.asker.end(query_id, read.outcome, retry_after=retry_after)
        self.note(read.protocol, tier, read.server, read.outcome, read.reason)

    def again(self, protocol: Protocol, tier: Tier) -> bytes | None:
        """The bytes of an answer of late, read again as it is now read; None where there is none that can be used."""
        row = self.kept.get((protocol, tier))
        if row is None:
            return None
        try:
            body = documents.get(self.store, row.sha256)
            at = row.answered_at or row.asked_at
            read = self.read(protocol, body, server=row.server, at=at, status=row.status or 200, cut=row.cut)
        except ReadError:
            return None
        self.answers.append(
            Answer(
                protocol=protocol,
                tier=tier,
                query_id=row.id,
                location=row.location,
                digest=bytes(row.sha256),
                size=len(body),
                media_type="",
                fetched_at=at,
                registration=read,
                document_id=row.document_id,
                cut=row.cut,
            )
        )
        self.note(protocol, tier, row.server, read.outcome, f"answered at {at:%Y-%m-%d %H:%M}: used again", asked=False)
        return body

    def failed(self, query_id: int | None, error: Exception, *, protocol: str, tier: str, server: str) -> None:
        """Note a question that has no answer: one that the gate stopped was never asked and is not in the log."""
        if isinstance(error, LaterError):
            self.later = error.until if self.later is None else max(self.later, error.until)
            outcome = LATER
        elif isinstance(error, RefusedError):
            outcome = "refused"
        elif isinstance(error, UnreachableError):
            outcome = Outcome.TIMEOUT.value
        else:
            outcome = Outcome.MALFORMED.value
        if query_id is not None:
            self.asker.end(query_id, outcome)
        self.note(protocol, tier, server, outcome, str(error), asked=query_id is not None)

    def registered(self) -> list[Registration]:
        """The answers that are records."""
        return [one.registration for one in self.answers if one.registration.outcome is Outcome.REGISTERED]


def ask_rdap(talk: Conversation, client: httpx.Client, base: str) -> None:
    """Ask the registry, and the registrar that its answer is related to, as far as the ceiling allows."""
    url = f"{base.rstrip('/')}/domain/{talk.domain}"
    for tier, reach in _TIERS:
        body = talk.again("rdap", tier)
        if body is None:
            body = _rdap(talk, client, url, tier, reach)
        following = rdap_client.referral(body, asked=url) if body is not None else None
        if following is None:
            return
        url = following


def _rdap(talk: Conversation, client: httpx.Client, url: str, tier: Tier, reach: Reach) -> bytes | None:
    location = public_url(url)
    server = location.rpartition("/domain/")[0] or location
    query_id: int | None = None
    try:
        query_id = talk.asker.begin(
            protocol="rdap", server=server, reach=reach, entity_id=talk.entity_id, location=location
        )
        follows = partial(talk.asker.redirected, query_id)
        fetched = rdap_client.fetch_answer(client, url, redirected=follows, clock=talk.asker.clock)
    except (CollectError, ReadError) as error:
        talk.failed(query_id, error, protocol="rdap", tier=tier, server=server)
        return None
    at = fetched.fetched_at
    read = talk.read("rdap", fetched.body, server=server, at=at, status=fetched.status, cut="")
    talk.keep(
        query_id,
        read,
        tier=tier,
        location=location,
        body=fetched.body,
        at=at,
        media_type=fetched.media_type or "",
        status=fetched.status,
        retry_after=_retry_after(fetched),
    )
    return fetched.body if read.outcome is Outcome.REGISTERED else None


def _retry_after(fetched: Fetched) -> float | None:
    return parse_retry_after(fetched.headers.get("retry-after"), fetched.fetched_at)


def wants_whois(talk: Conversation) -> bool:
    """Whether WHOIS may tell more than what RDAP answered: it did not answer, or its record is poorer than usual."""
    outcomes = {one.outcome for one in talk.lookups if one.protocol == "rdap" and one.tier == "registry"}
    if outcomes & _ASIDE or Outcome.NOT_FOUND in outcomes:
        return False
    records = [one for one in talk.registered() if one.protocol == "rdap"]
    if not records or all(one.created.state is not FieldState.VALUE for one in records):
        return True
    told = (getattr(one.registrant, part).state for one in records for part in _CONTACT)
    return all(state is FieldState.ABSENT for state in told)


def ask_whois(talk: Conversation, lookups: Lookups, *, allow: frozenset[tuple[str, int]]) -> None:
    """Ask the suffix's server, which the configuration or the root names, and then the registrar's it refers to."""
    here = _whois_server(talk, lookups, allow)
    asked: set[tuple[str, int]] = set()
    for tier, reach in _TIERS:
        body = talk.again("whois", tier)
        if body is not None:
            asked.add(split_server(talk.kept["whois", tier].server))
        elif here is not None:
            asked.add(here)
            body = _whois(talk, here, tier, reach, allow=allow)
        following = whois_client.referral(body) if body is not None else None
        # A registrar that refers back has said all that it will say.
        if following is None or following in asked:
            return
        here = following


def _whois_server(talk: Conversation, lookups: Lookups, allow: frozenset[tuple[str, int]]) -> tuple[str, int] | None:
    """The registry's server; None where there is none, or nobody says, which is then noted."""
    if (given := lookups.whois_server(talk.domain)) is not None:
        return split_server(given)
    if ("whois", "registry") in talk.kept:
        return None
    if not lookups.whois_root:
        talk.note("whois", "registry", "", Outcome.UNSUPPORTED, "no WHOIS server is known for its suffix", asked=False)
        return None
    suffix = talk.domain.rpartition(".")[2]
    since = talk.asker.clock() - timedelta(days=lookups.whois_servers_days)
    with talk.asker.engine.connect() as connection:
        known = log.whois_server(connection, suffix, since=since)
    if known is None:
        known = _root(talk, split_server(lookups.whois_root), suffix, allow)
    if known == "":
        talk.note("whois", "registry", "", Outcome.UNSUPPORTED, "its suffix has no WHOIS server", asked=False)
    return split_server(known) if known else None


def label(where: tuple[str, int]) -> str:
    """A WHOIS server as the log names it."""
    return where[0] if where[1] == WHOIS_PORT else f"{where[0]}:{where[1]}"


def _root(talk: Conversation, where: tuple[str, int], suffix: str, allow: frozenset[tuple[str, int]]) -> str | None:
    """What the root says of the suffix, written down: it is asked about the suffix alone, never about the domain."""
    query_id: int | None = None
    server = label(where)
    try:
        query_id = talk.asker.begin(
            protocol="whois", server=server, reach=Reach.REGISTRY, entity_id=talk.entity_id, location=suffix
        )
        hop = whois_client.ask(where, suffix, allow=allow)
    except (CollectError, ReadError) as error:
        talk.failed(query_id, error, protocol="whois", tier="registry", server=server)
        return None
    following = whois_client.referral(hop.body)
    # Without the suffix's own record ("too many queries", a part of one) it has not said that there is no server.
    own = re.compile(rf"^domain(?:-ace)?:[ \t]*{re.escape(suffix)}[ \t\r]*$", re.IGNORECASE | re.MULTILINE)
    if following is None and (hop.cut or own.search(hop.body.decode("latin-1")) is None):
        talk.asker.end(query_id, Outcome.MALFORMED)
        detail = f"the root {server} did not say which server its suffix has"
        talk.note("whois", "registry", server, Outcome.MALFORMED, detail)
        return None
    talk.asker.end(query_id, log.REFERRED)
    found = "" if following is None or following == where else label(following)
    with talk.asker.engine.begin() as connection:
        log.learn_whois_server(connection, suffix, found, now=talk.asker.clock())
    return found


def _whois(
    talk: Conversation, where: tuple[str, int], tier: Tier, reach: Reach, *, allow: frozenset[tuple[str, int]]
) -> bytes | None:
    server, query_id = label(where), None
    location = f"whois://{server}/{talk.domain}"
    try:
        query_id = talk.asker.begin(
            protocol="whois", server=server, reach=reach, entity_id=talk.entity_id, location=location
        )
        query = talk.words.queries.get(where[0], "{domain}").replace("{domain}", talk.domain)
        hop = whois_client.ask(where, query, allow=allow)
        at = talk.asker.clock()
        read = talk.read("whois", hop.body, server=server, at=at, status=200, cut=hop.cut)
    except (CollectError, ReadError) as error:
        talk.failed(query_id, error, protocol="whois", tier=tier, server=server)
        return None
    talk.keep(query_id, read, tier=tier, location=location, body=hop.body, at=at, media_type="text/plain", cut=hop.cut)
    return hop.body if read.outcome is Outcome.REGISTERED else None
