"""A server that misbehaves: one hostile behaviour for each path, over raw sockets.

In: nothing. Out: a loopback server until the block ends. What each path does is said in `BEHAVIOURS`; framing terms are
RFC 9112's. Connections are closed after one answer.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import socketserver
import threading
import zlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CSV = b"domain,first_seen\nbad.example,2026-01-02\n"
HTML = b"<!DOCTYPE html>\n<html><head><title>Just a moment</title></head><body>Checking your browser</body></html>\n"
LATIN1 = "domain,who\nbad.example,Jos\u00e9\n".encode("latin-1")
RETRY_AFTER_SECONDS = 7


@dataclass
class _State:
    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    closing: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, kw_only=True)
class FaultServer:
    """Where the faults are, and what was asked of them: (path with query, lower-case headers), in order."""

    port: int
    asked: list[tuple[str, dict[str, str]]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> tuple[str, int]:
        """The pair that `network.allow` takes."""
        return "127.0.0.1", self.port


def _head(status: str, **headers: str | int) -> bytes:
    lines = [f"HTTP/1.1 {status}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join([*lines, "Connection: close", "", ""])).encode("latin-1")


def _answer(status: str = "200 OK", body: bytes = CSV, **headers: str | int) -> bytes:
    return _head(status, **{"Content_Type": "text/csv", "Content_Length": len(body), **headers}) + body


def _redirect(location: str) -> bytes:
    return _answer("302 Found", b"", Location=location)


def _drip(sock: socket.socket, state: _State, data: bytes) -> None:
    """Send a byte a second: no single read ever takes long."""
    for value in data:
        sock.sendall(bytes([value]))
        if state.closing.wait(1.0):
            return


def _ok(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer())


def _truncated(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_head("200 OK", Content_Type="text/csv", Content_Length=len(CSV) + 1000) + CSV)


def _truncated_once(sock: socket.socket, state: _State) -> None:
    (_ok if state.hits["/truncated-once"] > 1 else _truncated)(sock, state)


def _truncated_gzip(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer(body=gzip.compress(CSV * 50)[:-12], Content_Encoding="gzip"))


def _oversized(sock: socket.socket, state: _State) -> None:
    """Without a length, for ever."""
    sock.sendall(_head("200 OK", Content_Type="text/csv"))
    while not state.closing.is_set():
        sock.sendall(b"a" * 65536)


def _oversized_declared(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_head("200 OK", Content_Type="text/csv", Content_Length="9" * 18))


def bomb(size: int) -> bytes:
    """Give a gzip stream of `size` zero bytes, packed about a thousand to one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    zeros = bytes(1 << 20)
    parts = [packer.compress(zeros[: min(len(zeros), size - start)]) for start in range(0, size, len(zeros))]
    return b"".join([*parts, packer.flush()])


def _gzip_bomb(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer(body=bomb(64 << 20), Content_Encoding="gzip"))


def _drip_body(sock: socket.socket, state: _State) -> None:
    sock.sendall(_head("200 OK", Content_Type="text/csv", Content_Length=1_000_000))
    _drip(sock, state, b"a" * 1_000_000)


def _drip_headers(sock: socket.socket, state: _State) -> None:
    _drip(sock, state, b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 100_000)


def _hang(_sock: socket.socket, state: _State) -> None:
    state.closing.wait(60.0)


def _throttled_seconds(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer("429 Too Many Requests", b"", Retry_After=RETRY_AFTER_SECONDS))


def _throttled_date(sock: socket.socket, _state: _State) -> None:
    when = datetime.now(UTC) + timedelta(seconds=RETRY_AFTER_SECONDS)
    sock.sendall(_answer("429 Too Many Requests", b"", Retry_After=format_datetime(when, usegmt=True)))


def _throttled_silent(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer("429 Too Many Requests", b""))


def _throttled_long(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer("429 Too Many Requests", b"", Retry_After=86_400))


def _throttled_once(sock: socket.socket, state: _State) -> None:
    (_ok if state.hits["/throttled-once"] > 1 else _throttled_seconds)(sock, state)


