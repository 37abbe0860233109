"""The stories that the demo plays: days, each with its moment, and what must have been found at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, text

from intel.entities import Kind, masked
from intel.errors import ConfigError
from lab import realworld, world
from lab.configs import write_configs
from lab.internet import internet
from lab.realworld import RealWorld

Check = Callable[[Engine], str]
"""Says what is missing, or nothing."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """A moment of the story. `incident` holds the indicators that are reported on that day.

    `looks`: registration look-ups that are due are done.
    """

    title: str
    said: str
    moment: datetime
    incident: tuple[str, ...] = ()
    looks: bool = False


@dataclass(frozen=True, kw_only=True)
class Story:
    """A running lab with a story. `logs` are CT sources to follow; `explained` findings are explained at the end."""

    days: Sequence[Day]
    move: Callable[[datetime], None]
    write_configs: Callable[[Path], None]
    logs: Sequence[str] = ()
    checks: Sequence[Check] = field(default=())
    registrations: Sequence[str] = ()
    """Domains whose registration is shown at the end."""
    explained: int = 8


# What the findings of a rule are about: the named thing, or what names it in a form that the finding rests on.
_FINDINGS: Final = """
SELECT count(DISTINCT f.subject_id) FROM finding f JOIN entity e ON e.id = f.subject_id
WHERE f.rule = :rule AND f.status = 'open' AND (:name = '' OR e.value = :name OR EXISTS (
    SELECT FROM finding_fact r JOIN fact s ON s.id = r.fact_id
    JOIN fact n ON n.subject_id = s.subject_id AND n.predicate = 'names'
    JOIN entity o ON o.id = n.object_id
    WHERE r.finding_id = f.id AND r.role = 'new' AND o.value = :name))
