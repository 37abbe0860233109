"""Zone files, RFC 1035 section 5, as registries give them: pieces of bytes in, delegations and the SOA's serial out.

Two readers, one answer. What is written plainly (ICANN's format for zone file access: a record a line, absolute names,
single tabs) is read a chunk at a time by intel/zone_plain.py; whatever else master files may hold is read here, record
by record: $ORIGIN, $TTL, relative and omitted owners, comments, parentheses, quoted strings, escapes, TTL and class in
either order. A line that cannot be read costs itself. No file is ever included ($INCLUDE).
"""

from __future__ import annotations

import re
from typing import Final

from intel.errors import ReadError
from intel.zone_plain import MAX_SERIAL, Delegations, PlainReader

MAX_LINE: Final = 1 << 16
"""Bytes of a line, and of a record in parentheses, beyond which it is not read."""
MAX_BEFORE_SOA: Final = 10_000
"""Name servers that may stand before the SOA record, without which it is not known what is delegated."""

_TOKEN: Final = re.compile(rb'[ \t\r\f\v]+|;.*|"(?:[^"\\]|\\.)*"|[()]|(?:[^ \t\r\f\v;"()\\]|\\.)+|.', re.DOTALL)
_BLANK: Final = b" \t\r\f\v"
_TTL: Final = re.compile(rb"[0-9]{1,10}|(?:[0-9]{1,10}[smhdw]){1,5}")
_CLASSES: Final = frozenset({b"in", b"ch", b"hs", b"cs"})
_TYPE: Final = re.compile(rb"[a-z][a-z0-9-]{0,15}")
_NAME: Final = re.compile(rb"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_ESCAPE: Final = re.compile(rb"\\([0-9]{3}|.)", re.DOTALL)
_MAX_NAME: Final = 253


class ZoneReader:
    """Reads one zone: `feed` pieces of any size, then `close`; each gives delegations as they become known.

    A delegation's name is as it stands below the zone (`parcel` in the zone `example`), its servers are absolute,
    without the last dot. A name may come again in a later piece, with servers that add to those before.

    `zone` is empty until the SOA was read; `closed` says that a second SOA stood at the end, as ICANN's format asks.
    `malformed` counts lines, `first_malformed` says of the first of them where it is and what is wrong.
    """

    def __init__(self) -> None:
        self.zone: str = ""
        self.serial: int | None = None
        self.closed: bool = False
        self.lines: int = 0
        self.malformed: int = 0
        self.first_malformed: str = ""
        self._rest = b""
        self._skipping = False  # inside a line that is too long
        self._origin: bytes | None = None
        self._owner: bytes | None = None  # of the last record, absolute, with its last dot
        self._open: list[bytes] | None = None  # tokens of a record whose parenthesis is not closed yet
        self._open_size = 0
        self._open_blank = False
        self._early: list[tuple[bytes, bytes]] = []
        self._plain: PlainReader | None = None

    def feed(self, piece: bytes) -> Delegations:
        """The delegations of the lines that are now whole. Raises ReadError where no SOA comes."""
        text = self._rest + piece
        whole = text.rfind(b"\n") + 1
        too_long = len(text) - whole > MAX_LINE
        cut = whole if too_long or self._plain is None else _before_last_owner(text, whole)
        self._rest = text[cut:]
        found = self._read(text[:cut]) if cut else Delegations([], [])
        if too_long:
            # The rest of it is skipped as it comes, so that a file without a newline takes no memory.
            if not self._skipping:
                self._refuse(f"longer than {MAX_LINE} bytes", self._rest, self.lines + 1)
            self._skipping = True
            self._rest = b""
        return found

    def close(self) -> Delegations:
        """What the last line holds. Raises ReadError where there was no SOA: then it is no zone file."""
        text, self._rest = self._rest, b""
        if text[-1:] != b"\n" and (text or self._skipping):
            text += b"\n"
        found = self._read(text) if text else Delegations([], [])
        if self._open is not None:
            self._refuse("its parenthesis is never closed", b"", self.lines)
            self._open = None
        if not self.zone:
            raise ReadError("couldn't read the zone file: it has no SOA record; nothing of it is used")
        return found

    def _read(self, text: bytes) -> Delegations:
        if self._skipping:
            end = text.index(b"\n") + 1
            text, self._skipping = text[end:], False
            self.lines += 1
        if self._plain is not None and self._open is None and text:
            found = self._plain.read(text)
            if found is not None:
                self.lines += text.count(b"\n")
                self._owner = found.owner
                self.closed |= found.soa
                return found.delegations
        return self._read_each(text)

    def _read_each(self, text: bytes) -> Delegations:
        found = Delegations([], [])
        for line in text.split(b"\n")[:-1]:
            self.lines += 1
            try:
                self._line(line, found)
            except ReadError as error:
                self._open = None
                self._refuse(str(error), line, self.lines)
        return found

    def _refuse(self, reason: str, line: bytes, number: int) -> None:
        self.malformed += 1
        if not self.first_malformed:
            shown = ascii(line[:80].decode("latin-1"))
            self.first_malformed = f"line {number}: {reason}: {shown}" if line else f"line {number}: {reason}"

    def _line(self, line: bytes, found: Delegations) -> None:
        if len(line) > MAX_LINE:
            raise ReadError(f"longer than {MAX_LINE} bytes")
        if self._open is None:
            tokens, depth = _tokens(line, 0)
            if not tokens and not depth:
                return
            blank = line[:1] in _BLANK
        else:
            more, depth = _tokens(line, 1)
            tokens, blank = self._open + more, self._open_blank
        if depth:
            self._open_size = (self._open_size if self._open is not None else 0) + len(line)
            if self._open_size > MAX_LINE:
                raise ReadError(f"a record in parentheses longer than {MAX_LINE} bytes")
            self._open, self._open_blank = tokens, blank
            return
        self._open = None
        if tokens:
            self._record(tokens, found, blank=blank)

    def _record(self, tokens: list[bytes], found: Delegations, *, blank: bool) -> None:
        if tokens[0][:1] == b"$" and not blank:
            self._directive(tokens)
            return
        if not blank:
            self._owner = self._absolute(tokens.pop(0))
        if self._owner is None:
            raise ReadError("no owner is named, here or before")
        at, of_internet = 0, True
        while at < len(tokens) and at < 2:
            token = tokens[at].lower()
            if token in _CLASSES:
                of_internet = token == b"in"
            elif not _TTL.fullmatch(token):
                break
            at += 1
        kind, data = (tokens[at].lower(), tokens[at + 1 :]) if at < len(tokens) else (b"", [])
        if not _TYPE.fullmatch(kind):
            raise ReadError("no type of record is named")
        if not of_internet:
            return
        if kind == b"ns":
            if len(data) != 1:
                raise ReadError("a name server's record holds one name")
            self._delegation(_checked(self._owner), _checked(self._absolute(data[0])), found)
        elif kind == b"soa":
            self._soa(_checked(self._owner), data, found)

    def _directive(self, tokens: list[bytes]) -> None:
        word = tokens[0].lower()
        if word == b"$origin" and len(tokens) == 2:
            self._origin = self._absolute(tokens[1])
        elif word != b"$ttl" or len(tokens) != 2:
            raise ReadError("a directive that is not followed")

    def _absolute(self, token: bytes) -> bytes:
        """The name that a token stands for, lower-case, with its last dot; not yet checked."""
        name = token.lower()
        if name == b"@":
            name = b""
        elif b"\\" in name:
            name, absolute = _unescaped(name)
            name += b"." if absolute else b""
        if name[-1:] == b".":
            return name
        if self._origin is None:
            raise ReadError("a relative name, and no origin is named")
        return self._origin if not name else name + b"." + self._origin if self._origin != b"." else name + b"."

    def _delegation(self, owner: bytes, host: bytes, found: Delegations) -> None:
        if not self.zone:
            if len(self._early) >= MAX_BEFORE_SOA:
                raise ReadError("a name server before the SOA record, and too many of them")
            self._early.append((owner, host))
            return
        zone = self.zone.encode()
        if owner == zone:
            return
        if not owner.endswith(b"." + zone):
            raise ReadError("it is outside of the zone")
        found.names.append(owner[: -len(zone) - 1])
        found.hosts.append(host)

    def _soa(self, owner: bytes, data: list[bytes], found: Delegations) -> None:
        if len(data) != 7 or not data[2].isdigit() or len(data[2]) > 10 or int(data[2]) > MAX_SERIAL:
            raise ReadError("an SOA record holds two names and five numbers")
        if self.zone:
            if owner != self.zone.encode():
                raise ReadError("an SOA record of another zone")
            self.closed = True
            return
        self.zone, self.serial = owner.decode(), int(data[2])
        self._plain = PlainReader(owner)
        early, self._early = self._early, []
        for name, host in early:
            try:
                self._delegation(name, host, found)
            except ReadError as error:
                self._refuse(str(error), name, self.lines)


def _before_last_owner(text: bytes, whole: int) -> int:
    """Where the lines of the last owner begin, so that they are read together with those that may follow.

    `whole` is where whole lines end. What is left for later has a limit, and is never all there is.
    """
    start = whole
    owner = b""
    while start and whole - start < MAX_LINE // 2:
        before = text.rfind(b"\n", 0, start - 1) + 1
        owner = owner or text[before : text.find(b"\t", before) + 1]
        if not owner or not text.startswith(owner, before):
            return start
        start = before
    return whole


def _tokens(line: bytes, depth: int) -> tuple[list[bytes], int]:
    """The tokens of a line without comments and parentheses, and how deep in parentheses it ends (RFC 1035 5.1)."""
    if not any(mark in line for mark in (b";", b"(", b")", b'"', b"\\")):
        return line.split(), depth
    tokens = []
    for token in _TOKEN.findall(line):
        first = token[:1]
        if first == b"(":
            depth += 1
        elif first == b")":
            depth -= 1
        elif first in {b'"', b"\\"}:
            if len(token) < 2:
                raise ReadError("a quote or an escape that does not end")
            tokens.append(token)
        elif first not in _BLANK and first != b";":
            tokens.append(token)
    if depth not in {0, 1}:
        raise ReadError("parentheses that do not pair")
    return tokens, depth


def _unescaped(name: bytes) -> tuple[bytes, bool]:
    """A name without escapes, and whether it ended in a dot. Raises ReadError where what they stand for is not plain:
    a dot within a label, say.
    """
    absolute = name.endswith(b".") and not name.endswith(b"\\.")

    def plain(found: re.Match[bytes]) -> bytes:
        said = found[1]
        code = int(said) if len(said) == 3 else said[0]
        made = bytes([code]).lower() if code < 256 else b"."
        if _NAME.fullmatch(made) is None:
            raise ReadError("not a name of letters, digits and hyphens")
        return made

    return _ESCAPE.sub(plain, name[:-1] if absolute else name), absolute


def _checked(absolute: bytes) -> bytes:
    """A name without its last dot. Raises ReadError for what is none."""
    name = absolute[:-1]
    if len(name) > _MAX_NAME or _NAME.fullmatch(name) is None:
        raise ReadError("not a name of letters, digits and hyphens")
    return name
