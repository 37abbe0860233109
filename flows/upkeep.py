"""When the house is tidied: nightly."""

from __future__ import annotations

from prefect import flow
from prefect.futures import wait

from tasks.upkeep.task import analyze, close_dead_runs, sweep_documents, sweep_staging


@flow(name="upkeep", persist_result=False)
def upkeep() -> None:
    """Close the runs of dead processes, drop what they staged and half wrote, refresh statistics."""
    closed = close_dead_runs.submit()
    swept = sweep_staging.submit(closed)  # type: ignore[call-overload]  # Prefect resolves the future
    wait([swept, sweep_documents.submit(), analyze.submit()])
