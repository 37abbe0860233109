"""WHOIS replies: the bytes of one hop in, a `Registration` out.

python-whois reads every reply that may be a record first, in a process that can be killed; our own reader of lines
fills what it is silent on, and every field names the reader that won. The library is believed about values only:
whether a name is registered, unregistered or not answered for at all is judged here, from the words of the reply. A
reply that says "too fast" or "go away" never counts as "not found", not even where it says both (some registries do).

RFC 3912 gives a reply no form; "Key: value" is that of ICANN's Registry Agreement, specification 4, section 1.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from intel.errors import OversizedError, ReadError
from intel.names import canonical_name
from intel.registration import DateField, Field, FieldState, Outcome, Registrant, Registration
from intel.registration_words import email_field, name_field, phone_field, refusal, said, vague_refusal
from tasks.normalize.registration_dates import date_field, is_ambiguous, plausible
from tasks.normalize.whois_lines import LONGEST_KEY, Line, read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from intel.registration_words import RegistrationWords
    from tasks.normalize.whois_worker import LibraryReading

    Make = Callable[..., Field]

LARGEST_REPLY: Final = 1 << 20
MOST_NAMES: Final = 64
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
}
_DATES: Final = {"created": "creation_date", "updated": "updated_date", "expires": "expiration_date"}
_MAKERS: Final[dict[str, Make]] = {"registrant_email": email_field, "registrant_phone": phone_field}
_EVIDENCE: Final = frozenset({"created", "updated", "expires", "registrar", "name_server", "registrant_name"})
# "registrant: ABC1234567-REG" names a contact's record, not a contact.
_HANDLE: Final = re.compile(r"(?=[A-Z-]{0,20}\d)[A-Z0-9]{2,24}-[A-Z0-9]{2,16}")
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
    text = decoded(body)
    lines = list(read_lines(text))
    outcome, reason = _outcome(text, lines, words, domain)
    readable = outcome is Outcome.REGISTERED or (outcome is Outcome.MALFORMED and bool(text.strip()))
    found = library(domain, text).fields if library and readable else {}
    if outcome is Outcome.MALFORMED and any(key in found for key in _LIBRARY_EVIDENCE):
        outcome, reason = Outcome.REGISTERED, "a record in a format that only the library knows"
    if outcome is Outcome.MALFORMED and cut:
        outcome, reason = Outcome.TIMEOUT, f"cut by {cut}"
    if outcome is not Outcome.REGISTERED:
        return Registration(
            domain=domain, outcome=outcome, protocol="whois", reason=reason, server=server, fetched_at=fetched_at
        )
    fields = {name: _text(name, found, lines, text, words) for name in _TEXTS}
    servers, servers_reader = _name_servers(found, lines)
    return Registration(
        domain=domain,
        outcome=outcome,
        protocol="whois",
        reason=reason,
        server=server,
        fetched_at=fetched_at,
        created=_date("created", found, lines),
        updated=_date("updated", found, lines),
        expires=_date("expires", found, lines),
        registrar=fields["registrar"],
        registrar_iana_id=fields["registrar_iana_id"],
        registrant=Registrant(
            name=fields["registrant_name"],
            organisation=fields["registrant_organisation"],
            email=fields["registrant_email"],
            phone=fields["registrant_phone"],
            country=fields["registrant_country"],
        ),
        name_servers=servers,
        name_servers_reader=servers_reader,
        statuses=_statuses(lines),
        dnssec=_dnssec(lines),
    )


def decoded(body: bytes) -> str:
    """UTF-8 where it is that, otherwise Latin-1, which reads any byte."""
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        return body.decode("latin-1")


def _outcome(text: str, lines: list[Line], words: RegistrationWords, domain: str) -> tuple[Outcome, str]:
    if not text.strip():
        return Outcome.MALFORMED, "an empty reply"
    evidence = {line.field for line in lines if line.field in _EVIDENCE}
    # A whole record outweighs a phrase in its terms of use; one lone line ("Registrar: ...") does not.
    if len(evidence) >= 2 or evidence & {"created", "name_server"}:
        return Outcome.REGISTERED, "a record with " + ", ".join(sorted(evidence))
    if said_no := refusal(text, words, domain=domain):
        return said_no
    if phrase := said(text, words.unsupported, domain=domain):
        return Outcome.UNSUPPORTED, phrase
    if phrase := said(text, words.not_found, domain=domain):
        return Outcome.NOT_FOUND, phrase
    if said_no := vague_refusal(text, words):
        return said_no
    if evidence or {"domain", "status"} <= {line.field for line in lines}:
        return Outcome.REGISTERED, "a short record"
    return Outcome.MALFORMED, "neither a record nor words that we know"


def _text(
    name: str,
    found: Mapping[str, tuple[tuple[str, str], ...]],
    lines: list[Line],
    text: str,
    words: RegistrationWords,
) -> Field:
    make = _MAKERS.get(name, name_field)
    handles = name == "registrant_name"
    for attribute in _TEXTS[name]:
        for kind, value in found.get(attribute, ()):
            at = text.find(value)
            if handles and _HANDLE.fullmatch(value):
                continue
            if kind == "s" and not _is_next_line(value, text[:at] if at >= 0 else ""):
                where = "" if at < 0 else f"{at}-{at + len(value)}"
                return make(value, words, where=where, reader=LIBRARY)
    for line in lines:
        if line.field == name and not (handles and _HANDLE.fullmatch(line.value)):
            return make(line.value, words, where=line.where, reader=LINES)
    return Field()


def _is_next_line(value: str, before: str) -> bool:
    """Whether a library's value is the next line with its key: its patterns run over the end of an empty line.

    `before` is the text up to the value.
    """
    starts_line = not before.rpartition("\n")[2].strip()
    return starts_line and (value.startswith("[") or ":" in value[:LONGEST_KEY])


def _date(name: str, found: Mapping[str, tuple[tuple[str, str], ...]], lines: list[Line]) -> DateField:
    ours = DateField()
    for line in lines:
        if line.field == name:
            read = date_field(line.value, where=line.where, reader=LINES)
            if ours.state is not FieldState.VALUE and read.state is not FieldState.ABSENT:
                ours = read
    if ours.state is FieldState.UNPARSED and is_ambiguous(ours.text):
        # The library reads 04/06 as April everywhere, in registries that write the day first too.
        return ours
    for kind, value in found.get(_DATES[name], ()):
        at = _library_time(value) if kind == "t" else None
        if at is None:
            continue
        if ours.at is not None and at.date() == ours.at.date():
            # Both agree on the day. Ours knows whether a time and its offset were given; the library takes any for UTC.
            return DateField(
                at=ours.at, precision=ours.precision, state=FieldState.VALUE, where=ours.where, reader=LIBRARY
            )
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        return DateField(at=day, precision="day", state=FieldState.VALUE, reader=LIBRARY)
    return ours


def _library_time(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if plausible(at) else None


def _hosts(values: Iterable[str]) -> tuple[str, ...]:
    hosts = set()
    for value in values:
        # "ns1.example. 192.0.2.1" and "ns1.example [OK]" name a host first.
        for part in value.replace(",", " ").split()[:1]:
            try:
                hosts.add(canonical_name(part.rstrip(".")))
            except ReadError:
                continue
    return tuple(sorted(hosts)[:MOST_NAMES])


def _name_servers(found: Mapping[str, tuple[tuple[str, str], ...]], lines: list[Line]) -> tuple[tuple[str, ...], str]:
    # The library gives some registries' lists as one text of many lines.
    texts = [part for kind, value in found.get("name_servers", ()) if kind == "s" for part in value.splitlines()]
    if hosts := _hosts(texts):
        return hosts, LIBRARY
    hosts = _hosts(line.value for line in lines if line.field == "name_server")
    return hosts, LINES if hosts else ""


def _statuses(lines: list[Line]) -> tuple[str, ...]:
    # "clientHold https://icann.org/epp#clientHold": the link repeats the word.
    values = {line.value.partition(" http")[0].strip().lower()[:64] for line in lines if line.field == "status"}
    return tuple(sorted(value for value in values if value)[:MOST_NAMES])


def _dnssec(lines: list[Line]) -> bool | None:
    value = next((line.value.strip().lower() for line in lines if line.field == "dnssec"), "")
    if value.startswith(("unsigned", "no", "inactive", "false")):
        return False
    return True if value.startswith(("signed", "yes", "active", "true")) else None
