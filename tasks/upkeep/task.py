"""Prefect's view of upkeep: one task for each kind of tidying."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from db import documents, upkeep
from db.archive_compact import Compacted
from db.archive_retain import Retained
from db.engine import LONG_PATIENCE, warehouse
from intel.settings import settings
from tasks.load import zones_keep
from tasks.upkeep import archive, name_model, new_domains
from tasks.upkeep.name_model import Learnt


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


@task(name="compact archive", persist_result=False, cache_policy=NO_CACHE)
def compact_archive() -> Compacted:
    """Merge the archive's small segments."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return archive.compact(engine)


@task(name="tidy archive", persist_result=False, cache_policy=NO_CACHE)
def tidy_archive() -> Retained:
    """Drop what is too old or too much of the archive, and remove the files that nobody needs."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return archive.tidy(engine)


@task(name="tidy zones", persist_result=False, cache_policy=NO_CACHE)
def tidy_zones() -> int:
    """Remove what comparisons of zones left over."""
    with warehouse() as engine:
        return zones_keep.tidy(engine)


@task(name="prune first sights", persist_result=False, cache_policy=NO_CACHE)
def prune_first_sights() -> int:
    """Remove first sights of new domains that are too old."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return new_domains.prune_seen(engine)


@task(name="learn names", persist_result=False, cache_policy=NO_CACHE)
def learn_names() -> Learnt:
    """Make the model of names anew."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return name_model.learn(engine, flow_run=str(flow_run.id or ""))
