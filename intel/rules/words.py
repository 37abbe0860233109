"""The words of a rule's parts: durations, rarities, patterns and canonical values, read and written.

Raises ReadError for whatever is not one; who reads a rule adds the place.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from typing import Final

from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.facts import Predicate

MAX_TEXT: Final = 256
"""Characters of a pattern, word or value in a rule."""
_UNITS: Final = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_DURATION: Final = re.compile(r"([0-9]{1,9}) (week|day|hour|minute|second)s?")
_RARITY: Final = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,6})?) per million")
_TEN_YEARS: Final = 10 * 366 * 86_400

_YEAR: Final = r"(?!0000)[0-9]{4}"
_LEAP: Final = r"(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)"
_DAY: Final = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)"
    rf"|02-(?:0[1-9]|1[0-9]|2[0-8]))|(?!0000){_LEAP}-02-29)"
)
TIME_FORM: Final = rf"^{_DAY}(?:T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{{1,6}})?(?:Z|\+00:00))?$"
"""A day or a time of ISO 8601 in UTC that exists, in words that Python and PostgreSQL both have: whatever it lets pass,
both can read."""

_OBJECTS: Final[dict[str, tuple[Kind, ...]]] = {
    Predicate.LISTED: (Kind.LABEL,),
    Predicate.ATTRIBUTED_TO: (Kind.ACTOR, Kind.CAMPAIGN),
    Predicate.REPORTED_IN: (Kind.URL, Kind.REPORT),
    Predicate.ASSOCIATED_WITH: (Kind.SOFTWARE, Kind.LABEL),
    Predicate.ALIAS: (Kind.LABEL, Kind.TEXT),
    Predicate.DESCRIBED_AS: (Kind.TEXT,),
    Predicate.RESOLVES_TO: (Kind.IP, Kind.DOMAIN),
    Predicate.USES_NAME_SERVER: (Kind.NAME_SERVER,),
    Predicate.USES_NAME_SERVERS: (Kind.NAME_SERVER_SET,),
    Predicate.USES_MAIL_HOST: (Kind.DOMAIN,),
    Predicate.HAS_SOA_CONTACT: (Kind.EMAIL,),
    Predicate.REGISTERED_THROUGH: (Kind.REGISTRAR,),
    Predicate.REGISTERED_BY: (Kind.EMAIL, Kind.REGISTRANT, Kind.PHONE, Kind.HANDLE),
    Predicate.HAS_STATUS: (Kind.LABEL,),
    Predicate.NAMES: (Kind.DOMAIN, Kind.IP, Kind.EMAIL),
    Predicate.HAS_KEY: (Kind.PUBLIC_KEY,),
    Predicate.ISSUED_BY: (Kind.TEXT,),
    Predicate.PRESENTS: (Kind.CERTIFICATE,),
    Predicate.MATCHES: (Kind.PATTERN, Kind.DOMAIN),
    Predicate.LOGGED_IN: (Kind.TEXT,),
    Predicate.PART_OF: (Kind.AS, Kind.NETWORK),
}
_SUBJECTS: Final[dict[str, tuple[Kind, ...]]] = {
    Predicate.NAMES: (Kind.CERTIFICATE,),
    Predicate.HAS_KEY: (Kind.CERTIFICATE,),
    Predicate.ISSUED_BY: (Kind.CERTIFICATE,),
    Predicate.PRESENTS: (Kind.ENDPOINT, Kind.IP, Kind.DOMAIN),
    Predicate.PART_OF: (Kind.IP, Kind.NETWORK),
}
_ANY: Final = (
    Kind.IP,
    Kind.DOMAIN,
    Kind.ENDPOINT,
    Kind.NETWORK,
    Kind.EMAIL,
    Kind.CERTIFICATE,
    Kind.PUBLIC_KEY,
    Kind.FILE,
    Kind.URL,
)
_KINDS: Final = frozenset(Kind)
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def lowered(text: str) -> str:
    """With ASCII letters in lower case and all else as it is: SQL's `translate` does the same in every locale."""
    return text.translate(_LOWER)


