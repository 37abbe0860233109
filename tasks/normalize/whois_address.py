"""A registrant's address without keys: its lines in, who that is out: a name, an organisation, an e-mail, a phone.

The first line names the holder. A second one that can name a person, no street or town, makes the first an
organisation ("Example AG", "Ada Invented", "Street 1").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from tasks.normalize.whois_lines import Row

_MOST_READ: Final = 6
_LONGEST_NAME: Final = 64
_EMAIL: Final = re.compile(r"[^\s@<>()\[\],;:]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_PHONE: Final = re.compile(r"(?:tel|phone)?[: ]{0,4}\+[0-9][0-9 .()-]{6,24}", re.IGNORECASE)


def unlabelled(rows: Sequence[Row], *, of_organisation: bool) -> Iterator[tuple[str, str, int]]:
    """The attribute, value and start of each thing that the lines say; `of_organisation`: their head says so.

    "any" is the whole first line: where it says "not disclosed", it says so of everything.
    """
    first, *more = rows
    yield "any", first.text, first.at
    whole = _bare(first)
    second = _person(more[0]) if len(more) > 1 else ""
    person = more[0] if second else None
    for row in rows[:_MOST_READ]:
        if match := _EMAIL.search(row.text):
            yield "email", match[0], row.at + match.start()
            if row is not first and _person(row):
                # .tw: the organisation in two languages, then the person with his address.
                person = row
            break
    phone = next((row for row in more[:_MOST_READ] if _PHONE.fullmatch(row.text)), None)
    if phone is not None:
        yield "phone", phone.text, phone.at
    if person is not None:
        yield "organisation", whole, first.at
        yield "name", _person(person), person.at
    else:
        yield "organisation" if of_organisation else "name", whole, first.at


def _bare(row: Row) -> str:
    return _EMAIL.sub("", row.text).rstrip(" \t<>(),;:")


def _person(row: Row) -> str:
    """A line where it can name a person: no street, no town with its code."""
    text = _bare(row)
    return "" if any(character.isdigit() for character in text) or "," in text or len(text) > _LONGEST_NAME else text
