"""The section of a report on registration: how each domain stands, what changed and when, what others say. Pure.

In: the histories of the incident's domains, and what sources claim of those that have none. Out: lines of Markdown,
without people's data.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from intel.facts import State
from intel.registration_differences import RECORD, Change
from intel.registration_merge import Merged
from intel.registration_shown import in_words
from intel.registration_timeline import Event
from intel.registration_versions import UPDATED
from tasks.assess import wording as say
from tasks.enrich.history import History, other_sightings
from tasks.enrich.records import Claim, Registered

_SHOWN_DOMAINS: Final = 20
_SHOWN_EVENTS: Final = 25
_SHOWN_SIGHTINGS: Final = 15


def registration(registered: Registered, histories: Sequence[History] = ()) -> Iterator[str]:
    """What registries, registrars and feeds state of the domains' registration, what has ended included."""
    yield "### Registration"
    yield ""
    told = [one for one in histories if one.chronicles or one.sightings or one.seen]
    for one in told[:_SHOWN_DOMAINS]:
        yield from _domain(one)
    if len(told) > _SHOWN_DOMAINS:
        yield f"{len(told) - _SHOWN_DOMAINS} more domains are not shown."
        yield ""
    known = {one.domain for one in told}
    yield from claims([one for one in registered.history if one.subject.value not in known])
    if not told and not registered.history:
        yield "Nothing is known of the registration of its domains."
        yield ""


def _domain(history: History) -> Iterator[str]:
    yield f"#### {say.code(history.domain)}"
    yield ""
    yield f"{_state(history)}."
    yield ""
    fields = [one for one in history.view.fields if one.best.said.state is not State.ABSENT]
    if fields:
        yield from say.table(("field", "value", "who", "since", ""), (_field(one, history) for one in fields))
    yield from _changes(history)
    if notes := [f"- {say.prose_long(note)}" for note in history.notes]:
        yield from ("Where it was seen does not fit:", "", *notes, "")
    if ends := [f"- {say.day(one.at)}: {say.prose(one.reason)}" for one in history.ends]:
        yield from ("From then on it is no longer whose it was:", "", *ends, "")
    shown = {one.voice.source for field in history.view.fields for one in (field.best, *field.others)}
    others = [one for one in other_sightings(history) if one.source not in shown][:_SHOWN_SIGHTINGS]
    if others:
        yield from say.table(
            ("others say", "value", "who", "when"),
            (
                (
                    one.field,
                    say.code(in_words(one.field, one.said, history.book)),
                    f"{say.prose(one.source)} ({one.reliability})",
                    say.span(one.first, one.ended or one.last),
                )
                for one in others
            ),
        )


def _state(history: History) -> str:
    looks = [look.at for one in history.chronicles for look in one.looks]
    if history.view.registered is None or not looks:
        return "No look-up has told anything of it"
    state = "Registered" if history.view.registered else "Not registered"
    dispute = ", although another server knows no such domain" if history.view.disputed else ""
    return f"{state} as of {say.day(max(looks))}{dispute}"


def _field(one: Merged, history: History) -> tuple[str, ...]:
    other = next((other for other in one.others if other.said.content != one.best.said.content), None)
    beside = ""
    if other is not None and other.said.state is not State.ABSENT:
        beside = f"{say.prose(other.voice.label)} says {say.code(in_words(one.field, other.said, history.book))}"
    return (
        one.field,
        say.code(in_words(one.field, one.best.said, history.book)),
        say.prose(one.best.voice.label),
        say.day(one.best.since),
        f"in dispute: {beside}" if one.conflict else beside,
    )


def _changes(history: History) -> Iterator[str]:
    events = [one for one in history.events if one.field != UPDATED]
    if not events:
        return
    yield "What changed:"
    yield ""
    newest = events[-_SHOWN_EVENTS:]
    for _, group in groupby(newest, key=_together):
        yield _entry(tuple(group), history)
    yield ""
    if len(events) > len(newest):
        yield f"{len(newest)} of {len(events)} changes shown, the newest."
        yield ""


def _together(one: Event) -> tuple[object, ...]:
    """What the same voices found in the same interval is one line."""
    return one.until, one.since, tuple(told.voice for told in one.witnesses)


def _entry(events: tuple[Event, ...], history: History) -> str:
    first = events[0]
    when = f"by {say.day(first.until)}"
    if first.since is not None and first.since != first.until:
        when = f"between {say.day(first.since)} and {say.day(first.until)}"
    changes = "; ".join(_change(one, history) for one in events)
    who = ", ".join(say.prose(one.voice.label) for one in first.witnesses)
    return f"- {when}: {changes} ({who})"


def _change(one: Event, history: History) -> str:
    if one.field == RECORD:
        return str(one.change)
    before = say.code(in_words(one.field, one.before, history.book))
    after = say.code(in_words(one.field, one.after, history.book))
    if one.change in (Change.STATUS_SET, Change.EXPIRED) or one.before.state is State.ABSENT:
        return f"{one.change}, {one.field} {after}"
    if one.change is Change.STATUS_CLEARED:
        return f"{one.change}, {one.field} {before}"
    return f"{one.change}, {one.field} {before} to {after}"


def claims(history: Sequence[Claim]) -> Iterator[str]:
    """What sources state of domains that have no history of their own."""
    ordered = sorted(history, key=lambda one: (one.subject.value, one.ended, one.predicate, one.source))
    rows = dict.fromkeys(
        (
            say.show(claim.subject),
            claim.predicate,
            _stated(claim),
            say.said_by(claim),
            say.span(claim.first, claim.last),
            "ended" if claim.ended else "",
        )
        for claim in ordered
    )
    if rows:
        yield from say.table(("domain", "says", "value", "who", "when", ""), rows)


def _stated(claim: Claim) -> str:
    said = say.show(claim.object)
    return said if claim.state == State.VALUE else f"{claim.state} {said}".strip()
