"""Certificate Transparency: configs/ct.yaml. Which logs are followed from where, and what is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from intel.config.read import Strict, check, read_yaml

Protocol = Literal["rfc6962", "static", "hybrid"]
"""How a log is read: RFC 6962, tiles (static-ct-api), or tiles under a tree head of RFC 6962."""


class LogList(Strict):
    """Where the list of logs comes from (log list v3): a URL or a file below the configuration's folder."""

    location: str = ""
    key: str = ""
    """The key that signs the list, SPKI in DER, base64; empty: the list is taken unsigned, which only a file may be."""


class LogChoice(Strict):
    """Logs that are followed: those of the list that fit all that is said here."""

    operators: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    """Shell patterns for the list's descriptions; empty takes all."""
    protocols: tuple[Protocol, ...] = ()
    hybrid: tuple[str, ...] = ()
    """Shell patterns for the descriptions of RFC 6962 logs that serve tiles as well."""
    states: tuple[Literal["pending", "qualified", "usable", "readonly", "retired"], ...] = ("qualified", "usable")
    shards: Literal["current", "open", "all"] = "open"
    """Temporal shards: the one that takes certificates which end in ninety days, those that end in the future, all."""
    most: int | None = Field(default=None, ge=1)
    """Take at most so many, in the order of the list."""
    start: str = "head"
    """Where to begin with a log never read before: `head`, an index, or a time of ISO 8601."""


class Archive(Strict):
    """What is kept of every verified entry. It wants the extra `archive`."""

    enabled: bool = False
    location: str = ""
    """A folder or a URL of fsspec; empty: `archive` in LAPSEWATCH_HOME."""
    max_bytes: int = Field(default=20_000_000_000, ge=0)
    max_days: int | None = Field(default=None, ge=1)
    """Entries logged longer ago are dropped; the oldest go first where there are more than `max_bytes`."""


class CtConfig(Strict):
    """configs/ct.yaml."""

    log_list: LogList = LogList()
    follow: tuple[LogChoice, ...] = ()
    readers: int = Field(default=2, ge=0, le=64)
    """Processes that read and match what a log gives, for each log that has a long way to go; 0: none besides the one
    that asks."""
    archive: Archive = Archive()


def read_ct(configs: Path) -> CtConfig:
    """configs/ct.yaml; nothing is chosen or archived where there is none. Raises ConfigError where it is wrong."""
    path = configs / "ct.yaml"
    return check(path, CtConfig, read_yaml(path) or {}) if path.exists() else CtConfig()
