"""Entities: what can be pointed at, in the one canonical form, made here and nowhere else.

Comes in: text as a source wrote it, defanged or not. Goes out: an `Entity` with its kind, its canonical value, what
it stands on, and the digest that makes it one row in the warehouse.

A typed literal (a label, a time, a free text) has the same shape, with a kind of `LITERALS`; it is never a pivot.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

import msgspec

from intel.errors import ReadError
from intel.names import canonical_name, default_suffixes


class Kind(StrEnum):
    """What an entity is. The value is what the warehouse stores."""

    DOMAIN = "domain"
    IP = "ip"
    ENDPOINT = "endpoint"
    NETWORK = "network"
    AS = "as"
    URL = "url"
    EMAIL = "email"
    CERTIFICATE = "certificate"
    PUBLIC_KEY = "public-key"
    NAME_SERVER = "name-server"
    NAME_SERVER_SET = "name-server-set"
    REGISTRAR = "registrar"
    REGISTRANT = "registrant"
    PHONE = "phone"
    HANDLE = "handle"
    FILE = "file"
    FILE_NAME = "file-name"
    MUTEX = "mutex"
    REGISTRY_KEY = "registry-key"
    VULNERABILITY = "vulnerability"
    SOFTWARE = "software"
    FINGERPRINT = "fingerprint"
    USER_AGENT = "user-agent"
    WALLET = "wallet"
    ACTOR = "actor"
    PERSONA = "persona"
    CAMPAIGN = "campaign"
    INFRASTRUCTURE = "infrastructure"
    REPORT = "report"
    PATTERN = "pattern"
    LABEL = "label"
    TEXT = "text"
    TIME = "time"


LITERALS: Final = frozenset({Kind.PATTERN, Kind.LABEL, Kind.TEXT, Kind.TIME})
PERSONAL: Final = frozenset({Kind.REGISTRANT, Kind.PHONE, Kind.EMAIL, Kind.HANDLE, Kind.PERSONA})
"""Kinds that may name a person: marked where facts are made, masked where they are shown."""

NAMED: Final = frozenset({Kind.DOMAIN, Kind.NAME_SERVER, Kind.URL, Kind.EMAIL, Kind.ENDPOINT})
_HASHES: Final = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_MAX_VALUE: Final = 65_536


class Entity(msgspec.Struct, frozen=True):
    """One entity or literal.

    `value` is canonical. `scope` is the registrable domain that it stands on, `address` the IP address or network
    that it stands on; empty where there is none. `digest` is the first 128 bits of SHA-256 over kind, NUL, value.
    """

    kind: str
    value: str
    scope: str
    address: str
    digest: bytes


def entity(kind: str, text: str) -> Entity:
    """The entity of `kind` that `text` names, refanged and canonical. Raises ReadError where it names none."""
    if len(text) > _MAX_VALUE:
        raise ReadError(f"couldn't read a value of kind {kind}: {len(text)} characters are too many")
    reader = _READERS.get(kind)
    if reader is None:
        value = _plain(text)
        return _make(kind, value, "", "")
    return reader(kind, text)


def literal(kind: str, text: str) -> Entity:
    """A typed literal: kept as it is, but for NUL, which PostgreSQL cannot store."""
    return _make(kind, text.replace("\0", "\N{REPLACEMENT CHARACTER}")[:_MAX_VALUE], "", "")


def guess(text: str) -> Entity:
    """The entity that `text` names, of the kind that its form shows.

    Raises ReadError where the form shows nothing.
    """
    clean = refang(text)
    if not clean:
        raise ReadError("couldn't read a value: empty")
    if "://" in clean:
        return entity(Kind.URL, clean)
    lowered = clean.lower()
    if _HEX.fullmatch(lowered) and len(lowered) in _HASHES:
        return entity(Kind.FILE, lowered)
    if _CVE.fullmatch(lowered):
        return entity(Kind.VULNERABILITY, lowered)
    head, slash, tail = clean.partition("/")
    if slash and tail.isdigit() and _is_address(head):
        return entity(Kind.NETWORK, clean)
    if slash:
        return entity(Kind.URL, "//" + clean)
    if "@" in clean:
        return entity(Kind.EMAIL, clean)
    if _is_address(clean):
        return entity(Kind.IP, clean)
    if ":" in clean and clean.rpartition(":")[2].isdigit():
        return entity(Kind.ENDPOINT, clean)
    return entity(Kind.DOMAIN, clean)


def refang(text: str) -> str:
    """Undo the ways in which reports keep indicators from being clicked: `hxxp`, `[.]`, `(dot)`, `[@]`, `[:]`."""
    clean = text.strip().strip("\ufeff\u200b\u00a0").strip()
    if "[" in clean or "(" in clean or "{" in clean:
        clean = _DEFANGED_DOT.sub(".", clean)
        clean = clean.replace("[://]", "://").replace("[:]", ":").replace("[/]", "/")
        clean = _DEFANGED_AT.sub("@", clean)
    if clean[:2] in _HX or clean[:1] in "mM":
        clean = _DEFANGED_SCHEME.sub(lambda match: _SCHEMES[match[0].lower()], clean)
    return clean


def masked(kind: str, value: str, *, personal: bool = False) -> str:
    """The value as it is shown where nobody gave a reason to see people's data: an e-mail keeps its domain.

    Kinds that name no person are shown as they are, unless what states the value is marked as `personal`: a
    registrant's name may stand in a field of a plain kind.
    """
    if kind not in PERSONAL and not personal:
        return value
    local, at, domain = value.rpartition("@")
    return f"{local[:1]}***@{domain}" if kind == Kind.EMAIL and at else f"{value[:1]}***"


def digest(kind: str, value: str) -> bytes:
    """The identity of (kind, value): the first 128 bits of SHA-256 over kind, NUL and value in UTF-8."""
    return hashlib.sha256(f"{kind}\0{value}".encode("utf-8", "surrogatepass")).digest()[:16]


_HEX: Final = re.compile(r"[0-9a-f]+")
_CVE: Final = re.compile(r"cve-\d{4}-\d{4,7}")
_HX: Final = frozenset({"hx", "hX", "Hx", "HX", "fx", "Fx", "FX"})
_DEFANGED_DOT: Final = re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[\.|\.\]|\[dot\]|\(dot\)", re.IGNORECASE)
_DEFANGED_AT: Final = re.compile(r"\[@\]|\(@\)|\[at\]|\(at\)", re.IGNORECASE)
_DEFANGED_SCHEME: Final = re.compile(r"^(?:hxxps?|fxps?|meows?)(?=:)", re.IGNORECASE)
_SCHEMES: Final = {"hxxp": "http", "hxxps": "https", "fxp": "ftp", "fxps": "ftps", "meow": "http", "meows": "https"}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_SCHEME: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]{0,30}")
_DEFAULT_PORTS: Final = {"http": "80", "https": "443", "ftp": "21"}
_AS: Final = re.compile(r"(?:as|asn)?\s*(\d{1,10})")
_V4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)")


def _make(kind: str, value: str, scope: str, address: str) -> Entity:
    return Entity(kind, value, scope, address, digest(kind, value))


def _plain(text: str) -> str:
    value = _CONTROL.sub(" ", text).strip()
    if not value:
        raise ReadError("couldn't read a value: empty")
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value)


def _is_address(text: str) -> bool:
    try:
        _address(text)
    except ReadError:
        return False
    return True


def _address(text: str) -> str:
    """The compressed form of an IP address; an IPv4-mapped one (RFC 4291 2.5.5.2) is the IPv4 address."""
    if _V4.fullmatch(text):
        return text
    try:
        parsed = ipaddress.ip_address(text.strip("[]"))
    except ValueError as error:
        raise ReadError("couldn't read an IP address: wrong form") from error
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.scope_id is not None:
            raise ReadError("couldn't read an IP address: it has a zone, which is one host's own")
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
    return str(parsed)


def _domain(kind: str, text: str) -> Entity:
    name = canonical_name(refang(text))
    return _make(kind, name, default_suffixes().registrable(name), "")


def _ip(kind: str, text: str) -> Entity:
    address = _address(refang(text))
    return _make(kind, address, "", address)


def _network(kind: str, text: str) -> Entity:
    try:
        network = str(ipaddress.ip_network(refang(text), strict=False))
    except ValueError as error:
        raise ReadError("couldn't read a network: wrong form") from error
    return _make(kind, network, "", network)


def _host(text: str) -> tuple[str, str, str]:
    """(canonical host, scope, address) of the host part of an authority (RFC 3986 3.2.2)."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if _is_address(bare):
        address = _address(bare)
        return (f"[{address}]" if ":" in address else address), "", address
    name = canonical_name(bare)
    return name, default_suffixes().registrable(name), ""


