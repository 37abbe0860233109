"""WHOIS replies: the bytes of one hop in, a `Registration` out.

python-whois reads every reply that may be a record first, in a process that can be killed; our own reader follows
(`whois_lines.py` takes the text apart, `whois_keys.py` says what keys mean, `whois_blocks.py` whose they are). Every
field names the reader that won (`_won`). Whether a name is registered, unregistered or not answered for at all is
judged by us alone, from the words of the reply (`whois_outcome.py`).

RFC 3912 gives a reply no form; "Key: value" is that of ICANN's Registry Agreement, specification 4, section 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from intel.errors import OversizedError
from intel.registration import DateField, Field, FieldState, Outcome, Registrant, Registration
from intel.registration_words import RegistrationWords, email_field, handle_field, name_field, phone_field
from tasks.normalize.registration_dates import Order, date_field, is_ambiguous, order_of, plausible
from tasks.normalize.whois_blocks import Said, read_statements
from tasks.normalize.whois_clock import database_time
from tasks.normalize.whois_forms import decoded, hinted_order, known_order
from tasks.normalize.whois_hosts import MOST_NAMES, host_set
from tasks.normalize.whois_lines import LONGEST_KEY, read_rows
from tasks.normalize.whois_outcome import read_outcome
from tasks.normalize.whois_worker import LibraryReading

__all__ = ["LARGEST_REPLY", "LIBRARY", "LINES", "decoded", "read_whois"]

Make = Callable[..., Field]
Found = Mapping[str, tuple[tuple[str, str], ...]]

LARGEST_REPLY: Final = 1 << 20
LIBRARY: Final = "python-whois"
LINES: Final = "lines"

# Our field -> the library's attributes, best first.
_TEXTS: Final[dict[str, tuple[str, ...]]] = {
    "registrar": ("registrar",),
    "registrar_iana_id": ("registrar_iana_id",),
    "registrant_name": ("registrant_name", "registrant_contact_name", "registrant"),
    "registrant_organisation": ("registrant_organization", "registrant_org", "registrant_company_name"),
    "registrant_email": ("registrant_email",),
    "registrant_phone": ("registrant_phone", "registrant_phone_number"),
    "registrant_country": ("registrant_country", "registrant_country_code"),
    "registrant_handle": (),
}
_DATES: Final = {"created": "creation_date", "updated": "updated_date", "expires": "expiration_date"}
_MAKERS: Final[dict[str, Make]] = {
    "registrant_email": email_field,
    "registrant_phone": phone_field,
    "registrant_handle": handle_field,
}
_AT: Final = re.compile(r"^([^\s@]{1,64})(?: AT |\[at\]|\(at\))([^\s@]{1,128})$")  # .il, and some registrars
_LIBRARY_EVIDENCE: Final = ("creation_date", "expiration_date", "name_servers", "registrar")


def read_whois(
    body: bytes,
    words: RegistrationWords,
    *,
    domain: str,
    server: str = "",
    fetched_at: datetime | None = None,
    cut: str = "",
    library: Callable[[str, str], LibraryReading] | None = None,
) -> Registration:
    """Read one WHOIS reply about `domain` (canonical).

    `cut` is why the reply is not whole, as its hop says: one that was cut off before it said anything is a timeout.
    `library` is `WhoisWorker.read`; without it only our own reader reads. `fetched_at` is recorded time, aware UTC.
    Raises OversizedError (a ReadError) for a reply over 1 MiB, and nothing else.
    """
    if len(body) > LARGEST_REPLY:
        raise OversizedError(f"couldn't read the WHOIS reply of {len(body)} bytes: more than 1 MiB; it is left unread")
    text = decoded(body, server=server, domain=domain)
    if cut:
        # What a cut reply ends with is half a line: "Name Server: ns1.exam" is another server.
        text = text[: text.rfind("\n") + 1]
    stated = read_statements(read_rows(text))
    outcome, reason = read_outcome(text, stated, words, domain)
    readable = outcome is Outcome.REGISTERED or (outcome is Outcome.MALFORMED and bool(text.strip()))
    found = library(domain, text).fields if library and readable else {}
    if outcome is Outcome.MALFORMED and any(key in found for key in _LIBRARY_EVIDENCE):
        outcome, reason = Outcome.REGISTERED, "a record in a format that only the library knows"
    if outcome is Outcome.MALFORMED and cut:
        outcome, reason = Outcome.TIMEOUT, f"cut by {cut}"
    if outcome is not Outcome.REGISTERED:
        return Registration(
            domain=domain,
            outcome=outcome,
            protocol="whois",
            reason=reason,
            server=server,
            fetched_at=fetched_at,
            as_of=database_time(text),
        )
    fields = {name: _text(name, found, stated, text, words) for name in _TEXTS}
    servers, servers_reader = _name_servers(found, stated)
    order = _order(text, stated, server, domain)
    return Registration(
        domain=domain,
        outcome=outcome,
        protocol="whois",
        reason=reason,
        server=server,
        fetched_at=fetched_at,
        as_of=database_time(text),
        created=_date("created", found, stated, order),
        updated=_date("updated", found, stated, order),
        expires=_date("expires", found, stated, order),
        registrar=fields["registrar"],
        registrar_iana_id=fields["registrar_iana_id"],
        registrant=Registrant(
            name=fields["registrant_name"],
            organisation=fields["registrant_organisation"],
            email=fields["registrant_email"],
            phone=fields["registrant_phone"],
            country=fields["registrant_country"],
            handle=fields["registrant_handle"],
        ),
        name_servers=servers,
        name_servers_reader=servers_reader,
        statuses=_statuses(stated),
        dnssec=_dnssec(stated),
    )


def _won(ours: Field, library: Field) -> Field:
    """Whose reading of a text stands.

    Where both read the same, it is the library's, with our place in the text. Where they differ, ours stands: it comes
    from a key that says whose it is, while the library's patterns take the first match anywhere and run over the end
    of an empty line. Where our reader saw the key and nothing behind it, the field is absent, whatever the library
    took from the next line. Only where no key of ours was there at all, the library's reading stands alone.
    """
    if (ours.value or ours.text) and (ours.value, ours.text) == (library.value, library.text):
        return Field(value=ours.value, state=ours.state, text=ours.text, where=ours.where, reader=LIBRARY)
    return ours if ours.reader else library


def _text(name: str, found: Found, stated: Sequence[Said], text: str, words: RegistrationWords) -> Field:
    make = _MAKERS.get(name, name_field)
    mine = [one for one in stated if one.field == name]
    chosen = next((one for one in mine if one.value), mine[0] if mine else None)
    value = chosen.value if chosen else ""
    if make is email_field:
        value = _AT.sub(r"\1@\2", value)
    ours = make(value, words, where=chosen.where, reader=LINES) if chosen else Field()
    if ours.state is FieldState.ABSENT and name.startswith("registrant_") and name != "registrant_country":
        ours = _withheld(stated, words) or ours
    handles = {one.value for one in stated if one.field == "registrant_handle"}
    values = _librarys(name, found, text)
    # Where a record is named by its id, the library takes the id for a name.
    theirs = (make(value, words, where=where, reader=LIBRARY) for value, where in values if value not in handles)
    return _won(ours, next(theirs, Field()))


def _withheld(stated: Sequence[Said], words: RegistrationWords) -> Field | None:
    """A registrant's section that says "not disclosed" and nothing else says it of every field."""
    whole = next((one for one in stated if one.field == "registrant_any"), None)
    if whole is None:
        return None
    field = name_field(whole.value, words, where=whole.where, reader=LINES)
    return None if field.state is FieldState.VALUE else field


