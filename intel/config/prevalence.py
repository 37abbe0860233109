"""What is counted in reference populations: configs/prevalence.yaml."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from intel.config.read import Strict, check, read_yaml


class Counting(Strict):
    """What is counted, and how much of it."""

    sample_per_day: int = Field(default=20, ge=0, le=10_000)
    """Registrations a day (UTC) that chance chooses to be looked up; 0: none."""
    sample_days: float = Field(default=365, gt=0)
    """Days for which one so chosen counts."""
    days: float = Field(default=30, gt=0)
    """Days of first sights and of logged certificates that are counted."""
    most_names: int = Field(default=1_000_000, ge=1)
    """Names of new domains that are counted; of more, chance takes a part."""
    most_certificates: int = Field(default=5_000_000, ge=0)
    """Logged certificates that are counted, the newest; 0: none."""
    least: int = Field(default=2, ge=1)
    """Values that fewer things have are left out."""
    most_values: int = Field(default=500_000, ge=1)
    """Values of one trait that are kept at most, those that most things have."""


def read_counting(configs: Path) -> Counting:
    """configs/prevalence.yaml; the defaults where there is none. Raises ConfigError where it is wrong."""
    path = configs / "prevalence.yaml"
    return check(path, Counting, read_yaml(path) or {}) if path.exists() else Counting()