def _port(text: str) -> str:
    if not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > 65535:
        raise ReadError("couldn't read a port: not a number up to 65535")
    return str(int(text))


def _endpoint(kind: str, text: str) -> Entity:
    host, _, port = refang(text).rpartition(":")
    if not host:
        raise ReadError("couldn't read an endpoint: no port")
    canonical, scope, address = _host(host)
    return _make(kind, f"{canonical}:{_port(port)}", scope, address)


def _url(kind: str, text: str) -> Entity:
    clean = refang(text)
    scheme, marker, rest = clean.partition("://")
    if not marker:
        scheme, rest = "", clean.removeprefix("//")
    elif not _SCHEME.fullmatch(scheme):
        raise ReadError("couldn't read a URL: wrong scheme")
    if _CONTROL.search(rest) or _SURROGATE.search(rest):
        raise ReadError("couldn't read a URL: control characters or lone surrogates in it")
    cut = min((at for at in (rest.find(mark) for mark in "/?#") if at >= 0), default=len(rest))
    authority, path = rest[:cut], rest[cut:]
    userinfo, at, hostport = authority.rpartition("@")
    host, colon, port = hostport.rpartition(":")
    if not colon or (hostport.startswith("[") and hostport.endswith("]")):
        host, port = hostport, ""
    canonical, scope, address = _host(host)
    scheme = scheme.lower()
    if port:
        port = _port(port)
    if port and _DEFAULT_PORTS.get(scheme) != port:
        canonical = f"{canonical}:{port}"
    prefix = f"{scheme}://" if scheme else "//"
    path = path if path.startswith("/") else "/" + path
    return _make(kind, f"{prefix}{userinfo}{at}{canonical}{path}", scope, address)


