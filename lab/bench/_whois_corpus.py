"""Real WHOIS replies with what is known of them: the folder of real data in, cases with their golden values out.

likexian's replies have values beside them, made by its own parser and mended by hand; weppos' have the outcome in
their file names. A case belongs to a server: weppos' folder has its name, of likexian's only the suffix is known. The
first hexadecimal digit of that name's SHA-256 tells the half: 0 to 7 is developed with, 8 to f is kept aside.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal

from intel.errors import ReadError
from intel.names import canonical_name

Expected = Literal["registered", "available", "throttled", "blocked", "other"]
Golden = str | frozenset[str]

DATES: Final = ("created", "updated", "expires")
TEXTS: Final = ("registrar", "organisation", "name", "email")
FIELDS: Final = (*DATES, "name_servers", *TEXTS)

_DAYS: Final = {"created": "created_date", "updated": "updated_date", "expires": "expiration_date"}
_PAGE: Final = re.compile(r" ?\( ?https?://[^()\s]{1,200} ?\)$")
_ISO: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_NUMERIC: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})")
_ASKED: Final = re.compile(
    r"(?:domain(?: name)?|query|object|requested)[\s.\"']{0,20}[:=]?[\s\"']{0,40}"
    r"([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,3})",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One reply. `expected` is its outcome as the file's name has it, `golden` the values beside it: a date as ISO
    8601, name servers as a set, a text case-folded. `mended` counts dates of the golden that were read anew.
    """

    path: Path
    server: str
    aside: bool
    domain: str
    expected: Expected
    golden: dict[str, Golden] = field(default_factory=dict)
    mended: int = 0

    @property
    def tld(self) -> str:
        """The last label of the domain."""
        return self.domain.rpartition(".")[2]


def cases(root: Path) -> Iterator[Case]:
    """Every reply below `root` (`registration/whois` of the real data), in the order of their names."""
    for path in sorted(root.rglob("*")):
        if not path.is_file() or path.suffix in {".json", ".pre"}:
            continue
        parts = path.relative_to(root).parts
        if parts[0] == "likexian":
            yield _likexian(path)
        elif len(parts) > 2:
            yield _weppos(path, parts[1], parts[2] if len(parts) > 3 else "")


def kept_aside(server: str) -> bool:
    """Whether a server's replies are for the last measurement only."""
    return hashlib.sha256(server.encode()).hexdigest()[0] in "89abcdef"


def same(text: str) -> str:
    """A text as it is compared: case-folded, white space, a final dot and a page in parentheses at the end gone."""
    return _PAGE.sub("", " ".join(text.casefold().split())).rstrip(". ")


def _likexian(path: Path) -> Case:
    suffix, _, name = path.name.partition("_")
    golden: dict[str, Golden] = {}
    mended, domain = 0, name if "." in name else f"example.{suffix}"
    beside = path.with_name(path.name + ".json")
    if beside.exists():
        made = json.loads(beside.read_text("utf-8"))
        golden, mended = _golden(made)
        domain = _readable((made.get("domain") or {}).get("punycode")) or domain
    return Case(
        path=path,
        server=suffix,
        aside=kept_aside(suffix),
        domain=_readable(domain) or f"example.{suffix}",
        expected="available" if path.parent.name == "notfound" else "registered",
        golden=golden,
        mended=mended,
    )


def _golden(made: dict[str, Any]) -> tuple[dict[str, Golden], int]:
    domain, registrant = made.get("domain") or {}, made.get("registrant") or {}
    found: dict[str, Golden] = {}
    mended = 0
    texts = {name: str(domain.get(key) or "") for name, key in _DAYS.items()}
    for name, key in _DAYS.items():
        iso = _ISO.match(str(domain.get(f"{key}_in_time") or texts[name]))
        day = _in_order(texts[name], texts.values())
        if day is not None:
            mended += iso is None or day.isoformat() != iso[0]
            found[name] = day.isoformat()
        elif iso:
            found[name] = iso[0]
    if servers := frozenset(same(str(name)) for name in domain.get("name_servers") or ()):
        found["name_servers"] = servers
    for name, text in (
        ("registrar", (made.get("registrar") or {}).get("name")),
        ("organisation", registrant.get("organization")),
        ("name", registrant.get("name")),
        ("email", registrant.get("email")),
    ):
        if text and same(text):
            found[name] = same(text)
    return found, mended


def _in_order(text: str, others: Any) -> date | None:
    """A day that likexian guessed (03/02/2020), read in the order that another date of the same reply shows."""
    match = _NUMERIC.fullmatch(text)
    if match is None:
        return None
    first, second, year = map(int, match.groups())
    pairs = [(int(pair[1]), int(pair[2])) for other in others if (pair := _NUMERIC.fullmatch(other))]
    if any(one > 12 for one, _ in pairs):
        return date(year, second, first)
    return date(year, first, second) if any(two > 12 for _, two in pairs) else None


def _readable(name: str | None) -> str:
    try:
        return canonical_name(name or "")
    except ReadError:
        return ""


def _weppos(path: Path, server: str, zone: str) -> Case:
    text = path.read_bytes().decode("latin-1")
    return Case(
        path=path, server=server, aside=kept_aside(server), domain=_asked(text, server, zone), expected=_expected(path)
    )


def _asked(text: str, server: str, zone: str) -> str:
    """The domain that a reply is about; weppos' files do not say, so it is taken from the reply where it can be."""
    for match in _ASKED.finditer(text[:20_000]):
        name = _readable(match[1].strip("."))
        if name.endswith(f".{zone}") if zone else "." in name:
            return name
    if zone:
        in_zone = rf"(?<![\w.-])([a-z0-9-]{{1,63}}(?:\.[a-z0-9-]{{1,63}})?\.{re.escape(zone)})\b"
        if found := re.search(in_zone, text, re.IGNORECASE):
            return _readable(found[1]) or f"example.{zone}"
    return f"example.{zone or server.rpartition('.')[2]}"


def _expected(path: Path) -> Expected:
    name = path.stem
    if "throttled" in name:
        return "throttled"
    if "response_blocked" in name or "response_unavailable" in name:
        return "blocked"
    if name.endswith("status_available"):
        return "available"
    return "registered" if name.startswith("status_registered") else "other"
