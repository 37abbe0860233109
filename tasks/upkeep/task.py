"""Prefect's view of upkeep: one task for each kind of tidying."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db import documents, upkeep
from db.engine import warehouse
from intel.settings import settings


@task(name="close dead runs", persist_result=False, cache_policy=NO_CACHE)
def close_dead_runs() -> int:
    """Say of runs whose process died that they were interrupted."""
    with warehouse() as engine:
        return upkeep.close_dead_runs(engine)


@task(name="sweep staging", persist_result=False, cache_policy=NO_CACHE)
def sweep_staging(closed: int) -> int:
    """Drop what dead runs had staged; after they were closed (`closed` of them)."""
    del closed
    with warehouse() as engine:
        return upkeep.sweep_staging(engine)


@task(name="sweep documents", persist_result=False, cache_policy=NO_CACHE)
def sweep_documents() -> int:
    """Remove the documents that killed processes left half written."""
    return documents.sweep(settings().document_store)


@task(name="analyze", persist_result=False, cache_policy=NO_CACHE)
def analyze() -> None:
    """Vacuum and analyze the large tables."""
    with warehouse() as engine:
        upkeep.analyze(engine)
