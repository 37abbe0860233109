"""Exports of scan services: what endpoints present, in JSON (lines, or one array) or CSV; facts out.

Self-signed certificates of C2 servers stand in no CT log; who scans the internet sees them. Read are the shapes of
Shodan (`ip_str`, `ssl.cert`, `ssl.chain`), Censys (`ip`, `services`, with `tls.certificates.leaf_data` or `cert`),
zgrab2 (`data.tls.result.handshake_log`), and tables with Shadowserver's columns (`sha1_fingerprint`, ...).

For each service: the endpoint `presents` its certificate and `uses` JARM, JA3S, JA4S or JA4X; of the certificate its
other fingerprints (`same-as`), key, subject, issuer, names and validity. Locators are lines or JSON pointers.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from intel.config.sources import Source
from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import Fact, Predicate, RawDocument, Reject
from intel.x509 import read_certificate
from tasks.normalize.decode import text
from tasks.normalize.lines import excerpt, line_fault, line_reject, text_lines
from tasks.normalize.ndjson import decoded, json_lines
from tasks.normalize.times import canonical_time, event_time

MOST_SERVICES: Final = 1_000
"""Services of one host."""
MOST_NAMES: Final = 1_000
_LONGEST: Final = 2048
_LONGEST_PEM: Final = 100_000
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any])
_PRINTS: Final = ("jarm", "ja3s", "ja4s", "ja4x")

# Where a value stands in a service, by any of the shapes; the first that is there counts.
_CERTIFICATE: Final = (
    "ssl.cert",
    "tls.certificates.leaf_data",
    "tls.certificate.parsed",
    "cert",
    "data.tls.result.handshake_log.server_certificates.certificate.parsed",
)
_PORT: Final = ("port",)
_AT: Final = ("observed_at", "scan_time", "timestamp", "data.tls.timestamp", "last_updated_at")
_OF_CERTIFICATE: Final[Mapping[str, tuple[str, ...]]] = {
    "sha256": ("fingerprint.sha256", "fingerprint_sha256", "fingerprint"),
    "sha1": ("fingerprint.sha1", "fingerprint_sha1"),
    "md5": ("fingerprint.md5", "fingerprint_md5"),
    "key": (
        *("public_key.fingerprint", "parsed.subject_key_info.fingerprint_sha256"),
        *("subject_key_info.fingerprint_sha256", "spki_subject_fingerprint"),
    ),
    "subject": ("subject_dn", "parsed.subject_dn", "subject"),
    "issuer": ("issuer_dn", "parsed.issuer_dn", "issuer"),
    "since": ("issued", "validity.start", "parsed.validity_period.not_before", "validity_period.not_before"),
    "until": ("expires", "validity.end", "parsed.validity_period.not_after", "validity_period.not_after"),
}
_NAMES: Final = ("names", "parsed.names", "extensions.subject_alt_name.dns_names")
_PRINT_PATHS: Final[Mapping[str, tuple[str, ...]]] = {
    "jarm": ("jarm.fingerprint", "ssl.jarm", "jarm", "tls.jarm"),
    "ja3s": ("ssl.ja3s", "tls.ja3s", "ja3s", "tls.server_fingerprint.ja3s"),
    "ja4s": ("ssl.ja4s", "tls.ja4s", "ja4s"),
    "ja4x": ("ssl.ja4x", "tls.ja4x", "ja4x", "cert.ja4x"),
}
_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "ip": ("ip", "ip_str", "src_ip", "address"),
    "port": ("port", "src_port"),
    "at": ("timestamp", "observed_at", "last_seen"),
    "sha256": ("sha256_fingerprint", "fingerprint_sha256", "cert_sha256", "sha256"),
    "sha1": ("sha1_fingerprint", "fingerprint_sha1", "cert_sha1", "sha1"),
    "md5": ("md5_fingerprint", "fingerprint_md5", "cert_md5"),
    "key": ("spki_sha256", "key_sha256", "public_key_sha256"),
    "subject": ("subject_dn", "subject"),
    "issuer": ("issuer_dn", "issuer"),
    "since": ("cert_issue_date", "not_before"),
    "until": ("cert_expiration_date", "not_after"),
    "names": ("names", "subject_alt_names"),
    **{form: (form,) for form in _PRINTS},
}
_PARTS: Final = (
    ("CN", "common_name"),
    ("OU", "organization_unit_name"),
    ("O", "organization_name"),
    ("L", "locality_name"),
    ("ST", "state_or_province_name"),
    ("C", "country"),
)
"""Parts of a distinguished name in Shadowserver's columns, `subject_` or `issuer_` before them."""


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen of one service. Hashes as written; `said` has the rest by the names of `_COLUMNS`."""

    ip: str
    port: str
    said: Mapping[str, str]
    names: tuple[str, ...] = ()


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Facts of every service, and rejects. Raises ReadError for what is neither JSON nor a table with addresses."""
    head = document.body[:256].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    services = _of_json(document.body) if head in (b"{", b"[") else _of_table(document.body, source.options.encoding)
    for found in services:
        if isinstance(found, Reject):
            yield found
            continue
        locator, service = found
        try:
            yield from _facts(service, locator)
        except ReadError as error:
            yield Reject(locator=locator, reason=str(error))


