"""The sections of a report on leads: what an incident leads to, how it is explained, what would change that. Pure.

In: leads with their weighings (tasks/assess/hypotheses.py). Out: lines of Markdown. A likelihood is in the words of
ICD 203, and never in one sentence with the confidence in the evidence. A lead is of a cluster, never of an actor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from db.leads import Lead
from intel.entities import Kind, masked
from intel.evidence import Counted, Evidence
from tasks.assess import wording as say
from tasks.assess.hypotheses import SAME, SHARED, UNKNOWN, Weighing, service_bits
from tasks.assess.likelihood import percent

SHOWN: Final = 25
DETAILED: Final = 10
_PIECES: Final = 8
_NOTHING: Final = 0.05  # bits: less is nothing

Weighed = tuple[Lead, Weighing]

_CALLED: Final = {
    "registered-by": "registrant",
    "registered-through": "registrar",
    "uses-name-servers": "set of name servers",
    "name-servers": "set of name servers",
    "uses-mail-host": "mail host",
    "has-soa-contact": "mailbox of the zone",
    "resolves-to": "address",
    "names": "certificate",
    "presents": "presented certificate",
    "has-key": "key",
    "communicates-with": "server that it calls",
    "downloads": "file",
    "reported-in": "report",
    "associated-with": "software",
    "stands-on": "domain",
}
_VALUES: Final = frozenset(
    {
        Kind.EMAIL, Kind.REGISTRANT, Kind.PHONE, Kind.HANDLE, Kind.NAME_SERVER_SET, Kind.NAME_SERVER, Kind.PUBLIC_KEY,
        Kind.CERTIFICATE, Kind.FINGERPRINT, Kind.SOFTWARE,
    }
)  # fmt: skip
"""Kinds that a thing has, rather than is: where what was reported has them, they are no lead, but lead on."""


def is_value(lead: Lead) -> bool:
    """Whether it is something that what was reported has: a key, an identity, a set of name servers."""
    return lead.depth <= 1 and lead.kind in _VALUES


def values(held: Sequence[Weighed]) -> Iterator[str]:
    """What it has that few others have: what a pivot goes by, and what is worth a watch."""
    if not held:
        return
    yield "### What it has that few others have"
    yield ""
    yield "These are its own; whoever else has one of them is worth a look."
    yield ""
    head = ("value", "kind", "bits", "why")
    yield from say.table(head, ((name(lead), lead.kind, f"{lead.bits:.1f}", _why(lead)) for lead, _ in held[:SHOWN]))


def _why(lead: Lead) -> str:
    first = lead.evidence[0] if lead.evidence else None
    if first is None:
        return ""
    return "; ".join(filter(None, (_common(first), say.prose_long(first.why))))


def name(lead: Lead) -> str:
    """A lead as a code span, people's data masked."""
    return say.code(masked(lead.kind, lead.value))


def leads(
    weighed: Sequence[Weighed],
    *,
    claims: Mapping[int, Sequence[str]],
    ways: Mapping[int, Sequence[str]],
    notes: Iterable[str],
) -> Iterator[str]:
    """What it leads to: a table, and what each of the strongest rests on. `notes` say where a pivot stopped and why."""
    if not weighed:
        yield "Nothing beyond what was reported: what it has in common with other things is too common, or not known."
        yield ""
    else:
        yield (
            "Inferred from what things have in common, and stated by nobody. The likelihood is that of the same hand as"
            " what was reported, which says nothing of whose hand that is."
        )
        yield ""
        head = ("lead", "kind", "same hand", "bits", "families", "steps", "found")
        yield from say.table(head, (_row(*one) for one in weighed[:SHOWN]))
        if len(weighed) > SHOWN:
            yield from (f"{SHOWN} of {len(weighed)} shown, the strongest first.", "")
        for lead, weighing in weighed[:DETAILED]:
            yield from _detail(lead, weighing, claims.get(lead.entity_id, ()), ways.get(lead.entity_id, ()))
    lines = [f"- {note}" for note in notes]
    if lines:
        yield from ("Where following it ended:", "", *lines, "")


def _row(lead: Lead, weighing: Weighing) -> tuple[str, ...]:
    return (
        name(lead),
        lead.kind,
        in_words(weighing),
        f"{weighing.bits:.1f}",
        ", ".join(weighing.families) or "none",
        str(lead.depth),
        say.day(lead.found_at),
    )


def in_words(weighing: Weighing) -> str:
    """How likely the same hand is, or that there is not enough evidence to say so."""
    return weighing.word if weighing.answer else "not enough evidence"


def _detail(lead: Lead, weighing: Weighing, claims: Sequence[str], way: Sequence[str]) -> Iterator[str]:
    yield f"### {name(lead)} ({lead.kind})"
    yield ""
    if weighing.answer:
        yield f"Likelihood: {weighing.word} ({percent(weighing.chances[SAME])}) that it is of the same hand."
    else:
        alone = "one family of evidence" if weighing.families else "no evidence for it"
        yield f"Likelihood: not enough evidence: there is {alone}, and a verdict takes two."
    yield ""
    why = f": {'; '.join(weighing.confidence.why)}" if weighing.confidence.why else ""
    yield f"Confidence in the evidence: {weighing.confidence.level}{why}."
    yield ""
    yield "Rests on:"
    yield ""
    yield from (f"- {piece(one)}" for one in weighing.pieces[:_PIECES])
    if len(weighing.pieces) > _PIECES:
        yield f"- and {len(weighing.pieces) - _PIECES} more of less weight"
    yield ""
    if way:
        steps = (say.code(part) if not place % 2 else say.prose(part) for place, part in enumerate(way))
        yield f"By way of: {' '.join(steps)}."
        yield ""
    if lead.ended:
        yield "It is no longer whose it was: what it does now says nothing of this."
        yield ""
    if claims:
        yield f"Sources claim of it (weighed for nothing above): {', '.join(say.code(one) for one in claims)}."
        yield ""


