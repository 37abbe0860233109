"""The people and companies of an RDAP record: entities, jCards and declared redactions in, `Field`s out.

RFC 9083 section 5.1 (entities), RFC 7095 (jCard), RFC 9537 (redacted). A broken property costs itself; a broken card
makes its fields `unparsed`. Nothing here raises on any JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from intel.registration import Field, FieldState, Registrant
from intel.registration_words import email_field, folded, name_field, phone_field

if TYPE_CHECKING:
    from collections.abc import Iterator

    from intel.registration_words import RegistrationWords

MOST_ENTITIES = 64
DEEPEST_ENTITY = 4
MOST_PROPERTIES = 128

# RFC 9537 names fields freely; these are the names of the ICANN RDAP Response Profile, and the jCard properties
# that a JSONPath of a redaction ends in.
_REDACTABLE = {
    "name": ("registrant name", "'fn'"),
    "organisation": ("registrant organization", "'org'"),
    "email": ("registrant email", "'email'"),
    "phone": ("registrant phone", "'tel'"),
    "country": ("registrant country", "'cc'"),
}


def as_dict(value: Any) -> dict[str, Any]:
    """`value` where it is an object, an empty one otherwise."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """`value` where it is an array, an empty one otherwise."""
    return value if isinstance(value, list) else []


def texts(value: Any) -> list[str]:
    """The strings of an array, or the one string."""
    return [item for item in ([value] if isinstance(value, str) else as_list(value)) if isinstance(item, str)]


def entities(holder: dict[str, Any], role: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The entities with `role`, each with its JSON pointer, outer before inner, at most 64 and 4 deep."""
    level: list[tuple[str, dict[str, Any]]] = [("", holder)]
    seen = 0
    for _ in range(DEEPEST_ENTITY):
        below: list[tuple[str, dict[str, Any]]] = []
        for pointer, parent in level:
            found = parent.get("entities")
            for index, item in enumerate([found] if isinstance(found, dict) else as_list(found)):
                if seen >= MOST_ENTITIES:
                    return
                seen += 1
                here = (f"{pointer}/entities/{index}", as_dict(item))
                below.append(here)
                if role in (text.lower() for text in texts(here[1].get("roles"))):
                    yield here
        level = below


def read_registrar(
    record: dict[str, Any], words: RegistrationWords, *, reader: str
) -> tuple[tuple[str | None, str], Field]:
    """The registrar's name with its pointer, and its IANA id (publicIds, RFC 9083 section 4.8)."""
    for pointer, entity in entities(record, "registrar"):
        card = _Card(entity, pointer)
        name, where = card.first("fn")
        if not name:
            name, where = card.first("org")
        return (name, where), _iana_id(entity, pointer, words, reader)
    return (None, ""), Field()


def _iana_id(entity: dict[str, Any], pointer: str, words: RegistrationWords, reader: str) -> Field:
    for index, public in enumerate(as_list(entity.get("publicIds"))[:MOST_PROPERTIES]):
        fields = as_dict(public)
        if "iana" in str(fields.get("type"))[:64].lower():
            text = str(fields.get("identifier", ""))[:32].strip()
            return name_field(text, words, where=f"{pointer}/publicIds/{index}/identifier", reader=reader)
    return Field()


def read_registrant(record: dict[str, Any], words: RegistrationWords, *, reader: str) -> Registrant:
    """The registrant, with what the record declares redacted marked so.

    A field that is declared removed and stands there all the same is a value: it is exposed.
    """
    redactions = dict(_redactions(record))
    found = next(entities(record, "registrant"), None)
    if found is None:
        return _with_redactions(Registrant(), redactions)
    pointer, entity = found
    card = _Card(entity, pointer)
    if card.broken:
        unparsed = Field(state=FieldState.UNPARSED, where=card.pointer, reader=reader)
        return Registrant(name=unparsed, organisation=unparsed, email=unparsed, phone=unparsed, country=unparsed)
    redactions = {**_remarked(entity, pointer, words), **redactions}
    readers = {
        "name": (name_field, card.first("fn")),
        "organisation": (name_field, card.first("org")),
        "email": (email_field, card.first("email")),
        "phone": (phone_field, card.phone()),
        "country": (name_field, card.country()),
    }
    fields = {key: read(text, words, where=where, reader=reader) for key, (read, (text, where)) in readers.items()}
    return _with_redactions(Registrant(**fields), redactions)


