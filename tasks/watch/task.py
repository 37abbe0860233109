"""Prefect's view of watching: one task for each monitor, which reads the files of watches first."""

from __future__ import annotations

from collections.abc import Callable

from prefect import task
from prefect.cache_policies import NO_CACHE
from sqlalchemy import Engine

from db.engine import LONG_PATIENCE, warehouse
from intel.errors import ConfigError
from intel.settings import settings
from tasks.watch import certificates, items, registrations
from tasks.watch.monitor import Monitored


@task(name="monitor registrations", persist_result=False, cache_policy=NO_CACHE)
def monitor_registrations() -> Monitored:
    """Judge the facts of feeds, registration and resolution that are due."""
    return _judge(registrations.monitor)


@task(name="monitor certificates", persist_result=False, cache_policy=NO_CACHE)
def monitor_certificates() -> Monitored:
    """Judge the facts about certificates and keys that are due."""
    return _judge(certificates.monitor)


def _judge(monitor: Callable[[Engine], Monitored]) -> Monitored:
    """Bring the watches to what their files say, and judge. A file that is wrong changes no watch and stops none.

    Raises ConfigError for it when all is judged.
    """
    wrong: ConfigError | None = None
    with warehouse(patience=LONG_PATIENCE) as engine:
        try:
            with engine.begin() as connection:
                items.sync(connection, settings().configs)
        except ConfigError as error:
            wrong = error
        monitored = monitor(engine)
    if wrong is not None:
        raise wrong
    return monitored
