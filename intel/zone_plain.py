"""The plain form of zone files, a chunk at a time: whole lines in, their delegations out, or None.

ICANN's format for zone file access (registry agreement, specification 4, section 2.1.4): a record a line, names
absolute, fields parted by single tabs. One regular expression takes a name with all its name servers; None means that
the chunk holds something that only the reader of records understands (intel/zone_file.py), which then reads all of it.
Where both answer they answer the same.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import Final, NamedTuple

_SPECIAL: Final = (b";", b"(", b")", b'"', b"\\", b"$", b"@", b"\r", b"\f", b"\v")
_NAME: Final = re.compile(rb"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_MAX_NAME: Final = 253
MAX_SERIAL: Final = 0xFFFFFFFF
MAX_HOSTS: Final = 64
"""Name servers of one name that are kept: a delegation has a dozen at most, a hostile file any number."""
_MAX_ZONE: Final = _MAX_NAME - 64
# Records of other types, which are skipped: addresses, signatures, digests of keys. Never NS or SOA.
_OTHER: Final = re.compile(rb"[a-z0-9_.*-]+\.\t[0-9]{1,10}\tin\t(?!ns\t|soa\t)[a-z][a-z0-9-]{0,15}\t[^\n]+\n")
_NS: Final = re.compile(rb"([a-z0-9_.-]+)\.\t[0-9]{1,10}\tin\tns\t([a-z0-9_.-]+)\.\n")
_SOA: Final = re.compile(
    rb"([a-z0-9_.-]+)\.\t[0-9]{1,10}\tin\tsoa\t[a-z0-9_.-]+\.[\t ][a-z0-9_.-]+\."
    rb"[\t ]([0-9]{1,10})(?:[\t ][0-9]{1,10}){4}\n"
)
_REPEATS: Final = 4
"""Name servers beyond the first that one match takes; the others make a match of their own."""
_REMEMBERED: Final = 50_000


class Delegations(NamedTuple):
    """Names as they stand below the zone, and beside each its name servers: sorted, each once, joined by spaces.

    A name may come more than once, with servers that add to one another.
    """

    names: list[bytes]
    hosts: list[bytes]


class Plain(NamedTuple):
    """What a chunk holds; `owner` is of its last record, absolute; `soa` says that the zone's SOA was in it."""

    delegations: Delegations
    owner: bytes
    soa: bool


class _HostSets(dict[tuple[bytes, ...], bytes]):
    """Name servers as they are written -> sorted and joined. Millions of names share some thousands of sets."""

    def __missing__(self, written: tuple[bytes, ...]) -> bytes:
        hosts = [host for host in written if host]
        if not all(len(host) <= _MAX_NAME and _NAME.fullmatch(host) for host in hosts):
            raise ValueError
        joined = join_hosts(hosts)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[written] = joined
        return joined


class PlainReader:
    """Reads the plain chunks of one zone (lower-case, without its last dot)."""

    def __init__(self, zone: bytes) -> None:
        self._zone = zone
        server = re.escape(b"." + zone) + rb"\.\t[0-9]{1,10}\tin\tns\t([a-z0-9_.-]+)\.\n"
        more = b""
        for _ in range(_REPEATS):
            more = rb"(?:\1" + server + more + rb")?"
        # A label straight below the zone with its servers; or any other line, whole.
        self._lines = re.compile(rb"([a-z0-9_-]{1,63})" + server + more + rb"|([^\n]+\n)")
        self._hosts = _HostSets()

    def read(self, text: bytes) -> Plain | None:
        """The delegations of whole lines; None where something is not plain. Nothing is remembered of such a chunk."""
        if len(self._zone) > _MAX_ZONE or any(mark in text for mark in _SPECIAL):
            return None
        text = text.lower()
        rows = self._lines.findall(text)
        other = _REPEATS + 2
        odd = [row[other] for row in rows if row[other]]
        if odd:
            rows = [row for row in rows if row[0]]
        try:
            found = Delegations([row[0] for row in rows], list(map(self._hosts.__getitem__, map(_SERVERS, rows))))
        except ValueError:
            return None
        soa = False
        for line in odd:
            if _OTHER.match(line):
                continue
            if (matched := _NS.match(line)) and self._deeper(matched, found):
                continue
            if (matched := _SOA.match(line)) and matched[1] == self._zone and int(matched[2]) <= MAX_SERIAL:
                soa = True
                continue
            return None
        last = text.rindex(b"\n", 0, -1) + 1 if b"\n" in text[:-1] else 0
        return Plain(found, text[last : text.index(b"\t", last)], soa) if b"\t" in text[last:] else None

    def _deeper(self, matched: re.Match[bytes], found: Delegations) -> bool:
        """Take a name server of the zone itself, or of a name deeper below it; False for what is not plain."""
        owner, host = matched[1], matched[2]
        if not all(len(one) <= _MAX_NAME and _NAME.fullmatch(one) for one in (owner, host)):
            return False
        if owner == self._zone:
            return True
        if not owner.endswith(b"." + self._zone):
            return False
        found.names.append(owner[: -len(self._zone) - 1])
        found.hosts.append(host)
        return True


_SERVERS: Final = itemgetter(slice(1, _REPEATS + 2))


def join_hosts(hosts: list[bytes]) -> bytes:
    """Name servers in the one form in which they are compared: sorted, each once, joined by spaces.

    Of more than `MAX_HOSTS` the first in their order are kept, so that it makes no difference in which parts they came.
    """
    return b" ".join(sorted(set(hosts))[:MAX_HOSTS])