def _broken_twice(sock: socket.socket, state: _State) -> None:
    sock.sendall(_answer() if state.hits["/broken-twice"] > 2 else _answer("502 Bad Gateway", b""))


def _broken(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer("500 Internal Server Error", b""))


def _missing(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer("404 Not Found", b""))


def _partial(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer("206 Partial Content"))


def _html(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer(body=HTML))


def _wrong_encoding(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer(body=LATIN1, Content_Type="text/csv; charset=utf-8"))


def _endless_headers(sock: socket.socket, state: _State) -> None:
    sock.sendall(b"HTTP/1.1 200 OK\r\n")
    while not state.closing.is_set():
        sock.sendall(b"X-More: " + b"a" * 1000 + b"\r\n")


def _broken_chunks(sock: socket.socket, _state: _State) -> None:
    sock.sendall(
        _head("200 OK", Content_Type="text/csv", Transfer_Encoding="chunked") + b"29\r\n" + CSV + b"\r\nzz\r\n"
    )


def _cut_chunks(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_head("200 OK", Content_Type="text/csv", Transfer_Encoding="chunked") + b"ff\r\n" + CSV)


def _not_gzip(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer(Content_Encoding="gzip"))


def _unasked_coding(sock: socket.socket, _state: _State) -> None:
    sock.sendall(_answer(Content_Encoding="br"))


def _to(location: str) -> Callable[[socket.socket, _State], None]:
    def redirect(sock: socket.socket, state: _State) -> None:
        sock.sendall(_redirect(location.format(port=state.port)))

    return redirect


BEHAVIOURS: dict[str, Callable[[socket.socket, _State], None]] = {
    "/ok": _ok,
    "/truncated": _truncated,
    "/truncated-once": _truncated_once,
    "/truncated-gzip": _truncated_gzip,
    "/oversized": _oversized,
    "/oversized-declared": _oversized_declared,
    "/gzip-bomb": _gzip_bomb,
    "/drip": _drip_body,
    "/drip-headers": _drip_headers,
    "/hang": _hang,
    "/throttled-seconds": _throttled_seconds,
    "/throttled-date": _throttled_date,
    "/throttled-silent": _throttled_silent,
    "/throttled-long": _throttled_long,
    "/throttled-once": _throttled_once,
    "/broken-twice": _broken_twice,
    "/broken": _broken,
    "/missing": _missing,
    "/partial": _partial,
    "/html": _html,
    "/wrong-encoding": _wrong_encoding,
    "/endless-headers": _endless_headers,
    "/broken-chunks": _broken_chunks,
    "/cut-chunks": _cut_chunks,
    "/not-gzip": _not_gzip,
    "/unasked-coding": _unasked_coding,
    "/to-ok": _to("/ok"),
    "/to-loopback": _to("http://127.0.0.1:{port}/ok"),
    "/to-localhost": _to("http://localhost:{port}/ok"),
    "/to-decimal": _to("http://2130706433:{port}/ok"),
    "/to-metadata": _to("http://169.254.169.254/latest/"),
    "/to-file": _to("file:///etc/hostname"),
    "/to-nowhere": _to("http://[broken/"),
    "/loop": _to("/loop"),
}


def _request(sock: socket.socket) -> tuple[str, dict[str, str]] | None:
    """Read one request's head: (target, headers)."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece or len(data) > 1 << 17:
            return None
        data += piece
    first, *lines = data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return first.split(" ")[1], headers


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64
    state: _State


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        sock: socket.socket = self.request
        state = self.server.state
        sock.settimeout(10.0)
        # The other side hangs up on most of what is served here.
        with contextlib.suppress(OSError):
            asked = _request(sock)
            if asked is None:
                return
            path = asked[0].partition("?")[0]
            state.asked.append(asked)
            state.hits[path] += 1
            BEHAVIOURS.get(path, _missing)(sock, state)


@contextlib.contextmanager
def serve_faults() -> Iterator[FaultServer]:
    """Serve the faults on a free loopback port until the block ends."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.block_on_close = False
        server.state = _State(port=int(server.server_address[1]))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield FaultServer(port=server.state.port, asked=server.state.asked)
        finally:
            server.state.closing.set()
            server.shutdown()
            thread.join(5.0)
