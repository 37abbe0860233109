"""A WHOIS client (RFC 3912): a server and a query in, the raw bytes of its answer out, and where that refers to.

Reach: registry for the first hop, registrar for those that it refers to. The servers are hostile too: a referral is
a name from outside, so the address that a socket is connected to must be public (or allowed, for the lab), the port
is 43 (or allowed), and size, time and the number of hops are capped. A server that drips bytes ends at the deadline,
with what it sent kept and marked cut.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Literal

from intel.errors import ReadError, RefusedError, UnreachableError
from intel.names import canonical_name
from tasks.collect.network import NetworkPolicy, connect
from tasks.collect.network import deadline as deadline_of

if TYPE_CHECKING:
    import socket

WHOIS_PORT: Final = 43

Cut = Literal["", "size", "time", "reset"]

# The registrar tier of gTLDs, IANA's root server ("refer:" for TLDs, "whois:" in a TLD's own record) and RWHOIS style.
_REFERRAL: Final = re.compile(
    r"^[ \t]{0,32}(?:Registrar WHOIS Server|Whois Server|refer|whois|ReferralServer)[ \t]{0,32}:[ \t]{0,64}"
    r"(?:r?whois://)?([A-Za-z0-9.:-]{1,260})/?[ \t\r]*$",
    re.IGNORECASE | re.MULTILINE,
)


@dataclass(frozen=True, kw_only=True)
class WhoisLimits:
    """What one question may cost: bytes and seconds."""

    hop_bytes: int = 256 * 1024
    connect_seconds: float = 10.0
    hop_seconds: float = 20.0


@dataclass(frozen=True, kw_only=True)
class WhoisHop:
    """What one server answered: `body` as received, `fetched_at` recorded time (UTC), `cut` why it is not whole."""

    server: str
    query: str
    body: bytes
    fetched_at: datetime
    cut: Cut = ""


_DEFAULT_LIMITS: Final = WhoisLimits()


def ask(
    where: tuple[str, int],
    query: str,
    *,
    allow: frozenset[tuple[str, int]] = frozenset(),
    limits: WhoisLimits = _DEFAULT_LIMITS,
) -> WhoisHop:
    """Ask one server one thing; `query` is one line of ASCII.

    Raises RefusedError (its address or port), UnreachableError, and ReadError for a query that is no line.
    """
    if not query.isascii() or not query.isprintable():
        raise ReadError(f"couldn't ask WHOIS server {where[0]}: the query is not one line of ASCII; nothing was sent")
    deadline = time.monotonic() + limits.hop_seconds
    with _connected(where, allow=allow, seconds=min(limits.connect_seconds, limits.hop_seconds)) as peer:
        try:
            peer.sendall(query.encode("ascii") + b"\r\n")
        except OSError as error:
            raise UnreachableError(
                f"couldn't ask WHOIS server {where[0]}: {type(error).__name__}; the look-up is repeated later"
            ) from error
        body, cut = _received(peer, deadline, limits.hop_bytes)
    if not body and cut:
        raise UnreachableError(
            f"couldn't read from WHOIS server {where[0]}: no byte before its {cut}; the look-up is repeated later"
        )
    label = where[0] if where[1] == WHOIS_PORT else f"{where[0]}:{where[1]}"
    return WhoisHop(server=label, query=query, body=body, fetched_at=datetime.now(UTC), cut=cut)


def referral(body: bytes) -> tuple[str, int] | None:
    """The first server that a reply refers to, as (host, port), or None."""
    for match in _REFERRAL.finditer(body.decode("latin-1")):
        host, _, port = match[1].rpartition(":") if match[1].count(":") == 1 else (match[1], "", str(WHOIS_PORT))
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            continue
        try:
            return str(ip_address(host)), int(port)
        except ValueError:
            pass
        try:
            return canonical_name(host), int(port)
        except ReadError:
            continue
    return None


def _received(peer: socket.socket, deadline: float, most: int) -> tuple[bytes, Cut]:
    chunks: list[bytes] = []
    size = 0
    while True:
        # The deadline is the hop's, not the read's: a server that sends a byte now and then must not reset it.
        left = deadline - time.monotonic()
        if left <= 0:
            return b"".join(chunks), "time"
        peer.settimeout(left)
        try:
            chunk = peer.recv(min(65536, most + 1 - size))
        except TimeoutError:
            return b"".join(chunks), "time"
        except OSError:
            return b"".join(chunks), "reset"
        if not chunk:
            return b"".join(chunks), ""
        chunks.append(chunk)
        size += len(chunk)
        if size > most:
            return b"".join(chunks)[:most], "size"


def _connected(where: tuple[str, int], *, allow: frozenset[tuple[str, int]], seconds: float) -> socket.socket:
    host, port = where
    if port != WHOIS_PORT and port not in {allowed for _, allowed in allow}:
        raise RefusedError(f"couldn't ask WHOIS server {host}: port {port} is not WHOIS's; the server is left out")
    try:
        # One deadline over all addresses: a name with a hundred of them must not cost a hundred timeouts.
        with deadline_of(seconds):
            return connect(NetworkPolicy(allow=allow), host, port, timeout=seconds)
    except OSError as error:
        raise UnreachableError(
            f"couldn't reach WHOIS server {host}: {type(error).__name__}; the look-up is repeated later"
        ) from error
