"""The child process in which python-whois reads replies: frames of length-prefixed JSON on standard input and output.

In: {"domain", "text", "cpu"}; out: {"status": "ok" | "not_found" | "error", "fields": {attribute: [[kind, text]]}},
with kind "t" for a time (ISO 8601) and "s" for a string. It runs by its path, isolated, and imports nothing of the
project. It is meant to be killed: a regex that spins is ended by the CPU timer's default action, which reaches a
process inside C code where an exception would not; the parent kills it after the wall deadline in any case.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import signal
import struct
import sys
from datetime import date, datetime
from typing import Any

MEMORY_BYTES = 512 << 20
LONGEST_FRAME = 4 << 20
MOST_VALUES = 64
LONGEST_VALUE = 2048

ATTRIBUTES = (
    *("creation_date", "updated_date", "expiration_date", "registrar", "name_servers", "status", "dnssec"),
    *("registrant_name", "registrant_contact_name", "registrant", "registrant_org", "registrant_organization"),
    *("registrant_company_name", "registrant_email", "registrant_phone", "registrant_phone_number"),
    *("registrant_country", "registrant_country_code", "registrar_iana_id", "registrar_id"),
)
# Attributes that mean the registrant's only where the library's own pattern says so.
GUARDED = {"name": "registrant_name", "org": "registrant_organization", "country": "registrant_country"}
HOLDER = re.compile(r"registrant|holder|owner", re.IGNORECASE)


def wire(value: Any) -> list[list[str]]:
    """The values of an attribute as pairs of kind and text."""
    out = []
    for item in (value if isinstance(value, list) else [value])[:MOST_VALUES]:
        if isinstance(item, (datetime, date)):
            out.append(["t", item.isoformat()])
        elif isinstance(item, str) and item.strip():
            out.append(["s", item.strip()[:LONGEST_VALUE]])
    return out


def read(load: Any, not_found: type[BaseException], domain: str, text: str) -> dict[str, Any]:
    """One reply through the library."""
    try:
        entry = load(domain, text)
    except not_found:
        return {"status": "not_found", "fields": {}}
    except Exception as error:  # noqa: BLE001  the library raises whatever its parsers do; only the name is passed on
        return {"status": "error", "error": type(error).__name__, "fields": {}}
    fields = {}
    for name in ATTRIBUTES:
        if found := wire(entry.get(name)):
            fields[name] = found
    for name, meaning in GUARDED.items():
        if meaning not in fields and HOLDER.search(str(entry._regex.get(name, ""))):  # noqa: SLF001  no public way to a pattern
            found = wire(entry.get(name))
            if found:
                fields[meaning] = found
    return {"status": "ok", "fields": fields}


def frame(stream: Any) -> bytes | None:
    """The next frame, None at the end of the stream."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    (length,) = struct.unpack(">I", head)
    if length > LONGEST_FRAME:
        return None
    body = stream.read(length)
    return body if len(body) == length else None


def answer(stream: Any, message: dict[str, Any]) -> None:
    """Write one frame."""
    body = json.dumps(message).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def main() -> None:
    """Serve until the parent goes."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    # Whatever the library prints must not land between frames.
    sys.stdout = sys.stderr
    from whois.exceptions import WhoisDomainNotFoundError  # noqa: PLC0415  after stdout has been put aside
    from whois.parser import WhoisEntry  # noqa: PLC0415  as above

    # Everything that Python and the library import or open late is fetched before files and sockets are shut off.
    read(WhoisEntry.load, WhoisDomainNotFoundError, "a.test", "Creation Date: 02-jan-2000 10:11:12 JST\n")
    read(WhoisEntry.load, WhoisDomainNotFoundError, "a.test", "Creation Date: before aug-1996 xx\n")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    answer(stdout, {"status": "ready"})
    while (body := frame(stdin)) is not None:
        asked = json.loads(body)
        signal.setitimer(signal.ITIMER_PROF, float(asked["cpu"]))
        reply = read(WhoisEntry.load, WhoisDomainNotFoundError, asked["domain"], asked["text"])
        signal.setitimer(signal.ITIMER_PROF, 0)
        answer(stdout, reply)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
