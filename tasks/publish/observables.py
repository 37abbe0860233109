"""The subject of a finding in STIX: a pattern that matches it, and the SCO that it is (STIX 2.1, sections 6 and 9).

One observable in each pattern: consumers take the kind of an indicator from the first one, and drop the others.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

import msgspec
from stix2.v21 import (
    URL,
    AutonomousSystem,
    DomainName,
    EmailAddress,
    File,
    IPv4Address,
    IPv6Address,
    X509Certificate,
)

from intel.entities import Kind

_HASHES: Final = {"md5": "MD5", "sha1": "SHA-1", "sha256": "SHA-256", "sha512": "SHA-512"}
# STIX wants a URI (RFC 3986, section 2): what may not stand in one is percent-encoded, as a browser sends it.
_URL_MARKS: Final = "%:/?#[]@!$&'()*+,;=~"
_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_EXTENDED: Final = {Kind.PUBLIC_KEY: "x509-certificate", Kind.FINGERPRINT: "network-traffic"}
"""What STIX has no field for: the value stands in our extension, of an object of this type."""


class Observable(msgspec.Struct, frozen=True, kw_only=True):
    """What a subject is in STIX. `sco` makes its SCO, given what every SCO gets; None where STIX has none."""

    pattern: str
    sco: Callable[..., Any] | None = None
    properties: dict[str, Any] = {}
    extension: tuple[str, str] | None = None
    """Kind and value for our extension."""


def observable(kind: str, value: str, extension_id: str) -> Observable | None:
    """The observable of an entity in its canonical form; None where STIX has no form for it that we use."""
    if kind in {Kind.DOMAIN, Kind.NAME_SERVER}:
        return _plain("domain-name", DomainName, value)
    if kind in {Kind.IP, Kind.NETWORK}:
        return _address(value)
    if kind == Kind.ENDPOINT:
        return _endpoint(value)
    if kind == Kind.URL:
        # A list that names no scheme means any.
        url = _PERCENT.sub("%25", quote(value, safe=_URL_MARKS))
        return (
            Observable(pattern=f"[url:value LIKE {_quoted('%:' + url)}]")
            if url.startswith("//")
            else _plain("url", URL, url)
        )
    if kind == Kind.EMAIL:
        return _plain("email-addr", EmailAddress, value)
    if kind == Kind.FILE:
        return _hashed("file", File, value)
    if kind == Kind.CERTIFICATE:
        return _hashed("x509-certificate", X509Certificate, value)
    if kind == Kind.AS:
        number = int(value.removeprefix("AS"))
        return Observable(
            pattern=f"[autonomous-system:number = {number}]", sco=AutonomousSystem, properties={"number": number}
        )
    if kind in _EXTENDED:
        path = f"{_EXTENDED[Kind(kind)]}:extensions.'{extension_id}'.value"
        return Observable(pattern=f"[{path} = {_quoted(value)}]", extension=(kind, value))
    return None


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _plain(stix_type: str, sco: Callable[..., Any], value: str) -> Observable:
    return Observable(pattern=f"[{stix_type}:value = {_quoted(value)}]", sco=sco, properties={"value": value})


def _address(value: str) -> Observable:
    network = ipaddress.ip_network(value)
    stix_type, sco = ("ipv4-addr", IPv4Address) if network.version == 4 else ("ipv6-addr", IPv6Address)
    if "/" not in value:
        return _plain(stix_type, sco, value)
    return Observable(pattern=f"[{stix_type}:value ISSUBSET {_quoted(value)}]", sco=sco, properties={"value": value})


def _endpoint(value: str) -> Observable:
    host, _, port = value.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        standing_on = _plain("domain-name", DomainName, host)
    else:
        standing_on = _address(host)
    return Observable(
        pattern=f"[network-traffic:dst_ref.value = {_quoted(host)} AND network-traffic:dst_port = {int(port)}]",
        sco=standing_on.sco,
        properties=standing_on.properties,
    )


def _hashed(stix_type: str, sco: Callable[..., Any], value: str) -> Observable | None:
    algorithm, _, digits = value.partition(":")
    name = _HASHES.get(algorithm)
    if name is None:
        return None
    return Observable(
        pattern=f"[{stix_type}:hashes.'{name}' = {_quoted(digits)}]", sco=sco, properties={"hashes": {name: digits}}
    )
