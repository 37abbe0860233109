"""When facts are judged against the watches: woken by a load, and swept on a schedule."""

from __future__ import annotations

from prefect import flow

from tasks.watch import task as watch


@flow(name="monitor-registrations", persist_result=False)
def monitor_registrations() -> int:
    """Judge names, addresses and registration; returns the number of new findings."""
    return watch.monitor_registrations.submit().result().findings


@flow(name="monitor-certificates", persist_result=False)
def monitor_certificates() -> int:
    """Judge certificates and keys; returns the number of new findings."""
    return watch.monitor_certificates.submit().result().findings
