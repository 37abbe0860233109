"""What registration servers do that no server should, by name: in how they send, and in what they say.

In: a connection whose question was read, and the answer that would be right. Out: bytes, or none. A fault is
switched on at a server of `lab.registries` or `lab.registration` while it runs. `unaccepted` opens ports that nobody
answers at.
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from lab.faults import bomb
from lab.registries_serving import RDAP_JSON, Peer, Reply, head

Fault = Callable[[Peer, Reply], Awaitable[None]]

FORBIDDEN: Final = (
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "192.168.1.1",
    "[::1]",
    "[fe80::1]",
    "[::ffff:10.0.0.1]",
    "[64:ff9b::a00:1]",
    "localhost",
    "2130706433",
)
"""Where no referral and no redirect may lead."""


async def hang(peer: Peer, _reply: Reply) -> None:
    """Never a byte."""
    await peer.wait(3600)


async def drip(peer: Peer, reply: Reply) -> None:
    """The right answer, a byte a second."""
    for value in reply.wire(peer.protocol):
        await peer.send(bytes([value]))
        if await peer.wait(1):
            return


async def endless(peer: Peer, reply: Reply) -> None:
    """A beginning that is right, and then more and more lines."""
    await peer.send(b"" if peer.protocol == "whois" else _unsized(reply))
    while not peer.closing.is_set():
        await peer.send(b"% terms of use, and more terms of use\r\n" * 1000)


async def endless_line(peer: Peer, reply: Reply) -> None:
    """One line without an end."""
    await peer.send(b"Domain Name: " if peer.protocol == "whois" else _unsized(reply) + b'{"ldhName": "')
    while not peer.closing.is_set():
        await peer.send(b"a" * 65536)


async def close(_peer: Peer, _reply: Reply) -> None:
    """Closed before the first byte."""


async def reset(peer: Peer, _reply: Reply) -> None:
    """Broken off before the first byte."""
    peer.reset()


async def cut(peer: Peer, reply: Reply) -> None:
    """Broken off in the middle of the record."""
    data = reply.wire(peer.protocol)
    await peer.send(data[: -len(reply.body) // 2])
    await peer.wait(0.2)
    peer.reset()


async def cut_quietly(peer: Peer, reply: Reply) -> None:
    """Closed in the middle of the record, as if that were all."""
    await peer.send(reply.wire(peer.protocol)[: -len(reply.body) // 2])


def _unsized(reply: Reply) -> bytes:
    return head(reply).replace(b"Content-Length", b"X-Length")


def _altered(change: Callable[[bytes], bytes], media_type: str = RDAP_JSON) -> Fault:
    async def altered(peer: Peer, reply: Reply) -> None:
        made = Reply(body=change(reply.body), status=reply.status, media_type=media_type)
        await peer.send(made.wire(peer.protocol))

    return altered


def _raw(data: bytes) -> Fault:
    async def raw(peer: Peer, _reply: Reply) -> None:
        await peer.send(data)

    return raw


def _in_encoding(name: str, text: str) -> Fault:
    """The registrant's name in letters of another alphabet, encoded as nobody says."""

    def change(body: bytes) -> bytes:
        return body.decode().replace("Ada Invented", text).encode(name)

    return _altered(change)


def _json(text: str) -> Fault:
    return _altered(lambda _body: text.encode())


async def headers_without_end(peer: Peer, _reply: Reply) -> None:
    """Headers, and more headers."""
    await peer.send(b"HTTP/1.1 200 OK\r\n")
    while not peer.closing.is_set():
        await peer.send(b"X-More: " + b"a" * 8000 + b"\r\n")


async def provisional(peer: Peer, _reply: Reply) -> None:
    """Provisional answers without an end (RFC 9110 section 15.2)."""
    while not peer.closing.is_set():
        await peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: <https://registry.example>\r\n\r\n" * 100)


async def gzip_bomb(peer: Peer, _reply: Reply) -> None:
    """64 MiB of zeros, packed."""
    await peer.send(Reply(body=bomb(64 << 20), headers={"Content-Encoding": "gzip"}).wire("rdap"))


def redirect_to(location: str) -> Fault:
    """A redirect (RFC 9110 section 15.4)."""

    async def redirect(peer: Peer, _reply: Reply) -> None:
        await peer.send(Reply(status=302, headers={"Location": location}).wire("rdap"))

    return redirect


async def redirect_to_itself(peer: Peer, _reply: Reply) -> None:
    """A redirect to the very same."""
    await peer.send(Reply(status=302, headers={"Location": peer.asked}).wire("rdap"))


