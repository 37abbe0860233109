"""When a WHOIS server's database was last brought up to date: a reply's text in, event time (aware UTC) out.

">>> Last update of WHOIS database: ... <<<" is ICANN's form (Registry Agreement, specification 4, section 1.4); older
servers say "Database last updated on ...". A day alone is no use as a time and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from tasks.normalize.registration_dates import read_date

_PHRASES: Final = re.compile(
    r"(?:last update of (?:the )?(?:who ?is )?database|database (?:was )?last updated(?: on| at)?"
    r"|^last updated on|last update of (?:the )?register|who ?is (?:data|record)s? last updated(?: on| at)?)"
    r"[ \t]{0,8}[:\-]?[ \t]{0,8}([^\r\n]{4,80})",
    re.IGNORECASE | re.MULTILINE,
)
_MOST: Final = 4


def database_time(text: str) -> datetime | None:
    """The time that the server says its data has; None where it is silent, or where that cannot be read for certain."""
    for match in list(_first(text))[:_MOST]:
        found = read_date(" ".join(match.strip(" <>*.%#").split()))
        if found and found[1] == "second":
            return found[0]
    return None


def _first(text: str) -> Iterator[str]:
    for number, match in enumerate(_PHRASES.finditer(text)):
        if number >= _MOST:
            return
        yield match[1]
