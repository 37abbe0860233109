"""The sections of a report that go beyond what sources say: findings, inferences and their grounds, what touches us.

Pure. In: the records of tasks/enrich/ and the findings of the incident's watch. Out: lines of Markdown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from intel.facts import Predicate, State
from intel.names import default_suffixes
from tasks.assess import wording as say
from tasks.assess.connected import FEW, is_name
from tasks.assess.targeting import Targeting
from tasks.enrich.records import Certificates, CertificateSeen, Claim, Known, Network, Registered
from tasks.watch.review import Evidence, Explanation, merged

_SOON: Final = timedelta(days=30)
_MOST_NEXT: Final = 40


def findings(found: Sequence[Explanation], total: int) -> Iterator[str]:
    """What the incident's watch has found, lapses first, each with the facts that it rests on."""
    if not found:
        yield "The incident's watch has found nothing so far; it goes on looking."
        yield ""
        return
    for one in found:
        kind = "**Lapse**" if one.lapse else "Finding"
        what = f"{one.rule}, severity {one.severity}, {one.status}"
        yield f"- {kind} {one.finding_id} ({what}): {say.prose_long(one.title)}"
        for evidence in merged((*one.new, *one.known)):
            yield f"    - {_evidence(evidence)}"
        for annotation in one.annotations:
            taken = annotation.get("takes") or "nothing"
            yield f"    - {say.prose(str(annotation.get('why', '')))} (takes {taken} from its severity)"
    yield ""
    if total > len(found):
        yield from (f"{len(found)} of {total} shown, lapses and the most severe first.", "")


def _evidence(one: Evidence) -> str:
    said = f"{say.code(one.subject)} {one.predicate} {say.code(one.object) if one.object else ''}".strip()
    reference = f", {say.code(one.reference)}" if one.reference else ""
    return (
        f"{one.role}: {said} ({say.prose(one.source)} ({one.reliability}), {say.span(one.first_seen, one.last_seen)},"
        f" {one.tlp}{reference})"
    )


def inferences(
    known: Known,
    registered: Registered,
    certificates: Certificates,
    network: Network,
    shared: Mapping[str, str] = {},
) -> Iterator[str]:
    """What follows from what is known, with what it rests on and what else would explain it."""
    lines = [
        *_same_key(certificates),
        *_hidden_later(registered),
        *_young(known, registered),
        *_shared_address(network, shared),
    ]
    yield from lines or ["Nothing follows from it that is not said above."]
    yield ""


def _same_key(certificates: Certificates) -> Iterator[str]:
    by_key: dict[str, list[CertificateSeen]] = {}
    for one in certificates.certificates:
        if one.key:
            by_key.setdefault(one.key, []).append(one)
    for key, held in by_key.items():
        domains = sorted({default_suffixes().registrable(name) for one in held for name in one.names if is_name(name)})
        if len(domains) < 2:
            continue
        rests = ", ".join(f"{say.code(one.value)} ({say.sources(one.sources)}, {say.day(one.seen)})" for one in held)
        yield (
            f"- {', '.join(say.code(domain) for domain in domains)} had certificates with the same key {say.code(key)}:"
            f" whoever held the private key could serve all of them. Rests on {rests}. A hoster that makes certificates"
            " for many customers with one key would explain it as well."
        )


def _hidden_later(registered: Registered) -> Iterator[str]:
    of_registrant = [one for one in registered.history if one.predicate == Predicate.REGISTERED_BY]
    shown = [one for one in of_registrant if one.state == State.VALUE and one.ended]
    for domain in dict.fromkeys(one.subject.value for one in shown):
        mine = [one for one in shown if one.subject.value == domain]
        now = {
            one.state
            for one in of_registrant
            if one.subject.value == domain and not one.ended and one.state in {State.REDACTED, State.PROXY}
        }
        if not now:
            continue
        values = ", ".join(dict.fromkeys(say.show(one.object) for one in mine))
        until = say.day(max(one.last for one in mine))
        yield (
            f"- The registrant of {say.code(domain)} was shown ({values}) until {until}"
            f" and is hidden now ({', '.join(sorted(now))}). Rests on answers of"
            f" {', '.join(sorted({say.said_by(one) for one in mine}))}. The data may be false or stolen: a lead, not an"
            " identification."
        )


def _young(known: Known, registered: Registered) -> Iterator[str]:
    first_claims: dict[str, datetime] = {}
    scopes = {subject.id: subject.scope for _, subject in known.near}
    for claim in known.claims:
        scope = scopes.get(claim.subject_id, "")
        if scope and (scope not in first_claims or claim.first < first_claims[scope]):
            first_claims[scope] = claim.first
    created = _created(registered)
    for domain, (at, claim) in created.items():
        said = first_claims.get(domain)
        if said is not None and timedelta(0) <= said - at <= _SOON:
            days = (said - at).days
            yield (
                f"- {say.code(domain)} was named by a source {days} days after it was registered ({say.day(at)}): it"
                f" may have been registered for this. Rests on {say.said_by(claim)} for the registration and on"
                " the claims above; names are also bought up again after they lapse."
            )


def _created(registered: Registered) -> dict[str, tuple[datetime, Claim]]:
    found: dict[str, tuple[datetime, Claim]] = {}
    for claim in registered.history:
        if claim.predicate != Predicate.CREATED or claim.ended or claim.object is None:
            continue
        try:
            at = datetime.fromisoformat(claim.object.value)
        except ValueError:
            continue
        at = at if at.tzinfo is not None else at.replace(tzinfo=claim.first.tzinfo)
        found.setdefault(claim.subject.value, (at, claim))
    return found


def _shared_address(network: Network, shared: Mapping[str, str]) -> Iterator[str]:
    for one in network.addresses:
        if one.names_total < 2:
            continue
        names = ", ".join(say.code(name) for name in one.names[:FEW])
        if one.address in shared:
            yield (
                f"- {one.names_total} names led to {say.code(one.address)} ({names}), which connects none: it is"
                f" shared ({say.prose_long(shared[one.address])})."
            )
        elif one.names_total <= FEW and not one.capped:
            yield (
                f"- {one.names_total} names led to {say.code(one.address)} ({names}): few enough that one holder is"
                " possible. Rests on the resolutions above; small hosters look the same."
            )
        else:
            yield (
                f"- {one.names_total} names or more led to {say.code(one.address)}: it is shared, and says little about"
                " who stands behind any of them."
            )


def compared(found: Targeting) -> Iterator[str]:
    """What was compared with what is ours, and what touches it: evidence, and no verdict."""
    if not found.known:
        yield "Nothing could be compared: configs/organisation.yaml names no domain, brand or network of ours."
        yield ""
        return
    around = f"names {found.names}, addresses {found.addresses}"
    yield f"What is ours was compared with what is around the incident: {around}."
    yield ""
    if found.touched:
        yield "These touch us; a brand in a name may be chance, or a campaign against everybody:"
        yield ""
        for one in found.touched[:_MOST_NEXT]:
            yield f"- {say.code(one.value)} touches {say.prose(one.ours)} ({one.where})"
    else:
        yield "None touches us, which does not make it opportunistic."
    yield ""
