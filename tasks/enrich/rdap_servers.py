"""Where the RDAP server of a suffix is: the overrides of configs/lookups.yaml, then IANA's list (RFC 9224).

The list is a document of source `rdap-servers`, used for days without asking again; asking for it names no domain.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Engine

from db import documents, runs
from intel.config.lookups import Lookups
from intel.errors import CollectError, ReadError, WarehouseError
from intel.registration import Outcome
from intel.settings import settings
from tasks.collect.http import HttpLimits, fetch, open_client
from tasks.collect.rdap import bootstrap
from tasks.collect.session import find_source, open_run
from tasks.collect.slices import policy
from tasks.enrich.answers import Conversation
from tasks.enrich.questions import patiently

USER_AGENT: Final = "Lapsewatch/0.1"
_LIST_LIMITS: Final = HttpLimits(max_bytes=8 << 20, max_seconds=60.0)


class RdapServers:
    """Where the RDAP server of a suffix is: the overrides, then IANA's list, read at most once."""

    def __init__(self, engine: Engine, lookups: Lookups, clock: Callable[[], datetime]) -> None:
        self._engine = engine
        self._lookups = lookups
        self._clock = clock
        self._list: bytes | None = None
        self._problem = ""

    def of(self, talk: Conversation) -> str | None:
        """The base URL for the conversation's domain, None (noted) where there is none."""
        given = self._lookups.rdap_server(talk.domain)
        if given is not None:
            return given
        if self._list is None and not self._problem:
            try:
                self._list = _server_list(self._engine, self._lookups, self._clock)
            except (CollectError, ReadError, WarehouseError) as error:
                self._problem = str(error)
        try:
            found = bootstrap(self._list, talk.domain) if self._list is not None else ()
        except ReadError as error:
            self._list, self._problem, found = None, str(error), ()
        if found:
            return found[0]
        detail = self._problem or "no RDAP server is known for its suffix"
        talk.note("rdap", "registry", "", Outcome.UNSUPPORTED, detail, asked=False)
        return None


def _server_list(engine: Engine, lookups: Lookups, clock: Callable[[], datetime]) -> bytes:
    """IANA's list, from the document store where it is young enough. It names no domain that is asked about."""
    source = find_source("rdap-servers")
    store = settings().document_store
    with engine.begin() as connection:
        source_id = runs.ensure_source(connection, **source.row())
        last = runs.last_documents(connection, source_id).get(lookups.bootstrap)
    if last is not None and last.as_of > clock() - timedelta(days=lookups.bootstrap_days):
        return documents.get(store, last.sha256)
    try:
        with open_client(policy(), user_agent=USER_AGENT, limits=_LIST_LIMITS) as client:
            body = fetch(client, lookups.bootstrap, limits=_LIST_LIMITS).body
        bootstrap(body, "example")
    except (CollectError, ReadError):
        # An old list is better than none: servers move seldom.
        if last is None:
            raise
        return documents.get(store, last.sha256)
    digest = documents.put(store, body)
    with patiently(lambda: open_run(engine, source)) as run, engine.begin() as connection:
        number = runs.new_document(
            connection,
            source_id=run.source_id,
            run_id=run.run_id,
            location=lookups.bootstrap,
            sha256=digest,
            size=len(body),
            media_type="application/json",
            as_of=clock(),
            fetched_at=clock(),
        )
        runs.count(connection, run.run_id, documents=1, bytes=len(body))
        runs.mark_loaded(connection, [number])
        runs.finish(connection, run.run_id, outcome="ok")
    return body
