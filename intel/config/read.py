"""Reading a data file of `configs/`: YAML in, a checked record out; what is wrong is said with file and place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from intel.errors import ConfigError
from intel.facts import TLP

Model = TypeVar("Model", bound=BaseModel)


class Strict(BaseModel):
    """A part of a data file: unknown keys are mistakes, and nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


TLPLabel = Annotated[str, AfterValidator(lambda value: TLP.parse(value).label)]
"""A TLP 2.0 label, however it is written; `TLP.parse` reads it."""


def read_yaml(path: Path) -> object:
    """The parsed file. Raises ConfigError where it is missing or not YAML."""
    try:
        return yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"couldn't read {path}: {error.strerror}; create it, or set LAPSEWATCH_CONFIGS") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"couldn't read {path}: it is not YAML ({error}); nothing of it is used") from error


def check(path: Path, model: type[Model], value: object) -> Model:
    """`value` as `model`. Raises ConfigError that names the file and every wrong place in it."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the file'}: {item['msg']}" for item in error.errors()
        )
        raise ConfigError(f"couldn't use {path}: {wrong}") from error
