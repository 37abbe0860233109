"""Publishing: what partners may have, in which collections: configs/publishing.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import UUID4, Field, model_validator

from intel.config.read import Strict, TLPLabel, check, read_yaml
from intel.facts import TLP


class CollectionEntry(Strict):
    """One TAXII collection, and what may stand in it."""

    id: UUID4
    """Its TAXII id. It stays for good: clients hold their position by it."""
    alias: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Its name in paths and commands."""
    title: str = Field(min_length=1, max_length=200)
    description: str = ""
    tlp_ceiling: TLPLabel
    """The strictest TLP that it may hold; what is stricter is withheld."""
    minimum_severity: int = Field(default=0, ge=0, le=100)
    people: tuple[Literal["email"], ...] = ()
    """Kinds of people's data that it may hold; none unless named here."""

    @property
    def ceiling(self) -> TLP:
        """The strictest TLP that it may hold."""
        return TLP.parse(self.tlp_ceiling)

    def row(self) -> dict[str, Any]:
        """The columns of its row in the warehouse that its entry decides."""
        return {
            "id": self.id,
            "alias": self.alias,
            "title": self.title,
            "description": self.description,
            "tlp_ceiling": int(self.ceiling),
        }


class Publishing(Strict):
    """What partners may have, and what our TAXII server says of itself."""

    identity: UUID4
    """The UUID of our STIX identity; the ids of everything that we publish follow from it."""
    title: str = "Lapsewatch"
    """What the TAXII server and its API root are called."""
    description: str = ""
    contact: str = ""
    watches_tlp: TLPLabel = "TLP:GREEN"
    """TLP of what we say of a watch itself: its name, and the actor that it is about."""
    valid_days: int = Field(default=365, ge=1, le=3650)
    """Days for which an indicator counts, from when it was found."""
    collections: tuple[CollectionEntry, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for field in ("id", "alias", "title"):
            values = [getattr(entry, field) for entry in self.collections]
            if len(values) != len(set(values)):
                raise ValueError(f"two collections have the same {field}")
        return self

    @property
    def watch_ceiling(self) -> TLP:
        """`watches_tlp` as a number."""
        return TLP.parse(self.watches_tlp)


def read_publishing(configs: Path) -> Publishing:
    """configs/publishing.yaml. Raises ConfigError where it is missing or wrong."""
    path = configs / "publishing.yaml"
    return check(path, Publishing, read_yaml(path))
