"""Our own reader of WHOIS replies: the decoded text in, the fields of its lines with their spans out.

Three shapes of a line are read, which most registries use: "Key: value" (dots and spaces before the colon dropped),
"[Key] value", and a bare "Key:" whose value is the more indented line below it. Below a bare "Registrant:" the keys
"Name:", "Email:" and so on are the registrant's until a blank line or the next bare key. Linear in the reply's size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_KEY: Final = 64
MOST_LINES: Final = 5000
LONGEST_LINE: Final = 4096

_BRACKETED: Final = re.compile(r"(?:[a-z]\. )?\[([^\[\]]{1,64})\]")

# Key (folded, without trailing digits) -> field. What a key means is the same in every registry that uses it.
_KEYS: Final[dict[str, tuple[str, ...]]] = {
    "domain": ("domain name", "domain", "domainname", "domain_name"),
    "created": (
        *("creation date", "created", "created on", "created date", "date created", "registered", "registered on"),
        *("registration date", "domain registration date", "registration time", "record created", "registered date"),
        *("domain create date", "domain created", "create date", "domain name commencement date", "activation date"),
        *("record created on", "domain record activated", "activated", "date registered", "creation_date", "crdate"),
    ),
    "updated": (
        *("updated date", "last updated", "last updated on", "last modified", "modified", "changed", "last-update"),
        *("updated", "domain last updated date", "record last updated on", "last update", "update date", "updated on"),
        *("modification date", "last modified date", "domain record last updated", "last-updated", "updated_date"),
    ),
    "expires": (
        *("registry expiry date", "registrar registration expiration date", "expiration date", "expiry date"),
        *("expires", "expires on", "paid-till", "valid until", "renewal date", "record expires on", "expire-date"),
        *("domain expiration date", "domain expires", "expire date", "expire", "exp date", "expiration time"),
        *("expiry", "validity", "valid-date", "domain expires on", "expiration", "expire_date", "expiration_date"),
    ),
    "registrar": (
        *("registrar", "sponsoring registrar", "registrar name", "registrar organization", "current registrar"),
        *("registrar company name", "registration service provider", "authorized agency"),
    ),
    "registrar_iana_id": ("registrar iana id", "sponsoring registrar iana id"),
    "name_server": (
        *("name server", "name servers", "nserver", "nameserver", "nameservers", "ns", "dns", "host name"),
        *("domain servers in listed order", "domain nameservers", "ns_name_", "primary server", "secondary server"),
        *("name servers information", "domain servers"),
    ),
    "status": ("status", "domain status", "state", "eppstatus", "registration status"),
    "dnssec": ("dnssec", "dnssec signed"),
    "registrant_name": (
        *("registrant name", "registrant contact name", "registrant", "holder", "holder name", "owner name", "owner"),
        *("registrant_name", "registrant contact", "domain holder", "registrant-name"),
    ),
    "registrant_organisation": (
        *("registrant organization", "registrant organisation", "registrant company", "owner organization"),
        *("registrant contact organisation", "registrant contact organization", "registrant org", "org"),
    ),
    "registrant_email": (
        *("registrant email", "registrant e-mail", "registrant contact email", "holder email", "owner email"),
        *("registrant contact e-mail", "registrant_email"),
    ),
    "registrant_phone": ("registrant phone", "registrant phone number", "registrant telephone", "owner phone"),
    "registrant_country": (
        *("registrant country", "registrant country/economy", "registrant contact country", "owner country"),
        *("registrant country code",),
    ),
}
_FIELD: Final = {key: name for name, keys in _KEYS.items() for key in keys}
_IN_REGISTRANT: Final = {
    "name": "registrant_name",
    "contact name": "registrant_name",
    "organization": "registrant_organisation",
    "organisation": "registrant_organisation",
    "company": "registrant_organisation",
    "email": "registrant_email",
    "e-mail": "registrant_email",
    "phone": "registrant_phone",
    "phone number": "registrant_phone",
    "country": "registrant_country",
    "country code": "registrant_country",
}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One value: the field that its key names, and its span in characters of the text."""

    field: str
    value: str
    start: int

    @property
    def where(self) -> str:
        """The span as `start-end`."""
        return f"{self.start}-{self.start + len(self.value)}"


def read_lines(text: str) -> Iterator[Line]:
    """The values of the keys that we know, in the order of the text."""
    section = ""
    pending: tuple[str, int] | None = None
    position = 0
    for number, raw in enumerate(text.splitlines(keepends=True)):
        if number >= MOST_LINES:
            return
        start, position = position, position + len(raw)
        line = raw[:LONGEST_LINE].rstrip()
        bare = line.lstrip()
        indent = len(line) - len(bare)
        if not bare or bare[0] in "%#;>":
            section, pending = ("", None) if not bare else (section, None)
            continue
        split = _split(bare)
        if pending and (split is None or not split[1]) and indent > pending[1]:
            # A list of name servers is a value per line; the others have one.
            yield Line(field=pending[0], value=bare, start=start + indent)
            pending = pending if pending[0] in ("name_server", "status") else None
            continue
        if split is None:
            continue
        key, value, offset = split
        field = (_IN_REGISTRANT.get(key) if section == "registrant_name" else None) or _FIELD.get(key, "")
        if not value:
            section, pending = field or "other", (field, indent) if field else None
            continue
        pending = (field, indent) if field == "name_server" else None
        if field:
            yield Line(field=field, value=value, start=start + indent + offset)


def _split(line: str) -> tuple[str, str, int] | None:
    """A line's folded key, its value and where the value starts; None for a line without a key."""
    if match := _BRACKETED.match(line):
        key, rest, at = match[1], line[match.end() :], match.end()
    else:
        at = line.find(":", 0, LONGEST_KEY + 1)
        if at < 0:
            return None
        key, rest, at = line[:at], line[at + 1 :], at + 1
    # Bilingual registries: "Data de registo / Creation Date (dd/mm/yyyy)".
    key = key.rpartition(" / ")[2].partition(" (")[0]
    folded = " ".join(key.casefold().split()).rstrip(" .").rstrip("0123456789").rstrip()
    value = rest.strip()
    return folded, value, at + len(rest) - len(rest.lstrip())
