"""Many small servers in one thread: an event loop, and on it a listener for each RDAP or WHOIS server.

In: for each server, what it answers to a question. Out: its address on loopback, until the block ends. HTTP is written
by hand (RFC 9112, one answer per connection), because the faults are in its bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Protocol = Literal["rdap", "whois"]
RDAP_JSON: Final = "application/rdap+json"
_ASKING_SECONDS: Final = 30.0
_MOST_HEAD: Final = 65536
_REASONS: Final = {200: "OK", 302: "Found", 304: "Not Modified", 403: "Forbidden", 404: "Not Found"}


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer. WHOIS sends the body alone; a reply that is `silent` closes the connection without a byte."""

    body: bytes = b""
    status: int = 200
    media_type: str = RDAP_JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    silent: bool = False

    def wire(self, protocol: Protocol) -> bytes:
        """The bytes that are sent."""
        return self.body if protocol == "whois" else head(self) + self.body


def head(reply: Reply, *, length: int | None = None) -> bytes:
    """Status line and headers of an answer, with another length than it has where `length` says so."""
    lines = [
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Answer')}",
        f"Content-Type: {reply.media_type}",
        f"Content-Length: {len(reply.body) if length is None else length}",
        *(f"{name}: {value}" for name, value in reply.headers.items()),
        "Connection: close",
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    """An RDAP answer; underscores in names of headers are dashes."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply(body=json.dumps(value).encode(), status=status, headers=named)


def text_reply(text: str) -> Reply:
    """A WHOIS answer."""
    return Reply(body=text.encode())


@dataclass(kw_only=True)
class Peer:
    """A connection whose question was read: `asked` is the line (WHOIS) or the path with its query (RDAP).

    `headers` are lower-case. `closing` is set when the lab ends: whoever waits must stop.
    """

    protocol: Protocol
    asked: str
    headers: Mapping[str, str]
    writer: asyncio.StreamWriter
    closing: asyncio.Event

    async def send(self, data: bytes) -> None:
        """Send, as fast as the other side takes it."""
        self.writer.write(data)
        await self.writer.drain()

    async def wait(self, seconds: float) -> bool:
        """Wait; whether the lab ends meanwhile."""
        try:
            await asyncio.wait_for(self.closing.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def reset(self) -> None:
        """Break the connection off: the other side gets no end, but a reset."""
        self.writer.transport.abort()


Serve = Callable[[Peer], Awaitable[None]]


class Loop:
    """An event loop in a thread of its own; `listen` opens a server on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._closing: asyncio.Event = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-registries", daemon=True)
        self._thread.start()

    def listen(self, protocol: Protocol, serve: Serve) -> tuple[str, int]:
        """Open a server on a free port of loopback; returns its address."""
        host, port = self._run(self._listen(protocol, serve))
        return str(host), int(port)

    def close(self) -> None:
        """Close all servers and their connections, and end the thread."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, protocol: Protocol, serve: Serve) -> tuple[Any, ...]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            # The other side hangs up on much of what is served here.
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                asked, headers = await asyncio.wait_for(_question(reader, protocol), _ASKING_SECONDS)
                peer = Peer(protocol=protocol, asked=asked, headers=headers, writer=writer, closing=self._closing)
                await serve(peer)
            with contextlib.suppress(OSError):
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=128, limit=_MOST_HEAD)
        self._servers.append(server)
        return tuple(server.sockets[0].getsockname()[:2])

    async def _end(self) -> None:
        self._closing.set()
        for server in self._servers:
            server.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            await asyncio.wait(others, timeout=0.5)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


async def _question(reader: asyncio.StreamReader, protocol: Protocol) -> tuple[str, dict[str, str]]:
    if protocol == "whois":
        return (await reader.readuntil(b"\n")).decode("ascii", "replace").strip(), {}
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
    parted = (line.partition(":") for line in lines)
    words = first.split(" ")
    return words[1] if len(words) > 1 else "", {name.strip().lower(): value.strip() for name, _, value in parted}


@contextlib.contextmanager
def running_loop() -> Iterator[Loop]:
    """A loop until the block ends."""
    loop = Loop()
    try:
        yield loop
    finally:
        loop.close()
