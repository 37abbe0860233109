"""The sections that a reader needs first: in short, what is new since the last report, what to do first. Pure.

In: what the other sections are made from. Out: lines of Markdown; every step is concrete, and most are a command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from db.incidents import Incident
from db.leads import Lead
from db.pattern_rows import Proposed
from intel.entities import PERSONAL, Kind, masked
from intel.facts import Predicate, State
from tasks.assess import wording as say
from tasks.assess.hypotheses import SAME, SHARED
from tasks.assess.judgement import Judgement
from tasks.assess.report_judged import summary
from tasks.assess.report_leads import Weighed, in_words, name
from tasks.enrich.records import Case, Certificates, Claim, Known, Network, Registered
from tasks.watch.review import Explanation

_DIGEST: Final = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_MOST: Final = 12
_FEW: Final = 5
_BLOCKED: Final = frozenset({Kind.DOMAIN, Kind.IP, Kind.ENDPOINT, Kind.URL})


class First(msgspec.Struct, frozen=True, kw_only=True):
    """What these sections are made from. `strong` are the ids of leads that are watched from now on."""

    incident: Incident
    case: Case
    known: Known
    registered: Registered
    certificates: Certificates
    network: Network
    findings: Sequence[Explanation]
    total: int
    weighed: Sequence[Weighed]
    held: Sequence[Weighed] = ()
    strong: frozenset[int] = frozenset()
    history: Sequence[Claim] = ()
    """What is stated of the registration of leads."""
    shared: Mapping[str, str] = {}
    """Addresses that are shared by many, each with why."""
    spared: Mapping[str, str] = {}
    """Reported values that must not be blocked, each with why."""
    connected: Sequence[str] = ()
    patterns: Sequence[Proposed] = ()
    fresh: frozenset[int] = frozenset()
    """The ids of patterns that are new."""
    gone: int = 0
    pivoted: bool = True
    """Whether a pivot went well."""
    judgements: Sequence[tuple[str, Judgement]] = ()


def in_short(first: First) -> Iterator[str]:
    """The report in a few lines."""
    sources = len({claim.source for claim in first.known.claims})
    says = f"{_count(sources, 'source')} {'lists or describes' if sources == 1 else 'list or describe'} it"
    yield f"- Reported: {_count(len(first.case.subjects), 'indicator')} read; {says}."
    concluded = [one for one in first.weighed if one[1].answer == SAME]
    for lead, weighing in concluded[:_FEW]:
        families = ", ".join(weighing.families)
        yield f"- It leads to {name(lead)} ({lead.kind}): {in_words(weighing)} the same hand ({families})."
    if len(concluded) > _FEW:
        yield f"- It leads to {len(concluded) - _FEW} more of the same hand."
    undecided = len(first.weighed) - len(concluded)
    if undecided:
        yield f"- {_count(undecided, 'more lead')} without enough evidence, or with another explanation."
    if not first.pivoted:
        yield "- What it leads to is not known: the pivot failed."
    elif not first.weighed:
        yield "- It leads to nothing beyond itself."
    yield from _exposed(first)
    lapses = [one for one in first.findings if one.lapse]
    yield from (f"- Lapse: {_shortened(one.title)}." for one in lapses[:_FEW])
    if len(lapses) > _FEW:
        yield f"- And {_count(len(lapses) - _FEW, 'more lapse')}."
    if not lapses:
        yield "- No lapse of the actor's is known."
    yield from (f"- {summary(question, found).partition(':')[0]}." for question, found in first.judgements)
    yield ""


def _shortened(title: str) -> str:
    """A finding's title with the beginning of each digest: the rest of it hides what is said."""
    return _DIGEST.sub(r"\1…", say.prose_long(title))


