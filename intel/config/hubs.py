"""What shared values are, and what that means: configs/hubs.yaml and configs/hubs-values.yaml."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, IPvAnyNetwork

from intel.config.read import Strict, check, read_yaml
from intel.entities import Kind
from intel.hubs import HubClass
from intel.settings import CHECKOUT


class ListEntry(Strict):
    """What a list means, as configs/hubs.yaml says."""

    hub: HubClass
    takes: int = Field(ge=0, le=100)
    why: str
    match: Literal["suffix", "name"] | None = None


class EndEntry(Strict):
    """Somebody who takes domains away, and by what one sees it: configs/hubs.yaml says what each key means."""

    reason: Literal["seized", "sinkholed"]
    how: str = Field(min_length=1, max_length=120)
    as_of: date
    since: date | None = None
    until: date | None = None
    registrants: tuple[str, ...] = ()
    name_servers: tuple[str, ...] = ()
    addresses: tuple[IPvAnyNetwork, ...] = ()
    lists: tuple[str, ...] = ()


class ClassEntry(Strict):
    """What having a value of a class in common means."""

    factor: float = Field(ge=0, le=1)
    """What a link over it is worth of what its prevalence says; 0: nothing."""
    means: str
    of: dict[Kind, float] = Field(default={})
    """The same for some kinds of values: a mailbox is somebody's though its provider is everybody's."""
    sets: bool = False
    """Whether a set of name servers that are all of this class is of it too."""


class HubsFile(Strict):
    """The file configs/hubs.yaml."""

    lists: dict[str, ListEntry]
    classes: dict[HubClass, ClassEntry] = Field(default={})
    documentation: tuple[str, ...] = ()
    """Networks and names that are reserved for documentation: they stand for real ones, and link as these would."""
    ends: tuple[EndEntry, ...] = ()


class ValueEntry(Strict):
    """Values of one class that no list gives: configs/hubs-values.yaml says what each key means."""

    hub: HubClass
    why: str
    as_of: date
    source: str
    takes: int = Field(default=0, ge=0, le=100)
    factor: float | None = Field(default=None, ge=0, le=1)
    names: tuple[str, ...] = ()
    sets: float | None = Field(default=None, ge=0, le=1)
    name_server_sets: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    values: dict[Kind, tuple[str, ...]] = Field(default={})


class HubValuesFile(Strict):
    """The file configs/hubs-values.yaml."""

    entries: dict[str, ValueEntry]


def read_hubs(path: Path) -> HubsFile:
    """The table of lists; an installation without one of its own takes the project's. Raises ConfigError."""
    found = path if path.is_file() else CHECKOUT / "configs" / "hubs.yaml"
    return check(found, HubsFile, read_yaml(found))


def read_hub_values(path: Path) -> HubValuesFile:
    """The table of values; an installation without one of its own takes the project's. Raises ConfigError."""
    found = path if path.is_file() else CHECKOUT / "configs" / "hubs-values.yaml"
    return check(found, HubValuesFile, read_yaml(found))
