"""What the invented registries hold: records of domains as versions in time, and the changes that make them.

In: who registered what, and what happens to it when. Out: `Registry`, which tells what stands at its clock's time.
Times are event time, aware UTC. Names are reserved ones only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

Tier = Literal["registry", "registrar"]
Privacy = Literal[
    "exposed", "placeholder", "declared", "proxy", "emptied", "partial", "replaced", "remarked", "silent", "prose"
]
"""How a registrant is shown. `declared`, `emptied`, `partial` and `replaced` are the four methods of RFC 9537 (removal,
emptyValue, partialValue, replacementValue); `remarked` says it as servers did before (a remark on the entity);
`silent` leaves it out without a word; `placeholder` and `prose` write words where values stand."""

DAY_ONE: Final = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
MASK: Final = "REDACTED FOR PRIVACY"
_ASK: Final = "Please query the RDDS service of the Registrar of Record identified in this output"
_FORM: Final = "https://registrar.example/contact-form"


@dataclass(frozen=True, kw_only=True)
class Person:
    """An invented registrant. `handle` is the id that a registry gives to a contact."""

    name: str = "Ada Invented"
    organisation: str = "Invented Widgets"
    email: str = "ada@registrant.example"
    phone: str = "+44.2079460123"
    country: str = "GB"
    handle: str = "C1001-LAB"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One version of a domain's record. `privacy` says how the registrant is shown."""

    created: datetime = DAY_ONE
    updated: datetime = DAY_ONE
    expires: datetime = DAY_ONE + timedelta(days=365)
    registrar: str = "Example Registrar Ltd"
    registrar_iana_id: str = "9999"
    registrant: Person = Person()
    privacy: Privacy = "exposed"
    name_servers: tuple[str, ...] = ("ns1.hosting.example", "ns2.hosting.example")
    statuses: tuple[str, ...] = ("client transfer prohibited",)

    @property
    def shown(self) -> Person | None:
        """The registrant as the world sees it, None where nothing of it stands."""
        person = self.registrant
        if self.privacy == "placeholder":
            return Person(name=MASK, organisation=MASK, email=_ASK, phone=MASK, country="GB", handle=MASK)
        if self.privacy == "prose":
            return Person(name="Private Person", organisation="", email=_FORM, phone="", country="GB", handle="N/A")
        if self.privacy == "proxy":
            return Person(
                name="Whois Privacy Service",
                organisation="Example Proxy Service",
                email="p1@proxy.example",
                phone="+44.2079460999",
                handle="P1-LAB",
            )
        if self.privacy == "partial":
            return replace(person, name=person.name[:1] + ".", email=f"{person.email[:1]}***@***", phone="", handle="")
        if self.privacy == "replaced":
            return replace(person, name="", organisation="", email="a1b2c3@proxy.example", phone="", handle="")
        return person if self.privacy == "exposed" else None


Versions = tuple[tuple[datetime, Record | None], ...]
"""(from when, what stands then) in order; None: nobody holds the domain."""
Change = Callable[[Record | None, datetime], Record | None]
"""What stands before, and when -> what stands after."""


def history(*steps: tuple[datetime, Change]) -> Versions:
    """The versions that changes make, one after another: `history((MONDAY, register()), (FRIDAY, hide()))`."""
    made: list[tuple[datetime, Record | None]] = []
    for at, change in steps:
        made.append((at, change(made[-1][1] if made else None, at)))
    return tuple(made)


def register(*, days: float = 365, **values: Any) -> Change:
    """Somebody takes the free domain; `values` are those of `Record`."""

    def change(before: Record | None, at: datetime) -> Record:
        assert before is None, "a domain that is held cannot be registered"
        return Record(created=at, updated=at, expires=at + timedelta(days=days), **values)

    return change


def _edit(**values: Any) -> Change:
    def change(before: Record | None, at: datetime) -> Record:
        assert before is not None, "nobody holds the domain"
        return replace(before, updated=at, **values)

    return change


def hide(privacy: Privacy = "declared") -> Change:
    """The registrant is shown otherwise from then on; `exposed` shows it."""
    return _edit(privacy=privacy)


def edit(**values: Any) -> Change:
    """Values of the record change: its registrant, say, or its name servers."""
    return _edit(**values)


def transfer(registrar: str, iana_id: str, *, privacy: Privacy = "exposed") -> Change:
    """Another registrar takes over, with its own way to show registrants."""
    return _edit(registrar=registrar, registrar_iana_id=iana_id, privacy=privacy)


def renew(*, days: float = 365, **values: Any) -> Change:
    """The domain is paid for longer."""

    def change(before: Record | None, at: datetime) -> Record | None:
        assert before is not None, "nobody holds the domain"
        return replace(before, updated=at, expires=before.expires + timedelta(days=days), **values)

    return change


def expire() -> Change:
    """It was not paid for: it stands in its redemption period, and leads nowhere."""
    return _edit(statuses=("redemption period", "pending delete"), name_servers=())


def seize(authority: str = "seized-by.example") -> Change:
    """A court takes it away: locked by the registry, and pointed to name servers below `authority`."""
    locked = ("server delete prohibited", "server transfer prohibited", "server update prohibited")
    return _edit(name_servers=(f"ns1.{authority}", f"ns2.{authority}"), statuses=locked)


def drop() -> Change:
    """It is deleted: anybody may register it."""
    return lambda _before, _at: None


@dataclass(kw_only=True)
class Registry:
    """An invented registry: versions of each domain's record, by the time from which they are shown.

    What it shows is `lag` old, and it says so; `elapsed` lets its clock run on after it was set. `aside` holds names
    that are neither registered nor to be had: "reserved", "malformed" (an answer that is none) or "blocked" (it
    answers nobody about them).
    """

    versions: Mapping[str, Versions]
    now: datetime = DAY_ONE
    lag: timedelta = timedelta(0)
    elapsed: Callable[[], timedelta] = timedelta
    aside: Mapping[str, str] = field(default_factory=dict)

    @property
    def as_of(self) -> datetime:
        """The time that its data has."""
        return self.now + self.elapsed() - self.lag

    def move(self, days: float) -> None:
        """Move the clock on."""
        self.now += timedelta(days=days)

    def record(self, domain: str) -> Record | None:
        """What the registry holds of a domain at its data's time."""
        past = [record for since, record in self.versions.get(domain, ()) if since <= self.as_of]
        return past[-1] if past else None


def lapse_registry() -> Registry:
    """One domain whose registrant is exposed on day 1 and redacted from day 3, and two that always hide it."""
    return Registry(
        versions={
            "lapse.example": history((DAY_ONE, register()), (DAY_ONE + timedelta(days=2), hide())),
            "masked.example": history((DAY_ONE, register(privacy="placeholder"))),
            "proxied.test": history((DAY_ONE, register(privacy="proxy"))),
        }
    )
