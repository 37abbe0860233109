"""Registrars and the names that they go by: configs/registrars.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from intel.config.read import Strict, check, read_yaml

Name = Annotated[str, Field(min_length=1, max_length=256)]


class RegistrarNames(Strict):
    """One registrar: the first name is shown, and all of them are its."""

    iana_id: int = Field(gt=0, lt=1_000_000_000)
    names: tuple[Name, ...] = Field(min_length=1)


class RegistrarList(Strict):
    """The names that are known by hand. Those that registries give along with a number are learned beside them."""

    registrars: tuple[RegistrarNames, ...] = ()

    @field_validator("registrars")
    @classmethod
    def _once(cls, value: tuple[RegistrarNames, ...]) -> tuple[RegistrarNames, ...]:
        seen = [one.iana_id for one in value]
        if twice := sorted({number for number in seen if seen.count(number) > 1}):
            raise ValueError(f"IANA ids {twice} stand here twice; put all names of one registrar into one entry")
        return value

    @property
    def by_number(self) -> Mapping[int, tuple[str, ...]]:
        """IANA id -> names."""
        return {one.iana_id: one.names for one in self.registrars}


def read_registrars(configs: Path) -> RegistrarList:
    """configs/registrars.yaml; empty where there is none. Raises ConfigError where it is wrong."""
    path = configs / "registrars.yaml"
    return check(path, RegistrarList, read_yaml(path) or {}) if path.exists() else RegistrarList()
