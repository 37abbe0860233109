"""dns.log of Zeek: what names led to, by type of question. Rows in, facts with their first and last time out.

Answers are text without their types, in the packet's order: addresses, names, of MX the host alone. Questions of other
types than those of `_ANSWERS` say nothing here, nor do those of one link (NetBIOS, mDNS, LLMNR).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from intel.entities import Kind
from intel.errors import ReadError
from intel.facts import Predicate
from tasks.normalize.dns_names import LONGEST_TEXT, is_address, reverse_address
from tasks.normalize.zeek_rows import Row, Wanted
from tasks.normalize.zeek_said import Said, Stating

_LINK_LOCAL_PORTS: Final = frozenset({"137", "5353", "5355"})
_MOST_NAMES: Final = 64
"""Names and addresses of one answer."""


class Dns(Stating):
    """dns.log."""

    wanted = Wanted(scalars=("ts", "id.resp_p", "query", "qtype_name"), vectors=("answers",))

    def see(self, row: Row, line: int) -> None:
        ts, port, query, kind, answers = row
        if not answers or not query or port in _LINK_LOCAL_PORTS:
            return
        reader = _ANSWERS.get(kind.upper())
        if reader is None:
            return
        at = self.window.seconds(ts)
        if len(query) > LONGEST_TEXT:
            raise ReadError("couldn't read a name: longer than 253 octets")
        answers = [one for one in answers[:_MOST_NAMES] if len(one) <= LONGEST_TEXT]
        for said in reader(query.lower(), [one.lower() for one in answers]):
            self.add(said, at, line)


def _addresses(query: str, answers: list[str]) -> Iterator[Said]:
    """The chain of names (RFC 1034 3.6.2), and the addresses of its last."""
    name = query
    for one in answers:
        if not is_address(one) and one != name:
            yield Said((Kind.DOMAIN, name), Predicate.RESOLVES_TO, (Kind.DOMAIN, one), (("type", "CNAME"),))
            name = one
    for one in answers:
        if is_address(one):
            kind = "AAAA" if ":" in one else "A"
            yield Said((Kind.DOMAIN, name), Predicate.RESOLVES_TO, (Kind.IP, one), (("type", kind),))


def _name_servers(query: str, answers: list[str]) -> Iterator[Said]:
    for one in answers:
        yield Said((Kind.DOMAIN, query), Predicate.USES_NAME_SERVER, (Kind.NAME_SERVER, one))
    if len(answers) < _MOST_NAMES:  # or some of them may be left out
        together = " ".join(sorted(answers))
        yield Said((Kind.DOMAIN, query), Predicate.USES_NAME_SERVERS, (Kind.NAME_SERVER_SET, together))


def _mail_hosts(query: str, answers: list[str]) -> Iterator[Said]:
    for one in answers:
        yield Said((Kind.DOMAIN, query), Predicate.USES_MAIL_HOST, (Kind.DOMAIN, one.rpartition(" ")[2]))


def _pointers(query: str, answers: list[str]) -> Iterator[Said]:
    address = reverse_address(query)
    for one in answers:
        if not one.rstrip(".").endswith(".arpa"):  # a delegation of less than a zone (RFC 2317)
            yield Said((Kind.IP, address.value), Predicate.RESOLVES_TO, (Kind.DOMAIN, one), (("type", "PTR"),))


_ANSWERS: Final[dict[str, Callable[[str, list[str]], Iterator[Said]]]] = {
    "A": _addresses,
    "AAAA": _addresses,
    "CNAME": _addresses,
    "NS": _name_servers,
    "MX": _mail_hosts,
    "PTR": _pointers,
}
