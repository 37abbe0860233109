"""Which RDAP server knows a thing: the overrides of configs/lookups.yaml, then IANA's lists (RFC 9224, RFC 8521).

In: a domain, address, network, AS, name server or handle. Out: a base URL. Each list is a document of source
`rdap-servers`, fetched only when it is needed, used for days without asking again, and asked for again with its ETag;
where it cannot be had the one before stays in use, and where there was none the copy in configs/rdap/. Asking for a
list names nothing that is asked about.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import urljoin, urlsplit

import msgspec
from sqlalchemy import Engine

from db import documents, runs
from intel.config.lookups import Lookups
from intel.config.sources import Source
from intel.entities import Entity, Kind
from intel.errors import CollectError, ConfigError, ReadError, RefusedError, UnreachableError, WarehouseError
from intel.rdap_bootstrap import Bootstrap, RegistryName, read_bootstrap, registry_of
from intel.registration import Outcome
from intel.settings import settings
from tasks.collect.fetched import Fetched
from tasks.collect.http import HttpLimits, RetryPolicy, fetch, open_client
from tasks.collect.network import forbidden_reason
from tasks.collect.session import find_source, open_run
from tasks.collect.slices import policy
from tasks.enrich.questions import patiently

USER_AGENT: Final = "Lapsewatch/0.1"
_LIST_LIMITS: Final = HttpLimits(max_bytes=8 << 20, max_seconds=60.0)
_ONCE: Final = RetryPolicy(retries=0)
_IANA: Final = "data.iana.org"
_PATIENCE: Final = timedelta(hours=1)
"""For so long no list is asked for again where one could not be had."""
_AS_KEY: Final = re.compile(r"(?:as)?(\d{1,10})(?:-(?:as)?(\d{1,10}))?")
# RFC 7607, 4893, 5398, 6996, 7300: numbers that no registry gives out.
_SPECIAL_AS: Final = ((0, 0), (23456, 23456), (64496, 131071), (4200000000, 4294967295))


class Talk(Protocol):
    """A conversation about one domain, as far as it is needed here."""

    domain: str

    def note(
        self, protocol: str, tier: str, server: str, outcome: str, detail: str = "", *, asked: bool = True
    ) -> None:
        """Add a line to what was asked."""


class RdapServers:
    """The servers that know things; each list is read at most once. Raises ConfigError where an override is wrong."""

    def __init__(self, engine: Engine, lookups: Lookups, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._lookups = lookups
        self._clock = clock
        self._overrides = _overrides(lookups.rdap_servers)
        self._lists: dict[RegistryName, Bootstrap] = {}
        self._problem = ""

    def of(self, subject: Entity) -> str:
        """The base URL of the server that knows `subject`. Raises ReadError (with the reason) where none is known."""
        given = self._overrides.servers(subject)
        if given:
            return given[0]
        registry = registry_of(subject)
        if registry is None:
            raise ReadError(f"couldn't ask RDAP about a value of kind {subject.kind}: it knows no such thing")
        special = special_use(subject)
        if special and self._is_ianas(registry):
            raise ReadError(f"{special}: no registry gives it out")
        entry, urls = self._list(registry).match(subject)
        # IANA's lists name whole blocks, in which such ranges lie; a list of another maker may mean just them.
        if special and not (entry and special_use(msgspec.structs.replace(subject, value=entry))):
            raise ReadError(f"{special}: no registry gives it out")
        if not urls:
            raise ReadError(self._problem or f"no RDAP server is known for {_what(subject)}")
        return urls[0]

    def of_talk(self, talk: Talk) -> str | None:
        """The base URL for the conversation's domain, None (noted) where there is none."""
        try:
            return self.of(Entity(Kind.DOMAIN, talk.domain, talk.domain, "", b""))
        except ReadError as error:
            talk.note("rdap", "registry", "", Outcome.UNSUPPORTED, str(error), asked=False)
            return None

    def _is_ianas(self, registry: RegistryName) -> bool:
        return urlsplit(_location(self._lookups, registry)).hostname == _IANA

    def _list(self, registry: RegistryName) -> Bootstrap:
        if registry not in self._lists:
            self._lists[registry] = self._read(registry)
        return self._lists[registry]

    def _read(self, registry: RegistryName) -> Bootstrap:
        kept = _Kept(self._engine, self._lookups, registry, self._clock)
        try:
            return kept.current()
        except (CollectError, ReadError, WarehouseError) as error:
            self._problem = str(error)
        return kept.fallback()


def special_use(subject: Entity) -> str:
    """Why no registry knows who holds an address, network or AS; empty where one may (RFC 6890, RFC 7249)."""
    if subject.kind == Kind.AS:
        number = int(subject.value.removeprefix("AS"))
        special = any(first <= number <= last for first, last in _SPECIAL_AS)
        return f"AS{number} is reserved or private" if special else ""
    if subject.kind not in (Kind.IP, Kind.NETWORK):
        return ""
    network = ipaddress.ip_network(subject.value, strict=False)
    reason = forbidden_reason(str(network.network_address))
    # A block that begins with a reserved range and ends elsewhere is no reserved one.
    same = reason is not None and reason == forbidden_reason(str(network.broadcast_address))
    return f"{subject.value} is {reason}" if same else ""


def _what(subject: Entity) -> str:
    if subject.kind in (Kind.DOMAIN, Kind.NAME_SERVER):
        return f"the suffix of {subject.value}"
    # A handle may name a person.
    return "this handle: it bears no tag that a server is known for" if subject.kind == Kind.HANDLE else subject.value


