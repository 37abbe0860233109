"""Contact cards of RDAP entities: jCard (RFC 7095) and JSContact (RFC 9553) in, texts with their JSON pointers out.

A card in a shape that neither has is searched for properties all the same; one that holds something and in which none
is found is `broken`. A broken property costs itself. Nothing here raises on any JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from tasks.normalize.rdap_json import as_dict, as_list, decoded, texts

MOST_PROPERTIES: Final = 128
_DEEPEST: Final = 4
_LONGEST_LABEL: Final = 60
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,39}")
_JSCARDS: Final = ("jscard", "jsCard", "jscard_0")

Told = tuple[str | None, str]
"""A text and its JSON pointer; None and an empty pointer where there is none."""
_SILENT: Final[Told] = (None, "")


class Property(NamedTuple):
    """One property of a jCard; `where` points at its first value."""

    name: str
    where: str
    parameters: dict[str, Any]
    values: list[Any]


class Card:
    """What an entity's cards say: the jCard first, the JSContact card where that is silent."""

    def __init__(self, entity: dict[str, Any], pointer: str) -> None:
        card = entity.get("vcardArray")
        if isinstance(card, str) and card[:1] == "[":
            card = decoded(card.encode("utf-8", "replace"))
        self.pointer = f"{pointer}/vcardArray"
        self.properties = list(_properties(card, self.pointer))[:MOST_PROPERTIES]
        name = next((one for one in _JSCARDS if isinstance(entity.get(one), dict)), "")
        self._js = _JsCard(as_dict(entity.get(name)), f"{pointer}/{name}")
        self.broken = not self.properties and not name and not _is_empty(card)

    @property
    def kind(self) -> str:
        """`individual`, `org`, `group`, ...; empty where no card says."""
        return ((self._first("kind")[0] or self._js.text("kind")[0]) or "")[:40].lower()

    def name(self) -> Told:
        """The full name, or one made of its parts."""
        return _told(self._first("fn"), self._parts(), self._js.name())

    def organisation(self) -> Told:
        """The organisation."""
        return _told(self._first("org"), self._js.within("organizations", ("name",)))

    def email(self) -> Told:
        """The e-mail address; in its place the address of a form, where that is all there is (RFC 8605)."""
        return _told(self._first("email"), self._js.within("emails", ("address", "email")), self._first("contact-uri"))

    def phone(self) -> Told:
        """The first telephone that is not a fax, without its extension."""
        for one in self.properties:
            kinds = [kind.lower() for kind in texts(one.parameters.get("type"))]
            if one.name == "tel" and "fax" not in kinds and (text := _text(one.values)):
                return text.partition(";")[0], one.where
        number, where = self._js.within("phones", ("number", "phone"), but="fax")
        return (number.partition(";")[0], where) if number else _SILENT

    def country(self) -> Told:
        """The country of the first address that has one: its code (RFC 8605), the seventh part, or the label's end.

        The label (`full address`) is where a country stands that the parts do not tell, declared redacted or not.
        """
        addresses = [one for one in self.properties if one.name == "adr"]
        for one in addresses:
            if code := _text([one.parameters.get("cc") or one.parameters.get("CC")]):
                return code, one.where.removesuffix("/3") + "/1/cc"
            parts = as_list(one.values[0] if one.values else None)
            if len(parts) >= 7 and (text := _text([parts[6]])):
                return text, one.where + "/6"
        for one in addresses:
            if text := _last_line(_text([one.parameters.get("label")])):
                return text, one.where.removesuffix("/3") + "/1/label"
        return self._js.country()

    def _first(self, name: str) -> Told:
        for one in self.properties:
            if one.name == name and (text := _text(one.values)):
                return text, one.where
        return _SILENT

    def _parts(self) -> Told:
        for one in self.properties:
            if one.name == "n":
                # RFC 6350 section 6.2.2: family names, given names, ...
                parts = as_list(one.values[0] if one.values else None)[:2]
                if joined := " ".join(filter(None, (_text([part]) for part in reversed(parts)))):
                    return joined, one.where
        return _SILENT


def _told(*ways: Told) -> Told:
    """The first way that says something."""
    return next((way for way in ways if way[0]), _SILENT)


