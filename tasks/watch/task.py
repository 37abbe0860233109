"""Prefect's view of watching: one task for each monitor."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from tasks.watch import certificates, registrations
from tasks.watch.monitor import Monitored


@task(name="monitor registrations", persist_result=False, cache_policy=NO_CACHE)
def monitor_registrations() -> Monitored:
    """Judge the facts of feeds, registration and resolution that are due."""
    with warehouse() as engine:
        return registrations.monitor(engine)


@task(name="monitor certificates", persist_result=False, cache_policy=NO_CACHE)
def monitor_certificates() -> Monitored:
    """Judge the facts about certificates and keys that are due."""
    with warehouse() as engine:
        return certificates.monitor(engine)
