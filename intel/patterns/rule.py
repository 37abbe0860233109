"""A pattern as a rule of the watch's own (intel/rules): the same traits, as conditions that a person can read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from intel.errors import ReadError
from intel.patterns.burst import read_burst
from intel.registrars import PREFIX
from intel.traits import Name, Trait

_LINKS: Final = frozenset(
    {
        Name.REGISTRAR,
        Name.REGISTRANT,
        Name.EMAIL,
        Name.MAIL_PROVIDER,
        Name.NAME_SERVERS,
        Name.NETWORK,
        Name.ADDRESS,
        Name.ISSUER,
        Name.SOA_CONTACT,
    }
)
_SETS: Final = frozenset({Name.NAME_SERVER_PROVIDER, Name.MAIL_HOSTS})
_OVER_DAYS: Final = 90
"""What makes up a pattern is seen within this time of one another: a registration and what is set up on it."""


def to_rule(name: str, traits: Sequence[Trait], *, severity: int, registrars: Sequence[str] = ()) -> dict[str, Any]:
    """The rule, ready for `intel.rules.read_rule`. `registrars` are the values by which facts name its registrar.

    Raises ReadError for a trait that no rule can tell.
    """
    conditions: list[dict[str, Any]] = []
    label: dict[str, list[str]] = defaultdict(list)
    bursts: list[dict[str, Any]] = []
    for trait in sorted(traits):
        kind = Name(trait.name)
        if kind == Name.REGISTRAR:
            conditions.append({kind.value: list(registrars) or [_registrar(trait.value)]})
        elif kind in _LINKS:
            conditions.append({kind.value: trait.value})
        elif kind in _SETS:
            conditions += [{kind.value: one} for one in trait.value.split()]
        elif kind == Name.SUFFIX:
            conditions.append({"suffix": [trait.value]})
        elif kind == Name.HOUR:
            conditions.append({"created": {"hour": [int(trait.value), int(trait.value)]}})
        elif kind == Name.BURST:
            burst = read_burst(trait.value)
            bursts.append({"burst": {"at-least": burst.at_least, "within": f"{burst.days} days", "by": "created"}})
        elif kind == Name.SHAPE:
            label["shape"].append(trait.value)
        elif kind == Name.WORD:
            label["matches"].append(f"*{trait.value}*")
        else:
            raise ReadError(f"couldn't make a rule of a pattern: no rule tells its trait {trait.name}; leave it out")
    for key, values in sorted(label.items()):
        # Each by itself: all must hold.
        conditions += [{"label": {key: [one]}} for one in values]
    timed = sum(not {"suffix", "label"} & set(one) for one in conditions)
    if not timed:
        # A rule needs a time: when the registration was stated.
        conditions.append({"created": {}})
    return {
        "name": name,
        "about": "domain",
        "when": [*conditions, *bursts],
        **({"over": f"{_OVER_DAYS} days"} if timed > 1 else {}),
        "say": "{subject} was registered as known domains of this watch were",
        "severity": severity,
    }


def _registrar(identity: str) -> str:
    """A registrar's identity as a value of facts: `iana:N`, or the folded name."""
    return identity if identity.startswith(PREFIX) else identity.removeprefix("name:")
