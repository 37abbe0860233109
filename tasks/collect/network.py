"""Where a connection may go, and for how long: the address policy, checked on the connected address.

In: a host, a port and a policy. Out: a connected socket whose peer was judged by number (never by name, so a name that
answers differently the second time gains nothing), wrapped for httpcore. Ranges: RFC 6890 and its registry, RFC 6598
(shared address space), RFC 4291 section 2.5.5 (IPv4-mapped), RFC 6052 and 8215 (NAT64), RFC 3849 and 9637
(documentation).
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpcore

from intel.errors import ConfigError, RefusedError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    from httpcore._backends.base import SOCKET_OPTION

_IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORBIDDEN_V4 = tuple(
    (ipaddress.IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared address space (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "reserved for benchmarks"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
# Only 2000::/3 is handed out to the internet (RFC 4291 section 2.4): everything outside is refused, the named ranges
# come first so that the message says what it was.
_FORBIDDEN_V6 = tuple(
    (ipaddress.IPv6Network(network), reason)
    for network, reason in (
        ("::1/128", "loopback"),
        ("::/128", "unspecified"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("::/96", "IPv4-compatible"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "local NAT64"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
        ("2001::/23", "reserved for protocols (Teredo among them)"),
        ("2001:db8::/32", "reserved for documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "reserved for documentation"),
    )
)
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")

_deadline: ContextVar[float | None] = ContextVar("lapsewatch_transfer_deadline", default=None)


def _address(text: str) -> _IpAddress:
    return ipaddress.ip_address(text.partition("%")[0])


def forbidden_reason(address: str) -> str | None:
    """Say why an IP address (text, a scope id is ignored) may not be connected to; None where it may."""
    ip = _address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return next((reason for network, reason in _FORBIDDEN_V4 if ip in network), None)
    for network, reason in _FORBIDDEN_V6:
        if ip in network:
            return reason
    return None if ip in _GLOBAL_V6 else "outside the public internet"


@dataclass(frozen=True, kw_only=True)
class NetworkPolicy:
    """Which connections are allowed: the public internet, and the (IP, port) pairs of `allow` although they are not."""

    allow: frozenset[tuple[str, int]] = frozenset()

    def __post_init__(self) -> None:
        try:
            pairs = frozenset((str(_address(ip)), int(port)) for ip, port in self.allow)
        except ValueError as error:
            raise ConfigError(f"couldn't read network.allow: {error}; name IP addresses, not hosts") from None
        object.__setattr__(self, "allow", pairs)

    def check(self, host: str, address: str, port: int) -> None:
        """Raise RefusedError unless a connection to this address (what `host` stands for) is allowed."""
        reason = forbidden_reason(address)
        if reason is not None and (str(_address(address)), port) not in self.allow:
            where = host if host == address else f"{host} ({address})"
            raise RefusedError(f"couldn't connect to {where} port {port}: the address is {reason}; nothing was sent")


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Bound everything that this thread does on guarded connections inside the block; see `spent`."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def spent() -> bool:
    """Whether the running deadline has passed."""
    until = _deadline.get()
    return until is not None and time.monotonic() >= until


def _left(timeout: float | None) -> float | None:
    """The seconds that one socket operation may take: a drip of a byte a second resets a timeout, not a deadline."""
    until = _deadline.get()
    if until is None:
        return timeout
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("the whole transfer took too long")
    return left if timeout is None else min(left, timeout)


def connect(
    policy: NetworkPolicy,
    host: str,
    port: int,
    *,
    timeout: float | None = None,
    source: str | None = None,
    options: Iterable[SOCKET_OPTION] = (),
) -> socket.socket:
    """Resolve, judge and connect to the very address that was judged.

    Raises RefusedError where every address is forbidden, OSError (TimeoutError among them) where none answers.
    Resolving itself has the system resolver's own time limit.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except ValueError as error:  # a label too long for IDNA, or a NUL
        raise OSError(f"not a host name: {error}") from None
    failure: Exception = OSError("the name has no address")
    for family, kind, protocol, _, place in dict.fromkeys(found):
        address = str(place[0])
        try:
            policy.check(host, address, port)
        except RefusedError as error:
            failure = error
            continue
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(_left(timeout))
            if source is not None:
                sock.bind((source, 0))
            sock.connect(place)
            policy.check(host, str(sock.getpeername()[0]), port)
        except (OSError, RefusedError) as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


class _GuardedStream(httpcore.NetworkStream):
    """A socket for httpcore whose every operation also keeps to the deadline."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            self._sock.settimeout(_left(timeout))
            return self._sock.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                self._sock.settimeout(_left(timeout))
                buffer = buffer[self._sock.send(buffer) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            # The handshake as a whole keeps to the socket's timeout.
            self._sock.settimeout(_left(timeout))
            return _GuardedStream(ssl_context.wrap_socket(self._sock, server_hostname=server_hostname))
        except TimeoutError as error:
            self.close()
            raise httpcore.ConnectTimeout(str(error)) from error
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: an unusable server name
            self.close()
            raise httpcore.ConnectError(str(error)) from error

    def get_extra_info(self, info: str) -> Any:
        if info == "ssl_object":
            return self._sock if hasattr(self._sock, "selected_alpn_protocol") else None
        if info == "client_addr":
            return self._sock.getsockname()
        if info == "server_addr":
            return self._sock.getpeername()
        if info == "socket":
            return self._sock
        if info == "is_readable":
            return self._is_readable()
        return None

    def _is_readable(self) -> bool:
        """Whether an idle connection has something to say, which means that it is closed."""
        if self._sock.fileno() < 0:
            return True
        poller = select.poll()
        poller.register(self._sock, select.POLLIN)
        return bool(poller.poll(0))


class GuardedBackend(httpcore.NetworkBackend):
    """What httpcore connects through: `connect` with a policy. Redirects and pools cannot go around it."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._policy = policy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        options = socket_options or ()
        try:
            sock = connect(self._policy, host, port, timeout=timeout, source=local_address, options=options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        return _GuardedStream(sock)

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[SOCKET_OPTION] | None = None
    ) -> httpcore.NetworkStream:
        del path, timeout, socket_options
        raise RefusedError("couldn't connect to a local socket: only the internet is collected from; nothing was sent")