def _exposed(first: First) -> Iterator[str]:
    """Registrants that are or were shown, with what of them; e-mail first, which says most."""
    shown: dict[str, list[Claim]] = {}
    for claim in (*first.registered.history, *first.history):
        if claim.predicate == Predicate.REGISTERED_BY and claim.state == State.VALUE and claim.object is not None:
            shown.setdefault(claim.subject.value, []).append(claim)
    for domain, claims in list(shown.items())[:_FEW]:
        claims.sort(key=lambda one: (one.object is None or one.object.kind != Kind.EMAIL, one.first))
        values = ", ".join(list(dict.fromkeys(say.show(one.object) for one in claims))[:3])
        state = "was exposed until it was hidden" if all(one.ended for one in claims) else "is exposed"
        yield f"- The registrant of {say.code(domain)} {state}: {values}."


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def is_new(first: First) -> Iterator[str]:
    """What has come since the last report; nothing where this is the first."""
    since = first.incident.reported_at
    if since is None:
        return
    yield "## New since the last report"
    yield ""
    leads = [lead for lead, _ in first.weighed if lead.found_at > since]
    changed = [lead for lead, _ in first.weighed if lead.found_at <= since < lead.changed_at]
    found = [one for one in first.findings if one.found_at > since]
    patterns = [one for one in first.patterns if one.id in first.fresh]
    lines = [
        *(f"- lead {name(lead)}" for lead in leads[:_MOST]),
        *(f"- the evidence for {name(lead)} has changed" for lead in changed[:_MOST]),
        *(
            f"- {'lapse' if one.lapse else 'finding'} {one.finding_id}: {say.prose_long(one.title)}"
            for one in found[:_MOST]
        ),
        *(f"- registration pattern {one.id}" for one in patterns[:_MOST]),
    ]
    beyond = sum(max(0, len(some) - _MOST) for some in (leads, changed, found, patterns))
    if beyond:
        lines.append(f"- and {beyond} more")
    if first.gone:
        lines.append(f"- {_count(first.gone, 'lead')} no longer stand: what they rested on has ended, or is common")
    yield from lines or [f"Nothing since {since:%Y-%m-%d %H:%M} UTC."]
    yield ""


def to_do(first: First) -> Iterator[str]:
    """Ordered steps: preserve, block, look, watch, decide."""
    number = first.incident.id
    steps = [
        "**Preserve** what was received (mail with headers, files, logs) before anything is cleaned, and this report: "
        + say.command("lapsewatch", "incident", "show", str(number), "--html", f"incident-{number}.html"),
        *_block(first),
        *_lapses(first),
        *_look(first),
        *_keep_watching(first),
    ]
    for place, step in enumerate(steps, 1):
        yield f"{place}. {step}"
    yield ""


def _block(first: First) -> Iterator[str]:
    own = [
        masked(one.kind, one.value)
        for one in first.case.subjects
        if one.kind in _BLOCKED and one.value not in first.spared
    ]
    led = [
        masked(lead.kind, lead.value)
        for lead, weighing in first.weighed
        if lead.entity_id in first.strong and weighing.answer == SAME and lead.kind in _BLOCKED
    ]
    values = list(dict.fromkeys([*own, *led]))
    if values:
        shown = ", ".join(say.code(value) for value in values[:_MOST])
        more = f" and {len(values) - _MOST} more" if len(values) > _MOST else ""
        yield f"**Block**, and search own logs for: {shown}{more}."
    shared = [lead for lead, weighing in first.weighed if weighing.answer == SHARED and lead.kind in _BLOCKED]
    if shared:
        yield f"**Do not block** what is shared: {', '.join(name(lead) for lead in shared[:_FEW])}."
    if first.spared:
        told = ", ".join(f"{say.code(value)} ({say.prose(why)})" for value, why in list(first.spared.items())[:_FEW])
        yield f"**Do not block** what was reported and is ours or many strangers': {told}."


