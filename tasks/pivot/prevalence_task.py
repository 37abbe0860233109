"""Prefect's view of counting: one task for each reference population, and one for the lists.

One that fails spares the others, and leaves its old figures.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import LONG_PATIENCE, warehouse
from intel.config.lookups import read_lookups
from intel.config.prevalence import read_counting
from intel.settings import settings
from tasks.pivot import newer_lists, prevalence_certificates, prevalence_names, prevalence_zones
from tasks.pivot.prevalence_records import Done


@task(name="newer lists", persist_result=False, cache_policy=NO_CACHE)
def take_newer_lists() -> Done:
    """Take lists of shared values that are newer than those of the installed package."""
    with warehouse() as engine:
        return newer_lists.take_newer_lists(engine)


@task(name="count zones", persist_result=False, cache_policy=NO_CACHE)
def count_zones() -> Done:
    """Count name servers in the newest snapshots of zones."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return prevalence_zones.count_zones(engine, read_counting(settings().configs))


@task(name="count new domains", persist_result=False, cache_policy=NO_CACHE)
def count_new_domains() -> Done:
    """Count what names of new domains look like."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return prevalence_names.count_new_domains(engine, read_counting(settings().configs))


@task(name="count certificates", persist_result=False, cache_policy=NO_CACHE)
def count_certificates() -> Done:
    """Count issuers and keys of logged certificates."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return prevalence_certificates.count_certificates(engine, read_counting(settings().configs))


@task(name="count the sample", persist_result=False, cache_policy=NO_CACHE)
def count_sample() -> Done:
    """Count what registrations are like that chance chose."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        return prevalence_names.count_sample(engine, read_counting(settings().configs))


@task(name="choose a sample", persist_result=False, cache_policy=NO_CACHE)
def choose_sample() -> int:
    """Let chance choose new domains to be looked up last of all."""
    configs = settings().configs
    with warehouse() as engine:
        return prevalence_names.choose_sample(engine, read_counting(configs), read_lookups(configs))
