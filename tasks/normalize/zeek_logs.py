"""What each log of Zeek states: rows in, statements with their first and last time out.

- conn.log: flows (`flow_records`);
- dns.log: what names led to (`zeek_dns`);
- ssl.log: who asked for which server by name, which certificate an endpoint or client presents, JA3, JA3S and JA4;
- x509.log: issuer, validity and names of a certificate, where the log has its fingerprint;
- http.log: which endpoint was spoken with in HTTP, which host was asked for, and the client's user agent;
- files.log: which server sent which certificate, by its hashes, where ssl.log has none.

A server's name in TLS or HTTP is what the client wrote: that it `communicates-with` the name, and no resolution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final, Protocol

from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.facts import Fact, Predicate, Reject
from tasks.normalize.dns_names import LONGEST_TEXT, is_address
from tasks.normalize.flow_records import Flows, asks, endpoint_text, port_number, tells
from tasks.normalize.sightings import Window
from tasks.normalize.zeek_dns import Dns
from tasks.normalize.zeek_rows import Row, Wanted
from tasks.normalize.zeek_said import Said, Stating

_ENDS: Final = ("id.orig_h", "id.resp_h", "id.resp_p")
_UNANSWERED: Final = frozenset({"S0", "REJ", "SH", "RSTOS0"})
_MIDSTREAM: Final = "OTH"
_LARGEST: Final = 1e15
_CERTIFICATE_FILES: Final = frozenset({"application/x-x509-user-cert", "application/pkix-cert"})


class Log(Protocol):
    """Reads the rows of one log. `see` raises ReadError for a row that is none; `facts` drains what was seen."""

    wanted: Wanted

    @property
    def full(self) -> bool: ...
    def see(self, row: Row, line: int) -> None: ...
    def facts(self) -> Iterator[Fact | Reject]: ...


class Conn:
    """conn.log."""

    wanted = Wanted(
        scalars=(
            *("ts", "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p", "proto", "service", "duration"),
            *("orig_bytes", "resp_bytes", "conn_state"),
        )
    )

    def __init__(self, window: Window) -> None:
        self._window = window
        self._flows = Flows()

    @property
    def full(self) -> bool:
        return self._flows.full

    def see(self, row: Row, line: int) -> None:
        ts, source, source_port, target, target_port, proto, service, duration, sent, received, state = row
        if not proto:
            raise ReadError("couldn't read a connection: without protocol")
        first = self._window.seconds(ts)
        near, far = port_number(source_port), port_number(target_port)
        # Zeek knows who opened it, but for a connection that it met half-way.
        forward = state != _MIDSTREAM or asks(source, near, target, far)
        client, host, port = (source, target, far) if forward else (target, source, near)
        self._flows.add(
            (client, host, port, proto[:20], service[:40]),
            first,
            self._window.seconds(first + _number(duration, 1e8)),
            line,
            amount=int(_number(sent) + _number(received)),
            answered=state not in _UNANSWERED,
        )

    def facts(self) -> Iterator[Fact | Reject]:
        return self._flows.facts()


def _number(text: str, most: float = _LARGEST) -> float:
    """A count or duration; 0 for what is none or cannot be."""
    try:
        value = float(text[:40]) if text else 0.0
    except ValueError:
        return 0.0
    return value if 0 <= value <= most else 0.0


class Ssl(Stating):
    """ssl.log, of every age: certificates by `cert_chain_fps`, or by the MD5 in `cert_hash`."""

    wanted = Wanted(
        scalars=("ts", *_ENDS, "server_name", "ja3", "ja3s", "ja4", "ja4s", "cert_hash"),
        vectors=("cert_chain_fps", "client_cert_chain_fps"),
    )

    def see(self, row: Row, line: int) -> None:
        ts, client, host, port, name, ja3, ja3s, ja4, ja4s, md5, chain, client_chain = row
        if not tells(client, host):
            return
        at = self.window.seconds(ts)
        near, far = (Kind.IP, client), (Kind.ENDPOINT, endpoint_text(host, port_number(port)))
        if name:
            asked = (Kind.DOMAIN, name.lower()[:LONGEST_TEXT])
            qualifiers = (("proto", "tcp"), ("field", "tls-server-name"))
            self.add(Said(near, Predicate.COMMUNICATES_WITH, asked, qualifiers), at, line)
        own = chain[0] if chain else md5
        if own:
            self.add(Said(far, Predicate.PRESENTS, (Kind.CERTIFICATE, own.lower())), at, line)
        if client_chain:
            presented = (Kind.CERTIFICATE, client_chain[0].lower())
            self.add(Said(near, Predicate.PRESENTS, presented, (("role", "client"),)), at, line)
        for end, form, digest in ((near, "ja3", ja3), (far, "ja3s", ja3s), (near, "ja4", ja4), (far, "ja4s", ja4s)):
            if digest and len(digest) <= 128:
                self.add(Said(end, Predicate.USES, (Kind.FINGERPRINT, f"{form}:{digest.lower()}")), at, line)


class X509(Stating):
    """x509.log."""

    wanted = Wanted(
        scalars=(
            "ts",
            "fingerprint|certificate.fingerprint",
            *("certificate.subject", "certificate.issuer", "certificate.serial"),
            *("certificate.not_valid_before", "certificate.not_valid_after"),
        ),
        vectors=("san.dns", "san.ip", "san.email"),
    )

    def see(self, row: Row, line: int) -> None:
        ts, digest, subject, issuer, serial, since, until, names, addresses, mailboxes = row
        if not digest:  # older logs have none, and nothing else tells certificates apart
            return
        at = self.window.seconds(ts)
        certificate = (Kind.CERTIFICATE, entity(Kind.CERTIFICATE, digest).value)

        def add(predicate: Predicate, kind: Kind, text: str, qualifiers: tuple[tuple[str, str], ...] = ()) -> None:
            self.add(Said(certificate, predicate, (kind, text), qualifiers), at, line)

        if issuer:
            add(Predicate.ISSUED_BY, Kind.TEXT, issuer[:LONGEST_TEXT])
        for field, text in (("subject", subject), ("serial", serial.lower())):
            if text:
                add(Predicate.DESCRIBED_AS, Kind.TEXT, text[:LONGEST_TEXT], (("field", field),))
        for predicate, text in ((Predicate.VALID_FROM, since), (Predicate.VALID_UNTIL, until)):
            moment = _validity(text)
            if moment is not None:
                add(predicate, Kind.TIME, moment.isoformat())
        for name in names:
            bare = name.lower().removeprefix("*.")
            add(Predicate.NAMES, Kind.DOMAIN, bare, () if bare == name.lower() else (("wildcard", "yes"),))
        for address in addresses:
            add(Predicate.NAMES, Kind.IP, address)
        for mailbox in mailboxes:
            add(Predicate.NAMES, Kind.EMAIL, mailbox)


def _validity(text: str) -> datetime | None:
    """The start or end of a validity, which may lie far ahead; None for what is no time."""
    try:
        return datetime.fromtimestamp(int(float(text[:40])), UTC) if text else None
    except (ValueError, OverflowError, OSError):
        return None


class Http(Stating):
    """http.log."""

    wanted = Wanted(scalars=("ts", *_ENDS, "host", "user_agent"))

    def see(self, row: Row, line: int) -> None:
        ts, client, host, port, name, agent = row
        if not tells(client, host):
            return
        at = self.window.seconds(ts)
        near: tuple[Kind, str] = (Kind.IP, client)
        if port:
            far = (Kind.ENDPOINT, endpoint_text(host, port_number(port)))
            spoken = (("proto", "tcp"), ("service", "http"))
            self.add(Said(near, Predicate.COMMUNICATES_WITH, far, spoken), at, line)
        bare = name.lower()[:LONGEST_TEXT].rpartition(":")[0] if _has_port(name) else name.lower()[:LONGEST_TEXT]
        if bare and not is_address(bare):
            qualifiers = (("proto", "tcp"), ("field", "http-host"))
            self.add(Said(near, Predicate.COMMUNICATES_WITH, (Kind.DOMAIN, bare), qualifiers), at, line)
        if agent:
            self.add(Said(near, Predicate.USES, (Kind.USER_AGENT, agent[:LONGEST_TEXT])), at, line)


def _has_port(name: str) -> bool:
    return ":" in name and name.rpartition(":")[2].isdecimal() and not name.endswith("]")


class Files(Stating):
    """files.log: the server's own certificate, which Zeek tells from those that issued it by the type of file."""

    wanted = Wanted(scalars=("ts", "source", "mime_type", "md5", "sha1", "sha256"), vectors=("tx_hosts", "rx_hosts"))

    def see(self, row: Row, line: int) -> None:
        ts, source, form, md5, sha1, sha256, senders, receivers = row
        hashes = [digest.lower() for digest in (sha256, sha1, md5) if digest]
        if form not in _CERTIFICATE_FILES or source != "SSL" or not hashes or len(senders) != 1:
            return
        if not any(tells(receiver, senders[0]) for receiver in receivers[:1]):
            return
        at = self.window.seconds(ts)
        own = (Kind.CERTIFICATE, hashes[0])
        self.add(Said((Kind.IP, senders[0]), Predicate.PRESENTS, own), at, line)
        for other in hashes[1:]:
            self.add(Said(own, Predicate.SAME_AS, (Kind.CERTIFICATE, other)), at, line)


LOGS: Final[dict[str, Callable[[Window], Log]]] = {
    "conn": Conn,
    "dns": Dns,
    "ssl": Ssl,
    "x509": X509,
    "http": Http,
    "files": Files,
}
WANTED: Final[dict[str, Wanted]] = {
    "conn": Conn.wanted,
    "dns": Dns.wanted,
    "ssl": Ssl.wanted,
    "x509": X509.wanted,
    "http": Http.wanted,
    "files": Files.wanted,
}