def _lapses(first: First) -> Iterator[str]:
    for one in [found for found in first.findings if found.status == "open"][:_FEW]:
        kind = "lapse" if one.lapse else "finding"
        chain = say.command("lapsewatch", "why", str(one.finding_id))
        yield f"**Check** {kind} {one.finding_id} ({one.rule}) and confirm or dismiss it: {chain}"
    revealed = dict.fromkeys(
        claim.subject.value
        for claim in (*first.registered.history, *first.history)
        if claim.predicate == Predicate.REGISTERED_BY and claim.state == State.VALUE
    )
    for domain in list(revealed)[:_FEW]:
        yield (
            f"**Look at the registrant** of {say.code(domain)}, which is or was shown; the reason is written down: "
            + say.command("lapsewatch", "show", domain, "--reveal", f"incident {first.incident.id}")
        )


def _look(first: First) -> Iterator[str]:
    unclear = [one for one in first.weighed if not one[1].answer and one[0].kind not in PERSONAL]
    for lead, weighing in unclear[:_FEW]:
        missing = "no family" if not weighing.families else f"{weighing.families[0]} alone"
        yield (
            f"**Look up** the lead {name(lead)} ({missing} speaks for it): "
            + say.command("lapsewatch", "pivot", masked(lead.kind, lead.value))
        )
    told = {lead.value for lead, _ in first.weighed}
    for domain in [one for one in first.connected if one not in told][:_FEW]:
        yield f"**Look at** the connected domain {say.code(domain)}: {say.command('lapsewatch', 'show', domain)}"
    own = {subject.address for subject in first.case.subjects} | told | set(first.shared)
    for one in [one for one in first.network.addresses if one.address not in own][:_FEW]:
        yield f"**Look at** the address {say.code(one.address)}: {say.command('lapsewatch', 'show', one.address)}"
    if first.registered.failures:
        yield "**Investigate again** once the servers that failed answer: only what failed is asked again."


def _keep_watching(first: First) -> Iterator[str]:
    for lead in [lead for lead, _ in first.held if lead.kind == Kind.NAME_SERVER_SET][:_FEW]:
        words = ("watch", "add", f"incident-{first.incident.id}-servers", f"{lead.kind}:{lead.value}")
        yield f"**Watch** for the set of name servers {name(lead)}: {say.command('lapsewatch', *words)}"
    for key in list(dict.fromkeys(one.key for one in first.certificates.certificates if one.key))[:_FEW]:
        key_words = ("watch", "add", f"incident-{first.incident.id}-key", "--key", key.removeprefix("sha256:"))
        yield f"**Watch** for the key {say.code(key)}: {say.command('lapsewatch', *key_words)}"
    for lead in [lead for lead, weighing in first.weighed if _worth_a_watch(lead, first) and weighing.bits > 0][:_FEW]:
        more = ("watch", "add", f"incident-{first.incident.id}-more", masked(lead.kind, lead.value))
        asked = say.command("lapsewatch", *more)
        yield f"**Consider watching** {name(lead)}, which is too weak to be watched unasked: {asked}"
    if first.patterns:
        yield (
            f"**Decide** on {_count(len(first.patterns), 'proposed registration pattern')}: "
            + say.command("lapsewatch", "pattern", "list")
        )


def _worth_a_watch(lead: Lead, first: First) -> bool:
    return lead.entity_id not in first.strong and lead.kind in {Kind.DOMAIN, Kind.IP, Kind.NAME_SERVER_SET}


def gaps(first: First, failed: Iterable[tuple[str, str]]) -> Iterator[str]:
    """What is not known and could change a conclusion."""
    names = [label for label, _ in failed]
    if names:
        yield f"what failed ({', '.join(names)}) may hold evidence for or against any of it"
    if first.registered.failures:
        domains = ", ".join(say.code(one) for one in dict.fromkeys(one.domain for one in first.registered.failures))
        yield f"registration that nobody answered for: {domains}"
    uncounted = {
        piece.evidence.trait
        for _, weighing in first.weighed
        for piece in weighing.pieces
        if piece.counts > 0 and (piece.evidence.prevalence is None or not piece.evidence.prevalence.population)
    }
    if uncounted:
        yield (
            f"how common these are was assumed and not counted: {', '.join(sorted(uncounted))}; count them in a"
            " reference population"
        )
    yield from (f"{question}: {found.lacking}" for question, found in first.judgements if found.lacking)
