"""How a WHOIS look-up ended, judged from the words of the reply: text and statements in, outcome and reason out.

python-whois is not asked: it takes throttled replies for unregistered names. A reply that says "too fast" or "go away"
never counts as "not found", not even where it says both (some registries do). A whole record outweighs any phrase, and
a plain statement in a short paragraph outweighs a phrase in terms of use, which come in long ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from intel.registration import Outcome
from intel.registration_words import RegistrationWords, clear_refusal, first_said, refusal, said_vaguely, vague_refusal
from tasks.normalize.whois_blocks import Said
from tasks.normalize.whois_hosts import hosts_in

SHORT_PARAGRAPH: Final = 400
_EVIDENCE: Final = frozenset({"created", "updated", "expires", "registrar", "registrant_name"})
_MOST_READ: Final = 64 * 1024  # no server hides its refusal behind more terms than that
_RIGHTS: Final = re.compile(r"rights\s{1,8}(?:are\s{1,8})?(?:reserved|restricted)")
_FIRST: Final = 4
_SHORT_LINE: Final = 40
_COMMENT: Final = " \t%#;*"


def read_outcome(text: str, stated: Sequence[Said], words: RegistrationWords, domain: str) -> tuple[Outcome, str]:
    """The outcome and what decided it."""
    if not text.strip():
        return Outcome.MALFORMED, "an empty reply"
    evidence = {one.field for one in stated if one.value and one.field in _EVIDENCE}
    if any(one.field == "name_server" and hosts_in(one.value) for one in stated):
        evidence.add("name_server")
    # A whole record outweighs a phrase in its terms of use; one lone line ("Registrar: ...") does not.
    if len(evidence) >= 2 or evidence & {"created", "name_server"}:
        return Outcome.REGISTERED, "a record with " + ", ".join(sorted(evidence))
    # "All rights reserved by ..." is no reserved name.
    text = _RIGHTS.sub("rights", text[:_MOST_READ].lower())
    if said_so := _plainly(_short_paragraphs(text), words, domain) or refusal(text, words, domain=domain):
        return said_so
    if said_so := _plainly(_plain_lines(text, domain), words, domain) or vague_refusal(text, words):
        return said_so
    if evidence or {"domain", "status"} <= {one.field for one in stated if one.value}:
        return Outcome.REGISTERED, "a short record"
    return Outcome.MALFORMED, "neither a record nor words that we know"


def _plainly(text: str, words: RegistrationWords, domain: str) -> tuple[Outcome, str] | None:
    if said_no := clear_refusal(text, words, domain=domain):
        return said_no
    # What stands first is the answer, what follows explains it: "PREMIUM NAME (No match for ...)".
    unsupported = first_said(text, words.unsupported, domain=domain)
    not_found = first_said(text, words.not_found, domain=domain)
    if unsupported and not (not_found and not_found < unsupported):
        return Outcome.UNSUPPORTED, unsupported[1]
    if not_found:
        return Outcome.NOT_FOUND, not_found[1]
    if phrase := said_vaguely(text, words.unsupported):
        return Outcome.UNSUPPORTED, phrase
    return None


def _short_paragraphs(text: str) -> str:
    """The paragraphs that are no terms of use; a comment's empty line parts them as well."""
    paragraphs: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.strip(_COMMENT):
            paragraphs[-1].append(line)
        elif paragraphs[-1]:
            paragraphs.append([])
    return "\n".join(line for lines in paragraphs if sum(map(len, lines)) <= SHORT_PARAGRAPH for line in lines)


def _plain_lines(text: str, domain: str) -> str:
    """The lines that terms of use are not made of, where no empty line parts them from what is said: the first few,
    those that name the domain, short ones.
    """
    lines = [line for line in text.splitlines() if line.strip(_COMMENT)]
    return "\n".join(
        line for at, line in enumerate(lines) if at < _FIRST or len(line) <= _SHORT_LINE or (domain and domain in line)
    )
