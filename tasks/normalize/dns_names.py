r"""Names and data of DNS records as text (RFC 1035 5.1): entities out, or ReadError with the reason.

Names come with a trailing dot or without, in any case, with escapes (`\032`, `\.`), as U-labels or A-labels.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Final

from intel.entities import Entity, Kind, entity, literal
from intel.errors import ReadError
from intel.facts import State
from tasks.normalize.lines import printable

LONGEST_TEXT: Final = 1024
"""Characters of a name, or of what is kept of a text record."""
_MOST_HINTS: Final = 64
_ESCAPE: Final = re.compile(r"\\(?:(\d{3})|(.))", re.ASCII | re.DOTALL)
# The alternatives begin with different characters and nothing is given back, so that it takes one pass.
_STRING: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"', re.DOTALL)
_V4_ARPA: Final = ".in-addr.arpa"
_V6_ARPA: Final = ".ip6.arpa"
_SINGLE: Final = re.compile(r"[0-9a-f]")


def name(kind: Kind, text: str) -> Entity:
    """The entity of a name. Raises ReadError where it is none of a host or zone: a wildcard, a single label, ..."""
    if len(text) > LONGEST_TEXT:
        raise ReadError("couldn't read a name: longer than 253 octets")
    return _name(kind, unescaped(text) if "\\" in text else text)


@lru_cache(maxsize=16_384)
def _name(kind: Kind, text: str) -> Entity:
    return entity(kind, text)


@lru_cache(maxsize=16_384)
def _address(text: str) -> Entity:
    return entity(Kind.IP, text)


def address(rrtype: str, text: str) -> Entity:
    """The address in an A or AAAA record. Raises ReadError where it is none, or of the other version."""
    if len(text) > 64:
        raise ReadError("couldn't read an IP address: wrong form")
    found = _address(text)
    if (":" in found.value) is not (rrtype == "AAAA"):
        raise ReadError(f"couldn't read a record of type {rrtype}: an address of the other version of IP")
    return found


def is_address(text: str) -> bool:
    """Whether a host is written as an address: no name ends in a number or has a colon."""
    return ":" in text or text.rpartition(".")[2].isdecimal()


def unescaped(text: str, *, dots: bool = False) -> str:
    """A name without its escapes. A dot that is no end of a label would be one afterwards: refused, unless `dots`."""

    def one(found: re.Match[str]) -> str:
        code = int(found[1]) if found[1] else ord(found[2])
        if code > 126 or code < 32:
            raise ReadError("couldn't read a name: an octet in it that no host name has")
        if code == 46 and not dots:
            raise ReadError("couldn't read a name: a dot within a label")
        return chr(code)

    return _ESCAPE.sub(one, text)


def reverse_address(text: str) -> Entity:
    """The address that a reverse name stands for (RFC 1035 3.5, RFC 3596 2.5). Raises ReadError for other names."""
    lowered = text.lower().removesuffix(".")
    if lowered.endswith(_V4_ARPA):
        parts = lowered.removesuffix(_V4_ARPA).split(".")
        if len(parts) == 4:
            return address("A", ".".join(reversed(parts)))
    elif lowered.endswith(_V6_ARPA):
        parts = lowered.removesuffix(_V6_ARPA).split(".")
        if len(parts) == 32 and all(map(_SINGLE.fullmatch, parts)):
            digits = "".join(reversed(parts))
            return address("AAAA", str(ipaddress.IPv6Address(int(digits, 16))))
    raise ReadError("not kept: a record of type PTR whose name stands for no single address")


def mailbox(rname: str) -> tuple[Entity | None, State]:
    """The mailbox that an SOA record names (RFC 1035 3.3.13, 8): its first label, at the others.

    "." is none; what cannot be a mailbox is a text, as a placeholder (`root.`, `nobody.invalid.`) or unparsed.
    """
    if rname in (".", ""):
        return None, State.ABSENT
    if len(rname) > LONGEST_TEXT:
        raise ReadError("couldn't read a mailbox: longer than a name can be")
    at = 0
    while at < len(rname) and rname[at] != ".":
        at += 2 if rname[at] == "\\" else 1
    local, domain = rname[:at], rname[at + 1 :].removesuffix(".")
    if "@" in rname:  # written as an address, against the letter of the standard
        local, _, domain = rname.removesuffix(".").rpartition("@")
    try:
        return entity(Kind.EMAIL, f"{unescaped(local, dots=True)}@{unescaped(domain)}"), State.VALUE
    except ReadError:
        state = State.UNPARSED if "." in domain else State.PLACEHOLDER
        return literal(Kind.TEXT, printable(rname, LONGEST_TEXT)), state


def txt(rdata: str) -> Entity:
    """What a text record says: its character strings, joined (RFC 7208 3.3). Raises ReadError where that is nothing."""
    said = rdata.strip()
    if said.startswith('"'):
        said = "".join(_STRING.findall(said[: 4 * LONGEST_TEXT])) or said.strip('"')
    clean = printable(_ESCAPE.sub(lambda found: found[2] or found[0], said), LONGEST_TEXT).strip()
    if not clean:
        raise ReadError("not kept: an empty text record")
    return literal(Kind.TEXT, clean)


def service(rdata: str) -> list[Entity]:
    """What an HTTPS or SVCB record leads to: its target, and the addresses that it hints at (RFC 9460 2.1, 7.3).

    Raises ReadError where it leads to nothing but its own name.
    """
    parts = rdata[: 8 * LONGEST_TEXT].split()
    if len(parts) < 2 or not parts[0].isdecimal():
        raise ReadError("couldn't read a service record: no priority and target")
    found = [name(Kind.DOMAIN, parts[1])] if parts[1] != "." else []
    for part in parts[2:]:
        key, _, value = part.partition("=")
        make: Callable[[str], Entity] | None = _HINTS.get(key)
        if make is not None:
            found += [make(one) for one in value.strip('"').split(",")[:_MOST_HINTS]]
    if not found:
        raise ReadError("not kept: a service record that leads to nothing but its own name")
    return found


_HINTS: Final[dict[str, Callable[[str], Entity]]] = {
    "ipv4hint": partial(address, "A"),
    "ipv6hint": partial(address, "AAAA"),
}
