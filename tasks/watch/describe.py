"""How a finding reads and what it is worth: a match in, title, severity and annotations out. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from intel.entities import Entity, masked
from tasks.watch.rules import BY_NAME
from tasks.watch.warninglists import annotate

_LONGEST: Final = 120
_MATCHES: Final = {
    "scope": "the watched domain {}",
    "subtree": "the watched name {}",
    "network": "the watched address {}",
    "entity": "the watched {}",
}


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """What is stored of a finding besides what it matched. `severity`: 0 to 100, annotations taken off."""

    title: str
    lapse: bool
    severity: int
    annotations: tuple[dict[str, Any], ...]

    @property
    def annotations_json(self) -> str:
        """The annotations as JSON."""
        return msgspec.json.encode(self.annotations).decode()


def describe(rule: str, *, subject: Entity | None, other: Entity | None, item: tuple[str, str, str]) -> Description:
    """The description of a match of `rule`; `item` is (match, kind, value) of the watched item.

    What a list says of subject and other lowers the severity by the most that any of them takes away; nothing is
    dropped for it.
    """
    entry = BY_NAME[rule]
    match, kind, value = item
    said = [
        {"about": about, **msgspec.to_builtins(annotation)}
        for about, touched in (("subject", subject), ("other", other))
        if touched is not None
        for annotation in annotate(touched)
    ]
    # What is watched may be what was found: it doesn't stand on itself.
    itself = subject is not None and match != "entity" and subject.value == value
    title = (entry.title_of_itself if itself and entry.title_of_itself else entry.title).format(
        subject=_named(subject), other=_named(other), item=_MATCHES[match].format(shown(kind, value))
    )
    taken = max((annotation["takes"] for annotation in said), default=0)
    return Description(title=title, lapse=entry.lapse, severity=max(0, entry.severity - taken), annotations=tuple(said))


def shown(kind: str, value: str, *, personal: bool = False) -> str:
    """The value as titles and explanations show it: people's data masked, at most 120 characters."""
    said = masked(kind, value, personal=personal)
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"


def _named(item: Entity | None) -> str:
    return "something watched" if item is None else shown(item.kind, item.value)
