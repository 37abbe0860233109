"""What the judgements of an incident are made from: its claims, names, findings and shared things, read once. Pure.

In: the records of tasks/enrich/, findings and leads. Out: `Material`. Claims stay claims: their words are kept with who
says them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from db.leads import Lead
from intel.entities import Kind
from intel.facts import Predicate, State
from intel.names import default_suffixes
from tasks.assess.targeting import Targeting
from tasks.enrich.records import Certificates, Claim, Known, Registered
from tasks.watch.review import Explanation

_WORD: Final = re.compile(r"[a-z]{3,20}")
_MOST_WORDS: Final = 400
_SAYS_WHAT: Final = frozenset({Predicate.LISTED, Predicate.ASSOCIATED_WITH, Predicate.DESCRIBED_AS})


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A word that a source used of the incident, or that stands in a name; `where` says which source or name."""

    word: str
    where: str


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to judge from. `rules` are those of standing findings, with how many each made.

    `labels` are words in what sources list and describe; `lures` words in names; `hubs` the kinds of shared things in
    the evidence of leads; `domains` how many registrable domains there are, `sources` how many sources speak of it.
    """

    labels: tuple[Said, ...] = ()
    lures: tuple[Said, ...] = ()
    actors: tuple[Said, ...] = ()
    rules: dict[str, int] = {}
    hubs: dict[str, str] = {}
    wallets: int = 0
    domains: int = 0
    sources: int = 0
    certificates: int = 0
    keys: int = 0
    registrants_shown: int = 0
    registrants_hidden: int = 0
    targeting: Targeting = Targeting(known=False)


def material(
    known: Known,
    registered: Registered,
    certificates: Certificates,
    *,
    names: Iterable[str],
    findings: Sequence[Explanation],
    leads: Sequence[Lead],
    targeting: Targeting,
) -> Material:
    """Read what the branches found. `names` are the host names around the incident."""
    domains = dict.fromkeys(default_suffixes().registrable(name) for name in names if "." in name)
    domains |= dict.fromkeys(one.scope for one in leads if one.scope)
    rules: dict[str, int] = {}
    for found in findings:
        rules[found.rule] = rules.get(found.rule, 0) + 1
    shown, hidden = _registrants(registered)
    return Material(
        labels=tuple(_labels(known.claims)),
        lures=tuple(_lures(domains)),
        actors=tuple(_actors(known.claims)),
        rules=rules,
        hubs={piece.hub: piece.what for lead in leads for piece in lead.evidence if piece.hub},
        wallets=sum(one.kind == Kind.WALLET for _, one in known.near) + sum(one.kind == Kind.WALLET for one in leads),
        domains=len(domains),
        sources=len({one.source for one in known.claims}),
        certificates=len(certificates.certificates),
        keys=len({one.key for one in certificates.certificates if one.key}),
        registrants_shown=shown,
        registrants_hidden=hidden,
        targeting=targeting,
    )


def _labels(claims: Iterable[Claim]) -> Iterable[Said]:
    found: dict[tuple[str, str], Said] = {}
    for claim in claims:
        if claim.predicate not in _SAYS_WHAT or claim.object is None or claim.object.personal:
            continue
        for word in words_of(claim.object.value):
            found.setdefault((word, claim.source), Said(word=word, where=claim.source))
    return list(found.values())[:_MOST_WORDS]


def _lures(domains: Iterable[str]) -> Iterable[Said]:
    found = [Said(word=word, where=domain) for domain in domains for word in words_of(_label(domain))]
    return found[:_MOST_WORDS]


def _label(domain: str) -> str:
    """A registrable domain without its last label, which is no word of whoever chose the name."""
    return domain.rpartition(".")[0]


def _actors(claims: Iterable[Claim]) -> Iterable[Said]:
    found = {
        (claim.object.value, claim.source): Said(word=claim.object.value, where=claim.source)
        for claim in claims
        if claim.predicate == Predicate.ATTRIBUTED_TO and claim.object is not None and not claim.ended
    }
    return list(found.values())[:_MOST_WORDS]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a text, lower-case, each once: runs of letters from 3 to 20."""
    return tuple(dict.fromkeys(_WORD.findall(text.lower()[:2_000])))


def _registrants(registered: Registered) -> tuple[int, int]:
    """Domains whose registrant was ever shown, and those where it was only ever hidden."""
    states: dict[str, set[str]] = {}
    for claim in registered.history:
        if claim.predicate == Predicate.REGISTERED_BY:
            states.setdefault(claim.subject.value, set()).add(claim.state)
    shown = sum(State.VALUE in found for found in states.values())
    hidden = sum(State.VALUE not in found and bool(found & {State.REDACTED, State.PROXY}) for found in states.values())
    return shown, hidden
