"""A peer's parser in a process that can be killed: frames of JSON as `tasks/normalize/whois_child.py` speaks them.

In: the peer's name as the argument, then {"domain", "text", "cpu"}; out: {"status", "fields"} with the fields of
`_whois_corpus.FIELDS`. It is run by its path with the project's child as its only module.
"""

from __future__ import annotations

import contextlib
import importlib.util
import resource
import signal
import sys
from pathlib import Path
from typing import Any

PLACE = Path(__file__).parents[2] / "tasks" / "normalize" / "whois_child.py"
SPEC = importlib.util.spec_from_file_location("whois_child", PLACE)
assert SPEC is not None
assert SPEC.loader is not None
child = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(child)

LIBRARY = {
    "created": ("creation_date",),
    "updated": ("updated_date",),
    "expires": ("expiration_date",),
    "name_servers": ("name_servers",),
    "registrar": ("registrar",),
    "organisation": ("registrant_organization", "registrant_org", "registrant_company_name", "org"),
    "name": ("registrant_name", "registrant_contact_name", "registrant", "name", "owner"),
    "email": ("registrant_email", "emails"),
}
ASYNC = {
    "created": "created",
    "updated": "updated",
    "expires": "expires",
    "name_servers": "name_servers",
    "registrar": "registrar",
    "organisation": "registrant_organization",
    "name": "registrant_name",
    "email": "registrant_email",
}


def python_whois(domain: str, text: str) -> dict[str, Any]:
    """`WhoisEntry.load`, and the attributes that come nearest to each field, the registrant's own first."""
    from whois.exceptions import WhoisDomainNotFoundError  # noqa: PLC0415  only the peer that is asked is imported
    from whois.parser import WhoisEntry  # noqa: PLC0415  as above

    try:
        entry = WhoisEntry.load(domain, text)
    except WhoisDomainNotFoundError:
        return {"status": "not_found", "fields": {}}
    fields = {}
    for name, attributes in LIBRARY.items():
        for attribute in attributes:
            found = child.wire(entry.get(attribute))
            # Its e-mails bear no role: a list of several says nothing about whose they are.
            if found and (attribute != "emails" or len(found) == 1):
                fields[name] = found
                break
    return {"status": "ok", "fields": fields}


def asyncwhois(domain: str, text: str) -> dict[str, Any]:
    """The parser of the domain's TLD."""
    from asyncwhois.errors import NotFoundError  # noqa: PLC0415  as above
    from asyncwhois.parse_tld import DomainParser  # noqa: PLC0415  as above

    try:
        found = DomainParser().parse(text, domain.rpartition(".")[2])
    except NotFoundError:
        return {"status": "not_found", "fields": {}}
    by_name = {str(key.value if hasattr(key, "value") else key): value for key, value in found.items()}
    fields = {name: child.wire(by_name.get(key)) for name, key in ASYNC.items()}
    return {"status": "ok", "fields": {name: value for name, value in fields.items() if value}}


def main() -> None:
    """Serve until the parent goes."""
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    read = {"python_whois": python_whois, "asyncwhois": asyncwhois}[sys.argv[1]]
    with contextlib.suppress(Exception):
        read("a.test", "Creation Date: 02-jan-2000 10:11:12 JST\n")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    child.answer(stdout, {"status": "ready"})
    while (body := child.frame(stdin)) is not None:
        asked = child.json.loads(body)
        signal.setitimer(signal.ITIMER_PROF, float(asked["cpu"]))
        try:
            reply = read(asked["domain"], asked["text"])
        except Exception as error:  # noqa: BLE001  a peer raises whatever its parsers do
            reply = {"status": "error", "error": type(error).__name__, "fields": {}}
        signal.setitimer(signal.ITIMER_PROF, 0)
        child.answer(stdout, reply)


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        main()