def refer_to(server: str) -> Fault:
    """The right answer, which refers to `server` (WHOIS) or to a URL on it (RDAP)."""

    async def refer(peer: Peer, reply: Reply) -> None:
        text = reply.body.decode()
        if peer.protocol == "whois":
            lines = [line for line in text.split("\r\n") if not line.startswith("Registrar WHOIS Server")]
            await peer.send("\r\n".join([lines[0], f"Registrar WHOIS Server: {server}", *lines[1:]]).encode())
            return
        name = peer.asked.rpartition("/")[2]
        link = f'{{"rel": "related", "type": "{RDAP_JSON}", "href": "http://{server}/domain/{name}"}}'
        await peer.send(Reply(body=f'{{"links": [{link}], {text[1:]}'.encode()).wire("rdap"))

    return refer


_NAMED: Final = re.compile(rb'("ldhName": ")[A-Z0-9.-]+\.EXAMPLE')

COMMON: Final[dict[str, Fault]] = {
    "hang": hang,
    "drip": drip,
    "endless": endless,
    "endless line": endless_line,
    "close": close,
    "reset": reset,
    "cut": cut,
    "cut quietly": cut_quietly,
    "nothing but white space": _altered(lambda _body: b" \r\n" * 100),
    "random bytes": _altered(lambda body: bytes((7 * at * at + 3 * at) % 256 for at in range(len(body)))),
    "a page": _altered(lambda _body: b"<!DOCTYPE html><html><body>It works!</body></html>", "text/html"),
    "another protocol": _raw(b"SSH-2.0-OpenSSH_9.9\r\n"),
    "a TLS alert": _raw(b"\x15\x03\x01\x00\x02\x02\x28"),
}
"""For RDAP and WHOIS alike."""

WHOIS: Final[dict[str, Fault]] = {
    "KOI8-R": _in_encoding("koi8-r", "\u0410\u0434\u0430 \u0418\u0432\u0430\u043d\u043e\u0432\u0430"),
    "Shift-JIS": _in_encoding("shift-jis", "\u30c6\u30b9\u30c8 \u592a\u90ce"),
    "Latin-1": _in_encoding("latin-1", "Ad\u00e9 \u00dcnvented"),
    "NULs": _altered(lambda body: body.replace(b"\r\n", b"\0\r\n\0")),
    "invalid bytes": _altered(lambda body: body.replace(b"Ada Invented", b"Ada \xff\xfe\xc0\x80 Invented")),
    "UTF-16": _altered(lambda body: body.decode().encode("utf-16")),
    "escape sequences": _altered(lambda body: body.replace(b"Ada", b"\x1b]0;\x07\x1b[2JAda")),
    "bare line feeds": _altered(lambda body: body.replace(b"\r\n", b"\n")),
    "bare carriage returns": _altered(lambda body: body.replace(b"\r\n", b"\r")),
}

RDAP: Final[dict[str, Fault]] = {
    "headers without end": headers_without_end,
    "provisional without end": provisional,
    "gzip bomb": gzip_bomb,
    "redirect to itself": redirect_to_itself,
    "wrong media type": _altered(lambda body: body, "text/html"),
    "a page as JSON": _altered(lambda _body: b"<html><body>It works!</body></html>"),
    "deep JSON": _json("[" * 200_000),
    "deep objects": _json('{"entities": [' * 20_000),
    "a long number": _json('{"objectClassName": "domain", "handle": ' + "9" * 500_000 + "}"),
    "a huge exponent": _json('{"objectClassName": "domain", "handle": 1e999999999}'),
    "many entities": _json('{"objectClassName": "domain", "entities": [' + ",".join(["{}"] * 200_000) + "]}"),
    "a long string": _json('{"objectClassName": "domain", "ldhName": "' + "a" * 900_000 + '"}'),
    "lone surrogates": _json('{"objectClassName": "domain", "ldhName": "\\ud800.example"}'),
    "another name": _altered(lambda body: _NAMED.sub(rb"\1OTHER.EXAMPLE", body)),
    "a wrong length": _raw(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\nConnection: close\r\n\r\n{}"),
    "broken chunks": _raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n{}"),
}


@contextlib.contextmanager
def unaccepted(*, full: bool = False) -> Iterator[tuple[str, int]]:
    """A port at which nobody accepts: connections are made by the kernel and lie there; `full`: not even that."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        where = listener.getsockname()
        # The queue of a backlog of 0 takes one connection, and one more half-way.
        for _ in range(3 if full else 0):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(where)
        yield str(where[0]), int(where[1])