def _overrides(servers: dict[str, str]) -> Bootstrap:
    """The overrides as a list of their own: a key is a suffix, a network, AS numbers (`as64500-as64511`) or `-tag`."""
    services: dict[RegistryName, list[Any]] = {}
    for key, url in servers.items():
        registry, entry = _keyed(key)
        people: list[Any] = [[]] if registry == "object-tags" else []
        services.setdefault(registry, []).append([*people, [entry], [url]])
    made = read_bootstrap({name: msgspec.json.encode({"services": one}) for name, one in services.items()})
    if made.refused:
        raise ConfigError(
            f"couldn't use rdap_servers of configs/lookups.yaml: {made.refused} of {len(servers)} give no URL to a"
            " suffix, network, AS number, range of them or -TAG; correct the file"
        )
    return made


def _keyed(key: str) -> tuple[RegistryName, str]:
    if "/" in key:
        return ("ipv6" if ":" in key else "ipv4"), key
    if numbers := _AS_KEY.fullmatch(key):
        return "asn", f"{numbers[1]}-{numbers[2] or numbers[1]}"
    return ("object-tags", key[1:]) if key.startswith("-") else ("dns", key)


def _location(lookups: Lookups, registry: RegistryName) -> str:
    """Where a list is: `bootstrap` names that of domains, and the others lie beside it."""
    return lookups.bootstrap if registry == "dns" else urljoin(lookups.bootstrap, f"{registry}.json")


class _Kept:
    """One list as it is kept: the newest document of its location, and when it was last asked for."""

    def __init__(self, engine: Engine, lookups: Lookups, registry: RegistryName, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._clock = clock
        self._registry = registry
        self._location = _location(lookups, registry)
        self._days = timedelta(days=lookups.bootstrap_days)
        self._source: Source = find_source("rdap-servers")
        self._cursor = f"rdap-servers:{self._location}"
        self._failures = {
            # Where the place cannot be reached, none of its lists can be had.
            True: f"rdap-servers:failed:{urljoin(self._location, '.')}",
            False: f"rdap-servers:failed:{self._location}",
        }
        self._last: Any = None
        self._body: bytes | None = None

    def current(self) -> Bootstrap:
        """The list, young enough or asked for anew. Raises CollectError, ReadError and WarehouseError."""
        with self._engine.begin() as connection:
            source_id = runs.ensure_source(connection, **self._source.row())
            self._last = runs.last_documents(connection, source_id, self._location).get(self._location)
            checked = _time(runs.read_cursor(connection, self._cursor), "checked_at")
            failed = [runs.read_cursor(connection, name) for name in self._failures.values()]
        if self._last is not None:
            self._body = _stored(self._last.sha256)
        now = self._clock()
        since = max(filter(None, (self._last.as_of if self._body is not None else None, checked)), default=None)
        if self._body is not None and since is not None and since > now - self._days:
            return self._parsed(self._body)
        for failure in failed:
            at = _time(failure, "at")
            if at is not None and timedelta() <= now - at < _PATIENCE:
                raise ReadError(str((failure or {}).get("why", ""))[:500])
        try:
            return self._asked_for()
        except (CollectError, ReadError) as error:
            name = self._failures[isinstance(error, UnreachableError | RefusedError)]
            with self._engine.begin() as connection:
                runs.write_cursor(connection, name, {"at": now.isoformat(), "why": str(error)[:500]}, None)
            raise

    def fallback(self) -> Bootstrap:
        """The list before, or the copy that came with Lapsewatch; an empty one where there is neither."""
        for body in (self._body, _shipped(self._registry)):
            try:
                if body is not None:
                    return self._parsed(body)
            except ReadError:
                continue
        return Bootstrap()

    def _parsed(self, body: bytes) -> Bootstrap:
        return read_bootstrap({self._registry: body})

    def _asked_for(self) -> Bootstrap:
        known = self._last if self._body is not None else None
        with open_client(policy(), user_agent=USER_AGENT, limits=_LIST_LIMITS) as client:
            answer = fetch(
                client,
                self._location,
                limits=_LIST_LIMITS,
                etag=(known.etag or None) if known else None,
                last_modified=(known.last_modified or None) if known else None,
                retry=_ONCE,
                clock=self._clock,
            )
        if answer.outcome == "unchanged" and self._body is not None:
            made = self._parsed(self._body)
        else:
            made = self._parsed(answer.body)
            self._keep(answer)
        with self._engine.begin() as connection:
            runs.write_cursor(connection, self._cursor, {"checked_at": self._clock().isoformat()}, None)
        return made

    def _keep(self, answer: Fetched) -> None:
        digest = documents.put(settings().document_store, answer.body)
        with patiently(lambda: open_run(self._engine, self._source)) as run, self._engine.begin() as connection:
            number = runs.new_document(
                connection,
                source_id=run.source_id,
                run_id=run.run_id,
                location=self._location,
                sha256=digest,
                size=len(answer.body),
                media_type=answer.media_type or "application/json",
                etag=answer.etag or "",
                last_modified=answer.last_modified or "",
                as_of=self._clock(),
                fetched_at=self._clock(),
            )
            runs.count(connection, run.run_id, documents=1, bytes=len(answer.body))
            runs.mark_loaded(connection, [number])
            runs.finish(connection, run.run_id, outcome="ok")


def _shipped(registry: RegistryName) -> bytes | None:
    try:
        return (settings().configs / "rdap" / f"{registry}.json").read_bytes()
    except OSError:
        return None


def _stored(digest: bytes) -> bytes | None:
    try:
        return documents.get(settings().document_store, digest)
    except ReadError:
        return None


def _time(value: dict[str, Any] | None, name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(str((value or {}).get(name, "")))
    except ValueError:
        return None
