"""Certificate Transparency: configs/ct.yaml. Which logs are followed from where, and what is kept of them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from intel.config.read import Strict, check, read_yaml

Protocol = Literal["rfc6962", "static", "hybrid"]
"""How a log is read: RFC 6962, tiles (static-ct-api), or tiles under a tree head of RFC 6962."""


def _start(value: object) -> str:
    """`head`, `start`, an index, or a time, which is UTC where it does not say."""
    if isinstance(value, datetime | date):
        text = value.isoformat()  # YAML reads times by itself
    elif isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
    elif isinstance(value, str):
        text = value.strip()
    else:
        raise ValueError("it has to be `head`, `start`, an index or a time")  # noqa: TRY004 - pydantic reports ValueError
    if text in {"head", "start"} or (text.isascii() and text.isdigit() and len(text) < 19):
        return text
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("it has to be `head`, `start`, an index or a time of ISO 8601") from None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()


Start = Annotated[str, BeforeValidator(_start)]
"""Where to begin with a log never read before: `head`, `start`, an index, or a time (event time) of ISO 8601."""


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
    start: Start = "head"
    """Where to begin with a log never read before: `head`, `start`, an index, or a time of ISO 8601."""


class Archive(Strict):
    """What is kept of every verified entry. It wants the extra `archive`."""

    enabled: bool = False
    location: str = ""
    """A folder or a URL of fsspec; empty: `archive` in LAPSEWATCH_HOME."""
    max_bytes: int = Field(default=20_000_000_000, ge=0)
    max_days: int | None = Field(default=None, ge=1)
    """Entries logged longer ago are dropped; the oldest go first where there are more than `max_bytes`."""


class Alarms(Strict):
    """When a log is an alarm in `lapsewatch ct status`."""

    stale_minutes: int = Field(default=60, ge=1)
    """A head that is older than the log's maximum merge delay and this: the log no longer publishes."""
    backlogged_minutes: int = Field(default=60, ge=1)
    """Entries that wait to be read were logged this long before the log's head: we are behind."""
    unasked_minutes: int = Field(default=60, ge=1)
    """The log was not asked for this long: nothing runs, or it cannot be reached."""


class CtConfig(Strict):
    """configs/ct.yaml."""

    log_list: LogList = LogList()
    follow: tuple[LogChoice, ...] = ()
    readers: int = Field(default=2, ge=0, le=64)
    """Processes that read and match what a log gives, for each log that has a long way to go; 0: none besides the one
    that asks."""
    archive: Archive = Archive()
    alarms: Alarms = Alarms()


def read_ct(configs: Path) -> CtConfig:
    """configs/ct.yaml; nothing is chosen or archived where there is none. Raises ConfigError where it is wrong."""
    path = configs / "ct.yaml"
    return check(path, CtConfig, read_yaml(path) or {}) if path.exists() else CtConfig()
