"""Prefect's view of watching: one task for each monitor, which reads the files of watches first."""

from __future__ import annotations

from collections.abc import Callable

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event
from sqlalchemy import Engine

from db.engine import LONG_PATIENCE, warehouse
from intel.config.notify import read_notify
from intel.errors import ConfigError
from intel.settings import settings
from tasks.watch import alike, certificates, items, own_rules, patterns, registrations
from tasks.watch.monitor import Monitored


@task(name="monitor registrations", persist_result=False, cache_policy=NO_CACHE)
def monitor_registrations() -> Monitored:
    """Judge the facts of feeds, registration and resolution that are due."""
    return _judge(registrations.monitor)


@task(name="monitor certificates", persist_result=False, cache_policy=NO_CACHE)
def monitor_certificates() -> Monitored:
    """Judge the facts about certificates and keys that are due."""
    return _judge(certificates.monitor)


@task(name="monitor rules", persist_result=False, cache_policy=NO_CACHE)
def monitor_rules() -> Monitored:
    """Judge what is due against the rules of watches' own."""
    return _judge(own_rules.monitor)


@task(name="relearn patterns", persist_result=False, cache_policy=NO_CACHE)
def relearn() -> int:
    """Propose registration patterns anew for watches of which more, or fewer, domains are known."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return patterns.relearn(engine)


@task(name="monitor habits", persist_result=False, cache_policy=NO_CACHE)
def monitor_habits() -> Monitored:
    """Find the domains that were registered as the known domains of watches were."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        monitored = alike.monitor(engine)
    if monitored.findings:
        _wake(monitored)
    return monitored


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
    if monitored.findings:
        _wake(monitored)
    if wrong is not None:
        raise wrong
    return monitored


def _wake(monitored: Monitored) -> None:
    """Tell who sends messages that there are findings; where nothing is to be sent, nobody is woken."""
    try:
        channels = read_notify(settings().configs).channels
    except ConfigError:  # the flow that sends says so
        return
    if channels:
        emit_event(
            event="lapsewatch.findings.new",
            resource={"prefect.resource.id": f"lapsewatch.monitor.{monitored.monitor}"},
            payload={"findings": monitored.findings},
        )
