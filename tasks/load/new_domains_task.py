"""Prefect's view of new domains: one task for one slice of lists, and the event that wakes the monitors.

The event is a hint to look: the batch row is the truth.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import flow_run

from db.engine import LONG_PATIENCE, warehouse
from tasks.collect.session import find_source
from tasks.load.name_ranking import open_ranker
from tasks.load.new_domain_ct import Looked, see_certificates
from tasks.load.new_domain_hunt import Hunted, hunt_seen
from tasks.load.new_domain_lists import load_lists
from tasks.load.new_domains import Arrived
from tasks.load.task import say_loaded
from tasks.records import Collected


@task(name="new domains", task_run_name="new domains {collected.source}", persist_result=False, cache_policy=NO_CACHE)
def new_domains(collected: Collected) -> Arrived:
    """Match and remember what the slice's lists name, then say what was committed."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        arrived = load_lists(engine, find_source(collected.source), collected, ranker=open_ranker(engine))
    for batch in arrived.batches:
        say_loaded(arrived.source, batch)
    return arrived


@task(name="certificate names", persist_result=False, cache_policy=NO_CACHE)
def certificate_names() -> Looked | None:
    """Take in the names that were archived since the last look, then say what was committed."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        looked = see_certificates(engine, ranker=open_ranker(engine), flow_run=str(flow_run.id or ""))
    if looked is not None:
        for batch in looked.arrived.batches:
            say_loaded(looked.arrived.source, batch)
    return looked


@task(name="hunt first sights", persist_result=False, cache_policy=NO_CACHE)
def hunt_first_sights() -> Hunted:
    """Look in the first sights of before for what is watched since, then say what was committed."""
    with warehouse(patience=LONG_PATIENCE) as engine:
        hunted = hunt_seen(engine, flow_run=str(flow_run.id or ""))
    for source, batch in hunted.batches:
        say_loaded(source, batch)
    return hunted
