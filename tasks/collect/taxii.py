"""Reads TAXII 2.1 collections, page by page, and never without end (TAXII 2.1 sections 3.4, 4.1, 4.2, 5.1, 5.4, 5.6).

In: a source's settings and its cursor. Out: pages (the envelope's bytes as received) with the cursor to commit with
each. The cursor follows the server's dates added, never STIX `modified`:

    added_after   everything added up to here is read
    next, asked   mid-way: the server's token, and the `added_after` that must be sent with it
    last          mid-way: the latest date added seen so far
"""

from __future__ import annotations

import hashlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import msgspec
from taxii2client.v21 import Collection

from intel.errors import CollectError, PagingError, ReadError, StatusError
from tasks.collect.fetched import public_url
from tasks.collect.taxii_client import TaxiiConnection, TaxiiHttp
from tasks.collect.taxii_dates import earlier, format_date, parse_date, usable_date
from tasks.collect.taxii_discovery import Discovery, discover

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tasks.collect.credentials import Credentials

__all__ = ["Discovery", "TaxiiHttp", "TaxiiPage", "TaxiiSource", "discover", "pages"]

T = TypeVar("T")

_TICK = timedelta(microseconds=1)
_MAX_TOKEN = 8192
_MAX_EMPTY_PAGES = 10


@dataclass(frozen=True, kw_only=True)
class TaxiiSource:
    """One collection to read; `collection` is an id (UUID or not) or an alias, `match` the filters (section 3.4).

    `overlap_seconds` is how far behind its cursor a new poll starts, for servers whose objects become visible late or
    that drop ties. The caps hold for one run: pages, bytes of all bodies, seconds; the `_before` fields say how much of
    them earlier slices of the run have used up.
    """

    api_root: str
    collection: str
    credentials: Credentials | None = None
    match: Mapping[str, str] = field(default_factory=dict)
    limit: int = 1000
    overlap_seconds: float = 10.0
    max_pages: int = 10_000
    max_bytes: int = 4 << 30
    max_seconds: float = 3600.0
    pages_before: int = 0
    bytes_before: int = 0
    seconds_before: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TaxiiPage:
    """One envelope: its bytes as received, how many objects it holds, and the cursor to commit together with it.

    `url` is that of the objects resource, without the query; `fetched_at` is recorded time, UTC.
    """

    url: str
    number: int
    body: bytes = field(repr=False)
    count: int
    cursor: dict[str, str]
    fetched_at: datetime


class _Envelope(msgspec.Struct):
    more: Any = None
    next: Any = None
    objects: list[msgspec.Raw] | None = None


class _Manifest(msgspec.Struct):
    objects: list[dict[str, Any]] | None = None


@dataclass(frozen=True, kw_only=True)
class _Ask:
    """What to ask for next: a token goes with exactly the filters it was made for."""

    added_after: str | None = None
    token: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Answer:
    body: bytes
    objects: int
    digest: bytes
    more: bool
    token: str | None
    last: datetime | None


@dataclass(kw_only=True)
class _Poll:
    """Where one poll stands: `mark` is everything read before it, `high` the latest date added seen in it."""

    mark: datetime | None = None
    high: datetime | None = None
    step: datetime | None = None
    tokens: set[str] = field(default_factory=set)
    digest: bytes = b""
    empty: int = 0

    def cursor(self, mark: datetime | None) -> dict[str, str]:
        return {} if mark is None else {"added_after": format_date(mark)}

    def seen(self, date: datetime | None) -> datetime | None:
        """Give the later of the mark and this date."""
        return max((moment for moment in (self.mark, date) if moment is not None), default=None)


class _Reader:
    """Asks one collection; the only part that talks."""

    def __init__(self, source: TaxiiSource, http: TaxiiHttp, connection: TaxiiConnection) -> None:
        root = source.api_root.rstrip("/")
        url = f"{root}/collections/{quote(source.collection, safe='')}/"
        # Said here, so that taxii2-client does not ask for it first and does not insist that an alias be an id.
        info = {"id": quote(source.collection, safe=""), "title": "-", "can_read": True, "can_write": False}
        self._collection = Collection(url, conn=connection.conn, collection_info=info)
        self._connection = connection
        self._source = source
        self._http = http
        self.url = public_url(self._collection.objects_url)

    def _filters(self, ask: _Ask) -> dict[str, Any]:
        given = {"added_after": ask.added_after, "next": ask.token, "limit": self._source.limit, **self._source.match}
        return {name: value for name, value in given.items() if value is not None}

    def objects(self, ask: _Ask) -> _Answer:
        """Get one page of objects."""
        filters = self._filters(ask)
        body, headers = self._connection.call(lambda: self._collection.get_objects(**filters), self.url)
        envelope = _decode(body, _Envelope, self.url)
        token = str(envelope.next) if isinstance(envelope.next, str | int) and str(envelope.next) else None
        if token is not None and len(token) > _MAX_TOKEN:
            raise PagingError(f"couldn't page through {self.url}: its next token is too long; this page was dropped")
        objects = envelope.objects or []
        return _Answer(
            body=body,
            objects=len(objects),
            digest=hashlib.sha256(b"".join(bytes(item) for item in objects)).digest() if objects else b"",
            # Some leave out `more` and send `next` all the same.
            more=token is not None if envelope.more is None else str(envelope.more).lower() == "true",
            token=token,
            last=usable_date(headers.get("X-TAXII-Date-Added-Last"), self._http.clock()),
        )

    def manifest_date(self, ask: _Ask) -> datetime | None:
        """Give the last date added of the manifest's page; it may lie before the objects' last, never after."""
        filters = self._filters(replace(ask, token=None))
        try:
            body, headers = self._connection.call(lambda: self._collection.get_manifest(**filters), self.url)
            entries = _decode(body, _Manifest, self.url).objects or []
        except (CollectError, ReadError):
            return None  # optional: without it the next poll reads more than it had to
        now = self._http.clock()
        listed = usable_date(entries[-1].get("date_added"), now) if entries else None
        return listed or usable_date(headers.get("X-TAXII-Date-Added-Last"), now)


