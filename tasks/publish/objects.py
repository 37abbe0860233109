"""A finding with its evidence as STIX 2.1 objects.

Comes in: a plain record, the TLP that was decided, and who publishes. Goes out: drafts, in an order in which nothing
refers to what comes later: markings, our identity, the actor, the watched infrastructure, the subject (SCO), the
indicator, a note with the reasons, relationships. The same finding gives the same ids and the same bytes.

What an incident leads to is tied to its watch by `related-to`, with a confidence, never by `consists-of`.

Two things say what we know apart from what others claim: `infrastructure` is the watch, our own; `intrusion-set` is
the actor as a naming authority calls it, and its description says whose claim that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

import msgspec
from stix2.exceptions import STIXError
from stix2.v21 import ExtensionDefinition, Identity, Indicator, Infrastructure, IntrusionSet, Note, Relationship

from db.publishing_records import FindingRecord, floor
from intel.errors import PublishError
from intel.evidence import FAMILIES
from intel.facts import TLP
from tasks.assess.hypotheses import PRIOR
from tasks.publish.decide import holds_email
from tasks.publish.drafts import Draft
from tasks.publish.identifiers import (
    CONSISTS_OF,
    INDICATES,
    INDICATOR,
    NOTE,
    RELATED,
    actor_id,
    extension_id,
    identity_id,
    infrastructure_id,
    uses_id,
)
from tasks.publish.markings import TLP_MARKINGS, tlp_marking
from tasks.publish.observables import Observable, observable
from tasks.publish.reasons import MAX_TITLE, plain, published_title, reasons, without_watch

# Our identity, our extension and an actor have no time of their own in the warehouse; this stands for it.
_EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
_LIKELY: Final = 30
"""Severity from which an indicator is called malicious: below it, annotations have taken most of it away."""


_LOWEST: Final = 60.0  # bits against, from which the chance is as good as none


class Publisher(msgspec.Struct, frozen=True, kw_only=True):
    """Who publishes: what of configs/ the objects depend on."""

    identity: UUID
    name: str
    contact: str = ""
    watches_tlp: TLP = TLP.GREEN
    valid_days: int = 365


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """The id of one of the objects that belong to a finding, and whether it is the first of its kind."""

    stix_id: str
    first: bool = True


def build(
    finding: FindingRecord, tlp: TLP, publisher: Publisher, ceiling: TLP, slots: Mapping[str, Slot]
) -> tuple[Draft, ...]:
    """The objects of `finding` for a collection that holds up to `ceiling`.

    `slots` has the ids of the finding's own objects, by their role (`identifiers.OWN`). The watch, the actor, the
    relationships to them and the title, which names what is watched, are left out where the collection may not hold
    what we say of watches. Raises PublishError where STIX has no form for the subject.
    """
    seen = observable(finding.subject_kind, finding.subject, extension_id(publisher.identity))
    if seen is None:
        raise PublishError(
            f"couldn't write a subject of kind {finding.subject_kind}: STIX has no form for it; it is withheld"
        )
    try:
        return _objects(finding, tlp, publisher, slots, seen, with_watch=publisher.watches_tlp <= ceiling)
    except (STIXError, ValueError) as error:
        # The message of the library quotes the value; the class says enough.
        raise PublishError(
            f"couldn't write a subject of kind {finding.subject_kind}: {type(error).__name__}; it is withheld"
        ) from error


def _objects(
    finding: FindingRecord,
    tlp: TLP,
    publisher: Publisher,
    slots: Mapping[str, Slot],
    seen: Observable,
    *,
    with_watch: bool,
) -> tuple[Draft, ...]:
    joint = max(tlp, publisher.watches_tlp)
    drafts = [
        _marking(mark) for mark in sorted({TLP.CLEAR, tlp, *((publisher.watches_tlp, joint) if with_watch else ())})
    ]
    drafts.append(_identity(publisher))
    if seen.extension is not None:
        drafts.append(_extension(publisher))
    if with_watch:
        called = None if finding.actor is None else (finding.actor, _actor_name(finding, publisher))
        drafts += _watch(publisher, finding.watch_key, finding.watch_name, finding.watch_created_at, called)
    subject = _subject(seen, tlp)
    drafts += [] if subject is None else [subject]
    shown = finding if with_watch else without_watch(finding)
    drafts.append(_indicator(shown, tlp, publisher, slots[INDICATOR], seen))
    drafts.append(_note(shown, tlp, publisher, slots))
    if with_watch:
        infrastructure = infrastructure_id(publisher.identity, finding.watch_key)
        tie = (slots[INDICATOR].stix_id, "indicates", infrastructure)
        drafts.append(_relation(finding, joint, publisher, slots[INDICATES], tie))
        if subject is not None:
            role = CONSISTS_OF if finding.lead_bits is None else RELATED
            tie = (infrastructure, role, subject.stix_id)
            drafts.append(_relation(finding, joint, publisher, slots[role], tie))
    return tuple(drafts)


def _common(tlp: TLP, publisher: Publisher) -> dict[str, Any]:
    return {"created_by_ref": identity_id(publisher.identity), "object_marking_refs": [TLP_MARKINGS[tlp]]}


def _own(finding: FindingRecord, tlp: TLP, publisher: Publisher, slot: Slot) -> dict[str, Any]:
    """What the finding's own objects share.

    `modified` is when the finding changed last, so that a collection which gets it later than another has the same
    version. An object that follows a revoked one was created by that change.
    """
    modified = floor(max(finding.found_at, finding.changed_at))
    created = floor(finding.found_at) if slot.first else modified
    return {"id": slot.stix_id, "created": created, "modified": modified, **_common(tlp, publisher)}


def _began(finding: FindingRecord) -> datetime:
    return floor(finding.event_time or finding.found_at)


@lru_cache(maxsize=16)
def _marking(tlp: TLP) -> Draft:
    return Draft.of(tlp_marking(tlp), TLP.CLEAR)


@lru_cache(maxsize=16)
def _identity(publisher: Publisher) -> Draft:
    contact = {"contact_information": publisher.contact} if publisher.contact else {}
    return Draft.of(
        Identity(
            id=identity_id(publisher.identity),
            created=_EPOCH,
            modified=_EPOCH,
            name=publisher.name,
            identity_class="organization",
            object_marking_refs=[TLP_MARKINGS[TLP.CLEAR]],
            **contact,
        ),
        TLP.CLEAR,
    )


@lru_cache(maxsize=16)
def _extension(publisher: Publisher) -> Draft:
    return Draft.of(
        ExtensionDefinition(
            id=extension_id(publisher.identity),
            created=_EPOCH,
            modified=_EPOCH,
            name="Fingerprints and public keys",
            description="What STIX has no field for: `kind` (public-key or fingerprint) and `value`, as"
            " algorithm:value. On an indicator, it is what the pattern matches.",
            schema="https://json-schema.org/draft/2020-12/schema",
            version="1.0.0",
            extension_types=["property-extension"],
            **_common(TLP.CLEAR, publisher),
        ),
        TLP.CLEAR,
    )


def _actor_name(finding: FindingRecord, publisher: Publisher) -> str:
    """What sources call the actor; empty where partners may not have that, or it may name a person."""
    name = plain(finding.actor_name or "")[:MAX_TITLE]
    return "" if finding.actor_name_tlp > publisher.watches_tlp or holds_email(name) else name


@lru_cache(maxsize=1024)
def _watch(
    publisher: Publisher, key: str, name: str, created_at: datetime, called: tuple[str, str] | None
) -> tuple[Draft, ...]:
    """The watch as infrastructure, and the actor that it is about: its id, and its name where that is known."""
    common = _common(publisher.watches_tlp, publisher)
    created = floor(created_at)
    infrastructure = Infrastructure(
        id=infrastructure_id(publisher.identity, key),
        created=created,
        modified=created,
        name=name,
        infrastructure_types=["unknown"],
        description="Infrastructure that we watch; what it consists of was found by our rules.",
        **common,
    )
    if called is None:
        return (Draft.of(infrastructure, publisher.watches_tlp),)
    actor, actor_name = called
    authority, _, name_there = actor.partition(":")
    own_name = name_there or actor
    intrusion_set = IntrusionSet(
        id=actor_id(publisher.identity, actor),
        created=_EPOCH,
        modified=_EPOCH,
        name=actor_name or own_name,
        description=f"The actor that {authority} calls {own_name}. That there is one, and what belongs to it, is a"
        f" claim of {authority}'s; we neither merge it with other names nor confirm it.",
        external_references=[{"source_name": authority, "external_id": own_name}],
        **common,
    )
    uses = Relationship(
        id=uses_id(publisher.identity, key),
        created=created,
        modified=created,
        source_ref=intrusion_set.id,
        relationship_type="uses",
        target_ref=infrastructure.id,
        description="A claim: the watch was made for what is said to be this actor's.",
        start_time=created,
        **common,
    )
    return tuple(Draft.of(thing, publisher.watches_tlp) for thing in (intrusion_set, infrastructure, uses))


def _subject(seen: Observable, tlp: TLP) -> Draft | None:
    if seen.sco is None:
        return None
    return Draft.of(seen.sco(object_marking_refs=[TLP_MARKINGS[tlp]], **seen.properties), tlp)


def _indicator(finding: FindingRecord, tlp: TLP, publisher: Publisher, slot: Slot, seen: Observable) -> Draft:
    kinds = ["malicious-activity" if finding.severity >= _LIKELY else "anomalous-activity"]
    extended = {}
    if seen.extension is not None:
        kind, value = seen.extension
        body = {"extension_type": "property-extension", "kind": kind, "value": value}
        extended = {"extensions": {extension_id(publisher.identity): body}}
    # An old event found today is still news today: validity counts from the later of the two.
    until = max(_began(finding), floor(finding.found_at)) + timedelta(days=publisher.valid_days)
    return Draft.of(
        Indicator(
            name=published_title(finding),
            indicator_types=kinds if finding.actor is None else [*kinds, "attribution"],
            pattern=seen.pattern,
            pattern_type="stix",
            pattern_version="2.1",
            valid_from=_began(finding),
            valid_until=until,
            labels=[finding.rule, "lapse"] if finding.lapse else [finding.rule],
            confidence=min(max(finding.severity, 0), 100),
            **extended,
            **_own(finding, tlp, publisher, slot),
        ),
        tlp,
        finding.id,
    )


def _note(finding: FindingRecord, tlp: TLP, publisher: Publisher, slots: Mapping[str, Slot]) -> Draft:
    return Draft.of(
        Note(
            abstract=published_title(finding),
            content=reasons(finding, published_title(finding)),
            object_refs=[slots[INDICATOR].stix_id],
            **_own(finding, tlp, publisher, slots[NOTE]),
        ),
        tlp,
        finding.id,
    )


def _relation(finding: FindingRecord, tlp: TLP, publisher: Publisher, slot: Slot, tie: tuple[str, str, str]) -> Draft:
    source, kind, target = tie
    return Draft.of(
        Relationship(
            source_ref=source,
            relationship_type=kind,
            target_ref=target,
            start_time=_began(finding),
            **_inferred(finding),
            **_own(finding, tlp, publisher, slot),
        ),
        tlp,
        finding.id,
    )


def _inferred(finding: FindingRecord) -> dict[str, Any]:
    """What a tie to a lead says besides: that it is inferred, and how likely it is (STIX 2.1, section 3.2).

    Evidence of too few families is not enough for a likelihood, as in the report.
    """
    if finding.lead_bits is None:
        return {}
    if finding.lead_families < FAMILIES:
        return {
            "description": "Inferred from what both have in common, and stated by nobody: not enough evidence to say"
            " how likely it is the same hand."
        }
    return {
        "confidence": likelihood(finding.lead_bits),
        "description": "Inferred from what both have in common, and stated by nobody: the confidence is the likelihood"
        " of the same hand. Whose hand that is, it does not say.",
    }


def likelihood(bits: float) -> int:
    """The chance of one hand that so many bits of evidence leave, in percent; from 1 to 95, for nothing is certain."""
    odds = bits - PRIOR
    return min(95, max(1, round(100 / (1 + 2**-odds)))) if odds > -_LOWEST else 1