def _librarys(name: str, found: Found, text: str) -> Iterator[tuple[str, str]]:
    """What the library read, and where that stands."""
    for attribute in _TEXTS[name]:
        for kind, value in found.get(attribute, ()):
            at = text.find(value)
            if kind == "s" and "\n" not in value and not _is_next_line(value, text[:at] if at >= 0 else ""):
                yield value, "" if at < 0 else f"{at}-{at + len(value)}"


def _is_next_line(value: str, before: str) -> bool:
    """Whether a library's value is the next line with its key: its patterns run over the end of an empty line.

    `before` is the text up to the value.
    """
    starts_line = not before.rpartition("\n")[2].strip()
    return starts_line and (value.startswith("[") or ":" in value[:LONGEST_KEY])


def _order(text: str, stated: Sequence[Said], server: str, domain: str) -> Order | None:
    """Day or month first: what the reply says itself outweighs what its registry is known for."""
    dates = [one.value for one in stated if one.field in _DATES]
    return hinted_order(text) or order_of(dates) or known_order(server, domain)


def _date(name: str, found: Found, stated: Sequence[Said], order: Order | None) -> DateField:
    mine = [one for one in stated if one.field == name]
    read = [date_field(one.value, where=one.where, reader=LINES, order=order) for one in mine]
    ours = next((one for one in read if one.state is FieldState.VALUE), None)
    if ours is not None and len(mine) > 1 and name == "updated" and "@" in mine[0].value:
        # RIPE's style keeps every change, the last one last.
        ours = max(
            (one for one in read if one.at is not None), key=lambda one: one.at or datetime.min.replace(tzinfo=UTC)
        )
    if ours is None:
        ours = next((one for one in read if one.state is FieldState.UNPARSED), DateField())
    theirs = next(
        (at for kind, value in found.get(_DATES[name], ()) if kind == "t" and (at := _library_time(value))), None
    )
    if ours.at is not None:
        # Ours knows the order of day and month, and whether a time and its offset were given; the library takes any
        # time for UTC, and the day for the month.
        reader = LIBRARY if theirs is not None and theirs.date() == ours.at.date() else LINES
        return DateField(at=ours.at, precision=ours.precision, state=ours.state, where=ours.where, reader=reader)
    told = ours.state is FieldState.UNPARSED and (is_ambiguous(ours.text) or "before" in ours.text.lower())
    if theirs is None or told or any(not one.value for one in mine):
        # A day that may be a month, or "before 1996": the library makes a day of either.
        return ours
    day = theirs.replace(hour=0, minute=0, second=0, microsecond=0)
    return DateField(at=day, precision="day", state=FieldState.VALUE, reader=LIBRARY)


def _library_time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if plausible(at) else None


def _name_servers(found: Found, stated: Sequence[Said]) -> tuple[tuple[str, ...], str]:
    # The library gives some registries' lists as one text of many lines.
    texts = (part for kind, value in found.get("name_servers", ()) if kind == "s" for part in value.splitlines())
    theirs = host_set(texts)
    ours = host_set(one.value for one in stated if one.field == "name_server")
    if ours and ours != theirs:
        return ours, LINES
    return theirs, LIBRARY if theirs else ""


def _statuses(stated: Sequence[Said]) -> tuple[str, ...]:
    # "clientHold https://icann.org/epp#clientHold": the link repeats the word.
    values = {one.value.partition(" http")[0].strip().lower()[:64] for one in stated if one.field == "status"}
    return tuple(sorted(value for value in values if value)[:MOST_NAMES])


def _dnssec(stated: Sequence[Said]) -> bool | None:
    value = next((one.value.strip().lower() for one in stated if one.field == "dnssec" and one.value), "")
    if value.startswith(("unsigned", "no", "inactive", "false", "n", "disabled", "unsec")):
        return False
    return True if value.startswith(("signed", "yes", "active", "true", "y", "secure", "enabled")) else None