def _decode(body: bytes, kind: type[T], url: str) -> T:
    try:
        return msgspec.json.decode(body.removeprefix(b"\xef\xbb\xbf"), type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ReadError(f"couldn't read {url}: {type(error).__name__}; it was dropped") from None


def _start(source: TaxiiSource, cursor: Mapping[str, str]) -> tuple[_Poll, _Ask, _Ask]:
    """Where to go on: the poll, what to ask, and what to ask instead where the server has forgotten its token."""
    mark = parse_date(cursor.get("added_after"))
    overlap = timedelta(seconds=source.overlap_seconds)
    fresh = _Ask(added_after=None if mark is None else format_date(earlier(mark, overlap)))
    if token := cursor.get("next"):
        poll = _Poll(mark=mark, high=parse_date(cursor.get("last")), tokens={token})
        return poll, _Ask(added_after=cursor.get("asked") or None, token=token), fresh
    return _Poll(mark=mark), fresh, fresh


def _advance(
    poll: _Poll, ask: _Ask, answer: _Answer, reader: _Reader
) -> tuple[dict[str, str], _Ask | None, str | None]:
    """Judge a page: (the cursor to commit with it, what to ask next if anything, why it cannot go on if so)."""
    high = max((date for date in (poll.high, answer.last) if date is not None), default=None)
    repeats = answer.objects > 0 and answer.digest == poll.digest
    poll.high, poll.digest = high, answer.digest
    poll.empty = 0 if answer.objects else poll.empty + 1
    done = poll.cursor(poll.seen(high))
    if not answer.more:
        if high is None and answer.objects:
            done = poll.cursor(poll.seen(reader.manifest_date(ask)))
        return done, None, None
    if repeats:
        return done, None, "two pages hold the same objects"
    if poll.empty >= _MAX_EMPTY_PAGES:
        return done, None, f"{poll.empty} pages in a row are empty"
    if answer.token is not None:
        if answer.token in poll.tokens:
            return done, None, "its next token came before"
        poll.tokens.add(answer.token)
        middle = {**poll.cursor(poll.mark), "next": answer.token, "asked": ask.added_after or ""}
        return middle | ({} if high is None else {"last": format_date(high)}), replace(ask, token=answer.token), None
    return _without_token(poll, ask, answer, reader)


def _without_token(
    poll: _Poll, ask: _Ask, answer: _Answer, reader: _Reader
) -> tuple[dict[str, str], _Ask | None, str | None]:
    """Go on by date: there is more, and no token."""
    date = answer.last or reader.manifest_date(ask)
    if date is None:
        return poll.cursor(poll.mark), None, "there is more, and neither a next token nor a date to go on from"
    cursor = poll.cursor(poll.seen(date))
    if poll.step is not None and date <= poll.step:
        return cursor, None, f"after {format_date(date)} it gives the same again"
    poll.step = date
    # One tick earlier, so that objects which share the page's last date are not passed over. A page of one object would
    # come again for ever that way.
    after = earlier(date, _TICK) if answer.objects > 1 else date
    return cursor, _Ask(added_after=format_date(after)), None


def _first(reader: _Reader, ask: _Ask, fresh: _Ask) -> tuple[_Answer, _Ask]:
    """Ask for the first page; a token from an earlier run may have expired, then the poll starts again at its mark."""
    try:
        return reader.objects(ask), ask
    except StatusError as error:
        if ask.token is None or error.status not in {400, 404, 410, 422}:
            raise
    return reader.objects(fresh), fresh


def pages(source: TaxiiSource, cursor: Mapping[str, str], *, http: TaxiiHttp) -> Iterator[TaxiiPage]:
    """Read what a collection has added since the cursor; commit each page's cursor together with its objects.

    Objects can come twice (a poll overlaps the last): load them by id and version. Raises PagingError, after the last
    good page was given, where the server pages without end or without a way on, or at a cap; the next run goes on from
    the last committed cursor. Raises also what `fetch` raises, and ReadError for an envelope that cannot be read.
    """
    poll, ask, fresh = _start(source, cursor)
    until = time.monotonic() + source.max_seconds - source.seconds_before
    total = 0
    with TaxiiConnection(http, source.credentials) as connection:
        reader = _Reader(source, http, connection)
        for number in itertools.count(1):
            answer, ask = _first(reader, ask, fresh) if number == 1 else (reader.objects(ask), ask)
            total += len(answer.body)
            state, following, problem = _advance(poll, ask, answer, reader)
            yield TaxiiPage(
                url=reader.url,
                number=number,
                body=answer.body,
                count=answer.objects,
                cursor=state,
                fetched_at=http.clock(),
            )
            if following is None and problem is None:
                return
            problem = problem or _over(source, number, total, late=time.monotonic() >= until)
            if problem is not None or following is None:
                raise PagingError(f"couldn't page on through {reader.url}: {problem}; the next run goes on from here")
            ask = following


def _over(source: TaxiiSource, number: int, total: int, *, late: bool) -> str | None:
    if source.pages_before + number >= source.max_pages:
        return f"there are more than {source.max_pages} pages"
    if source.bytes_before + total >= source.max_bytes:
        return f"there are more than {source.max_bytes} bytes"
    return f"it took longer than {source.max_seconds:g} s" if late else None
