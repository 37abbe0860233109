"""The report on an incident: what is known and by whom, what follows and from what, what failed, what to look at next.

In: the incident, what the branches of its investigation found, or why they failed. Out: Markdown without people's data,
and without a verdict beyond its evidence. What was not asked, or could not be had, is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from db import enrich, incidents
from db.incidents import Incident
from intel.config.organisation import Organisation, read_organisation
from intel.entities import Kind, entity, masked
from intel.errors import LapsewatchError
from intel.settings import settings
from tasks.assess import report_inferred as inferred
from tasks.assess import report_known as told
from tasks.assess import report_registration as of_registration
from tasks.assess import wording as say
from tasks.assess.connected import addresses_seen, connected_domains, names_seen
from tasks.assess.investigation import Watched, watch_name
from tasks.assess.targeting import targeting
from tasks.collect.fetched import utc_now
from tasks.enrich.history import History, read_history
from tasks.enrich.known import claims_about
from tasks.enrich.records import Case, Certificates, Claim, Known, Network, PassiveDns, Registered
from tasks.watch.review import Explanation, explain

TOP_FINDINGS: Final = 25
TOP_CONNECTED: Final = 25
TOP_CLAIMS: Final = 5
TOP_HISTORIES: Final = 100
_SHOWN_FAILURES: Final = 60


class Branches(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What the branches found; one that failed left its empty record and a line in `failed` (branch, why)."""

    known: Known = Known()
    registered: Registered = Registered()
    certificates: Certificates = Certificates()
    passive_dns: PassiveDns = PassiveDns()
    network: Network = Network()
    watched: Watched | None = None
    failed: tuple[tuple[str, str], ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """The report as it may be shown to everybody who sees Prefect's page; the stored one carries the title too."""

    incident: int
    markdown: str
    failed: tuple[str, ...] = ()
    findings: int = 0
    lapses: int = 0


def branches(results: Mapping[str, object]) -> Branches:
    """The branches' records by name, each a record or the error that ended its branch.

    The names are those of the fields of `Branches`; others (`registrations looked back`) can only fail.
    """
    failed = tuple((name.replace("_", " "), why(result)) for name, result in results.items() if _is_error(result))
    fields = {
        name: result
        for name, result in results.items()
        if name in Branches.__struct_fields__ and not _is_error(result) and result is not None
    }
    return msgspec.structs.replace(Branches(failed=failed), **fields)


def _is_error(result: object) -> bool:
    return isinstance(result, BaseException)


def why(error: object) -> str:
    """Why a branch failed. What is not one of our errors may quote people's data: its text stays in the log."""
    if isinstance(error, LapsewatchError):
        return str(error)
    return f"{type(error).__name__}: a fault of Lapsewatch; see the log of the flow run"


def write_report(engine: Engine, case: Case, found: Branches) -> Report:
    """Write the report and keep it with the incident. Raises WarehouseError and ConfigError."""
    organisation = read_organisation(settings().configs)
    at = utc_now()
    with engine.begin() as connection:
        incident = incidents.read(connection, case.incident)
        rows = enrich.findings(connection, watch=watch_name(case.incident), incident=case.incident, top=TOP_FINDINGS)
        explained = tuple(explain(connection, row.id) for row in rows)
        total = rows[0].total if rows else 0
        domains = connected_domains(case, found.certificates, found.passive_dns, found.network)
        body = render(
            incident,
            case,
            found,
            explained,
            connected=claims_about(connection, domains[:TOP_CONNECTED], top=TOP_CLAIMS),
            histories=histories_of(connection, case, now=at),
            total=total,
            organisation=organisation,
            at=at,
        )
        title = say.prose(incident.title)
        stored = body.replace("\n", f": {title}\n", 1) if title else body
        incidents.write_report(connection, case.incident, stored, at=at)
    return Report(
        incident=case.incident,
        markdown=body,
        failed=tuple(name for name, _ in found.failed),
        findings=total,
        lapses=sum(one.lapse for one in explained),
    )


def histories_of(connection: Connection, case: Case, *, now: datetime) -> tuple[History, ...]:
    """The histories of the registration of the case's domains, as known at `now`, at most `TOP_HISTORIES`."""
    scopes = list(dict.fromkeys(subject.scope for subject in case.subjects if subject.scope))
    found = (read_history(connection, entity(Kind.DOMAIN, scope), now=now) for scope in scopes[:TOP_HISTORIES])
    return tuple(one for one in found if one is not None)


def render(
    incident: Incident,
    case: Case,
    found: Branches,
    findings: Sequence[Explanation],
    *,
    connected: Sequence[Claim] = (),
    histories: Sequence[History] = (),
    total: int,
    organisation: Organisation,
    at: datetime,
) -> str:
    """The report as Markdown, without the incident's title: a person wrote that, and it may name people.

    `connected` are claims about domains that share a key or an address with it; `histories` those of its domains'
    registration; `total` counts the findings, of which `findings` are some; `at` is when it is written (recorded time).
    Pure.
    """
    names = names_seen(found.known, found.certificates, found.passive_dns)
    target = targeting(
        organisation,
        names=names,
        addresses=addresses_seen(found.known, found.network),
        certificates=[
            (value, "a certificate around it")
            for one in found.certificates.certificates
            for value in (one.value, one.key)
            if value
        ],
    )
    lines = [
        f"# Incident {incident.id}",
        "",
        f"Written {at:%Y-%m-%d %H:%M} UTC. Times are UTC and say when something was so. People's data is masked.",
        "",
        *_indicators(incident, found),
        "## What is known",
        "",
        *told.claims(case, found.known),
        *of_registration.registration(found.registered, histories),
        *told.certificates(found.certificates),
        *told.passive_dns(found.passive_dns),
        *told.network(found.network),
        "## Lapses and findings",
        "",
        *inferred.findings(findings, total),
        "## What is inferred, and what it rests on",
        "",
        *inferred.inferences(found.known, found.registered, found.certificates, found.network),
        "## Who: what sources claim",
        "",
        *told.attribution(found.known, connected),
        "## Targeted or opportunistic",
        "",
        *inferred.targeted(target),
        "## What to look at next",
        "",
        *inferred.next_steps(
            case,
            findings,
            registered=found.registered,
            certificates=found.certificates,
            network=found.network,
            connected=connected_domains(case, found.certificates, found.passive_dns, found.network),
        ),
        "## What could not be done",
        "",
        *_failures(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _indicators(incident: Incident, found: Branches) -> Iterator[str]:
    yield "## Indicators"
    yield ""
    read = [item for item in incident.items if item.entity_id is not None]
    unread = [(number, item) for number, item in enumerate(incident.items, 1) if item.entity_id is None]
    yield from say.table(
        ("indicator", "read as"), ((say.code(masked(item.kind, item.value)), item.kind) for item in read)
    )
    if unread:
        # What could not be read may be a person's name: it stands in the incident alone.
        yield f"{len(unread)} of {len(incident.items)} could not be read:"
        yield ""
        yield from (f"- number {number}: {say.prose_long(item.reason)}" for number, item in unread)
        yield ""
    if found.watched is not None:
        yield f"The watch {say.code(found.watched.watch)} looks for them from now on ({found.watched.items} items)."
        yield from (
            f"Not watched as a whole: {say.code(value)}, {say.prose(reason)}."
            for value, reason in found.watched.narrowed
        )
        if found.watched.unwatched:
            yield f"{found.watched.unwatched} of them cannot be watched."
        yield ""


def _failures(found: Branches) -> Iterator[str]:
    lines = [f"- {name}: {say.prose_long(reason)}" for name, reason in found.failed]
    for one in (*found.registered.failures, *found.network.failures):
        where = f" of {say.code(one.server)}" if one.server else ""
        detail = f": {say.prose_long(one.detail)}" if one.detail else ""
        lines.append(f"- {one.protocol} ({one.tier}){where} about {say.code(one.domain)}: {one.outcome}{detail}")
    yield from lines[:_SHOWN_FAILURES] or ["Everything was done; nothing that the actor can see was asked."]
    if len(lines) > _SHOWN_FAILURES:
        yield f"- and {len(lines) - _SHOWN_FAILURES} more of these"
    yield ""
