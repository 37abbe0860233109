"""The report on an incident: what is known and by whom, what follows and from what, what failed, what to do first.

In: the incident, what the steps of its investigation found, or why they failed. Out: Markdown without people's data,
and without a verdict beyond its evidence. What was not asked, or could not be had, is named. `report_html` makes a page
of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from db import enrich, incidents
from intel.config.evidence import read_evidence
from intel.config.organisation import Organisation, read_organisation
from intel.entities import Kind, entity
from intel.hubs import HubClass
from intel.settings import settings
from tasks.assess import wording as say
from tasks.assess.branches import Branches
from tasks.assess.connected import connected_domains
from tasks.assess.hypotheses import Scale
from tasks.assess.investigation import watch_name
from tasks.assess.report_body import Told, render
from tasks.collect.fetched import utc_now
from tasks.enrich.history import History, read_history
from tasks.enrich.known import claims_about
from tasks.enrich.records import Case, Network
from tasks.pivot.hubs import hubs_of
from tasks.watch.review import explain

_BLOCKED_ALL_THE_SAME: Final = frozenset(
    {HubClass.CLOUD, HubClass.VPN, HubClass.PROXY, HubClass.SCANNER, HubClass.SINKHOLE, HubClass.SEIZURE}
)
"""Shared, but by nobody who would miss it: rented by the hour, or a way to hide."""
TOP_FINDINGS: Final = 25
TOP_CONNECTED: Final = 25
TOP_CLAIMS: Final = 5
TOP_HISTORIES: Final = 100


class Report(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """The report as it may be shown to everybody who sees Prefect's page; the stored one carries the title too."""

    incident: int
    markdown: str
    failed: tuple[str, ...] = ()
    leads: int = 0
    findings: int = 0
    lapses: int = 0


def write_report(engine: Engine, case: Case, found: Branches) -> Report:
    """Write the report and keep it with the incident. Raises WarehouseError and ConfigError."""
    organisation = read_organisation(settings().configs)
    at = utc_now()
    with engine.begin() as connection:
        incident = incidents.read(connection, case.incident)
        rows = enrich.findings(connection, watch=watch_name(case.incident), incident=case.incident, top=TOP_FINDINGS)
        explained = tuple(explain(connection, row.id) for row in rows)
        total = rows[0].total if rows else 0
        shared = shared_addresses(found.network)
        domains = connected_domains(case, found.certificates, found.passive_dns, found.network, shared=shared)
        body = render(
            Told(
                incident=incident,
                case=case,
                found=found,
                findings=explained,
                total=total,
                connected=claims_about(connection, domains[:TOP_CONNECTED], top=TOP_CLAIMS),
                histories=histories_of(connection, case, now=at),
                organisation=organisation,
                shared=shared,
                spared=spared(case, organisation),
                scale=scale(),
                at=at,
            )
        )
        title = say.prose(incident.title)
        stored = body.replace("\n", f": {title}\n", 1) if title else body
        incidents.write_report(connection, case.incident, stored, at=at)
    return Report(
        incident=case.incident,
        markdown=body,
        failed=tuple(name for name, _ in found.failed),
        leads=len(found.leads.leads),
        findings=total,
        lapses=sum(one.lapse for one in explained),
    )


def scale() -> Scale:
    """How evidence is weighed. Raises ConfigError."""
    file = read_evidence(settings().configs)
    return Scale(caps=dict(file.caps), lessened=file.lessened, hard=file.hard)


def shared_addresses(network: Network) -> dict[str, str]:
    """The addresses that are many people's by what they are, each with why."""
    found = {}
    for one in network.addresses:
        hubs = [hub for hub in hubs_of(entity(Kind.IP, one.address)) if not hub.links]
        if hubs:
            found[one.address] = f"{hubs[0].hub}: {hubs[0].why}"
    return found


def spared(case: Case, organisation: Organisation) -> dict[str, str]:
    """The names and addresses that were reported and must not be blocked, since they are ours or many strangers'."""
    found = {}
    for one in case.subjects:
        ours = organisation.domain_of(one.scope) or organisation.network_of(one.address)
        hubs = [] if one.kind == Kind.URL else hubs_of(entity(one.kind, one.value))
        others = [hub for hub in hubs if not hub.links and hub.hub not in _BLOCKED_ALL_THE_SAME]
        if ours:
            found[one.value] = f"ours: {ours}"
        elif others:
            found[one.value] = f"{others[0].hub}: {others[0].why}"
    return found


def histories_of(connection: Connection, case: Case, *, now: datetime) -> tuple[History, ...]:
    """The histories of the registration of the case's domains, as known at `now`, at most `TOP_HISTORIES`."""
    scopes = list(dict.fromkeys(subject.scope for subject in case.subjects if subject.scope))
    found = (read_history(connection, entity(Kind.DOMAIN, scope), now=now) for scope in scopes[:TOP_HISTORIES])
    return tuple(one for one in found if one is not None)
