"""New domains: how long first sights are kept, and what may be looked up without a person: configs/newdomains.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from intel.config.read import Strict, check, read_yaml


class Ranking(Strict):
    """The model that ranks names by what the name alone tells (intel/match/name_model.py)."""

    enabled: bool = True
    """Whether names are ranked once there is a model; without the extra `ranking` there is none."""
    least_examples: int = Field(default=200, ge=1)
    """Names that sources list, and as many that only lists of new domains show, below which no model is made."""
    most_examples: int = Field(default=200_000, ge=1_000)
    """Names of each kind that a model is made from at most: the newest listed, and as many of the new ones."""
    days: float = Field(default=30, gt=0)
    """Days of first sights that stand for what ordinary new names look like."""
    threshold_share: float = Field(default=0.001, gt=0, lt=1)
    """The share of ordinary new names that may lie above the model's threshold; where that is, is learnt."""


class NewDomains(Strict):
    """What becomes of names that channels of new domains show."""

    keep_days: float = Field(default=365, gt=0)
    """Days for which a first sight is kept."""
    matched_per_day: int = Field(default=500, ge=0)
    """Names that touch what is watched, looked up a day (UTC)."""
    ranked_per_day: int = Field(default=50, ge=0)
    """Names above the model's threshold, the highest first, looked up a day (UTC)."""
    ct_names: Literal["all", "known", "none"] = "all"
    """Names of logged certificates that count as seen: all; only those that a list or zone has shown; or none."""
    ranking: Ranking = Ranking()


def read_new_domains(configs: Path) -> NewDomains:
    """configs/newdomains.yaml; the defaults where there is none. Raises ConfigError where it is wrong."""
    path = configs / "newdomains.yaml"
    return check(path, NewDomains, read_yaml(path) or {}) if path.exists() else NewDomains()