def _with_redactions(registrant: Registrant, redactions: dict[str, tuple[str, str]]) -> Registrant:
    changed = {}
    for key, (method, where) in redactions.items():
        field: Field = getattr(registrant, key)
        kept_in_part = method in ("partialvalue", "replacementvalue")
        if field.state is FieldState.VALUE and not kept_in_part:
            continue
        if field.state in (FieldState.VALUE, FieldState.ABSENT, FieldState.PLACEHOLDER):
            # What a partial or replaced value says is kept as text: it is not who the registrant is.
            text = field.value or field.text
            changed[key] = Field(state=FieldState.REDACTED, text=text[:256], where=where, reader="rfc9537")
    return msgspec.structs.replace(registrant, **changed)


def _redactions(record: dict[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    found = record.get("redacted")
    for index, item in enumerate([found] if isinstance(found, dict) else as_list(found)[:MOST_PROPERTIES]):
        fields = as_dict(item)
        name = as_dict(fields.get("name"))
        label = folded(str(name.get("description") or name.get("type") or "")[:128])
        paths = " ".join(str(fields.get(key, ""))[:512] for key in ("prePath", "postPath", "replacementPath"))
        # RFC 9537 section 4.2: without a method, removal is meant.
        method = folded(str(fields.get("method") or "removal")[:32])
        for key, (named, property_name) in _REDACTABLE.items():
            if label == named or ("registrant" in paths and property_name in paths):
                yield key, (method, f"/redacted/{index}")


def _remarked(entity: dict[str, Any], pointer: str, words: RegistrationWords) -> dict[str, tuple[str, str]]:
    """Redaction as it was said before RFC 9537: a remark on the entity (RFC 9083 section 10.2.1, "object redacted")."""
    found = entity.get("remarks")
    for index, remark in enumerate([found] if isinstance(found, dict) else as_list(found)[:MOST_PROPERTIES]):
        fields = as_dict(remark)
        said = folded(f"{fields.get('title', '')} {fields.get('type', '')}"[:256])
        where = f"{pointer}/remarks/{index}"
        if said.startswith("email redacted"):
            return {"email": ("removal", where)}
        if "object redacted" in said or any(phrase in said for phrase in words.redacted):
            return dict.fromkeys(_REDACTABLE, ("removal", where))
    return {}


class _Card:
    """A jCard's properties. RFC 7095: ["vcard", [[name, parameters, type, value...], ...]]."""

    def __init__(self, entity: dict[str, Any], pointer: str) -> None:
        self.pointer = f"{pointer}/vcardArray"
        card = entity.get("vcardArray")
        self.properties: list[tuple[str, str, dict[str, Any], Any]] = []
        self.broken = card is not None
        # Some servers leave the outer array's label out.
        body, prefix = (card[1], "/1") if isinstance(card, list) and card[:1] == ["vcard"] and card[1:] else (card, "")
        if not isinstance(body, list):
            return
        for index, item in enumerate(body[:MOST_PROPERTIES]):
            if isinstance(item, list) and len(item) >= 4 and isinstance(item[0], str):
                self.properties.append(
                    (item[0].lower(), f"{self.pointer}{prefix}/{index}/3", as_dict(item[1]), item[3])
                )
        self.broken = bool(body) and not self.properties

    def first(self, name: str) -> tuple[str | None, str]:
        """The first text of a property that is not empty, and its pointer."""
        for key, where, _, value in self.properties:
            if key == name and (text := _joined(value)):
                return text, where
        return None, ""

    def phone(self) -> tuple[str | None, str]:
        """The first telephone that is not a fax."""
        for key, where, parameters, value in self.properties:
            kinds = [kind.lower() for kind in texts(parameters.get("type"))]
            if key == "tel" and "fax" not in kinds and (text := _joined(value)):
                return text, where
        return None, ""

    def country(self) -> tuple[str | None, str]:
        """The country of the first address: its code (RFC 8605) before its name (the address's seventh part)."""
        for key, where, parameters, value in self.properties:
            if key != "adr":
                continue
            code = _joined(parameters.get("cc"))
            if code:
                return code, where.removesuffix("/3") + "/1/cc"
            if len(as_list(value)) >= 7 and (text := _joined(value[6])):
                return text, where + "/6"
        return None, ""


def _joined(value: Any) -> str:
    return value.strip() if isinstance(value, str) else " ".join(texts(value)).strip()