class _JsCard:
    """A JSContact card, of RFC 9553 or of the drafts before it."""

    def __init__(self, card: dict[str, Any], pointer: str) -> None:
        self._card = card
        self._pointer = pointer

    def text(self, key: str) -> Told:
        text = _text([self._card.get(key)])
        return (text, f"{self._pointer}/{key}") if text else _SILENT

    def name(self) -> Told:
        found = as_dict(self._card.get("name"))
        if full := _text([found.get("full")]):
            return full, f"{self._pointer}/name/full"
        parts = [as_dict(one) for one in as_list(found.get("components"))[:16]]
        said = [_text([one.get("value")]) for one in parts if one.get("kind") != "separator"]
        if joined := " ".join(filter(None, said)):
            return joined, f"{self._pointer}/name/components"
        return _told(self.text("fullName"), self.text("name"))

    def within(self, group: str, keys: tuple[str, ...], *, but: str = "") -> Told:
        """The first text with one of these keys in a group of things; the group is a map by id, or a list."""
        for where, one in self._members(group):
            if but and but in str(one.get("features"))[:256]:
                continue
            for key in keys:
                if text := _text([one.get(key)]):
                    return text, f"{where}/{key}"
        return _SILENT

    def country(self) -> Told:
        found = self.within("addresses", ("countryCode", "country"))
        if found[0]:
            return found
        for where, one in self._members("addresses"):
            for index, part in enumerate(as_list(one.get("components"))[:32]):
                if as_dict(part).get("kind") == "country" and (text := _text([as_dict(part).get("value")])):
                    return text, f"{where}/components/{index}/value"
        return _SILENT

    def _members(self, group: str) -> Iterator[tuple[str, dict[str, Any]]]:
        found = self._card.get(group)
        pairs = list(found.items()) if isinstance(found, dict) else list(enumerate(as_list(found)))
        for key, one in pairs[:16]:
            yield f"{self._pointer}/{group}/{str(key)[:40]}", as_dict(one)


def _properties(value: Any, pointer: str, depth: int = 0) -> Iterator[Property]:
    """Properties anywhere in a card: the label may be missing, the properties may stand a level too high or too low."""
    if isinstance(value, dict):
        for key, inner in list(value.items())[:MOST_PROPERTIES]:
            if _NAME.fullmatch(key):
                yield Property(key.lower(), f"{pointer}/{key}", {}, [inner])
        return
    if not isinstance(value, list) or depth > _DEEPEST:
        return
    for index, item in enumerate(value[:MOST_PROPERTIES]):
        here = f"{pointer}/{index}"
        if _is_property(item):
            yield Property(item[0].lower(), f"{here}/3", as_dict(item[1]), item[3:])
        elif isinstance(item, (list, dict)):
            yield from _properties(item, here, depth + 1)


def _is_property(item: Any) -> bool:
    if not isinstance(item, list) or len(item) < 4 or not isinstance(item[0], str):
        return False
    # ["vcard", [...], [...], [...]] is a card whose properties stand a level too high.
    return bool(_NAME.fullmatch(item[0])) and not item[0].lower().startswith("vcard")


def _is_empty(value: Any) -> bool:
    """Whether a card holds nothing but its label."""
    if value is None or value in ({}, []) or value == "":
        return True
    return (
        isinstance(value, list)
        and isinstance(value[0], str)
        and value[0].lower() == "vcard"
        and all(one in ([], {}, None) for one in value[1:])
    )


def _text(values: list[Any]) -> str:
    """The first of these values that says something; the parts of one with structure are joined (RFC 7095 3.3.1.3)."""
    for value in values:
        if isinstance(value, list):
            flat = [part for item in value[:32] for part in ([item] if isinstance(item, str) else texts(item))]
            text = " ".join(" ".join(flat).split())
        elif isinstance(value, int) and not isinstance(value, bool):
            text = str(value) if abs(value) < 10**30 else ""
        else:
            text = value.strip() if isinstance(value, str) else ""
        if text:
            return text
    return ""


def _last_line(label: str) -> str:
    """The country that ends an address: a line without digits, where there is more than that one line."""
    lines = [line.strip() for line in label.replace("\\n", "\n").splitlines() if line.strip()]
    if len(lines) < 2 or len(lines[-1]) > _LONGEST_LABEL or any(mark.isdigit() for mark in lines[-1]):
        return ""
    return lines[-1]
