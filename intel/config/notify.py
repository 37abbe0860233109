"""Notifying: to which channels findings are sent, and how much of them: configs/notify.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from intel.config.read import Strict, TLPLabel, check, read_yaml
from intel.facts import TLP


class Channel(Strict):
    """One place to which findings are sent. Its address is a secret: the file names where that stands."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """What makes two messages the same besides the finding: it stays for good."""
    url_from: str = Field(default="", pattern=r"^(?:[A-Z][A-Z0-9_]{0,99})?$")
    """Environment variable with the address, in the form of the library apprise."""
    url_block: str = Field(default="", pattern=r"^(?:[a-z0-9][a-z0-9-]{0,99})?$")
    """Prefect Secret block with the address, in place of `url_from`."""
    minimum_severity: int = Field(default=60, ge=0, le=100)
    """What is worth this much leaves at once."""
    digest_from: int = Field(default=20, ge=0, le=100)
    """What is worth at least this much, and doesn't leave at once, stands in the digest."""
    lapses: bool = True
    """Whether mistakes of actors leave at once, whatever they are worth."""
    watches: tuple[str, ...] = ()
    """Names of watches; all unless named."""
    budget: int = Field(default=20, ge=0, le=10_000)
    """Messages for each watch and UTC day; what is beyond it stands in the digest."""
    digest_hour: int = Field(default=7, ge=0, le=23)
    """Hour (UTC) from which the digest leaves."""
    tlp_ceiling: TLPLabel = "TLP:GREEN"
    """The strictest TLP that may be sent there."""

    @model_validator(mode="after")
    def _addressed(self) -> Self:
        if bool(self.url_from) == bool(self.url_block):
            raise ValueError("give exactly one of url_from and url_block")
        return self

    @property
    def ceiling(self) -> TLP:
        """`tlp_ceiling` as a number."""
        return TLP.parse(self.tlp_ceiling)

    def about(self, watch: str) -> bool:
        """Whether findings of a watch are sent there."""
        return not self.watches or watch in self.watches


class Notify(Strict):
    """The file configs/notify.yaml."""

    channels: tuple[Channel, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [channel.name for channel in self.channels]
        if len(names) != len(set(names)):
            raise ValueError("two channels have the same name")
        return self

    def channel(self, name: str) -> Channel | None:
        """The channel of that name."""
        return next((channel for channel in self.channels if channel.name == name), None)


def read_notify(configs: Path) -> Notify:
    """configs/notify.yaml; no channels where there is no such file. Raises ConfigError where it is wrong."""
    path = configs / "notify.yaml"
    return check(path, Notify, read_yaml(path) or {}) if path.exists() else Notify()
