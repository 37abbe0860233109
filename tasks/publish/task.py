"""Prefect's view of publishing: one task that brings every collection up to date."""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from intel.config.organisation import read_organisation
from intel.config.publishing import read_publishing
from intel.settings import settings
from tasks.publish.publish import Published
from tasks.publish.publish import publish as publish_findings


@task(name="publish", persist_result=False, cache_policy=NO_CACHE)
def publish() -> Published:
    """Publish what is new or changed."""
    configs = settings().configs
    policy, organisation = read_publishing(configs), read_organisation(configs)
    with warehouse() as engine:
        return publish_findings(engine, policy, organisation)
