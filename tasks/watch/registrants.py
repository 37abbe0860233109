"""What a value says that registrations have in common: an entity in, what makes it say little about anybody out.

A privacy service's name, a placeholder or a role mailbox is shared by strangers. Readers of registration tell most of
them apart (`configs/registration.yaml`); a feed states them as values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

from intel.entities import Entity, Kind
from intel.facts import State
from intel.registration import Field
from intel.registration_words import RegistrationWords, email_field, name_field, phone_field, read_words
from intel.settings import CHECKOUT, settings
from tasks.watch.warninglists import Annotation, annotate

_FILE: Final = "registration.yaml"
_TAKES: Final = 60
_WHY: Final = {
    State.PROXY: "a privacy or proxy service: its customers share it",
    State.REDACTED: "a redaction's wording, which names nobody",
    State.PLACEHOLDER: "a placeholder, which names nobody",
}
_READERS: Final[dict[str, Callable[..., Field]]] = {
    Kind.EMAIL: email_field,
    Kind.REGISTRANT: name_field,
    Kind.PHONE: phone_field,
}


def annotate_registrant(value: Entity) -> list[Annotation]:
    """What lists and the words of registration say of a registrant's name, e-mail or phone."""
    said = annotate(value)
    reader = _READERS.get(value.kind)
    if reader is None:
        return said
    state = reader(value.value, _words(), where="", reader="").state
    if state in _WHY:
        said.append(Annotation(list=_FILE, hub=state.value, takes=_TAKES, why=_WHY[state]))
    return said


@cache
def _words() -> RegistrationWords:
    found = settings().configs / _FILE
    return read_words((found if found.is_file() else CHECKOUT / "configs" / _FILE).read_bytes())
