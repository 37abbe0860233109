"""The people and companies of an RDAP record: entities with their cards and declared redactions in, `Field`s out.

RFC 9083 section 5.1. A broken property costs itself; a broken card makes its fields `unparsed`. Nothing here raises on
any JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from intel.registration import Field, FieldState, Registrant
from intel.registration_words import RegistrationWords, email_field, name_field, phone_field
from tasks.normalize.rdap_cards import Card
from tasks.normalize.rdap_json import READER, as_dict, as_list, items, texts
from tasks.normalize.rdap_redactions import Redactions, declared, redacted, remarked

MOST_ENTITIES: Final = 64
DEEPEST_ENTITY: Final = 4
_ORGANISATIONS: Final = frozenset({"org", "organization", "organisation"})


def roles(entity: dict[str, Any]) -> tuple[str, ...]:
    """The roles of an entity, in lower case."""
    return tuple(" ".join(text[:64].lower().split()) for text in texts(entity.get("roles"))[:16])


def entities(holder: dict[str, Any], role: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """The entities with `role` (empty: all) with their JSON pointers, outer before inner, at most 64 and 4 deep."""
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
                if not role or role in roles(here[1]):
                    yield here
        level = below


def read_registrar(record: dict[str, Any], words: RegistrationWords) -> tuple[Field, Field]:
    """The registrar's name, and its IANA id (publicIds, RFC 9083 section 4.8)."""
    found = [
        (Card(entity, pointer), iana_id(entity, pointer, words)) for pointer, entity in entities(record, "registrar")
    ]
    for card, number in found:
        text, where = card.name()
        if not text:
            text, where = card.organisation()
        if text or number.value:
            return name_field(text, words, where=where, reader=READER), number
    return Field(), Field()


def iana_id(entity: dict[str, Any], pointer: str, words: RegistrationWords) -> Field:
    """The IANA id of a registrar's entity."""
    for index, public in enumerate(items(entity.get("publicIds"), most=16)):
        fields = as_dict(public)
        if "iana" in str(fields.get("type"))[:64].lower():
            text = str(fields.get("identifier", ""))[:32].strip()
            return name_field(text, words, where=f"{pointer}/publicIds/{index}/identifier", reader=READER)
    return Field()


def read_registrant(record: dict[str, Any], words: RegistrationWords) -> Registrant:
    """The registrant, with what the record declares redacted marked so.

    Of several, the first whose card says something. A field that is declared removed and stands there all the same is
    a value: it is exposed.
    """
    redactions = declared(record, "registrant")
    read = [read_contact(entity, pointer, words, redactions) for pointer, entity in entities(record, "registrant")]
    told = (one for one in read if any(field.state is not FieldState.ABSENT for field in (one.name, one.organisation)))
    return next(told, read[0] if read else redacted(Registrant(), redactions))


def read_contact(
    entity: dict[str, Any], pointer: str, words: RegistrationWords, redactions: Redactions | None = None
) -> Registrant:
    """One entity as a contact."""
    handle = _handle(entity, pointer, words)
    card = Card(entity, pointer)
    told = {**remarked(entity, pointer, words), **(redactions or {})}
    if card.broken:
        unparsed = Field(state=FieldState.UNPARSED, where=card.pointer, reader=READER)
        fields = dict.fromkeys(("name", "organisation", "email", "phone", "country"), unparsed)
        return redacted(Registrant(**fields, handle=handle), told)
    name, organisation = card.name(), card.organisation()
    # The full name of an organisation's card is the organisation (RFC 6350 section 6.1.4).
    if card.kind in _ORGANISATIONS and not organisation[0]:
        name, organisation = (None, ""), name
    email, phone, country = card.email(), card.phone(), card.country()
    contact = Registrant(
        name=name_field(name[0], words, where=name[1], reader=READER),
        organisation=name_field(organisation[0], words, where=organisation[1], reader=READER),
        email=email_field(email[0], words, where=email[1], reader=READER),
        phone=phone_field(phone[0], words, where=phone[1], reader=READER),
        country=name_field(country[0], words, where=country[1], reader=READER),
        handle=handle,
    )
    return redacted(contact, told)


def _handle(entity: dict[str, Any], pointer: str, words: RegistrationWords) -> Field:
    found = entity.get("handle")
    plain = isinstance(found, (str, int)) and not isinstance(found, bool)
    return name_field(
        str(found)[:256] if plain else None, words, where=f"{pointer}/handle" if plain else "", reader=READER
    )
