"""The forms that a rule is written in: mappings, texts, numbers; each read strictly, and what is wrong said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from intel.errors import ReadError
from intel.rules.words import plain

MAX_VALUES: Final = 1_000
"""Values of one test."""


def mapping(value: object, keys: Sequence[str] | None, what: str, *, needed: Sequence[str] = ()) -> dict[str, Any]:
    """A mapping with no other keys. Raises ReadError."""
    if not isinstance(value, Mapping):
        raise ReadError(f"expected {what}: a mapping with {', '.join(keys) if keys else 'one key'}")
    unknown = [str(key) for key in value if keys is not None and key not in keys]
    if unknown:
        raise ReadError(f"{unknown[0][:60]}: {what} has no such key (it has {', '.join(keys or ())})")
    for key in needed:
        if key not in value:
            raise ReadError(f"`{key}` is missing")
    return {str(key): one for key, one in value.items()}


def texts(value: object, what: str) -> list[str]:
    """One text or a list of them. Raises ReadError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str):
        return [plain(value)]
    if not isinstance(value, list | tuple) or not 0 < len(value) <= MAX_VALUES:
        raise ReadError(f"{what}: expected a text, or a list of 1 to {MAX_VALUES}")
    return [plain(str(one) if isinstance(one, int) and not isinstance(one, bool) else one) for one in value]


def flag(value: object) -> bool:
    """True or false. Raises ReadError."""
    if not isinstance(value, bool):
        raise ReadError("expected true or false")
    return value


def pair(value: object, least: int, most: int) -> tuple[int, int]:
    """A number, or a first and a last one. Raises ReadError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = [value, value]
    if isinstance(value, list | tuple) and len(value) == 2:
        first, last = value
        if all(isinstance(one, int) and not isinstance(one, bool) and least <= one <= most for one in value):
            return int(first), int(last)
    raise ReadError(f"expected a number, or two of them, from {least} to {most}")


def at(place: str, read: Callable[[Any], Any], value: object) -> Any:
    """What `read` makes of a value; what it raises names the place."""
    try:
        return read(value)
    except ReadError as error:
        raise ReadError(f"{place}: {error}") from error
