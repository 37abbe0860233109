"""Those who are told: a web hook, a mail server and a syslog server on loopback, which can be told to misbehave.

In: what each is to do with the next messages. Out: where it listens, and what it took. Threads of their own, until the
block ends.
"""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Literal

Does = Literal["take", "drop", "hang"] | int
"""take it, drop the connection when all has arrived, hang, or answer with that status."""
_HANG_SECONDS: Final = 20.0


class Receiver:
    """What a server does with the next messages (`does`, the last one for good), and what arrived whole at it.

    `location` is where a redirection leads.
    """

    def __init__(self) -> None:
        self.does: list[Does] = ["take"]
        self.took: list[Any] = []
        self.arrived = threading.Semaphore(0)
        self.ended = threading.Event()
        self.port = 0
        self.location = ""

    def next(self) -> Does:
        """What to do with the next one."""
        return self.does.pop(0) if len(self.does) > 1 else self.does[0]

    def take(self, message: Any) -> None:
        """Remember what arrived."""
        self.took.append(message)
        self.arrived.release()


@contextlib.contextmanager
def web_hook() -> Iterator[Receiver]:
    """A server that takes JSON by POST; `took` has the parsed bodies, `drop` and `hang` ones too."""
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.take(json.loads(body))
            does = told.next()
            if does == "hang":
                told.ended.wait(_HANG_SECONDS)
            if does in {"drop", "hang"}:
                self.close_connection = True
                return
            self.send_response(200 if does == "take" else int(does))
            self.send_header("Content-Length", "0")
            if told.location:
                self.send_header("Location", told.location)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    with _serving(server, told):
        yield told


class _Mail(socketserver.StreamRequestHandler):
    """A mail server (RFC 5321): enough of it for one message after the other. A status is the answer to its data;
    550 refuses the recipient.
    """

    def handle(self) -> None:
        told: Receiver = self.server.told  # type: ignore[attr-defined]  # given by mail_server
        self._say(220)
        does: Does = "take"
        while line := self.rfile.readline(2_000):
            verb = line[:4].upper().strip()
            if verb == b"MAIL":
                does = told.next()
            if verb == b"QUIT":
                self._say(221)
                return
            if verb == b"RCPT" and does == 550:
                self._say(550)
            elif verb == b"DATA":
                self._say(354)
                told.take(self._data())
                if does == "hang":
                    told.ended.wait(_HANG_SECONDS)
                if does in {"drop", "hang"}:
                    return
                self._say(250 if does == "take" else int(does))
            else:
                self._say(250)

    def _data(self) -> str:
        lines = []
        while (line := self.rfile.readline(10_000)) not in {b".\r\n", b""}:
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines).decode()

    def _say(self, code: int) -> None:
        self.wfile.write(f"{code} lab\r\n".encode())


@contextlib.contextmanager
def mail_server() -> Iterator[Receiver]:
    """A mail server without TLS; `took` has the messages as they came."""
    told = Receiver()
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Mail)
    server.daemon_threads = True
    server.told = told  # type: ignore[attr-defined]  # for its handlers
    with _serving(server, told):
        yield told


@contextlib.contextmanager
def syslog_server() -> Iterator[Receiver]:
    """A syslog server over UDP; `took` has the datagrams."""
    told = Receiver()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            told.take(self.request[0].decode())

    with _serving(socketserver.UDPServer(("127.0.0.1", 0), Handler), told):
        yield told


@contextlib.contextmanager
def _serving(server: socketserver.TCPServer | socketserver.UDPServer, told: Receiver) -> Iterator[None]:
    told.port = int(server.socket.getsockname()[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        told.ended.set()
        server.shutdown()
        thread.join(5)
        server.server_close()


def free_port() -> int:
    """A port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