"""


def finds(rule: str, words: str, *, name: str = "", once: bool = False) -> Check:
    """That open findings of `rule` stand at the end, on what is or names `name`; `once`: on one such thing, no more."""

    def check(engine: Engine) -> str:
        with engine.connect() as connection:
            count = connection.execute(text(_FINDINGS), {"rule": rule, "name": name}).scalar_one()
        if once and count > 1:
            return f"findings of rule {rule} on {count} things in place of one: {words}"
        return "" if count else f"no finding of rule {rule}: {words}"

    return check


_LEADS: Final = """
SELECT e.value FROM lead l JOIN entity e ON e.id = l.entity_id WHERE e.value = ANY(:names) AND l.bits > 0
"""


def leads(*names: str, never: Sequence[str] = ()) -> Check:
    """That the investigation led to all of these, and to none of those that must be left alone."""

    def check(engine: Engine) -> str:
        with engine.connect() as connection:
            found = set(connection.execute(text(_LEADS), {"names": [*names, *never]}).scalars())
        wrong = [f"nothing led to {name}" for name in names if name not in found]
        wrong += [f"it led to {name}, which is a stranger's" for name in never if name in found]
        return ", and ".join(wrong)

    return check


def reports(words: str, *parts: str) -> Check:
    """That the last report has all of these in it."""

    def check(engine: Engine) -> str:
        with engine.connect() as connection:
            report = connection.execute(text("SELECT report FROM incident ORDER BY id DESC LIMIT 1")).scalar() or ""
        missing = [part for part in parts if part not in report]
        return f"the report lacks {', '.join(missing)}: {words}" if missing else ""

    return check


@contextmanager
def invented() -> Iterator[Story]:
    """The invented world."""
    with internet() as net:
        yield Story(
            days=(
                Day(
                    title="Monday: what sources say of Grey Heron",
                    said=(
                        "A trail names hosts of the actor; feeds, a TAXII server and two CT logs are read, and"
                        " registries are asked about what is watched."
                    ),
                    moment=world.MONDAY,
                    looks=True,
                ),
                Day(
                    title="Wednesday: the actor prepares, and makes mistakes",
                    said=(
                        f"{world.NEW_DOMAIN} is registered without privacy, points to an address of the actor's, and"
                        f" has a certificate with an old key. Another certificate names a host of the actor's beside"
                        f" {world.BESIDE}, and somebody takes one for {world.LOOKALIKE}. A list of new domains names"
                        f" both, and {world.FALLBACK}, which nobody had registered. {world.SEIZED} was seized, and is"
                        f" the actor's no longer. {world.NEW_DOMAIN} is reported; {world.NEXT} and {world.ANOTHER},"
                        " which are the actor's too, nobody has noticed."
                    ),
                    looks=True,
                    moment=world.WEDNESDAY,
                    incident=(world.NEW_DOMAIN,),
                ),
                Day(
                    title="Friday: the registrant is hidden",
                    said="The registration is redacted now; what it said on Wednesday is kept.",
                    moment=world.FRIDAY,
                    looks=True,
                ),
            ),
            move=net.move,
            write_configs=lambda folder: write_configs(folder, net.addresses),
            logs=("lab-ct", "lab-ct-static"),
            registrations=(world.NEW_DOMAIN,),
            checks=(
                finds(
                    "reused-key",
                    "the new domain's certificate, which stands in both logs, has the key of an older one",
                    name=world.NEW_DOMAIN,
                    once=True,
                ),
                finds(
                    "lookalike-name",
                    "a certificate names what looks like our domain",
                    name=world.LOOKALIKE,
                    once=True,
                ),
                finds(
                    "mixed-certificate",
                    "a certificate names a watched host and a name that nobody knew",
                    name=world.BESIDE,
                    once=True,
                ),
                finds(
                    "registrant-hidden",
                    "the new domain's registrant was exposed on Wednesday and hidden on Friday",
                    name=world.NEW_DOMAIN,
                    once=True,
                ),
                finds("shared-registrant", "an old domain of the actor's has the new one's registrant"),
                finds("seized", "a domain of the actor's was seized", name=world.SEIZED, once=True),
                finds("new-domain", "a list of new domains names a watched one", name=world.FALLBACK),
                finds(
                    "lookalike-domain",
                    "a list of new domains names what looks like our domain",
                    name=world.LOOKALIKE,
                    once=True,
                ),
                finds("new-resolution", "the newly registered domain leads to a watched address"),
                finds("same-domain", "a new host stands under a watched domain"),
                leads(world.NEXT, world.ANOTHER, never=world.STRANGERS),
                reports("the actor's next two domains", world.NEXT, world.ANOTHER),
                reports("the key that it uses again", world.key()),
                reports("the registrant whom it exposed", masked(Kind.EMAIL, world.OPERATOR.email)),
            ),
        )


@contextmanager
def real(data: Path) -> Iterator[Story]:
    """The real data in `data`, two weeks apart; the watches follow every actor that its timeline adds to."""
    if not (data / "actors").is_dir():
        raise ConfigError(f"couldn't play the demo on {data}: there is no folder actors in it; name the real data")
    content = RealWorld(data)
    with internet(content, at=realworld.FIRST_DAY) as net:
        here = net.addresses
        yield Story(
            days=(
                Day(
                    title=f"{realworld.FIRST_DAY:%d %B %Y}: what is known",
                    said=f"Trails of {len(content.actors)} watched actors and others, TweetFeed, OpenPhish.",
                    moment=realworld.FIRST_DAY,
                ),
                Day(
                    title=f"{realworld.LAST_DAY:%d %B %Y}: two weeks later",
                    said="The feeds went on, and the trails grew.",
                    moment=realworld.LAST_DAY,
                ),
            ),
            move=net.move,
            write_configs=lambda folder: write_configs(
                folder,
                here,
                entries=realworld.sources(here.feeds, here.taxii, here.taxii_collection),
                watches=realworld.watches(content.actors),
            ),
            checks=(finds("same-domain", "the trails grew under known domains"),),
            explained=4,
        )
