"""What is known of a WHOIS server beforehand: the order of its dates, its character sets.

RFC 3912 has no way to say either. Known by the server's name, or by the suffix of the domain where the server is
unknown or a registrar's: the registries that write numbers only, and those that wrote no UTF-8. What a reply says
itself ("dd/mm/yyyy", "charset=", another date of it) is asked before this table.
"""

from __future__ import annotations

import re
from typing import Final

from tasks.normalize.registration_dates import Order

_SHOWN: Final = 16_384
_MOST_DAMAGE: Final = 0.02  # of the letters beyond ASCII

_DAY_FIRST: Final = frozenset(
    """
    ae at be bg br cl cm cr cy cz de dk es fi fr gr hk hr hu ie il im in.ua it ke lu lv ma mk mo mx my nc nl no pe pf pl
    pm pt re ro rs si sk sn tf th tn tr uk uy ve wf yt za
    """.split()  # noqa: SIM905  a column of quoted names would fill the page
)
_MONTH_FIRST: Final = frozenset({"tk", "ml", "ga", "cf", "gq", "us", "ph"})

# Tried in this order, after UTF-8 and ISO-2022-JP; Latin-1 takes what is left.
_CHARSETS: Final[dict[str, tuple[str, ...]]] = {
    "jp": ("euc_jp", "cp932"),
    "kr": ("cp949",),
    "cn": ("gb18030",),
    "tw": ("big5hkscs", "gb18030"),
    "hk": ("big5hkscs", "gb18030"),
    "mo": ("big5hkscs",),
    "ru": ("koi8_r", "cp1251"),
    "su": ("koi8_r", "cp1251"),
    "ua": ("koi8_u", "cp1251"),
    "by": ("cp1251",),
    "kz": ("cp1251",),
    "bg": ("cp1251",),
    "gr": ("iso8859_7",),
    "il": ("iso8859_8",),
    "tr": ("iso8859_9",),
    "th": ("cp874",),
    "pl": ("iso8859_2",),
    "hu": ("iso8859_2",),
    "cz": ("iso8859_2",),
    "hr": ("iso8859_2",),
    "si": ("iso8859_2",),
}
_NAMED: Final = {
    **dict.fromkeys(("utf-8", "utf8"), "utf-8"),
    **dict.fromkeys(("koi8-r", "koi8r"), "koi8_r"),
    **dict.fromkeys(("windows-1251", "cp1251"), "cp1251"),
    **dict.fromkeys(("gbk", "gb2312", "gb18030"), "gb18030"),
    **dict.fromkeys(("big5",), "big5hkscs"),
    **dict.fromkeys(("euc-jp",), "euc_jp"),
    **dict.fromkeys(("shift_jis", "shift-jis", "sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
    "iso-8859-2": "iso8859_2",
    "iso-8859-15": "iso8859_15",
}
_DECLARED: Final = re.compile(rb"(?:charset|encoding)[ \t]{0,4}[=:(][ \t\"']{0,4}([a-z0-9_-]{3,20})", re.IGNORECASE)
_ESCAPES: Final = (b"\x1b$B", b"\x1b$@", b"\x1b(J")
_HINTS: Final[tuple[tuple[str, Order], ...]] = (
    *((hint, "day") for hint in ("dd/mm/yyyy", "dd-mm-yyyy", "dd/mm/yy", "dd.mm.yyyy")),
    *((hint, "month") for hint in ("mm/dd/yyyy", "mm-dd-yyyy", "mm/dd/yy")),
)


def hinted_order(text: str) -> Order | None:
    """The order of day and month that a reply announces ("dd/mm/yyyy")."""
    folded = text[:_SHOWN].casefold()
    return next((order for hint, order in _HINTS if hint in folded), None)


def known_order(server: str, domain: str) -> Order | None:
    """The order of day and month that a registry is known for."""
    for suffix in _suffixes(server, domain):
        if suffix in _DAY_FIRST:
            return "day"
        if suffix in _MONTH_FIRST:
            return "month"
    return None


def decoded(body: bytes, *, server: str = "", domain: str = "") -> str:
    """A reply as text: UTF-8 where it is that, else as it says, else as its registry writes, else Latin-1.

    Latin-1 reads any byte, so this never fails. A character cut in two, or a damaged one among many, is replaced.
    """
    # ISO-2022-JP is all ASCII bytes: it would pass as UTF-8 and read as rubbish.
    if any(escape in body for escape in _ESCAPES) and (text := _strictly(body, ("iso2022_jp_ext",))):
        return text
    mended = body.decode("utf-8-sig", "replace")
    damaged = mended.count("\ufffd")
    foreign = sum(character > "\x7f" for character in mended) if damaged else 0
    if not damaged or damaged <= max(foreign * _MOST_DAMAGE, 1 if foreign > damaged else 0):
        return mended
    declared = tuple(
        _NAMED[name] for match in _DECLARED.findall(body[:_SHOWN]) if (name := match.decode().lower()) in _NAMED
    )
    known = tuple(name for suffix in _suffixes(server, domain) for name in _CHARSETS.get(suffix, ()))
    return _strictly(body, (*declared[:4], *known)) or body.decode("latin-1")


def _strictly(body: bytes, charsets: tuple[str, ...]) -> str:
    for charset in charsets:
        try:
            return body.decode(charset)
        except UnicodeDecodeError:
            continue
    return ""


def _suffixes(server: str, domain: str) -> tuple[str, ...]:
    """The suffixes by which a registry is known: the server's, where it is a country's, and the domain's."""
    names = (name.rstrip(".").lower() for name in (server, domain) if name)
    return tuple(dict.fromkeys(name.rpartition(".")[2].partition(":")[0] for name in names))
