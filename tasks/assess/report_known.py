"""The sections of a report that say what is known: claims, certificates, resolutions, networks. Pure.

Each line names who says so and when. In: the records of tasks/enrich/. Out: lines of Markdown.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from intel.entities import masked
from intel.facts import Predicate
from tasks.assess import wording as say
from tasks.enrich.records import (
    Case,
    Certificates,
    CertificateSeen,
    Claim,
    Known,
    Network,
    PassiveDns,
    Tie,
)

_SHOWN_SUBJECTS: Final = 100
_SHOWN_NEAR: Final = 15
_SHOWN_NAMES: Final = 8
_UNSPOKEN: Final = "(nothing)"
_WORDS: Final = {
    Predicate.LISTED: "lists it as",
    Predicate.ATTRIBUTED_TO: "claims it belongs to",
    Predicate.REPORTED_IN: "names it in the report",
    Predicate.ASSOCIATED_WITH: "names it together with",
    Predicate.DESCRIBED_AS: "describes it as",
}


def claims(case: Case, known: Known) -> Iterator[str]:
    """What sources say of each entity, and of what stands on the same domain or address."""
    counts = {count.about: count for count in known.claim_counts}
    spoken_of = {claim.about for claim in known.claims} | {tie.about for tie in known.ties}
    ordered = sorted(case.subjects, key=lambda subject: subject.id not in spoken_of)
    for subject in ordered[:_SHOWN_SUBJECTS]:
        said = [claim for claim in known.claims if claim.about == subject.id]
        ties = [tie for tie in known.ties if tie.about == subject.id]
        yield f"### {say.code(masked(subject.kind, subject.value))} ({subject.kind})"
        yield ""
        if not said:
            yield "No source says anything of it, or of what stands on the same domain or address."
            yield ""
        else:
            yield from say.table(
                ("of", "who", "says", "first", "last", "TLP", "reference"),
                (_claim(claim, same=claim.subject_id == subject.id) for claim in said),
            )
            if cut := say.of(len(said), counts.get(subject.id)):
                yield from (cut, "")
        yield from _ties(ties)
        yield from _near(subject.id, known)
    if len(ordered) > _SHOWN_SUBJECTS:
        unspoken = sum(subject.id not in spoken_of for subject in ordered[_SHOWN_SUBJECTS:])
        yield f"{len(ordered) - _SHOWN_SUBJECTS} more are not shown; of {unspoken} of them nothing is known."
        yield ""


def _claim(claim: Claim, *, same: bool) -> tuple[str, ...]:
    said = f"{_WORDS.get(Predicate(claim.predicate), claim.predicate)} {say.show(claim.object)}".strip()
    return (
        "it" if same else say.show(claim.subject),
        say.said_by(claim),
        f"{said}{' (ended)' if claim.ended else ''}",
        say.day(claim.first),
        say.day(claim.last),
        say.tlp(claim.tlp),
        say.code(claim.reference) if claim.reference else "",
    )


def _ties(ties: list[Tie]) -> Iterator[str]:
    if not ties:
        return
    yield "Connected with, one step out:"
    yield ""
    for tie in ties:
        yield (
            f"- {say.show(tie.subject)} {tie.predicate} {say.show(tie.object)}"
            f" ({say.span(tie.first, tie.last)}; {say.sources(tie.sources)})"
        )
    yield ""


def _near(about: int, known: Known) -> Iterator[str]:
    near = [subject for owner, subject in known.near if owner == about and subject.id != about]
    if not near:
        return
    count = next((count for count in known.near_counts if count.about == about), None)
    total = len(near) if count is None else count.total - 1
    values = ", ".join(say.code(masked(one.kind, one.value)) for one in near[:_SHOWN_NEAR])
    more = (
        ""
        if total <= _SHOWN_NEAR
        else f" and {'at least ' if count and count.capped else ''}{total - _SHOWN_NEAR} more"
    )
    yield f"On the same domain or address: {values}{more}."
    yield ""


def certificates(found: Certificates, title: str = "Certificates") -> Iterator[str]:
    """The certificates that name it, and those that share a key with one that does."""
    yield f"### {title}"
    yield ""
    if not found.certificates:
        yield "No certificate that names it or shares a key with it is known."
        yield ""
        return
    yield from say.table(
        ("certificate", "names", "key", "valid", "heard of", "why it is here"), _rows(found.certificates)
    )
    if found.total > len(found.certificates):
        yield from (f"{len(found.certificates)} of {found.total} shown, the most recently heard of first.", "")


def _rows(certificates: Iterable[CertificateSeen]) -> Iterator[tuple[str, ...]]:
    for one in certificates:
        names = ", ".join(say.code(name) for name in one.names[:_SHOWN_NAMES])
        more = one.names_total - _SHOWN_NAMES
        yield (
            say.code(one.value),
            names + (f" and {more} more" if more > 0 else ""),
            say.code(one.key) if one.key else "not known",
            f"{say.clean(one.valid_from)[:10] or '?'} to {say.clean(one.valid_until)[:10] or '?'}",
            f"{say.day(one.seen)}; {say.sources(one.sources)}",
            "same key as one that names it" if one.same_key_only else "names it",
        )


def passive_dns(found: PassiveDns) -> Iterator[str]:
    """Which names led where, and when. Nothing was resolved for this."""
    yield "### Resolutions"
    yield ""
    if not found.resolutions:
        yield "No source states where its names led, or what led to its addresses. Nothing was resolved to find out."
        yield ""
        return
    yield from say.table(
        ("name", "led to", "when", "who"),
        (
            (say.code(one.name), say.code(one.target), say.span(one.first, one.last), say.sources(one.sources))
            for one in found.resolutions
        ),
    )
    if found.total > len(found.resolutions):
        yield from (f"{len(found.resolutions)} of {found.total} shown, the most recent first.", "")


def network(found: Network) -> Iterator[str]:
    """What holds the addresses, and which names stood on them."""
    yield "### Addresses"
    yield ""
    if not found.addresses:
        yield "No address of it is known."
        yield ""
        return
    for one in found.addresses:
        holders = ", ".join(f"{say.show(holder)} ({holder.kind})" for holder in one.holders) or _UNSPOKEN
        names = ", ".join(say.code(name) for name in one.names[:_SHOWN_NAMES])
        total = f"{'at least ' if one.capped else ''}{one.names_total}{f' ({names})' if names else ''}"
        yield f"- {say.code(one.address)}: held by {holders}; names that led to it: {total}"
    yield ""
    if found.total > len(found.addresses):
        yield from (f"{len(found.addresses)} of {found.total} shown.", "")


def attribution(known: Known, connected: Iterable[Claim]) -> Iterator[str]:
    """What sources claim of who is behind it, and of the domains that it is connected with. Nothing here weighs it."""
    own = list(_by_actor(known.claims))
    others = list(_by_actor(connected))
    if not own:
        yield "No source claims to know whose it is."
        yield ""
    else:
        yield "These are claims of their sources, which copy one another; one about a neighbour is not one about it."
        yield ""
        yield from (*own, "")
    if others:
        yield "Of the domains that it is connected with by a key or an address, which may be another's all the same:"
        yield ""
        yield from (*others, "")


def _by_actor(claims: Iterable[Claim]) -> Iterator[str]:
    actors: dict[str, list[Claim]] = {}
    for claim in claims:
        if claim.predicate == Predicate.ATTRIBUTED_TO and not claim.ended:
            actors.setdefault(say.show(claim.object), []).append(claim)
    for actor, said in actors.items():
        whose = ", ".join(sorted({say.said_by(one) for one in said}))
        of = ", ".join(dict.fromkeys(say.show(one.subject) for one in said))
        yield f"- {actor}: claimed by {whose} of {of}, first {say.day(min(one.first for one in said))}"
