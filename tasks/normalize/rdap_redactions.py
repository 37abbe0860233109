"""What an RDAP record declares redacted: RFC 9537's `redacted`, and the remarks by which it was said before.

In: a record, the role of a contact. Out: field -> (method, JSON pointer of the declaration). Fields are named by
description and by type, and pointed at by JSONPath before, after or in the place of what was removed. Nothing here
raises on any JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from intel.registration import SHOWN_TEXT, Field, FieldState, Registrant
from intel.registration_words import RegistrationWords, folded
from tasks.normalize.rdap_json import as_dict, as_list, items, texts

Redactions = dict[str, tuple[str, str]]
"""Field of a contact -> (method, pointer of the declaration)."""

FIELDS: Final = ("name", "organisation", "email", "phone", "country", "handle")
_MOST: Final = 128
_METHODS: Final = frozenset({"removal", "emptyvalue", "partialvalue", "replacementvalue"})

# The names of the ICANN RDAP Response Profile and of IANA's registry "RDAP JSON Values": `Registrant Name`,
# `Registry Registrant ID`, `Tech Email`, ...
_ROLES: Final = {
    "registrant": "registrant",
    "holder": "registrant",
    "admin": "administrative",
    "administrative": "administrative",
    "tech": "technical",
    "technical": "technical",
    "billing": "billing",
}
_OTHERS: Final = frozenset({"ext", "extension", "fax", "street", "city", "postal", "state", "province", "zip"})
_NAMED: Final = {
    "name": "name",
    "organization": "organisation",
    "organisation": "organisation",
    "org": "organisation",
    "email": "email",
    "mail": "email",
    "phone": "phone",
    "telephone": "phone",
    "country": "country",
    "id": "handle",
    "handle": "handle",
    "identifier": "handle",
}
_PROPERTIES: Final = {
    "fn": "name",
    "n": "name",
    "org": "organisation",
    "email": "email",
    "contact-uri": "email",
    "tel": "phone",
    "adr": "country",
}
_GROUPS: Final = {
    "name": "name",
    "fullName": "name",
    "organizations": "organisation",
    "emails": "email",
    "phones": "phone",
    "addresses": "country",
}

# Matched by search on at most 512 characters, with bounded runs.
_QUOTED_ROLE: Final = re.compile(r"['\"](registrant|administrative|technical|billing)['\"]", re.IGNORECASE)
_ENTITY: Final = re.compile(r"entities\[(\d{1,3})\]")
_PROPERTY: Final = re.compile(r"@\[0\]\s{0,8}={2,3}\s{0,8}['\"]([A-Za-z-]{1,32})['\"]")
_NUMBERED: Final = re.compile(r"vcardArray\[1\]\[(\d{1,3})\]")
_PART: Final = re.compile(r"\[3\]\[(\d)\]$")
_GROUP: Final = re.compile(r"jscard[_0-9]{0,3}(?:\.|\[['\"])([A-Za-z]{1,32})", re.IGNORECASE)
_HANDLE: Final = re.compile(r"(?:\.handle|\[['\"]handle['\"]\])$")
_WHOLE: Final = re.compile(
    r"(?:entities\[[^\[\]]{1,200}(?:\[[^\[\]]{1,40}\][^\[\]]{0,200}){0,3}\]|vcardArray(?:\[1\])?)$"
)


def declared(record: dict[str, Any], role: str) -> Redactions:
    """What a record declares redacted of its contact with `role`."""
    found: Redactions = {}
    for index, item in enumerate(items(record.get("redacted"), most=_MOST)):
        fields = as_dict(item)
        # RFC 9537 section 4.2: without a method, removal is meant.
        method = folded(str(fields.get("method") or "removal")[:32])
        said = (method if method in _METHODS else "removal", f"/redacted/{index}")
        for field in _meant(fields, record, role):
            found.setdefault(field, said)
    return found


def remarked(entity: dict[str, Any], pointer: str, words: RegistrationWords) -> Redactions:
    """Redaction as it was said before RFC 9537: remarks on the entity (RFC 9083 section 10.2.1, "object redacted")."""
    found: Redactions = {}
    for index, remark in enumerate(items(entity.get("remarks"), most=_MOST)):
        fields = as_dict(remark)
        told = " ".join([*texts(fields.get("title")), *texts(fields.get("type"))])[:256]
        said = folded(told)
        where = ("removal", f"{pointer}/remarks/{index}")
        if said.startswith("email redacted"):
            found.setdefault("email", where)
        elif "truncated due to authorization" in said or any(phrase in said for phrase in words.redacted):
            found |= {field: where for field in FIELDS if field not in found}
    return found


def redacted(contact: Registrant, redactions: Redactions) -> Registrant:
    """The contact with what is declared redacted marked so.

    A field that is declared removed and stands there all the same is a value: it is exposed. What a partial or
    replaced value says is kept as text: it is not who the contact is.
    """
    changed = {}
    for key, (method, where) in redactions.items():
        field: Field = getattr(contact, key)
        replaced = method in ("partialvalue", "replacementvalue")
        if (field.state is FieldState.VALUE and replaced) or field.state in (FieldState.ABSENT, FieldState.PLACEHOLDER):
            text = (field.value or field.text)[:SHOWN_TEXT]
            changed[key] = Field(state=FieldState.REDACTED, text=text, where=where, reader="rfc9537")
    return msgspec.structs.replace(contact, **changed)


def _meant(item: dict[str, Any], record: dict[str, Any], role: str) -> Iterator[str]:
    name = item.get("name")
    labels = (
        texts(name)
        if isinstance(name, str)
        else [*texts(as_dict(name).get("description")), *texts(as_dict(name).get("type"))]
    )
    for label in labels:
        yield from _by_label(label[:128], role)
    language = folded(str(item.get("pathLang") or "jsonpath")[:32])
    if language != "jsonpath":
        return
    for key in ("prePath", "postPath", "replacementPath"):
        path = item.get(key)
        if isinstance(path, str):
            yield from _by_path(path[:512].strip(), record, role, after=key != "prePath")


def _by_label(label: str, role: str) -> Iterator[str]:
    plain = folded(label).replace("'s", "").replace("e-mail", "email")
    words = ["".join(mark for mark in word if mark.isalpha()) for word in re.split(r"[\s/_-]", plain)]
    if next((_ROLES[word] for word in words if word in _ROLES), "") != role:
        return
    named = [_NAMED[word] for word in words if word in _NAMED]
    if "country" in named:
        yield "country"
    elif named and not _OTHERS & set(words):
        # "Registrant Organization Name" means the organisation.
        yield next((one for one in named if one != "name"), "name")
    elif not named and not _OTHERS & set(words):
        yield from FIELDS


def _by_path(path: str, record: dict[str, Any], role: str, *, after: bool) -> Iterator[str]:
    if role not in _roles_at(path, record):
        return
    number = _NUMBERED.search(path)
    found = _PROPERTY.search(path)
    group = _GROUP.search(path)
    if _HANDLE.search(path):
        yield "handle"
    elif found or (number and after):
        name = found[1].lower() if found else _numbered(path, record, int(number[1])) if number else ""
        part = _PART.search(path)
        if name == "tel" and "fax" in path.lower():
            return
        # The seventh part of an address is its country; without a part, all of it is meant.
        if name == "adr" and part and part[1] != "6":
            return
        if name in _PROPERTIES:
            yield _PROPERTIES[name]
    elif group:
        if group[1] in _GROUPS:
            yield _GROUPS[group[1]]
    elif _WHOLE.search(path):
        yield from (field for field in FIELDS if field != "handle" or "vcardArray" not in path)


def _roles_at(path: str, record: dict[str, Any]) -> set[str]:
    if quoted := _QUOTED_ROLE.search(path):
        return {quoted[1].lower()}
    entity = _ENTITY.search(path)
    if entity is None:
        return set()
    holders = as_list(record.get("entities"))
    at = int(entity[1])
    return {text.strip().lower() for text in texts(as_dict(holders[at]).get("roles"))} if at < len(holders) else set()


def _numbered(path: str, record: dict[str, Any], at: int) -> str:
    """The name of the property that a path points at by its number, which holds in the answer as it came."""
    entity = _ENTITY.search(path)
    holders = as_list(record.get("entities"))
    if entity is None or int(entity[1]) >= len(holders):
        return ""
    card = as_list(as_dict(holders[int(entity[1])]).get("vcardArray"))
    properties = as_list(card[1]) if len(card) > 1 else []
    one = as_list(properties[at]) if at < len(properties) else []
    return one[0].lower() if one and isinstance(one[0], str) else ""
