"""Whose each line of a WHOIS reply is: rows in, statements about the domain, its registrant and its registrar out.

A reply has sections, begun by a head ("Registrant:", "Nameservers", "contact: ..." after an empty line) and ended by an
empty line or the next head. What stands in another contact's section is nobody's here. A registrant who is named by a
handle (RIPE's style: "holder-c: X", "registrant: X") is read from the record that bears it ("nic-hdl: X"). A section
without keys gives its first lines: an organisation and a person, or one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tasks.normalize.whois_address import unlabelled
from tasks.normalize.whois_hosts import begins_with_host
from tasks.normalize.whois_keys import CONTACTS, REFERRING, UNKNOWN, Meaning, Role, heads, is_detail, meaning
from tasks.normalize.whois_lines import Row

MOST_SAID: Final = 2000
MOST_FREE: Final = 12
MOST_HOLDERS: Final = 16
_EMPTY: Final = 9

_CONTACT_ROLES: Final[dict[str, Role]] = {
    **dict.fromkeys(("registrant", "owner", "holder", "domain holder"), "registrant"),
    **dict.fromkeys(("administrative", "admin", "technical", "tech", "billing", "zone", "abuse"), "other"),
}
# The dates that every contact's record bears too.
_OF_ANY_RECORD: Final = frozenset({"created", "updated", "status", "domain"})
_HANDLE: Final = re.compile(
    r"(?=[A-Za-z-]{0,20}\d)[A-Z0-9]{2,24}-[A-Z0-9]{2,16}|[A-Za-z]{1,12}[_-]?\d{3,20}(?:-[A-Za-z0-9]{1,12})?"
)
# What stands behind a name: Nominet's tag, the id of an old record, the registrar's page.
_TAGGED: Final = re.compile(
    r" ?(?:\[Tag = [^\]]{1,40}\]|\([A-Z0-9]{2,20}-DOM\)|\( ?https?://[^()\s]{1,200} ?\))$", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class Said:
    """One value that the reply states. `depth` is how far from the domain's own record it stands, 0 the nearest; an
    empty `value` is a key without one. `start` is where it begins, in characters of the text.
    """

    field: str
    value: str
    start: int
    depth: int = 0

    @property
    def where(self) -> str:
        """The value's span as `start-end`."""
        return f"{self.start}-{self.start + len(self.value)}"


@dataclass(kw_only=True)
class _Section:
    role: Role
    indent: int = 0
    head: Row | None = None
    used: bool = False
    of_organisation: bool = False
    free_ended: bool = False
    said: list[tuple[str, Row]] = field(default_factory=list)
    free: list[Row] = field(default_factory=list)


def read_statements(rows: Iterable[Row]) -> list[Said]:
    """What the rows state, nearest first, otherwise in the order of the text."""
    reader = _Reader()
    for row in rows:
        reader.take(row)
        if len(reader.said) >= MOST_SAID:
            break
    return reader.finish()


