"""A lab log on loopback and a reader of it, for tests of readers."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from intel.config.sources import Source
from intel.ct import SignedTreeHead
from intel.ct_answer import read_answer
from intel.merkle import leaf_hash
from intel.settings import settings
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog, Protocol
from lab.server import serve
from tasks.collect.ct_log import LogReader, open_log
from tasks.collect.retry import RetryPolicy

AUTHORITY = Authority()
BEGUN = datetime(2026, 1, 2, tzinfo=UTC)
LITTLE = RetryPolicy(retries=3, base_seconds=0.01, max_backoff_seconds=0.05, max_retry_after=1.0)
CERTIFICATE = AUTHORITY.issue(Order(names=("host.heron.example",), key=key_from_seed("host")))

Opened = Callable[..., AbstractContextManager[LogReader]]


class World:
    """A lab log whose clock moves a second with each entry."""

    def __init__(self, protocol: Protocol, size: int, **more: Any) -> None:
        self.log = CtLog(protocol=protocol, clock=self.clock, **more)
        self.grow(size)

    def clock(self) -> datetime:
        return BEGUN + timedelta(seconds=self.log.size if hasattr(self, "log") else 0)

    def grow(self, count: int) -> None:
        for _ in range(count):
            self.log.append(CERTIFICATE, chain=(AUTHORITY.certificate,))

    def hashes(self) -> list[bytes]:
        return [leaf_hash(self.log.entry(index).leaf_input) for index in range(self.log.size)]


@contextmanager
def opened(log: CtLog | Wrapped, *, options: dict[str, Any] | None = None, **more: Any) -> Iterator[LogReader]:
    with serve(log.app()) as served:
        (settings().configs / "network.yaml").write_text(f'allow: ["127.0.0.1:{served.port}"]\n')
        source = source_of(f"{served.url}/", log, **(options or {}))
        with open_log(source, patience=more.pop("patience", LITTLE), **more) as reader:
            yield reader


def source_of(location: str, log: CtLog | Wrapped, **options: Any) -> Source:
    return Source.model_validate(
        {
            "name": "lab-log",
            "title": "Lab log",
            "transport": "ct",
            "format": "ct",
            "location": location,
            "semantics": "stream",
            "cadence": "continuous",
            "reliability": "A",
            "tlp": "TLP:CLEAR",
            "licence": {"name": "invented", "commercial_use": True, "redistribution": True},
            "enabled": True,
            "options": {"protocol": log.protocol, "log_key": base64.b64encode(log.key_der).decode(), **options},
        }
    )


def read_all(reader: LogReader, first: int, behind: int, head: SignedTreeHead) -> list[bytes]:
    """The leaf hashes of `first` to `behind`, every answer where it should be."""
    found: list[bytes] = []
    for answer in reader.answers(first, behind, head):
        assert answer.first == first + len(found)
        entries = read_answer(answer)
        assert [entry.index for entry in entries] == list(range(answer.first, answer.next))
        found += [entry.leaf_hash for entry in entries]
    assert len(found) == behind - first
    return found


class Wrapped:
    """A log, behind something that stands in its way."""

    def __init__(self, log: CtLog) -> None:
        self.protocol, self.key_der = log.protocol, log.key_der
        self._app = log.app()


class Breaking(Wrapped):
    """Answers so many times with 503, then well."""

    def __init__(self, log: CtLog, times: int) -> None:
        super().__init__(log)
        self.left = times

    def app(self) -> Any:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and self.left:
                self.left -= 1
                await send({"type": "http.response.start", "status": 503, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            await self._app(scope, receive, send)

        return answer


class Refusing(Wrapped):
    """Answers 400 to requests for more than `most` entries."""

    def __init__(self, log: CtLog, most: int) -> None:
        super().__init__(log)
        self._most = most

    def app(self) -> Any:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and b"start=" in scope["query_string"]:
                start, end = (int(part.partition(b"=")[2]) for part in scope["query_string"].split(b"&"))
                if end - start >= self._most:
                    await send({"type": "http.response.start", "status": 400, "headers": []})
                    await send({"type": "http.response.body", "body": b"too many"})
                    return
            await self._app(scope, receive, send)

        return answer


class Without(Wrapped):
    """Answers 404 to one call."""

    def __init__(self, log: CtLog, call: str) -> None:
        super().__init__(log)
        self._call = call

    def app(self) -> Any:
        async def answer(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"].endswith(self._call):
                await send({"type": "http.response.start", "status": 404, "headers": []})
                await send({"type": "http.response.body", "body": b""})
                return
            await self._app(scope, receive, send)

        return answer
