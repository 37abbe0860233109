"""Which logs are followed: those that configs/sources/ names, and those that configs/ct.yaml chooses from the list.

In: the configuration and table `ct_log`. Out: entries of sources, as if a person had written them.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from sqlalchemy import Connection, inspect

from db import ct_logs
from db.ct_logs import Log, fits, protocol_of
from intel.config.ct import CtConfig, LogChoice, read_ct
from intel.config.sources import Format, Licence, Options, Source, read_sources
from intel.settings import settings
from tasks.collect.fetched import utc_now

_NEW_CERTIFICATES: Final = timedelta(days=90)
"""How long most of what is issued today is good for."""
# RFC 2606: a list has had placeholders there.
_NOWHERE: Final = ("example", "invalid", "example.com", "example.net", "example.org")


def list_problem(config: CtConfig) -> str:
    """Why no list of logs can be read as the configuration stands; empty where one can."""
    if not config.log_list.location:
        return "log_list.location of ct.yaml is empty: no list of logs is read"
    if is_remote(config.log_list.location) and not config.log_list.key:
        return (
            "log_list.key of ct.yaml is empty: a list from the network is read only where its signature can be checked"
        )
    return ""


def is_remote(location: str) -> bool:
    """Whether a list comes over the network."""
    return location.startswith(("http://", "https://"))


def chosen_sources(connection: Connection, now: datetime | None = None) -> list[Source]:
    """Every log that is to be followed now."""
    configs = settings().configs
    entered = [source for source in read_sources(configs).values() if source.enabled and source.transport == "ct"]
    keys = {source.options.log_key for source in entered}
    listed = choose(read_ct(configs), ct_logs.logs(connection), now or utc_now(), but_not=keys)
    return [*entered, *listed]


def choose(config: CtConfig, logs: Sequence[Log], now: datetime, *, but_not: Collection[str] = ()) -> list[Source]:
    """The sources of the logs that the configuration chooses, in the order of `logs`.

    A log that several choices fit is taken by the first of them. `but_not` are keys (DER, base64) of logs that have an
    entry of their own.
    """
    taken: dict[str, Source] = {}
    for choice in config.follow:
        fitting = [log for log in logs if is_chosen(choice, log, config, now)]
        for log in fitting[: choice.most]:
            source = source_of(log, config, choice)
            if source.options.log_key not in but_not:
                taken.setdefault(log.name, source)
    return [taken[log.name] for log in logs if log.name in taken]


def is_chosen(choice: LogChoice, log: Log, config: CtConfig, now: datetime) -> bool:
    """Whether all that the choice says is so of the log."""
    protocol = protocol_of(log.protocol, log.description, hybrid_patterns(config))
    return (
        log.listed
        and log.state in choice.states
        and (not choice.operators or any(fits(log.operator, pattern) for pattern in choice.operators))
        and (not choice.logs or any(fits(log.description, pattern) for pattern in choice.logs))
        and (not choice.protocols or protocol in choice.protocols)
        and _takes(log, choice.shards, now)
        and not _is_placeholder(log)
    )


def _takes(log: Log, shards: str, now: datetime) -> bool:
    """Whether the log's temporal shard is wanted; a log without one takes everything."""
    start, end = log.not_after_start, log.not_after_end
    if shards == "all" or start is None or end is None:
        return True
    if shards == "open":
        return now < end
    return start <= now + _NEW_CERTIFICATES < end


def _is_placeholder(log: Log) -> bool:
    host = (urlsplit(log.url).hostname or "").rstrip(".")
    return any(host == name or host.endswith(f".{name}") for name in _NOWHERE)


def hybrid_patterns(config: CtConfig) -> tuple[str, ...]:
    """The patterns of all choices for RFC 6962 logs that serve tiles as well."""
    return tuple(pattern for choice in config.follow for pattern in choice.hybrid)


def source_of(log: Log, config: CtConfig, choice: LogChoice | None = None) -> Source:
    """The entry of a listed log."""
    protocol = protocol_of(log.protocol, log.description, hybrid_patterns(config))
    return Source(
        name=log.name,
        title=f"{log.description} ({log.operator})",
        transport="ct",
        format=Format.CT,
        location=log.url,
        semantics="stream",
        cadence="continuous",
        reliability="A",
        tlp="TLP:CLEAR",
        # What a log holds is public by design (RFC 6962 1), and no operator restricts its use.
        licence=Licence(name="public log", commercial_use=True, redistribution=True),
        enabled=choice is not None,
        options=Options.model_validate(
            {
                "protocol": protocol,
                "follow": "head" if choice is None else choice.start,
                "log_key": base64.b64encode(log.key).decode(),
                "submission_url": log.submission_url,
            }
        ),
    )


def listed_source(connection: Connection, name: str, now: datetime | None = None) -> Source | None:
    """The entry of the log `name` that a list names or named; switched on where it is chosen now.

    A warehouse that was never set up knows of none.
    """
    if not inspect(connection).has_table("ct_log"):
        return None
    log = ct_logs.find_log(connection, name)
    if log is None:
        return None
    chosen = {source.name: source for source in chosen_sources(connection, now)}
    return chosen.get(name) or source_of(log, read_ct(settings().configs))
