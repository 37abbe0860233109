"""Asking RDAP about addresses, networks, AS, name servers and handles, each question through the gate.

In: what is asked about, and who asks. Out: `Numbers`, with a `Lookup` for each question, whose outcomes are never
guesses. An answer of the last days is read again in place of being asked again. What no registry gives out, or no
server is known for, is a note and no failure. RFC 9082. Reach: registry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from sqlalchemy import Engine

from db import documents
from db import lookups as log
from db.entities import ensure_entities
from intel.config.lookups import Reach
from intel.entities import Entity, Kind, masked
from intel.errors import CollectError, LaterError, ReadError, RefusedError, UnreachableError
from intel.registration import Outcome
from intel.registration_numbers import Answered
from intel.registration_words import RegistrationWords, read_words
from intel.settings import settings
from tasks.collect.fetched import public_url
from tasks.collect.http import open_client
from tasks.collect.media import parse_retry_after
from tasks.collect.rdap import RDAP_LIMITS, fetch_answer, object_url
from tasks.collect.slices import policy
from tasks.enrich.answers import LATER
from tasks.enrich.number_versions import NumberAnswer, load_numbers
from tasks.enrich.questions import Asker
from tasks.enrich.rdap_servers import USER_AGENT, RdapServers
from tasks.enrich.records import Lookup
from tasks.normalize.rdap_numbers import read_object

PROTOCOL: Final = "rdap"
_TIER: Final = "registry"


class Numbers(msgspec.Struct, frozen=True, kw_only=True):
    """What asking came to: the records by the digest of what was asked about, one line for each question, and news.

    `later` is when to ask the rest, where a server's turn comes later; `batch` the batch that holds what is new.
    """

    records: Mapping[bytes, Answered] = {}
    lookups: tuple[Lookup, ...] = ()
    facts_new: int = 0
    facts_ended: int = 0
    later: datetime | None = None
    batch: int | None = None


def ask_numbers(
    engine: Engine,
    asker: Asker,
    subjects: Sequence[Entity],
    *,
    marked: Mapping[bytes, Sequence[Entity]] | None = None,
    again: bool = False,
) -> Numbers:
    """Ask about each of `subjects`, and load what was answered.

    `marked` gives, by digest, other entities that stand on a subject: where one is marked secret, nothing is asked.
    `again` asks although a recent answer is there. Raises ConfigError and WarehouseError; what one question comes to,
    a refusal included, is in the result.
    """
    words = read_words((settings().configs / "registration.yaml").read_bytes())
    wanted = tuple(dict.fromkeys(subjects))
    with engine.begin() as connection:
        ids = ensure_entities(connection, wanted)
    servers = RdapServers(engine, asker.lookups, asker.clock)
    with open_client(policy(), user_agent=USER_AGENT, limits=RDAP_LIMITS) as client:
        desk = _Desk(engine=engine, asker=asker, words=words, servers=servers, client=client, again=again)
        for subject in wanted:
            desk.ask(subject, ids[subject.digest], (marked or {}).get(subject.digest, ()))
    fresh = [one for one in desk.answers if one.document_id is None]
    loaded = load_numbers(engine, fresh) if fresh else None
    return Numbers(
        records={one.subject.digest: one.record for one in desk.answers},
        lookups=tuple(desk.lookups),
        facts_new=loaded.facts_new if loaded else 0,
        facts_ended=loaded.facts_ended if loaded else 0,
        later=desk.later,
        batch=loaded.batch_id if loaded else None,
    )


@dataclass(kw_only=True)
class _Desk:
    """What the questions of one call share, and what came of them."""

    engine: Engine
    asker: Asker
    words: RegistrationWords
    servers: RdapServers
    client: httpx.Client
    again: bool
    answers: list[NumberAnswer] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    later: datetime | None = None

    @property
    def store(self) -> Path:
        return settings().document_store

    def ask(self, subject: Entity, entity_id: int, marked: Sequence[Entity]) -> None:
        try:
            self.asker.refuse_secret(masked(subject.kind, subject.value), [subject, *marked])
        except RefusedError as error:
            self._note(subject, "", "refused", str(error), asked=False)
            return
        if not self.again and self._used_again(subject, entity_id):
            return
        try:
            base = self.servers.of(subject)
            url = object_url(base, subject)
        except ReadError as error:
            self._note(subject, "", Outcome.UNSUPPORTED, str(error), asked=False)
            return
        self._send(subject, entity_id, base.rstrip("/"), url)

    def _send(self, subject: Entity, entity_id: int, server: str, url: str) -> None:
        location = public_url(url)
        number: int | None = None
        try:
            number = self.asker.begin(
                protocol=PROTOCOL, server=server, reach=Reach.REGISTRY, entity_id=entity_id, location=location
            )
            follows = partial(self.asker.redirected, number)
            got = fetch_answer(self.client, url, redirected=follows, clock=self.asker.clock)
        except (CollectError, ReadError) as error:
            outcome = _outcome(error)
            if isinstance(error, LaterError):
                self.later = error.until if self.later is None else max(self.later, error.until)
            if number is not None:
                self.asker.end(number, outcome)
            # A handle may name a person, and stands in the URL that the message names.
            told = str(error) if subject.kind != Kind.HANDLE else str(error).replace(location.rpartition("/")[2], "***")
            self._note(subject, server, outcome, told, asked=number is not None)
            return
        record = self._read(subject, got.body, got.status, server, got.fetched_at)
        self._keep(
            NumberAnswer(
                subject=subject,
                query_id=number,
                location=location,
                digest=documents.put(self.store, got.body),
                size=len(got.body),
                media_type=got.media_type or "",
                fetched_at=got.fetched_at,
                record=record,
            ),
            status=got.status,
            retry_after=parse_retry_after(got.headers.get("retry-after"), got.fetched_at),
        )
        self._note(subject, server, record.outcome, record.reason)

    def _keep(self, answer: NumberAnswer, *, status: int, retry_after: float | None) -> None:
        """The answer's row is there before anything is made of it: nobody asks for it again."""
        with self.engine.begin() as connection:
            log.keep_answer(
                connection,
                answer.query_id,
                outcome=answer.record.outcome,
                location=answer.location,
                sha256=answer.digest,
                answered_at=answer.fetched_at,
                status=status,
            )
        self.asker.end(answer.query_id, answer.record.outcome, retry_after=retry_after)
        self.answers.append(answer)

    def _used_again(self, subject: Entity, entity_id: int) -> bool:
        since = self.asker.clock() - timedelta(days=self.asker.lookups.reuse_days)
        with self.engine.connect() as connection:
            kept = log.kept_answers(connection, entity_id=entity_id, since=since)
        row: Any = next((row for row in kept if row.protocol == PROTOCOL and row.reach == Reach.REGISTRY.label), None)
        if row is None:
            return False
        at = row.answered_at or row.asked_at
        try:
            body = documents.get(self.store, bytes(row.sha256))
        except ReadError:
            return False
        record = self._read(subject, body, row.status or 200, row.server, at)
        self.answers.append(
            NumberAnswer(
                subject=subject,
                query_id=row.id,
                location=row.location,
                digest=bytes(row.sha256),
                size=len(body),
                media_type="",
                fetched_at=at,
                record=record,
                document_id=row.document_id,
            )
        )
        detail = f"answered at {at:%Y-%m-%d %H:%M}: used again"
        self._note(subject, row.server, record.outcome, detail, asked=False)
        return True

    def _read(self, subject: Entity, body: bytes, status: int, server: str, at: datetime) -> Answered:
        return read_object(body, status, self.words, subject=subject, server=server, fetched_at=at)

    def _note(self, subject: Entity, server: str, outcome: str, detail: str, *, asked: bool = True) -> None:
        self.lookups.append(
            Lookup(
                domain=subject.value,
                protocol=PROTOCOL,
                tier=_TIER,
                server=server,
                outcome=outcome,
                detail=detail,
                asked=asked,
            )
        )


def _outcome(error: Exception) -> str:
    if isinstance(error, LaterError):
        return LATER
    if isinstance(error, RefusedError):
        return "refused"
    return Outcome.TIMEOUT.value if isinstance(error, UnreachableError) else Outcome.MALFORMED.value
