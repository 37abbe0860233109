from __future__ import annotations

import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from intel.errors import OversizedError, ReadError, StatusError, UnreachableError, VerificationError
from lab.server import Served, serve
from tasks.collect import ct_ask, ct_tiles
from tasks.collect.ct_ask import Asker, StoppedError
from tasks.collect.ct_pace import Pace
from tasks.collect.http import HttpLimits, NetworkPolicy, fetch, open_client
from tasks.collect.retry import RetryPolicy

LITTLE = RetryPolicy(retries=2, base_seconds=0.01, max_backoff_seconds=0.05, max_retry_after=1.0)
LIMITS = HttpLimits(max_bytes=1 << 20, max_seconds=5.0, read_seconds=1.0)
ONCE = RetryPolicy(retries=0)


class Site:
    """Whatever a path should answer: body, status, headers."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[bytes, int, dict[str, str]]] = {}
        self.requests: list[str] = []

    def says(self, path: str, body: bytes, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers[path] = (body, status, named)

    def app(self) -> Starlette:
        def answer(request: Request) -> Response:
            self.requests.append(request.url.path)
            body, status, headers = self.answers.get(request.url.path, (b"", 404, {}))
            return Response(body, status_code=status, headers=headers, media_type="application/octet-stream")

        return Starlette(routes=[Route("/{path:path}", answer)])


@pytest.fixture
def site() -> Site:
    return Site()


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    with serve(site.app()) as served:
        yield served


@contextmanager
def asking(served: Served) -> Iterator[Asker]:
    policy = NetworkPolicy(allow=frozenset({served.address}))
    with open_client(policy, user_agent="Lapsewatch", limits=LIMITS) as client:
        yield Asker(client, Pace(patience=LITTLE), LITTLE)


@pytest.fixture
def asker(served: Served) -> Iterator[Asker]:
    with asking(served) as made:
        yield made


def test_a_status_that_is_an_answer_is_asked_for_once(asker: Asker, served: Served, site: Site) -> None:
    with pytest.raises(StatusError) as caught:
        asker.ask(lambda: ct_tiles.get_checkpoint(asker.client, served.url))
    assert caught.value.status == 404
    assert site.requests == ["/checkpoint"]
    assert asker.pace.state()["in_flight"] == 2


def test_a_server_in_trouble_is_asked_a_few_times(asker: Asker, served: Served, site: Site) -> None:
    site.says("/checkpoint", b"", 500)
    with pytest.raises(StatusError):
        asker.ask(lambda: ct_tiles.get_checkpoint(asker.client, served.url))
    assert len(site.requests) == 3
    assert asker.pace.state()["in_flight"] == 1


def test_nobody_there(served: Served) -> None:
    with asking(served) as asker:
        calls = 0

        def call() -> bytes:
            nonlocal calls
            calls += 1
            raise UnreachableError("couldn't fetch it: nobody is there; it is left")

        with pytest.raises(UnreachableError):
            asker.ask(call)
        assert calls == 3


def test_a_fault_of_ours_gives_its_turn_back(asker: Asker) -> None:
    def call() -> None:
        raise ZeroDivisionError

    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            asker.ask(call)


def test_what_is_larger_than_usual_is_asked_for_alone(
    asker: Asker, served: Served, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ct_ask, "USUAL", HttpLimits(max_bytes=1000))
    monkeypatch.setattr(ct_ask, "LARGEST", HttpLimits(max_bytes=100_000))
    site.says("/tile/data/000", bytes(50_000))
    body = asker.ask_sized(lambda limits: ct_tiles.get_data_tile(asker.client, served.url, 0, limits=limits))
    assert len(body) == 50_000
    assert len(site.requests) == 2
    site.says("/tile/data/000", bytes(200_000))
    with pytest.raises(OversizedError):
        asker.ask_sized(lambda limits: ct_tiles.get_data_tile(asker.client, served.url, 0, limits=limits))


def test_a_transfer_that_nobody_wants_is_cut() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    host, port = listener.getsockname()[:2]
    stop = threading.Event()
    ended: list[BaseException] = []
    policy = NetworkPolicy(allow=frozenset({(host, port)}))
    with listener, open_client(policy, user_agent="Lapsewatch", limits=LIMITS) as client:
        asker = Asker(client, Pace(patience=LITTLE), LITTLE)

        def ask() -> None:
            try:
                slow = HttpLimits(read_seconds=30.0)
                asker.ask(lambda: fetch(client, f"http://{host}:{port}/", limits=slow, retry=ONCE), stop)
            except BaseException as error:  # noqa: BLE001 - it is what the test is about
                ended.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(4096).startswith(b"GET ")
            stop.set()
            began = time.monotonic()
            asker.cut()
            thread.join(5)
        assert not thread.is_alive()
        assert time.monotonic() - began < 1
    assert isinstance(ended[0], StoppedError)


def test_one_that_was_stopped_asks_nothing(asker: Asker, site: Site) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoppedError):
        asker.ask(lambda: b"", stop)
    assert site.requests == []


# --- tiles


def test_tiles_packed_in_either_way(asker: Asker, served: Served, site: Site) -> None:
    entries = b"\0\0\1\x9b" + bytes(range(200))
    site.says("/tile/data/x001/234.p/7", gzip.compress(entries))
    site.says("/tile/data/x001/235", gzip.compress(entries), Content_Encoding="gzip")
    site.says("/tile/data/x001/236", entries)
    for index, width in ((1234, 7), (1235, 256), (1236, 256)):
        assert ct_tiles.get_data_tile(asker.client, served.url, index, width, limits=LIMITS) == entries


def test_a_packed_tile_that_expands_without_end(asker: Asker, served: Served, site: Site) -> None:
    site.says("/tile/data/000", gzip.compress(bytes(20 << 20)))
    with pytest.raises(OversizedError):
        ct_tiles.get_data_tile(asker.client, served.url, 0, limits=LIMITS)


def test_hash_tiles(asker: Asker, served: Served, site: Site) -> None:
    hashes = bytes(range(256)) * 32
    site.says("/tile/1/000", hashes)
    site.says("/tile/1/001.p/3", hashes[:96])
    site.says("/tile/1/002.p/4", hashes[:96])
    site.says("/tile/1/003", hashes + b"\0")
    site.says("/tile/1/004", b"")
    assert ct_tiles.get_hash_tile(asker.client, served.url, 1, 0) == hashes
    assert ct_tiles.get_hash_tile(asker.client, served.url, 1, 1, 3) == hashes[:96]
    with pytest.raises(VerificationError, match="are not 4 hashes"):
        ct_tiles.get_hash_tile(asker.client, served.url, 1, 2, 4)
    with pytest.raises(OversizedError):
        ct_tiles.get_hash_tile(asker.client, served.url, 1, 3)
    with pytest.raises(ReadError, match="sent nothing"):
        ct_tiles.get_hash_tile(asker.client, served.url, 1, 4)


@pytest.mark.parametrize("status", [404, 410])
def test_a_partial_tile_that_is_gone(asker: Asker, served: Served, site: Site, status: int) -> None:
    site.says("/tile/0/000.p/3", b"", status)
    site.says("/tile/0/000", bytes(8192))
    assert ct_tiles.get_hash_tile(asker.client, served.url, 0, 0, 3) == bytes(96)
    assert site.requests == ["/tile/0/000.p/3", "/tile/0/000"]


@pytest.mark.parametrize("status", [403, 500])
def test_other_statuses_do_not_mean_that_it_is_gone(asker: Asker, served: Served, site: Site, status: int) -> None:
    site.says("/tile/0/000.p/3", b"", status)
    with pytest.raises(StatusError):
        ct_tiles.get_hash_tile(asker.client, served.url, 0, 0, 3)
    assert len(site.requests) == 1


def test_a_web_page_is_no_tile(asker: Asker, served: Served, site: Site) -> None:
    page = b"<!DOCTYPE html><title>Be right back</title>"
    for path, call in (
        ("/tile/data/000", lambda: ct_tiles.get_data_tile(asker.client, served.url, 0, limits=LIMITS)),
        ("/tile/0/000", lambda: ct_tiles.get_hash_tile(asker.client, served.url, 0, 0)),
        ("/checkpoint", lambda: ct_tiles.get_checkpoint(asker.client, served.url)),
        (f"/issuer/{'00' * 32}", lambda: ct_tiles.get_issuer(asker.client, served.url, bytes(32))),
    ):
        site.says(path, page)
        with pytest.raises(ReadError, match="web page"):
            call()


def test_limits_of_small_things(asker: Asker, served: Served, site: Site) -> None:
    site.says("/checkpoint", bytes(1 << 15))
    with pytest.raises(OversizedError):
        ct_tiles.get_checkpoint(asker.client, served.url)
