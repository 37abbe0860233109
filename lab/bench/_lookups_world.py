"""The registries and registrars that `lookups` asks, and what is true of each name.

In: how many names. Out: fifty servers as plans, and `Truth` for each name. Half of the servers tell their limit in
public; the others let it be found out, each in its own way. A name is found through lists that name it whole: reserved
suffixes are too few for as many registries.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import cycle
from random import Random
from typing import Final

from intel.registration import Outcome
from lab.registration_records import DAY_ONE, Person, Privacy, Record, Registry, Versions, hide, history, register
from lab.registration_replies import NOT_FOUND_FORMS
from lab.registries import Plan, RegistrarPlan, Registries
from lab.registries_limits import Limit, TooFast

THIN_RDAP: Final = 14
THICK_RDAP: Final = 6
THIN_WHOIS: Final = 10
THICK_WHOIS: Final = 6
REGISTRARS: Final = 7
"""With two servers each."""
SERVERS: Final = THIN_RDAP + THICK_RDAP + THIN_WHOIS + THICK_WHOIS + 2 * REGISTRARS
TOLD: Final = 15
UNTOLD: Final = 10
WINDOW: Final = 10.0
"""Questions in so many seconds."""
_PATIENCE: Final = 2.0

_RDAP_FORMS: Final = (
    TooFast.STATUS_429,
    TooFast.STATUS_422,
    TooFast.STATUS_403,
    TooFast.NOTICE,
    TooFast.STATUS_429_BARE,
)
_WHOIS_FORMS: Final = (TooFast.PROSE, TooFast.BAN)
_PRIVACY: Final[tuple[Privacy, ...]] = (
    "exposed", "exposed", "placeholder", "declared", "proxy", "emptied", "remarked", "silent",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How the look-up of a name must end; of a registered one, what must be known of it then."""

    outcome: str
    created: datetime | None = None
    email: str = ""


@dataclass(frozen=True, kw_only=True)
class World:
    """What there is, and what is true of it: name -> Truth."""

    plans: tuple[Plan, ...]
    registrars: tuple[RegistrarPlan, ...]
    truth: dict[str, Truth]


def make_world(names: int, *, seed: int) -> World:
    """Invent it; the same seed makes the same world."""
    random = Random(seed)
    limits = _Limits()
    registries = [
        *((f"thin-rdap-{number}", True, True) for number in range(THIN_RDAP)),
        *((f"thick-rdap-{number}", True, False) for number in range(THICK_RDAP)),
        *((f"thin-whois-{number}", False, True) for number in range(THIN_WHOIS)),
        *((f"thick-whois-{number}", False, False) for number in range(THICK_WHOIS)),
    ]
    held: dict[str, list[str]] = defaultdict(list)
    for number in range(names):
        held[random.choice(registries)[0]].append(f"name-{number:05d}.example")
    truth: dict[str, Truth] = {}
    plans = []
    for name, rdap, thin in registries:
        versions: dict[str, Versions] = {}
        aside: dict[str, str] = {}
        for domain in held[name]:
            kind = random.random()
            if kind < 0.72:
                versions[domain], truth[domain] = _registered(random)
            elif kind < 0.95:
                truth[domain] = Truth(outcome=Outcome.NOT_FOUND)
            else:
                aside[domain] = "reserved"
                truth[domain] = Truth(outcome=Outcome.UNSUPPORTED)
        plans.append(
            Plan(
                name=name,
                registry=Registry(versions=versions, aside=aside, now=DAY_ONE + timedelta(days=30)),
                suffixes=tuple(held[name]),
                rdap=rdap,
                whois=not rdap,
                thin=thin,
                limit=limits.next(rdap=rdap),
                not_found_form=random.choice(NOT_FOUND_FORMS),
            )
        )
    registrars = tuple(RegistrarPlan(iana_id=f"9{number:03d}", limit=limits.both()) for number in range(REGISTRARS))
    return World(plans=tuple(plans), registrars=registrars, truth=truth)


def _registered(random: Random) -> tuple[Versions, Truth]:
    created = DAY_ONE - timedelta(days=random.randrange(1000), seconds=random.randrange(86_400))
    number = random.randrange(10**6)
    person = Person(email=f"owner-{number}@registrant.example", handle=f"C{number}-LAB")
    iana_id = f"9{random.randrange(REGISTRARS):03d}"
    first = register(registrar=f"Registrar {iana_id}", registrar_iana_id=iana_id, registrant=person, days=2000)
    made = history((created, first), (DAY_ONE, hide(random.choice(_PRIVACY))))
    record: Record | None = made[-1][1]
    assert record is not None
    shown = person.email if record.privacy == "exposed" else ""
    return made, Truth(outcome=Outcome.REGISTERED, created=created, email=shown)


class _Limits:
    """Every other server tells its limit; the others say "too fast" in every way there is."""

    def __init__(self) -> None:
        self._told = cycle((True, False))
        self._rdap, self._whois = cycle(_RDAP_FORMS), cycle(_WHOIS_FORMS)

    def next(self, *, rdap: bool) -> Limit:
        told = next(self._told)
        form = next(self._rdap if rdap else self._whois)
        return Limit(queries=TOLD if told else UNTOLD, seconds=WINDOW, form=form, patience=_PATIENCE, told=told)

    def both(self) -> Limit:
        """For both servers of a registrar; the WHOIS one has no statuses and says it in prose."""
        return self.next(rdap=True)


def manners(net: Registries, *, share: float) -> dict[str, dict[str, float]]:
    """What operators tell in public, as an entry of `manners.servers`: `share` of each limit, one at a time."""
    return {
        site.key: {"per_minute": site.limit.queries / site.limit.seconds * 60 * share, "burst": 1}
        for site in net.sites.values()
        if site.limit is not None and site.limit.told
    }
