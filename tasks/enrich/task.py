"""Prefect's view of enrichment: one task for what is known, and one for each branch that goes on from there."""

from __future__ import annotations

from datetime import timedelta

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from tasks.enrich import certificates as of_certificates
from tasks.enrich import known as of_known
from tasks.enrich import look_up as of_queue
from tasks.enrich import network as of_network
from tasks.enrich import passive_dns as of_passive_dns
from tasks.enrich import registration as of_registration
from tasks.enrich import timetable
from tasks.enrich.look_up import LookedUp
from tasks.enrich.records import Case, Certificates, Known, Network, PassiveDns, Registered
from tasks.enrich.timetable import Timetable
from tasks.load.task import say_loaded

Told = Known | BaseException
"""What is known, or why nothing is: the branches then start from the case alone."""


def _told(known: Told) -> Known:
    return known if isinstance(known, Known) else Known()


@task(name="known", persist_result=False, cache_policy=NO_CACHE)
def known(case: Case) -> Known:
    """What the warehouse knows of the case."""
    with warehouse() as engine:
        return of_known.known(engine, case)


@task(name="registration", persist_result=False, cache_policy=NO_CACHE)
def registration(case: Case, known: Told) -> Registered:  # noqa: ARG001 - the edge that Prefect's page draws
    """Ask registries and registrars. What failed is asked again by the next investigation, not by Prefect."""
    with warehouse() as engine:
        return of_registration.registration(engine, case)


@task(name="timetable", persist_result=False, cache_policy=NO_CACHE)
def keep_timetable() -> Timetable:
    """Let what is watched enter the timetable of look-ups."""
    with warehouse() as engine:
        return timetable.keep_timetable(engine)


@task(name="look up", persist_result=False, cache_policy=NO_CACHE)
def look_up(timetable: Timetable, *, seconds: float, ahead_days: float) -> LookedUp:  # noqa: ARG001 - the edge that Prefect's page draws
    """Ask about what is due, then say what was loaded."""
    with warehouse() as engine:
        looked = of_queue.look_up(engine, seconds=seconds, ahead=timedelta(days=ahead_days))
    for source, batch in looked.batches:
        say_loaded(source, batch)
    return looked


@task(name="certificates", persist_result=False, cache_policy=NO_CACHE)
def certificates(case: Case, known: Told) -> Certificates:
    """Certificates that name it, and those with the same keys."""
    with warehouse() as engine:
        return of_certificates.certificates(engine, case, _told(known))


@task(name="passive DNS", persist_result=False, cache_policy=NO_CACHE)
def passive_dns(case: Case, known: Told) -> PassiveDns:
    """Which names led where."""
    with warehouse() as engine:
        return of_passive_dns.passive_dns(engine, case, _told(known))


@task(name="network", persist_result=False, cache_policy=NO_CACHE)
def network(case: Case, known: Told) -> Network:
    """What holds its addresses, as number registries say now, and what else stands on them."""
    with warehouse() as engine:
        found = of_network.network(engine, case, _told(known))
    if found.batch is not None:
        say_loaded("rdap", found.batch)
    return found
