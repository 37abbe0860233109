from __future__ import annotations

import ipaddress
import socket
import threading
from typing import TYPE_CHECKING

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import ConfigError, RefusedError, UnreachableError
from tasks.collect import network
from tasks.collect.http import HttpLimits, NetworkPolicy, RetryPolicy, fetch, open_client

if TYPE_CHECKING:
    from lab.faults import FaultServer

FORBIDDEN = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.31.255.255",
    "192.168.1.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%lo",
    "ff02::1",
    "2001:db8::1",
    "2001::1",
    "2002:7f00:1::",
    "100::1",
    "4000::1",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_addresses_that_are_not_the_internet_are_refused(address: str) -> None:
    assert network.forbidden_reason(address) is not None
    with pytest.raises(RefusedError):
        NetworkPolicy().check(address, address, 443)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1", "2a00::1"])
def test_public_addresses_are_allowed(address: str) -> None:
    NetworkPolicy().check(address, address, 443)


@settings(max_examples=300)
@given(st.ip_addresses())
def test_nothing_that_the_standard_library_calls_private_is_allowed(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_loopback:
        assert network.forbidden_reason(str(address)) is not None


def test_an_allowed_pair_allows_that_port_alone() -> None:
    policy = NetworkPolicy(allow=frozenset({("127.0.0.1", 8080), ("0:0::1", 9090)}))
    policy.check("lab.test", "127.0.0.1", 8080)
    policy.check("lab.test", "::1", 9090)
    for address, port in (("127.0.0.1", 8081), ("127.0.0.2", 8080), ("::ffff:127.0.0.1", 8080)):
        with pytest.raises(RefusedError):
            policy.check("lab.test", address, port)


def test_a_host_name_in_the_allow_list_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match="not hosts"):
        NetworkPolicy(allow=frozenset({("localhost", 80)}))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "\uff11\uff12\uff17\u3002\uff10\u3002\uff10\u3002\uff11",
        "169.254.169.254",
        "user:pass@127.0.0.1",
    ],
)
def test_every_spelling_of_a_local_host_is_refused_before_anything_is_sent(
    host: str, faults: FaultServer, slept: list[float]
) -> None:
    limits = HttpLimits(max_seconds=5, connect_seconds=1, read_seconds=1)
    with open_client(NetworkPolicy(), user_agent="t", limits=limits) as client, pytest.raises(RefusedError) as caught:
        fetch(client, f"http://{host}:{faults.port}/ok", limits=limits, sleep=slept.append)
    assert faults.asked == []
    assert slept == []
    assert "pass" not in str(caught.value)


def test_a_name_that_rebinds_is_judged_by_the_address_connected_to(
    faults: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["8.8.8.8", "127.0.0.1"])
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, port: int, **options: int) -> list[object]:
        asked.append(host)
        return list(real(next(answers) if host == "rebind.test" else host, port, **options))

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    policy = NetworkPolicy()
    connected: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda _self, place: connected.append(place))
    monkeypatch.setattr(socket.socket, "getpeername", lambda _self: connected[-1])
    network.connect(policy, "rebind.test", faults.port, timeout=1).close()
    assert connected == [("8.8.8.8", faults.port)]
    assert asked == ["rebind.test"]
    with pytest.raises(RefusedError):
        network.connect(policy, "rebind.test", faults.port, timeout=1)
    assert connected == [("8.8.8.8", faults.port)]


def test_a_forbidden_answer_beside_an_allowed_one_is_passed_over(
    faults: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, faults.port)) for ip in ("10.0.0.1", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: place)
    policy = NetworkPolicy(allow=frozenset({faults.address}))
    with network.connect(policy, "two.test", faults.port, timeout=1) as sock:
        assert sock.getpeername() == faults.address


def test_the_environment_has_no_say(faults: FaultServer, monkeypatch: pytest.MonkeyPatch, limits: HttpLimits) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    policy = NetworkPolicy(allow=frozenset({faults.address}))
    with open_client(policy, user_agent="t", limits=limits) as client:
        assert fetch(client, f"{faults.url}/ok", limits=limits).status == 200


def test_a_port_where_nobody_listens_is_unreachable_and_tried_again(limits: HttpLimits, slept: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    policy = NetworkPolicy(allow=frozenset({("127.0.0.1", port)}))
    with open_client(policy, user_agent="t", limits=limits) as client, pytest.raises(UnreachableError):
        fetch(client, f"http://127.0.0.1:{port}/", limits=limits, sleep=slept.append)
    assert len(slept) == 3
    assert all(0 <= wait <= bound for wait, bound in zip(slept, (1, 2, 4), strict=True))


def test_a_server_that_does_not_speak_tls_is_unreachable(faults: FaultServer, limits: HttpLimits) -> None:
    policy = NetworkPolicy(allow=frozenset({faults.address}))
    url = f"https://127.0.0.1:{faults.port}/ok"
    with open_client(policy, user_agent="t", limits=limits) as client, pytest.raises(UnreachableError):
        fetch(client, url, limits=limits, retry=RetryPolicy(retries=0))


def test_a_tls_handshake_that_never_ends_keeps_to_the_connect_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []
        thread = threading.Thread(target=lambda: held.append(listener.accept()[0]), daemon=True)
        thread.start()
        port = int(listener.getsockname()[1])
        limits = HttpLimits(max_seconds=5, connect_seconds=0.3, read_seconds=0.3)
        policy = NetworkPolicy(allow=frozenset({("127.0.0.1", port)}))
        with open_client(policy, user_agent="t", limits=limits) as client, pytest.raises(UnreachableError):
            fetch(client, f"https://127.0.0.1:{port}/", limits=limits, retry=RetryPolicy(retries=0))
        thread.join(1)
        held[0].close()


def test_the_client_itself_also_keeps_to_the_policy_and_follows_nothing(
    client: httpx.Client, faults: FaultServer
) -> None:
    assert client.get(f"{faults.url}/to-metadata").status_code == 302
    with pytest.raises(RefusedError):
        client.get("http://127.0.0.1:1/")
    with pytest.raises(httpx.UnsupportedProtocol):
        client.get("file:///etc/hostname")
