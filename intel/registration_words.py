"""The word lists by which registration readers tell a value from its stand-ins, and an answer from a refusal.

In: the bytes of `configs/registration.yaml`, or texts of a record. Out: `RegistrationWords`, and `Field`s with their
state. Pure: the caller reads the file and passes the words on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from intel.errors import ConfigError
from intel.registration import SHOWN_TEXT, Field, FieldState, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST_VALUE = 1024
"""A text longer than this is prose, not a registrant's name."""
SHORT_LINE = 100
SHORT_REPLY = 500
"""Characters; no registry's terms of use are shorter."""

# Anchored, one class per run and no two neighbours that overlap: linear.
_EMAIL = re.compile(r"[^\s@<>:/,;\"]{1,64}@([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,10})", re.IGNORECASE)
_LINE_EDGE = " \t%#*;.!:-"


class Phrases(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What gives an outcome away: `phrases` anywhere, `lines` as a whole line, `ends` at the end of a short line.

    `vague` phrases stand in terms of use too ("too many queries may lead to ..."): they count in a short reply, and
    in a long one only where nothing clearer is said.
    """

    phrases: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()
    vague: tuple[str, ...] = ()


class RegistrationWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`configs/registration.yaml`, checked. Every text is case-folded but for `queries` (server -> query form)."""

    redacted: tuple[str, ...]
    placeholders: frozenset[str]
    placeholder_phrases: tuple[str, ...]
    placeholder_email_domains: frozenset[str]
    proxies: tuple[str, ...]
    proxy_email_domains: frozenset[str]
    throttled: Phrases
    blocked: Phrases
    not_found: Phrases
    unsupported: Phrases
    queries: dict[str, str] = msgspec.field(default_factory=dict)


def read_words(data: bytes) -> RegistrationWords:
    """Read `configs/registration.yaml`. Raises ConfigError."""
    try:
        words = msgspec.yaml.decode(data, type=RegistrationWords)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ConfigError(f"couldn't read the registration words: {error}; no registration can be read") from error
    for form in words.queries.values():
        if form.count("{domain}") != 1:
            raise ConfigError(f"couldn't read the query form {form!r}: it must hold {{domain}} once; correct the file")
    return words


def folded(text: str) -> str:
    """Case-folded, with each run of white space as one space."""
    return " ".join(text.casefold().split())


def said(body: str, phrases: Phrases, *, domain: str = "") -> str:
    """The first of `phrases` that `body` holds, or an empty string. `{domain}` in a phrase stands for `domain`."""
    found = first_said(body, phrases, domain=domain)
    return found[1] if found else ""


def first_said(body: str, phrases: Phrases, *, domain: str = "") -> tuple[int, str] | None:
    """Of `phrases` that `body` holds the one that stands first, after the position of its line or of itself."""
    text = folded(body)
    found = []
    for phrase in phrases.phrases:
        if "{domain}" in phrase and not domain:
            continue
        at = text.find(phrase.replace("{domain}", domain))
        if at >= 0:
            found.append((at, phrase))
    if phrases.lines or phrases.ends:
        found.extend(_said_by_line(body, phrases))
    return min(found, default=None)


def _said_by_line(body: str, phrases: Phrases) -> Iterator[tuple[int, str]]:
    """The position, in folded text, of each line that is one of `lines`, or short and with one of `ends` at its end."""
    wanted = frozenset(phrases.lines)
    at = 0
    for line in body.splitlines():
        whole = folded(line)
        bare = whole.strip(_LINE_EDGE).replace(" :", ":")
        if bare in wanted:
            yield at, bare
        elif len(bare) <= SHORT_LINE and bare.endswith(phrases.ends):
            yield at, next(end for end in phrases.ends if bare.endswith(end))
        at += len(whole) + bool(whole)


def said_vaguely(body: str, phrases: Phrases) -> str:
    """The first of the vague phrases that `body` holds, or an empty string."""
    text = folded(body)
    return next((phrase for phrase in phrases.vague if phrase in text), "")


def refusal(body: str, words: RegistrationWords, *, domain: str = "") -> tuple[Outcome, str] | None:
    """Whether `body` says "too fast" or "go away", and the phrase by which it does."""
    if found := clear_refusal(body, words, domain=domain):
        return found
    return vague_refusal(body, words) if len(body) <= SHORT_REPLY else None


def clear_refusal(body: str, words: RegistrationWords, *, domain: str = "") -> tuple[Outcome, str] | None:
    """Whether `body` says "too fast" or "go away" in words that mean nothing else."""
    for outcome, phrases in ((Outcome.THROTTLED, words.throttled), (Outcome.BLOCKED, words.blocked)):
        if phrase := said(body, phrases, domain=domain):
            return outcome, phrase
    return None


def vague_refusal(body: str, words: RegistrationWords) -> tuple[Outcome, str] | None:
    """Whether `body` holds words that say "too fast" or "go away" unless they stand in terms of use."""
    for outcome, phrases in ((Outcome.THROTTLED, words.throttled), (Outcome.BLOCKED, words.blocked)):
        if phrase := said_vaguely(body, phrases):
            return outcome, phrase
    return None


def name_field(text: str | None, words: RegistrationWords, *, where: str, reader: str) -> Field:
    """A name, organisation or country as a field with its state."""
    return _field(text, _name_state, words, where=where, reader=reader)


def email_field(text: str | None, words: RegistrationWords, *, where: str, reader: str) -> Field:
    """An e-mail address as a field with its state: prose and links where an address should be are placeholders."""
    if text is not None and text[:7].casefold() == "mailto:":
        text = text[7:]
    return _field(text, _email_state, words, where=where, reader=reader)


def phone_field(text: str | None, words: RegistrationWords, *, where: str, reader: str) -> Field:
    """A phone number as a field with its state: one without five digits other than zero is a placeholder."""
    if text is not None and text[:4].casefold() == "tel:":
        text = text[4:]
    return _field(text, _phone_state, words, where=where, reader=reader)


def handle_field(text: str | None, words: RegistrationWords, *, where: str, reader: str) -> Field:
    """The id of a contact as a field with its state: one of zeros and signs alone is a placeholder."""
    return _field(text, _handle_state, words, where=where, reader=reader)


def _field(
    text: str | None,
    state_of: Callable[[str, RegistrationWords], FieldState],
    words: RegistrationWords,
    *,
    where: str,
    reader: str,
) -> Field:
    stripped = "" if text is None else " ".join(text.split())
    if not stripped:
        return Field(where=where, reader=reader)
    if len(stripped) > LONGEST_VALUE:
        return Field(state=FieldState.UNPARSED, text=stripped[:SHOWN_TEXT], where=where, reader=reader)
    state = state_of(stripped.casefold(), words)
    if state is FieldState.VALUE:
        return Field(value=stripped, state=state, where=where, reader=reader)
    return Field(state=state, text=stripped[:SHOWN_TEXT], where=where, reader=reader)


def _name_state(text: str, words: RegistrationWords) -> FieldState:
    # Proxies first: "Withheld for Privacy ehf" is a proxy by name although it sounds like a redaction.
    if any(proxy in text for proxy in words.proxies):
        return FieldState.PROXY
    if any(phrase in text for phrase in words.redacted):
        return FieldState.REDACTED
    bare = text.strip(" .-_*,:;/'\"()[]<>?#")
    if not bare or text in words.placeholders or bare in words.placeholders:
        return FieldState.PLACEHOLDER
    if any(phrase in text for phrase in words.placeholder_phrases):
        return FieldState.PLACEHOLDER
    return FieldState.VALUE


def _email_state(text: str, words: RegistrationWords) -> FieldState:
    match = _EMAIL.fullmatch(text)
    if match is None:
        named = _name_state(text, words)
        if named is not FieldState.VALUE:
            return named
        # An address among other words is there and was not read; words without one are prose.
        return FieldState.UNPARSED if "@" in text else FieldState.PLACEHOLDER
    labels = match[1].split(".")
    parents = {".".join(labels[index:]) for index in range(len(labels))}
    if parents & words.placeholder_email_domains:
        return FieldState.PLACEHOLDER
    if parents & words.proxy_email_domains:
        return FieldState.PROXY
    if any(phrase in text for phrase in words.redacted):
        return FieldState.REDACTED
    return FieldState.VALUE


def _phone_state(text: str, words: RegistrationWords) -> FieldState:
    named = _name_state(text, words)
    if named is not FieldState.VALUE:
        return named
    digits = [character for character in text if character.isdigit() and character != "0"]
    return FieldState.VALUE if len(digits) >= 5 else FieldState.PLACEHOLDER


def _handle_state(text: str, words: RegistrationWords) -> FieldState:
    named = _name_state(text, words)
    if named is not FieldState.VALUE:
        return named
    return FieldState.VALUE if text.strip("0-. ") else FieldState.PLACEHOLDER
