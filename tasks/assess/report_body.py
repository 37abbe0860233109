"""The report's sections in their order: what a reader needs first, then what it rests on. Pure.

In: `Told`, all that a report is made from. Out: Markdown, without the incident's title: a person wrote that, and it may
name people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from db.incidents import Incident
from db.pattern_rows import Proposed
from intel.config.organisation import Organisation
from intel.entities import Kind, masked
from intel.traits import Name, Trait
from tasks.assess import report_first as first_of
from tasks.assess import report_inferred as inferred
from tasks.assess import report_known as told_of
from tasks.assess import report_leads as of_leads
from tasks.assess import report_registration as of_registration
from tasks.assess import wording as say
from tasks.assess.aims import aim, motivation
from tasks.assess.branches import Branches
from tasks.assess.connected import addresses_seen, connected_domains, names_seen
from tasks.assess.hypotheses import Scale, compare
from tasks.assess.judgement import Judgement
from tasks.assess.material import material
from tasks.assess.report_judged import judged
from tasks.assess.sophistication import sophistication
from tasks.assess.targeting import Targeting, targeting
from tasks.enrich.history import History
from tasks.enrich.records import Case, Claim
from tasks.watch.review import Explanation

_SHOWN_FAILURES: Final = 60
_SHOWN_PATTERNS: Final = 5
_PEOPLE: Final[Mapping[str, Kind]] = {
    Name.EMAIL: Kind.EMAIL,
    Name.SOA_CONTACT: Kind.EMAIL,
    Name.REGISTRANT: Kind.REGISTRANT,
}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report is made from.

    `connected` are claims about domains that share a key or an address with it; `histories` those of its domains'
    registration; `shared` are addresses that many share, each with why; `total` counts the findings, of which
    `findings` are some; `spared` are reported values that must not be blocked, each with why; `at` is when it is
    written (recorded time).
    """

    incident: Incident
    case: Case
    found: Branches
    findings: Sequence[Explanation] = ()
    total: int = 0
    connected: Sequence[Claim] = ()
    histories: Sequence[History] = ()
    organisation: Organisation = Organisation()
    shared: Mapping[str, str] = {}
    spared: Mapping[str, str] = {}
    scale: Scale = Scale()
    at: datetime


