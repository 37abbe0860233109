"""How registration patterns are learned: configs/patterns.yaml."""

from __future__ import annotations

from pathlib import Path

import msgspec

from intel.errors import ConfigError
from intel.patterns.records import Settings


def read_settings(configs: Path) -> Settings:
    """configs/patterns.yaml; as built in where there is none. Raises ConfigError where it is wrong."""
    path = configs / "patterns.yaml"
    if not path.exists():
        return Settings()
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=Settings)
    except (msgspec.ValidationError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"couldn't read {path.name}: {error}; nothing is learned until it is right") from error
