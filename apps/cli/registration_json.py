"""A domain's registration as JSON: the same as the command prints, people's data masked unless it may be revealed."""

from __future__ import annotations

from typing import Any

import msgspec

from intel.facts import State
from intel.registration_differences import Difference
from intel.registration_merge import Merged, Testimony
from intel.registration_shown import shown
from intel.registration_timeline import Event
from intel.registration_versions import REGISTRAR, Said
from tasks.enrich.history import History


def as_json(history: History, *, reveal: bool) -> dict[str, Any]:
    """The history as plain values; times stay datetimes."""

    def said(field: str, what: Said) -> dict[str, Any]:
        values = [shown(field, value, personal=what.personal, reveal=reveal) for value in what.values]
        # What could not be read may be a person's data: its wording is not shown.
        wording = what.text if what.state is not State.UNPARSED else ""
        named = {"registrar": [history.book.shown(value) for value in what.values]} if field == REGISTRAR else {}
        return {"state": what.state, "values": values, "text": wording, "where": what.where, "reader": what.reader,
                "facts": list(what.facts), **named}  # fmt: skip

    def testimony(field: str, one: Testimony) -> dict[str, Any]:
        return {"source": one.voice.source, "tier": one.voice.tier, "server": one.server, "document": one.location,
                "since": one.since, "last": one.heard, **said(field, one.said)}  # fmt: skip

    def merged(one: Merged) -> dict[str, Any]:
        return {"field": one.field, **testimony(one.field, one.best), "conflict": one.conflict,
                "others": [testimony(one.field, other) for other in one.others]}  # fmt: skip

    def witness(one: Difference) -> dict[str, Any]:
        return {"source": one.voice.source, "tier": one.voice.tier, "server": one.look.server,
                "document": one.look.location, "at": one.at, "recorded_at": one.look.recorded_at}  # fmt: skip

    def event(one: Event) -> dict[str, Any]:
        return {"change": one.change, "field": one.field, "after": one.since, "by": one.until, "dated": one.dated,
                "seen": one.at, "before": said(one.field, one.before), "now": said(one.field, one.after),
                "witnesses": [witness(told) for told in one.witnesses]}  # fmt: skip

    return {
        "domain": history.domain,
        "registered": history.view.registered,
        "disputed": history.view.disputed,
        "leads": history.view.leads,
        "because": history.view.because,
        "fields": [merged(one) for one in history.view.fields],
        "history": [event(one) for one in history.events],
        "gaps": [{**msgspec.structs.asdict(one), "days": one.days} for one in history.gaps],
        "first_seen": [msgspec.structs.asdict(one) for one in history.seen],
        "disagreements": list(history.notes),
        "sightings": [
            {"field": one.field, "source": one.source, "reliability": one.reliability, "reference": one.reference,
             "first": one.first, "last": one.last, "ended": one.ended, **said(one.field, one.said)}
            for one in history.sightings
        ],
        "silent": [msgspec.structs.asdict(one) for one in history.silent],
        "ownership_ends": [msgspec.structs.asdict(one) for one in history.ends],
        "cut": history.cut,
    }  # fmt: skip