def _facts(service: Service, locator: str) -> Iterator[Fact]:
    said = service.said
    far = entity(Kind.ENDPOINT, _endpoint(service)) if service.port else entity(Kind.IP, service.ip)
    at = event_time(said["at"]) if said.get("at") else None
    hashes = [entity(Kind.CERTIFICATE, said[form]) for form in ("sha256", "sha1", "md5") if said.get(form)]
    forms = list(dict.fromkeys(hashes))

    def fact(subject: Entity, predicate: Predicate, thing: Entity, **qualifiers: str) -> Fact:
        personal = thing.kind == Kind.EMAIL
        return Fact(
            subject=subject,
            predicate=predicate,
            object=thing,
            qualifiers=tuple(qualifiers.items()),
            event_time=at,
            personal=personal,
            locator=locator,
        )

    for form in _PRINTS:
        if said.get(form) and said[form].strip("0"):
            yield fact(far, Predicate.USES, entity(Kind.FINGERPRINT, f"{form}:{said[form][:128].lower()}"))
    if not forms:
        return
    certificate = forms[0]
    yield fact(far, Predicate.PRESENTS, certificate)
    for other in forms[1:]:
        yield fact(certificate, Predicate.SAME_AS, other)
    if said.get("key"):
        yield fact(certificate, Predicate.HAS_KEY, entity(Kind.PUBLIC_KEY, said["key"]))
    if said.get("issuer"):
        yield fact(certificate, Predicate.ISSUED_BY, literal(Kind.TEXT, said["issuer"][:_LONGEST]))
    if said.get("subject"):
        named = literal(Kind.TEXT, said["subject"][:_LONGEST])
        yield fact(certificate, Predicate.DESCRIBED_AS, named, field="subject")
    for predicate, when in ((Predicate.VALID_FROM, "since"), (Predicate.VALID_UNTIL, "until")):
        moment = _moment(said.get(when, ""))
        if moment:
            yield fact(certificate, predicate, literal(Kind.TIME, moment))
    for name in dict.fromkeys(service.names[:MOST_NAMES]):
        thing = _name(name)
        if thing is not None:
            wildcard = {"wildcard": "yes"} if name.startswith("*.") else {}
            yield fact(certificate, Predicate.NAMES, thing, **wildcard)


def _endpoint(service: Service) -> str:
    return f"[{service.ip}]:{service.port}" if ":" in service.ip else f"{service.ip}:{service.port}"


def _name(name: str) -> Entity | None:
    """A name of a certificate: C2 servers' often name what is none."""
    bare = name.strip().lower().removeprefix("*.")
    for kind in (Kind.IP, Kind.DOMAIN):
        try:
            return entity(kind, bare) if "." in bare or ":" in bare else None
        except ReadError:
            continue
    return None


def _moment(said: str) -> str:
    """A validity's time, canonical; "" for what is none. Shodan leaves out all that parts it (20300101000000Z)."""
    try:
        return canonical_time(said.removesuffix("Z") if said[:14].isdecimal() else said) if said else ""
    except ReadError:
        return ""


Found = Iterator[tuple[str, Service] | Reject]


