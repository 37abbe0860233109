"""How a finding reads and what it is worth: a match in, title, severity and annotations out. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from intel.entities import PERSONAL, Entity, Kind
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
    title = entry.title.format(
        subject=_shown(subject), other=_shown(other), item=_MATCHES[match].format(masked(kind, value))
    )
    taken = max((annotation["takes"] for annotation in said), default=0)
    return Description(title=title, lapse=entry.lapse, severity=max(0, entry.severity - taken), annotations=tuple(said))


def masked(kind: str, value: str) -> str:
    """The value as titles and reports show it: people's data to its first letter, an e-mail's domain kept."""
    if kind not in PERSONAL:
        return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
    local, at, domain = value.rpartition("@")
    return f"{local[:1]}***@{domain}" if kind == Kind.EMAIL and at else f"{value[:1]}***"


def _shown(item: Entity | None) -> str:
    return "something watched" if item is None else masked(item.kind, item.value)
