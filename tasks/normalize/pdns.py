"""Passive DNS in the Common Output Format (draft-dulaunoy-dnsop-passive-dns-cof-13): facts out.

A record a line, or the items of one JSON array; `dnsdbq` and DNSDB's own API (records below `obj`) have the same
fields. What records become is said in `dns_records`. Locators are `line N`, with how often the record was seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from intel.config.sources import Source
from intel.errors import ReadError
from intel.facts import Fact, RawDocument, Reject
from tasks.normalize.dns_records import Record, read_records
from tasks.normalize.lines import excerpt, printable
from tasks.normalize.ndjson import decoded, json_lines, shown
from tasks.normalize.sightings import Window

LONGEST_REFERENCE: Final = 2048
_LARGEST_COUNT: Final = 10**15
# A type that its writer could not name is its number, alone or as RFC 3597 5 has it.
_NUMBERS: Final = {
    "1": "A",
    "2": "NS",
    "5": "CNAME",
    "6": "SOA",
    "12": "PTR",
    "15": "MX",
    "16": "TXT",
    "28": "AAAA",
    "64": "SVCB",
    "65": "HTTPS",
    "99": "SPF",
}

_Time = int | float | str | None


class _Cof(msgspec.Struct, kw_only=True):
    """The fields of sections 3.2 to 3.4 that say something of infrastructure."""

    rrname: str = ""
    rrtype: str | int = ""
    rdata: str | list[str] = ""
    time_first: _Time = None
    time_last: _Time = None
    time_first_ms: _Time = None
    time_last_ms: _Time = None
    time_first_rfc3339: _Time = None
    time_last_rfc3339: _Time = None
    zone_time_first: _Time = None
    zone_time_last: _Time = None
    count: Any = None
    bailiwick: str | None = None
    sensor_id: str | int | None = None
    origin: str | None = None
    obj: _Cof | None = None
    """DNSDB's streaming format: the record is below `obj`; a line without one says how the answer goes on."""
    cond: str | None = None


_LINE: Final = msgspec.json.Decoder(_Cof)


def read(document: RawDocument, source: Source) -> Iterator[Fact | Reject]:  # noqa: ARG001 - what every reader takes
    """Facts and rejects of every record. Raises ReadError for a JSON array that is broken."""
    return read_records(_records(document))


def _records(document: RawDocument) -> Iterator[Record | Reject]:
    window = Window(document.as_of)
    for _number, locator, line in json_lines(document.body):
        try:
            said = decoded(_LINE, line)
            if said.obj is not None:
                said = said.obj
            elif said.cond is not None and not said.rrname:
                continue
            yield _record(said, window, locator)
        except ReadError as error:
            yield Reject(locator=locator, reason=str(error), excerpt=excerpt(shown(line)))


def _record(said: _Cof, window: Window, locator: str) -> Record:
    if not said.rrname or said.rrtype == "" or not said.rdata:
        raise ReadError("couldn't read a record: without rrname, rrtype or rdata")
    seen = window.span(
        _first(said.time_first, said.time_first_ms, said.time_first_rfc3339),
        _first(said.time_last, said.time_last_ms, said.time_last_rfc3339),
    )
    whole = isinstance(said.rdata, list)
    return Record(
        rrname=said.rrname,
        rrtype=type_name(str(said.rrtype)),
        rdata=tuple(said.rdata) if isinstance(said.rdata, list) else (said.rdata,),
        times=seen + window.span(said.zone_time_first, said.zone_time_last),
        origin=printable(said.origin or "", LONGEST_REFERENCE),
        group=f"{said.bailiwick or ''} {'' if said.sensor_id is None else said.sensor_id}",
        whole=whole,
        locator=locator + seen_times(said.count),
    )


def _first(*said: _Time) -> _Time:
    return next((one for one in said if one is not None and one != ""), None)


def type_name(said: str) -> str:
    """The mnemonic of a record type, which may come in any case or as its number."""
    upper = said[:64].strip().upper()
    return _NUMBERS.get(upper.removeprefix("TYPE"), upper)


def seen_times(count: Any) -> str:
    """How often a record was seen, for its locator; nothing where that is no number or a senseless one."""
    digits = str(count)[:20] if isinstance(count, int | str) and not isinstance(count, bool) else ""
    whole = int(digits) if digits.isascii() and digits.isdecimal() else 0
    return f", seen {whole} times" if 1 < whole < _LARGEST_COUNT else ""
