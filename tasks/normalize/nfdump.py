"""Flow records as nfdump writes them: CSV in, facts out (`flow_records` says which).

Both of its tables are read, told apart by their columns: the fast one (`cnt,af,firstSeen,...`) and the long one of
older versions (`ts,te,td,sa,da,...`), with the summary behind it. Times without a zone are taken for UTC: run nfdump
with `TZ=UTC`, or it writes its own. Records are of one direction each: the lower-numbered, registered or outside end
is the service, which the answer agrees with. Locators are those of the first flow of a pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.flow_records import Flows, asks, port_number
from tasks.normalize.lines import line_fault, line_reject, text_lines
from tasks.normalize.sightings import Window

# What a column is called in the fast and in the long table; those from the seventh on may be missing.
_COLUMNS: Final = (
    ("firstseen", "ts"),
    ("proto", "pr"),
    ("srcaddr", "sa"),
    ("srcport", "sp"),
    ("dstaddr", "da"),
    ("dstport", "dp"),
    ("lastseen", "te"),
    ("duration", "td"),
    ("flags", "flg"),
    ("bytes", "ibyt"),
    ("obyt",),
)
_NEEDED: Final = 6
_ADDRESSES: Final = frozenset({"srcaddr", "sa"})
_ACK: Final = 0x10
_RST: Final = 0x04
_SYN: Final = 0x02
_LETTERS: Final = {"A": _ACK, "R": _RST, "S": _SYN}
_LONGEST_FLOW: Final = 1e8
_PROTOCOLS: Final = {
    "1": "icmp",
    "2": "igmp",
    "6": "tcp",
    "17": "udp",
    "41": "ipv6",
    "47": "gre",
    "50": "esp",
    "58": "icmp6",
    "132": "sctp",
}
_NOTHING: Final = ("No matched flows", "No matching flows")
"""What stands there in place of a table where the filter left nothing."""
_LONGEST: Final = 4096
_LARGEST: Final = 10**15


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:
    """Facts of all flows, and rejects of lines that are none. Raises ReadError for a document without a table."""
    window, flows = Window(document.as_of), Flows()
    table: _Table | None = None
    ended = False
    for number, line in text_lines(document.body, source.options.encoding):
        text = line.strip()
        if not text:
            continue
        try:
            cells = _cells(line, text)
            header = _header(cells)
            if header is not None:
                table, ended = header, False
            elif text == "Summary":
                ended = True
            elif not ended and not text.startswith(_NOTHING):
                _see(flows, table, cells, window, number)
        except ReadError as error:
            if table is None:
                raise
            yield line_reject(number, str(error), text)
        if flows.full:
            yield from flows.facts()
    yield from flows.facts()


class _Table:
    """Where the columns are."""

    def __init__(self, names: Sequence[str]) -> None:
        self.width = len(names)
        self.places = [next((names.index(one) for one in same if one in names), -1) for same in _COLUMNS]


def _cells(line: str, text: str) -> list[str]:
    fault = line_fault(line)
    if fault or len(text) > _LONGEST:
        raise ReadError(fault or f"couldn't read a line: longer than {_LONGEST} characters")
    return text.split(",")


def _header(cells: list[str]) -> _Table | None:
    """The table whose header this is; None for another line. Raises ReadError for a header that lacks columns."""
    if not cells[0][:1].isalpha():
        return None
    names = [name.strip().lower() for name in cells]
    if not _ADDRESSES.intersection(names):
        return None
    table = _Table(names)
    if -1 in table.places[:_NEEDED]:
        raise ReadError("couldn't read flow records: its header lacks columns; the format may have changed")
    return table


def _see(flows: Flows, table: _Table | None, cells: list[str], window: Window, number: int) -> None:
    if table is None:
        raise ReadError("couldn't read flow records: no header of nfdump's; the format may have changed")
    # The long table of some versions ends its rows with a comma.
    if not table.width <= len(cells) <= table.width + 1:
        raise ReadError(f"couldn't read a row: {len(cells)} columns where the table has {table.width}")
    first, proto, source, source_port, target, target_port, last, duration, flags, sent, received = (
        cells[at].strip() if at >= 0 else "" for at in table.places
    )
    times = window.span(first, last)
    if not times:
        raise ReadError("couldn't read a flow: without times")
    until = times[-1]
    if not last and _is_number(duration):
        until = window.seconds(times[0] + min(float(duration), _LONGEST_FLOW))
    proto = proto.lower()
    proto = _PROTOCOLS.get(proto, proto[:20])
    ported = proto in ("tcp", "udp", "sctp", "dccp")
    near, far = (port_number(source_port), port_number(target_port)) if ported else (0, 0)
    back = _number(received)
    forward = asks(source, near, target, far)
    client, host, port = (source, target, far) if forward else (target, source, near)
    answered = back > 0 or _answers(proto, flags, forward=forward)
    amount = _number(sent) + back
    flows.add((client, host, port, proto, ""), times[0], until, number, amount=amount, answered=answered)


def _answers(proto: str, flags: str, *, forward: bool) -> bool:
    """Whether a flow of one direction shows that the service answers: what it sends, but for a mere reset, or that
    the client acknowledges something.
    """
    if proto != "tcp":
        return not forward
    bits = _flags(flags)
    if forward:
        return bits & _ACK > 0
    return bits & _SYN > 0 or not bits & _RST


def _flags(text: str) -> int:
    """TCP flags, written as letters and dots (`...AP.SF`) or as a number."""
    if text.isdecimal() and text.isascii():
        return int(text[:4])
    if text.startswith("0x"):
        try:
            return int(text[:6], 16)
        except ValueError:
            return 0
    return sum(bit for letter, bit in _LETTERS.items() if letter in text)


def _is_number(text: str) -> bool:
    return len(text) < 20 and text.isascii() and text.replace(".", "", 1).isdecimal()


def _number(text: str) -> int:
    return min(int(text), _LARGEST) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
