"""What a value is worth that two things have in common: what it is, and how common, in; bits and the reason out.

What a value is matters more than how often it occurs (configs/hubs*): a hub is worth what its class says, mostly
nothing. How often strangers have it is asked of reference populations (db/prevalence.py), never of our own facts alone:
these were chosen because they interest us.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from intel.config.evidence import Chance, EvidenceFile, LinkEntry
from intel.entities import Entity, Kind, entity
from intel.evidence import Prevalence, bits
from intel.facts import Predicate
from intel.hubs import ENDS, Hub, HubClass, weakest
from intel.spans import DAY
from tasks.pivot.hubs import hubs_of

WIDE: Final = "wide"
"""The class of what has more neighbours than a pivot follows, where nothing says why."""


class Worth(msgspec.Struct, frozen=True, kw_only=True):
    """What one end of a link is worth. `bits` is infinite where nothing about it lessens the link.

    `wide` says that it has more neighbours than are followed; `hub` is its class, empty where it is none.
    """

    bits: float = math.inf
    hub: str = ""
    why: str = ""
    prevalence: Prevalence | None = None
    wide: bool = False

    @property
    def cloud(self) -> bool:
        """Whether one tenant after another has it."""
        return self.hub == HubClass.CLOUD


def hub_of(item: Entity, predicate: str) -> Hub | None:
    """The class of shared thing that counts for a link over it."""
    found = hubs_of(item, predicate=predicate)
    if predicate == Predicate.HAS_SOA_CONTACT:
        found += _zone_contact(item)
    return weakest(found)


def _zone_contact(item: Entity) -> list[Hub]:
    """What a zone's contact is by the domain of its mailbox: who serves zones puts his own into all of them."""
    host = item.value.rpartition("@")[2]
    found = hubs_of(entity(Kind.NAME_SERVER, host))
    # There a mailbox is a customer's, who may be the one who runs the zone.
    if {one.hub for one in found} & {HubClass.MAIL_PROVIDER, HubClass.DISPOSABLE_MAIL}:
        return []
    return found


def ends_ownership(hub: Hub | None) -> bool:
    """Whether it is somebody's who takes names away."""
    return hub is not None and hub.hub in ENDS


def worth(chance: Chance, hub: Hub | None, *, degree: int, width: int, counted: Prevalence | None, known: int) -> Worth:
    """What a value is worth that `degree` things here have, at least (counting stops above `width`)."""
    wide = degree > width
    if hub is not None and not hub.links:
        return Worth(bits=0.0, hub=hub.hub, why=hub.why, prevalence=counted, wide=wide)
    here = 1.0 if wide else degree / known
    many = 1.0 if chance.few is None else min(1.0, chance.few / max(1, degree))
    said = max(0.0, bits(chance.m * many, _strangers(chance, counted, here)))
    why = _why(counted, degree, wide=wide)
    name = WIDE if wide else ""
    if hub is not None and hub.factor < 1:
        said, why, name = said * hub.factor, f"{hub.why}; {why}", hub.hub
    return Worth(bits=said, hub=name, why=why, prevalence=counted, wide=wide)


def faded(entry: LinkEntry, share: float, seconds: float, *, cloud: bool) -> tuple[float, str]:
    """What is left of a link whose ends had it `seconds` apart, and why; what stays true once it was does not fade."""
    if share > 0 or entry.fades is None:
        return 1.0, ""
    if cloud:
        return 0.0, "not at the same time, and its tenants change"
    days = seconds / DAY
    return 0.5 ** (days / entry.fades), f"{days:.0f} days apart"


def known_here(file: EvidenceFile, entities: int, chance: Chance) -> int:
    """As how many things our own are reckoned.

    Where many who share a value are a service's customers, a large warehouse holds no more strangers than a small one.
    """
    return file.known if chance.few is not None else max(file.known, entities)


def _strangers(chance: Chance, counted: Prevalence | None, here: float) -> float:
    """The chance that a stranger has it, too.

    A population that lacks the value only bounds it, and not where more have it here than are counted: a small one
    would else make it commoner than none at all does, or a hub rare.
    """
    if counted is None or (not counted.count and here >= 1):
        return max(chance.prior, here)
    if not counted.count:
        return max(chance.prior, min(counted.share(), here))
    return max(chance.prior, counted.share())


def _why(counted: Prevalence | None, degree: int, *, wide: bool) -> str:
    here = f"more than {degree - 1} here have it" if wide else f"{degree} here {'has' if degree == 1 else 'have'} it"
    if counted is None:
        return f"{here}; no population counts it"
    return f"{counted.count} of {counted.total} in {counted.population} have it"