def piece(one: Counted) -> str:
    """A piece of evidence: its family, what is in common, its weight, how common it is, when, and why."""
    told = one.evidence
    parts = [f"{one.counts:.1f} bits"]
    if told.bits > 0 and one.counts < told.bits - _NOTHING:
        parts.append(f"{told.bits:.1f} alone, less beside others of its family")
    if told.hub:
        parts.append(f"a shared thing: {say.prose(told.hub)}")
    parts.append(_common(told))
    if told.overlap is not None:
        parts.append(f"held at the same time for {round(told.overlap * 100)} % of the shorter time")
    if told.why:
        parts.append(say.prose_long(told.why))
    return f"{told.family}: the same {trait(told)} {say.code(told.what)} ({'; '.join(filter(None, parts))})"


def trait(told: Evidence) -> str:
    """What is in common, as people call it."""
    return _CALLED.get(told.trait) or say.prose(told.trait.replace("-", " "))


def _common(told: Evidence) -> str:
    if told.prevalence is None or not told.prevalence.population:
        return "" if told.why else "how common it is elsewhere was not counted"
    of = told.prevalence
    when = f", {of.as_of:%Y-%m-%d}" if of.as_of else ""
    return f"{of.count:,} of {of.total:,} have it ({say.prose(of.population)}{when})"


def explanations(weighed: Sequence[Weighed]) -> Iterator[str]:
    """Which explanations compete, with what speaks for and against each; for the strongest leads."""
    if not weighed:
        yield "There is no lead to explain. Somebody else, or what nobody has thought of, remains."
        yield ""
        return
    yield (
        "Three explanations of what each lead has in common with the incident, weighed against one another. None of"
        " them names an actor: that is what sources claim."
    )
    yield ""
    head = ("lead", SAME, SHARED, UNKNOWN, "comes to")
    yield from say.table(head, (_chances(*one) for one in weighed[:DETAILED]))
    for lead, weighing in weighed[:3]:
        yield f"### Why {name(lead)}"
        yield ""
        yield from _sides(weighing)
        yield ""
        if weighing.diagnostic is not None:
            told = weighing.diagnostic
            what = f"{trait(told)} {say.code(told.what)}"
            yield f"Most diagnostic: the same {what}, which the others explain worst."
        else:
            yield "Nothing tells these explanations apart."
        yield ""


def _chances(lead: Lead, weighing: Weighing) -> tuple[str, ...]:
    shown = tuple(percent(weighing.chances[one]) for one in (SAME, SHARED, UNKNOWN))
    return (name(lead), *shown, weighing.answer or "not enough evidence")


def _sides(weighing: Weighing) -> Iterator[str]:
    pro = [one for one in weighing.pieces if one.counts > _NOTHING]
    contra = [one for one in weighing.pieces if one.counts < -_NOTHING]
    hubs = [one for one in weighing.pieces if one.evidence.hub and one.counts <= _NOTHING]
    yield f"- **{SAME}**: for it {_list(pro)}; against it {_list(contra)}"
    explained = [one for one in pro if service_bits(one) >= one.counts / 2]
    apart = [one for one in pro if service_bits(one) < one.counts / 2]
    yield f"- **{SHARED}**: for it {_list([*explained, *hubs])}; against it {_list(apart)}"
    weight = sum(one.counts for one in pro)
    yield (
        f"- **{UNKNOWN}**: for it that few of the things that share something are of one hand, and what nobody has"
        f" looked for; against it {weight:.1f} bits that are no chance"
    )


def _list(pieces: Sequence[Counted]) -> str:
    shown = ", ".join(f"{trait(one.evidence)} {say.code(one.evidence.what)}" for one in pieces[:4])
    return f"{shown}{f' and {len(pieces) - 4} more' if len(pieces) > 4 else ''}" or "nothing"


_DOUBTS: Final = {
    "registrant": "it is a reseller's or a stolen identity, which registers for strangers too",
    "account": "the account was shared or bought",
    "hosting": "other holders stood there at the same time, which passive DNS would show",
    "certificate": "the key or certificate is a hoster's, or one that came with a leaked tool",
    "tool": "the tool leaked, or is sold",
    "naming": "a reseller gives it to all of its customers",
    "content": "the content was copied",
    "time": "the hours are those of a registrar's queue",
    "report": "the report names together what its author only saw together",
}


def changes(weighed: Sequence[Weighed], *, gaps: Iterable[str]) -> Iterator[str]:
    """What would change the conclusions: single pieces on which an answer hangs, and what is not known."""
    lines: list[str] = []
    for lead, weighing in weighed[:DETAILED]:
        lines += [
            f"- {name(lead)}: without the same {trait(flip)} {say.code(flip.what)} alone it would not be"
            f" concluded ({weighing.answer}). Ask whether {_DOUBTS.get(flip.family, 'it is shared by strangers')}."
            for flip in weighing.flips
        ]
        if weighing.answer == SAME and not weighing.flips:
            lines.append(f"- {name(lead)}: no single piece; two at least would have to fall for another answer.")
        if weighing.answer == SAME and not weighing.hard_to_forge:
            lines.append(
                f"- {name(lead)}: nothing in it takes a secret (a private key, an account): somebody who wants to be"
                " taken for another could copy all of it."
            )
    lines += [f"- {gap}" for gap in gaps]
    yield from lines or ["- any lead at all: there is no conclusion yet"]
    yield ""
