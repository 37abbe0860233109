"""How an RDAP look-up ended, where its answer is no record: HTTP status and body in, an outcome and its reason out.

RFC 7480 section 5 and RFC 9083 section 6. The outcome comes from status and body together: servers say "too fast" with
403 and HTML, 422 and JSON, or 200 and a notice, and a 404 that no RDAP server wrote says nothing about what was asked.
"""

from __future__ import annotations

from typing import Any, Final

from intel.registration import Outcome
from intel.registration_words import RegistrationWords, refusal, said, vague_refusal
from tasks.normalize.rdap_json import notices, strings

SUCCESS: Final = frozenset({200, 203})
_SUBSTANCE: Final = ("events", "nameservers", "entities", "startAddress", "startAutnum", "vcardArray", "jscard")
# What an RDAP server's own answer bears (RFC 9083 sections 4.1, 4.3, 6); a gateway's or a web framework's does not.
_RDAP_MEMBERS: Final = ("errorCode", "rdapConformance", "notices", "description", "lang")


def hollow_refusal(record: dict[str, Any], words: RegistrationWords, *, asked: str) -> tuple[Outcome, str] | None:
    """Whether a record that says nothing of its subject says "too fast" or "go away" in a notice instead."""
    if any(record.get(key) for key in _SUBSTANCE):
        return None
    return refusal("\n".join(notices(record)), words, domain=asked)


def refused(
    body: bytes, status: int, document: Any, words: RegistrationWords, *, asked: str, wanted: str
) -> tuple[Outcome, str]:
    """How a look-up ended whose answer is not the record that was `wanted` (a word for it).

    `document` is the body's JSON, None where it is none.
    """
    record = document if isinstance(document, dict) else {}
    text = "\n".join(strings(record)) if record else body.decode("utf-8", "replace")
    if said_no := refusal(text, words, domain=asked) or (None if record else vague_refusal(text, words)):
        return said_no
    meant = _meant(record, status)
    reason = f"status {meant}"
    if meant in (422, 429, 503):
        return Outcome.THROTTLED, reason
    if meant in (401, 403, 451):
        return Outcome.BLOCKED, reason
    if meant in (408, 504):
        return Outcome.TIMEOUT, reason
    if meant in (400, 405, 406, 415, 501):
        return Outcome.UNSUPPORTED, reason
    if meant in (404, 410):
        return _missing(body, document, words, text, asked=asked, reason=reason)
    if meant in SUCCESS and any(key.endswith("SearchResults") for key in record):
        return Outcome.MALFORMED, "the results of a search in place of a record"
    return Outcome.MALFORMED, f"{reason} with {_kind(document, wanted)}"


def _meant(record: dict[str, Any], status: int) -> int:
    code = record.get("errorCode")
    if isinstance(code, str) and len(code) == 3 and code.isascii() and code.isdigit():
        code = int(code)
    known = isinstance(code, int) and not isinstance(code, bool) and 400 <= code < 600
    return code if known and isinstance(code, int) else status


def _missing(
    body: bytes, document: Any, words: RegistrationWords, text: str, *, asked: str, reason: str
) -> tuple[Outcome, str]:
    if not body.strip() or document == {}:
        return Outcome.NOT_FOUND, reason
    if isinstance(document, dict):
        if any(member in document for member in _RDAP_MEMBERS):
            return Outcome.NOT_FOUND, reason
        if phrase := said(text, words.not_found, domain=asked):
            return Outcome.NOT_FOUND, f"{reason}, {phrase}"
    return Outcome.MALFORMED, f"{reason} with a body that is not RDAP"


def _kind(document: Any, wanted: str) -> str:
    if document is None:
        return "a body that is not JSON"
    if isinstance(document, dict):
        named = document.get("objectClassName")
        found = f": its class is {named[:40]!a}" if isinstance(named, str) and named else ""
        return f"no {wanted} record{found}"
    return f"no {wanted} record: its JSON is no object"