def _email(kind: str, text: str) -> Entity:
    local, at, name = refang(text).rpartition("@")
    if not at or not local or len(local) > 64 or any(mark in local for mark in " <>,;") or _CONTROL.search(local):
        raise ReadError("couldn't read an e-mail address: wrong form")
    domain = canonical_name(name)
    return _make(kind, f"{_SURROGATE.sub('?', local.lower())}@{domain}", default_suffixes().registrable(domain), "")


def _hash(kind: str, text: str) -> Entity:
    """`algorithm:hex`, for files, certificates and public keys; the algorithm follows from the length."""
    clean = text.strip().lower()
    algorithm, colon, rest = clean.partition(":")
    named = colon and algorithm.replace("-", "") in _HASHES.values()
    value = (rest if named else clean).replace(":", "").replace(" ", "")
    expected = _HASHES.get(len(value))
    if not _HEX.fullmatch(value) or expected is None or (named and algorithm.replace("-", "") != expected):
        raise ReadError(f"couldn't read a hash of a {kind}: not the hexadecimal digits of a known length")
    return _make(kind, f"{expected}:{value}", "", "")


def _as(kind: str, text: str) -> Entity:
    match = _AS.fullmatch(text.strip().lower())
    if match is None or int(match[1]) > 0xFFFFFFFF:
        raise ReadError("couldn't read an AS number: wrong form")
    return _make(kind, f"AS{int(match[1])}", "", "")


def _upper(kind: str, text: str) -> Entity:
    return _make(kind, _plain(text).upper(), "", "")


def _lower(kind: str, text: str) -> Entity:
    return _make(kind, _plain(text).lower(), "", "")


def _name_server_set(kind: str, text: str) -> Entity:
    names = sorted({canonical_name(part) for part in text.replace(",", " ").split()})
    if not names:
        raise ReadError("couldn't read a name-server set: empty")
    return _make(kind, " ".join(names), "", "")


def _phone(kind: str, text: str) -> Entity:
    digits = "".join(mark for mark in text if mark.isdigit() and mark.isascii())
    if not 6 <= len(digits) <= 20:
        raise ReadError("couldn't read a phone number: wrong number of digits")
    return _make(kind, ("+" if text.strip().startswith("+") else "") + digits, "", "")


_READERS: Final[dict[str, Callable[[str, str], Entity]]] = {
    Kind.DOMAIN: _domain,
    Kind.NAME_SERVER: _domain,
    Kind.IP: _ip,
    Kind.NETWORK: _network,
    Kind.ENDPOINT: _endpoint,
    Kind.URL: _url,
    Kind.EMAIL: _email,
    Kind.FILE: _hash,
    Kind.CERTIFICATE: _hash,
    Kind.PUBLIC_KEY: _hash,
    Kind.AS: _as,
    Kind.VULNERABILITY: _upper,
    Kind.LABEL: _lower,
    Kind.NAME_SERVER_SET: _name_server_set,
    Kind.PHONE: _phone,
    Kind.PATTERN: literal,
    Kind.TEXT: literal,
    Kind.TIME: literal,
}
