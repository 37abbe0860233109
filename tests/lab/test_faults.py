from __future__ import annotations

import gzip
import socket

import pytest

from lab.faults import BEHAVIOURS, CSV, bomb, serve_faults

# These send until the other side is gone.
ENDLESS = {"/oversized", "/drip", "/drip-headers", "/hang", "/endless-headers"}


def ask(port: int, path: str, limit: int = 1 << 20) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: lab.test\r\n\r\n".encode())
        data = b""
        while len(data) < limit and (piece := sock.recv(65536)):
            data += piece
        return data


@pytest.mark.parametrize("path", sorted(set(BEHAVIOURS) - ENDLESS))
def test_every_ending_behaviour_answers_and_closes(path: str) -> None:
    with serve_faults() as server:
        assert ask(server.port, path).startswith(b"HTTP/1.1 ")
        assert [target for target, _ in server.asked] == [path]
        assert server.asked[0][1] == {"host": "lab.test"}


@pytest.mark.parametrize("path", ["/oversized", "/endless-headers"])
def test_what_is_endless_goes_on(path: str) -> None:
    with serve_faults() as server:
        assert len(ask(server.port, path, limit=500_000)) >= 500_000


def test_the_server_stops_with_drips_still_running() -> None:
    with serve_faults() as server:
        port = server.port
        with socket.create_connection(("127.0.0.1", port), timeout=2) as sock:
            sock.sendall(b"GET /drip HTTP/1.1\r\n\r\n")
            assert sock.recv(10)
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, as the system has it
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_the_bomb_is_a_gzip_file_of_zeros() -> None:
    packed = bomb(3_000_000)
    assert len(packed) < 5_000
    assert gzip.decompress(packed) == bytes(3_000_000)


def test_truncated_once_is_whole_the_second_time() -> None:
    with serve_faults() as server:
        assert b"Content-Length: 1041" in ask(server.port, "/truncated-once")
        assert ask(server.port, "/truncated-once").endswith(CSV)