def render(told: Told) -> str:
    """The report as Markdown."""
    found = told.found
    target = _targeting(told)
    first = _first(told, target)
    questions = dict(first.judgements)
    since = told.incident.reported_at
    lines = [
        f"# Incident {told.incident.id}",
        "",
        f"Written {told.at:%Y-%m-%d %H:%M} UTC. Times are UTC and say when something was so. People's data is masked."
        + ("" if since is None else f" The last report was of {since:%Y-%m-%d %H:%M} UTC."),
        "",
        "## In short",
        "",
        *first_of.in_short(first),
        *first_of.is_new(first),
        "## What to do first",
        "",
        *first_of.to_do(first),
        *_indicators(told),
        "## What is known",
        "",
        *told_of.claims(told.case, found.known),
        *of_registration.registration(found.registered, told.histories),
        *told_of.certificates(found.certificates),
        *told_of.passive_dns(found.passive_dns),
        *told_of.network(found.network),
        "## Lapses and findings",
        "",
        *inferred.findings(told.findings, told.total),
        "## What it leads to",
        "",
        *of_leads.values(first.held),
        *(
            of_leads.leads(first.weighed, claims=found.leads.claims, ways=found.leads.ways, notes=_notes(found))
            if found.pivoted
            else ("The pivot failed: what it leads to is not known, and an earlier investigation's leads stand.", "")
        ),
        *_of_leads(found),
        "## What is inferred, and what it rests on",
        "",
        *inferred.inferences(found.known, found.registered, found.certificates, found.network, told.shared),
        "## Who: explanations, weighed",
        "",
        *of_leads.explanations(first.weighed),
        "## Who: what sources claim",
        "",
        *told_of.attribution(found.known, told.connected),
        "## What would change the conclusion",
        "",
        *of_leads.changes(first.weighed, gaps=first_of.gaps(first, found.failed)),
        "## Targeted or opportunistic",
        "",
        *judged("targeted or opportunistic", questions["targeted or opportunistic"]),
        *inferred.compared(target),
        "## Motivation",
        "",
        *judged("the motivation", questions["the motivation"]),
        "## Sophistication",
        "",
        *judged("the sophistication", questions["the sophistication"]),
        "## Registration patterns",
        "",
        *_patterns(found.patterns.patterns),
        "## What could not be done",
        "",
        *_failures(found),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _targeting(told: Told) -> Targeting:
    found = told.found
    leads = [lead for lead in found.leads.leads if lead.entity_id in found.leads.strong]
    names = names_seen(found.known, found.certificates, found.passive_dns)
    names += [(lead.value, "is a lead") for lead in leads if lead.scope]
    return targeting(
        told.organisation,
        names=dict(reversed(names)).items(),
        addresses=addresses_seen(found.known, found.network),
        certificates=[
            (value, "a certificate around it")
            for one in found.certificates.certificates
            for value in (one.value, one.key)
            if value
        ],
    )


def _first(told: Told, target: Targeting) -> first_of.First:
    found = told.found
    leads = found.leads
    strong = [lead for lead in leads.leads if lead.entity_id in leads.strong]
    read = material(
        found.known,
        found.registered,
        found.certificates,
        names=[name for name, _ in names_seen(found.known, found.certificates, found.passive_dns)],
        findings=told.findings,
        leads=strong,
        targeting=target,
    )
    judgements: tuple[tuple[str, Judgement], ...] = (
        ("targeted or opportunistic", aim(read)),
        ("the motivation", motivation(read)),
        ("the sophistication", sophistication(read)),
    )
    weighed = [(lead, compare(lead.evidence, told.scale)) for lead in leads.leads]
    return first_of.First(
        incident=told.incident,
        case=told.case,
        known=found.known,
        registered=found.registered,
        certificates=found.certificates,
        network=found.network,
        findings=told.findings,
        total=told.total,
        weighed=[one for one in weighed if not of_leads.is_value(one[0])],
        held=[one for one in weighed if of_leads.is_value(one[0])],
        strong=leads.strong,
        history=found.followed.registered.history,
        shared=told.shared,
        spared=told.spared,
        connected=connected_domains(
            told.case, found.certificates, found.passive_dns, found.network, shared=told.shared
        ),
        patterns=[one for one in found.patterns.patterns if one.status == "proposed"],
        fresh=found.patterns.fresh,
        gone=found.pivot.gone + (0 if found.led is None else found.led.gone),
        pivoted=found.pivoted,
        judgements=judgements,
    )


def _indicators(told: Told) -> Iterator[str]:
    yield "## Indicators"
    yield ""
    items = told.incident.items
    read = [item for item in items if item.entity_id is not None]
    unread = [(number, item) for number, item in enumerate(items, 1) if item.entity_id is None]
    yield from say.table(
        ("indicator", "read as"), ((say.code(masked(item.kind, item.value)), item.kind) for item in read)
    )
    if unread:
        # What could not be read may be a person's name: it stands in the incident alone.
        yield f"{len(unread)} of {len(items)} could not be read:"
        yield ""
        yield from (f"- number {number}: {say.prose_long(item.reason)}" for number, item in unread)
        yield ""
    watched = told.found.watching
    if watched is not None:
        of_leads_too = f", {watched.leads} of them for what it leads to" if watched.leads else ""
        yield f"The watch {say.code(watched.watch)} looks for them from now on ({watched.items} items{of_leads_too})."
        yield from (
            f"Not watched as a whole: {say.code(value)}, {say.prose(reason)}." for value, reason in watched.narrowed
        )
        if watched.unwatched:
            yield f"{watched.unwatched} of them cannot be watched."
        yield ""


def _of_leads(found: Branches) -> Iterator[str]:
    """What the second look-ups say of leads: their registration, their certificates."""
    followed = found.followed
    if followed.registered.history:
        yield "### Registration of leads"
        yield ""
        yield from of_registration.claims(followed.registered.history)
    if followed.certificates.certificates:
        yield from told_of.certificates(followed.certificates, "Certificates of leads")


def _notes(found: Branches) -> Iterator[str]:
    for value, why in found.leads.notes:
        yield f"{say.code(value)}: {say.prose_long(why)}" if value else say.prose_long(why)
    followed = found.followed
    if followed.asked:
        yield f"registries were asked about {', '.join(say.code(one) for one in sorted(followed.asked))}"
    if followed.refused:
        yield say.prose_long(followed.refused)
    elif followed.left:
        yield f"not asked about, since there were too many: {', '.join(say.code(one) for one in followed.left[:10])}"


def _patterns(found: Sequence[Proposed]) -> Iterator[str]:
    if not found:
        yield "No habit of registration is known that its domains share and few others have."
        yield ""
        return
    for one in found[:_SHOWN_PATTERNS]:
        traits = ", ".join(_trait(trait) for trait in one.traits)
        expected = f"{one.per_million:,.1f} per million new domains ({say.prose(one.population)})"
        yield (
            f"- pattern {one.id} ({one.status}): {traits}: {one.support} of {one.known} known domains have it; expected"
            f" false positives: {expected if one.is_counted else 'nobody has counted what they rest on'}. Rests on"
            f" {', '.join(say.code(example) for example in one.examples[:5])}."
        )
    if len(found) > _SHOWN_PATTERNS:
        yield f"- and {len(found) - _SHOWN_PATTERNS} more"
    yield ""


def _trait(one: Trait) -> str:
    kind = _PEOPLE.get(one.name)
    return f"{one.name} {say.code(one.value if kind is None else masked(kind, one.value))}"


def _failures(found: Branches) -> Iterator[str]:
    lines = [f"- {name}: {say.prose_long(reason)}" for name, reason in found.failed]
    for one in (*found.registered.failures, *found.followed.registered.failures, *found.network.failures):
        where = f" of {say.code(one.server)}" if one.server else ""
        detail = f": {say.prose_long(one.detail)}" if one.detail else ""
        lines.append(f"- {one.protocol} ({one.tier}){where} about {say.code(one.domain)}: {one.outcome}{detail}")
    followed = found.followed
    if followed.refused:
        lines.append(f"- {say.prose_long(followed.refused)}")
    elif followed.left:
        lines.append(f"- leads that were not asked about, since there were too many: {len(followed.left)}")
    yield from lines[:_SHOWN_FAILURES] or ["Everything was done; nothing that the actor can see was asked."]
    if len(lines) > _SHOWN_FAILURES:
        yield f"- and {len(lines) - _SHOWN_FAILURES} more of these"
    yield ""