class _Reader:
    def __init__(self) -> None:
        self.said: list[Said] = []
        self._section = _Section(role="domain")
        self._contacts: dict[str, _Section] = {}
        self._holders: list[Row] = []
        self._loose: list[tuple[str, Row]] = []
        self._domain = ""
        self._pending: tuple[Meaning, Row] | None = None
        self._listing: int | None = None

    def take(self, row: Row) -> None:
        section = self._section
        hosts = section.role == "servers" and begins_with_host(row.text)
        if row.fresh and section.used and row.indent <= section.indent and not hosts:
            self._open("domain", row)
        if not row.key or (hosts and meaning(row.key) == UNKNOWN):
            self._bare(row)
        elif row.value:
            self._keyed(row, *meaning(row.key))
        else:
            self._head(row, meaning(row.key))

    def finish(self) -> list[Said]:
        self._open("domain", None)
        for row in self._holders:
            self._hold(row)
        names = {said.field for said in self.said if said.value}
        if not names & {"registrant_name", "registrant_organisation", "registrant_any"}:
            self._say_loose()
        else:
            for name, row in self._loose:
                if name == "country":
                    self._say("registrant_country", row.value, row.start, depth=2)
        return sorted(self.said, key=lambda said: said.depth)

    def _open(self, role: Role, row: Row | None) -> None:
        self._close()
        self._section = _Section(role=role, indent=row.indent if row else 0, head=row)
        self._pending = None
        self._listing = None

    def _close(self) -> None:
        section = self._section
        if section.role == "registrant":
            # .jp names the registrant first, and then how he can be reached.
            depth = 3 if section.head is not None and section.head.key == "contact information" else 1
            for name, row in section.said:
                self._say(f"registrant_{name}", row.value, row.start, depth=depth)
            if section.free and not {"name", "organisation"} & {name for name, row in section.said if row.value}:
                self._say_free(section)
        elif section.role == "registrar":
            labelled = {name: row for name, row in reversed(section.said) if row.value}
            if "name" in labelled:
                self._say("registrar", labelled["name"].value, labelled["name"].start, depth=0)
            elif section.free:
                self._say("registrar", section.free[0].text, section.free[0].at, depth=1)
            elif "organisation" in labelled:
                self._say("registrar", labelled["organisation"].value, labelled["organisation"].start, depth=2)
        elif section.role == "contact" and len(self._contacts) < MOST_SAID:
            named = next((row for name, row in section.said if name == "handle"), None)
            # "contact: X" is the record's handle where nothing else is (.cz), and a name where "nic-hdl" is (.fr).
            handle = named or section.head
            if handle is not None:
                self._contacts.setdefault(handle.value.casefold(), section)

    def _keyed(self, row: Row, role: Role, name: str) -> None:
        self._pending = None
        self._listing = row.indent if name == "name_server" else None
        section = self._section
        section.used = True
        if row.key == "contact type":
            self._open(_CONTACT_ROLES.get(row.value.casefold(), "other"), row)
        elif role == "other":
            if not name and row.fresh:
                self._open(role, row)
        elif role in {"registrant", "registrar"}:
            self._of(role, name, row)
        elif role == "domain":
            self._of_domain(name, row)
        elif row.fresh and row.key in CONTACTS:
            self._open(_CONTACT_ROLES.get(row.value.casefold(), "contact"), row)
            self._section.said.append((name, row))
        elif name in {"?", "role"}:
            return
        elif section.role == "domain":
            if row.fresh and name == "organisation":
                # IANA's records of TLDs: who holds it is a paragraph of its own. Where the holder is named by a
                # handle, it is the record of some contact.
                self._open("contact" if self._holders else "registrant", row)
                self._section.said.append((name, row))
            else:
                self._loose.append((name, row))
        elif section.role != "other":
            section.said.append((name, row))

    def _of(self, role: Role, name: str, row: Row) -> None:
        if name == "":
            if row.fresh:
                self._open(role, row)
                self._section.used = True
            if role == "registrant":
                self._holders.extend([row] if len(self._holders) < MOST_HOLDERS else [])
            elif self._section.role != "contact":
                self._say("registrar", row.value, row.start, depth=1)
        elif role == "registrant" and name not in {"?", "role"}:
            self._say(f"registrant_{name}", row.value, row.start)
        elif name in {"name", "organisation"}:
            self._say("registrar", row.value, row.start, depth=0 if name == "name" else 2)

    def _of_domain(self, name: str, row: Row) -> None:
        here = self._section.role
        if name == "domain" and row.fresh and here != "domain":
            self._open("domain", row)
            here = "domain"
        depth = 0
        if name in _OF_ANY_RECORD:
            depth = {"domain": 0, "servers": 0, "registrar": 3, "registrant": 2}.get(here, 4)
        if name == "name_server" and row.key == "dns" and row.value.casefold() == self._domain:
            return  # .dk writes the domain's A-label as "DNS"
        if name == "domain":
            self._domain = self._domain or row.value.casefold()
        if name == "status" and row.value.casefold().startswith("ok-until "):
            self._say("expires", row.value, row.start)  # .ua
        if name == "updated" and "(assigned)" in row.value.casefold():
            name = "created"  # .il
        if name == "descr":
            self._loose.append((name, row))
        elif name and depth < 4:
            self._say(name, row.value, row.start, depth=depth)

    def _head(self, row: Row, found: Meaning) -> None:
        role, name = found
        section = self._section
        self._listing = None
        if role == "domain" and name == "name_server":
            self._open("servers", row)
        elif role == "domain":
            if name not in _OF_ANY_RECORD or section.role in {"domain", "servers"}:
                self._open("domain", row)
            self._pending = (found, row) if name else None
            if name:
                self._say(name, "", row.start, depth=_EMPTY)
        elif role and not name:
            self._open(role, row)
        elif row.fresh and row.key in CONTACTS and self._holders:
            self._open("contact", None)
            self._section.used = True
        elif role == "" and name == "organisation" and section.role == "domain":
            self._open("registrant", row)
            self._section.of_organisation = True
        else:
            section.used = True
            self._pending = (found, row)
            if role == "registrant" and name not in {"?", "role"}:
                self._say(f"registrant_{name}", "", row.start, depth=1)
            elif is_detail(row.key):
                # What follows is an address: no lines of the section's own.
                section.free_ended = bool(section.free)

    def _bare(self, row: Row) -> None:
        section = self._section
        section.used = section.used or section.role == "other"
        head = heads(row.text)
        if head != UNKNOWN:
            self._open("servers" if head.field else head.role, row)
            return
        if self._pending is not None:
            (role, name), above = self._pending
            inner = row.indent > above.indent
            if (role == "domain" and (inner or not row.fresh)) or (inner and role == "registrant" and name != "?"):
                prefix = "" if role == "domain" else "registrant_"
                self._say(prefix + name, row.text, row.at)
                self._pending = self._pending if name == "status" else None
                return
        if section.role == "servers" or (self._listing is not None and row.indent > self._listing):
            section.used = True
            if begins_with_host(row.text):
                self._say("name_server", row.text, row.at)
        elif section.role in {"registrant", "registrar"}:
            section.used = True
            if len(section.free) < MOST_FREE and not section.free_ended:
                section.free.append(row)

    def _say(self, name: str, value: str, start: int, *, depth: int = 0) -> None:
        self.said.append(Said(field=name, value=_TAGGED.sub("", value), start=start, depth=depth))

    def _say_free(self, section: _Section) -> None:
        for name, value, start in unlabelled(section.free, of_organisation=section.of_organisation):
            self._say(f"registrant_{name}", value, start, depth=1)

    def _hold(self, row: Row) -> None:
        """A value of "registrant:": a name, or the handle of a record that says more."""
        handle = row.value.casefold()
        if any(said.field == "registrant_handle" and said.value.casefold() == handle for said in self.said):
            return
        record = self._contacts.get(handle)
        if record is None and row.key not in REFERRING and not _HANDLE.fullmatch(row.value):
            # Where a person is named beside the holder, the holder is an organisation (.br: "responsible").
            named = any(said.field == "registrant_name" and said.value and not said.depth for said in self.said)
            self._say("registrant_organisation" if named else "registrant_name", row.value, row.start)
            return
        self._say("registrant_handle", row.value, row.start)
        if record is not None and record.role == "contact":
            for name, one in record.said:
                is_handle = name == "handle" or one.value.casefold() == handle
                if name != "role" and not is_handle:
                    self._say(f"registrant_{name}", one.value, one.start, depth=1)

    def _say_loose(self) -> None:
        """The attributes of the domain's own record (.ru), or RIPE's "descr", which names the holder first."""
        loose = [(name, row) for name, row in self._loose if not begins_with_host(row.value)]
        named = {name for name, _ in loose}
        descr = next((row for name, row in loose if name == "descr"), None)
        if not named & {"name", "organisation"} and descr is None:
            return
        for name, row in loose:
            if name != "descr":
                self._say(f"registrant_{name}", row.value, row.start, depth=2)
        if not named & {"name", "organisation"} and descr is not None:
            self._say("registrant_name", descr.value, descr.start, depth=3)
