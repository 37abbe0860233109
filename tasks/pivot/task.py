"""Prefect's view of pivoting within an investigation: leads, what is asked about them, leads from that.

A step takes what came before it, or why that failed: a branch that failed leaves the others' facts to pivot over.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from tasks.enrich.records import Case
from tasks.pivot.follow import Followed
from tasks.pivot.follow import follow as follow_leads
from tasks.pivot.leads import Led, lead_on


@task(name="pivot", persist_result=False, cache_policy=NO_CACHE)
def pivot(case: Case) -> Led:
    """Pivot from the incident's entities, and keep what it leads to."""
    with warehouse() as engine:
        return lead_on(engine, case)


@task(name="second look-ups", persist_result=False, cache_policy=NO_CACHE)
def second_look_ups(case: Case, led: Led | BaseException) -> Followed:
    """Ask about the strongest leads. What failed is asked again by the next investigation, not by Prefect."""
    if not isinstance(led, Led):
        return Followed()
    with warehouse() as engine:
        return follow_leads(engine, case, led)


@task(name="pivot again", persist_result=False, cache_policy=NO_CACHE)
def pivot_again(case: Case, followed: Followed | BaseException) -> Led:  # noqa: ARG001 - the edge that Prefect's page draws
    """Pivot over what the second look-ups brought, too."""
    with warehouse() as engine:
        return lead_on(engine, case)