def _of_json(body: bytes) -> Found:
    for _, locator, line in json_lines(body):
        try:
            record = decoded(_OBJECT, line)
        except ReadError as error:
            yield Reject(locator=locator, reason=str(error), excerpt="")
            continue
        host = record.get("host")
        host = host if isinstance(host, dict) else record
        ip = text(_first(host, ("ip_str", "ip", "ip_address")), 64)
        if not ip:
            yield Reject(locator=locator, reason="couldn't read a host: without an address")
            continue
        services = host.get("services")
        many = services[:MOST_SERVICES] if isinstance(services, list) else [record]
        when = text(_first(host, _AT), 64)
        for service in many:
            if isinstance(service, dict):
                yield locator, _service(ip, service, when)


def _service(ip: str, service: Mapping[str, Any], when: str) -> Service:
    certificate = _first(service, _CERTIFICATE)
    said: dict[str, str] = {"at": text(_first(service, _AT), 64) or when}
    names: tuple[str, ...] = ()
    if isinstance(certificate, dict):
        for name, paths in _OF_CERTIFICATE.items():
            found = _first(certificate, paths)
            said[name] = _distinguished(found) if isinstance(found, dict) else text(found, _LONGEST)
        listed = _first(certificate, _NAMES)
        names = tuple(text(one, 255) for one in listed[:MOST_NAMES]) if isinstance(listed, list) else ()
    chain = _first(service, ("ssl.chain",))
    if isinstance(chain, list) and chain and isinstance(chain[0], str):
        key, more = _of_pem(chain[0])
        said["key"] = said.get("key") or key
        names = (*names, *more)
    for form, paths in _PRINT_PATHS.items():
        found = _first(service, paths)
        said[form] = text(found, 128) if isinstance(found, str) else ""
    return Service(ip=ip, port=text(_first(service, _PORT), 8), said=said, names=tuple(one for one in names if one))


def _of_pem(pem: str) -> tuple[str, tuple[str, ...]]:
    """The SHA-256 of the key, and the names, of a certificate in PEM; nothing where it cannot be read."""
    if len(pem) > _LONGEST_PEM:
        return "", ()
    body = pem.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    try:
        view = read_certificate(base64.b64decode("".join(body.split()), validate=True))
    except (binascii.Error, ValueError, ReadError):
        return "", ()
    return "" if view.spki_sha256 is None else view.spki_sha256.hex(), view.names[:MOST_NAMES]


def _first(record: Mapping[str, Any], paths: tuple[str, ...]) -> Any:
    for path in paths:
        reached: Any = record
        for step in path.split("."):
            reached = reached.get(step) if isinstance(reached, dict) else None
        if reached is not None and reached != "":
            return reached
    return None


def _distinguished(parts: Mapping[str, Any]) -> str:
    """A distinguished name that stands as an object, as Shodan has it, in RFC 4514's form."""
    return ",".join(f"{kind}={text(value, 256)}" for kind, value in list(parts.items())[:20] if text(value, 256))


def _of_table(body: bytes, encoding: str) -> Found:
    places: dict[str, int] = {}
    width = 0
    for number, line in text_lines(body, encoding):
        shown = line.strip()
        if not shown or shown.startswith("#"):
            continue
        fault = line_fault(line)
        if fault:
            yield line_reject(number, fault, shown)
            continue
        cells = next(csv.reader(io.StringIO(line)), [])
        if not places:
            places = {name.strip().lower(): at for at, name in reversed(list(enumerate(cells)))}
            width = len(cells)
            if not any(name in places for name in _COLUMNS["ip"]):
                raise ReadError("couldn't read a table of a scan: no column of addresses; the format may have changed")
            continue
        if len(cells) != width:
            reason = f"couldn't read a row: {len(cells)} columns where the table has {width}"
            yield line_reject(number, reason, excerpt(shown))
            continue
        row = {name: cells[at].strip() for name, at in places.items()}
        yield f"line {number}", _of_row(row)


def _of_row(row: Mapping[str, str]) -> Service:
    said = {
        name: next((row[one] for one in columns if row.get(one)), "")[:_LONGEST] for name, columns in _COLUMNS.items()
    }
    for whose in ("subject", "issuer"):
        parts = [f"{kind}={row[column]}" for kind, part in _PARTS if row.get(column := f"{whose}_{part}")]
        said[whose] = said[whose] or ",".join(parts)
    names = tuple(said.pop("names").replace(";", ",").replace(" ", ",").split(",")[:MOST_NAMES])
    return Service(ip=said.pop("ip"), port=said.pop("port"), said=said, names=tuple(one for one in names if one))