def duration(text: object) -> int:
    """Seconds: `30 days`, `36 hours`. At most ten years."""
    said = _DURATION.fullmatch(text.strip()) if isinstance(text, str) else None
    seconds = int(said[1]) * _UNITS[said[2] + "s"] if said else 0
    if not 0 < seconds <= _TEN_YEARS:
        raise ReadError(f"{_quoted(text)} is no time of up to ten years: say `30 days`, `36 hours`, `10 minutes`")
    return seconds


def duration_words(seconds: int) -> str:
    """The largest unit that says it exactly."""
    unit, size = next((unit, size) for unit, size in list(_UNITS.items())[1:] if seconds % size == 0)
    number = seconds // size
    return f"{number} {unit if number != 1 else unit[:-1]}"


def rarity(text: object) -> float:
    """How many of a million: `20 per million`."""
    said = _RARITY.fullmatch(text.strip()) if isinstance(text, str) else None
    if said is None or not 0 < float(said[1]) <= 1_000_000:
        raise ReadError(f"{_quoted(text)} is no rarity: say `20 per million`")
    return float(said[1])


def rarity_words(per_million: float) -> str:
    """As `rarity` reads it."""
    number = f"{per_million:.6f}".rstrip("0").rstrip(".")
    return f"{number} per million"


def shell_pattern(text: str) -> str:
    """A pattern with `*` and `?` as it is compared."""
    clean = re.sub(r"\*+", "*", lowered(plain(text)))
    if not clean.strip("*?"):
        raise ReadError(f"the pattern {_quoted(text)} matches everything")
    return clean


def plain(text: object) -> str:
    """A short text without control characters."""
    clean = text.strip() if isinstance(text, str) else ""
    if not clean or len(clean) > MAX_TEXT or not clean.isprintable():
        raise ReadError(f"{_quoted(text)} is no text of at most {MAX_TEXT} characters")
    return clean


def day(value: object) -> str:
    """A day or a time of ISO 8601; a YAML date is one too."""
    said = value.isoformat() if isinstance(value, date) else value
    try:
        read = datetime.fromisoformat(said) if isinstance(said, str) else None
    except ValueError:
        read = None
    if read is None or (read.tzinfo is not None and read.utcoffset()):
        raise ReadError(f"{_quoted(value)} is no day: say it as 2026-01-31")
    return f"{read:%Y-%m-%d}"


def values_of(text: object, kinds: Sequence[str]) -> list[tuple[str, str]]:
    """The entities that a value may be, as (kind, canonical value): those of `kinds` that it can be read as.

    `kind:value` names the kind itself.
    """
    clean = plain(text)
    kind, colon, rest = clean.partition(":")
    if colon and kind in _KINDS and kind != Kind.URL:
        return [(kind, entity(kind, rest).value)]
    found = []
    for kind in kinds:
        try:
            found.append((str(kind), entity(kind, clean).value))
        except ReadError:
            continue
    if not found:
        raise ReadError(f"{_quoted(text)} is no {' or '.join(str(kind) for kind in kinds)}")
    # What can be read as an address, name or hash is that, and no free text besides.
    return found[:1] if found[0][0] in {Kind.EMAIL, Kind.IP, Kind.AS} else found


@cache
def kinds_at(predicate: str, inverse: bool) -> tuple[str, ...]:
    """The kinds of entity that stand at the other end of a link."""
    kinds = _SUBJECTS.get(predicate, _ANY) if inverse else _OBJECTS.get(predicate, _ANY)
    return tuple(str(kind) for kind in kinds)


def any_kinds(about: Sequence[str]) -> tuple[str, ...]:
    """The kinds of a subject that a rule is about."""
    return tuple(about) or tuple(str(kind) for kind in _ANY)


def _quoted(value: object) -> str:
    """The beginning of what a person wrote, for an error; a rule's text is the analyst's own."""
    return repr(value)[:60]
