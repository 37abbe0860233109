"""`registration`: who a domain is registered to as far as anybody says, and how that changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import groupby
from typing import Annotated, Final

import msgspec
import typer
from rich.text import Text
from sqlalchemy import Engine

from apps.cli import registration_json
from apps.cli.output import cell, console, print_json, progress, show_blocks
from apps.cli.place import ready_warehouse
from db import view as disclosures
from db.registration_history import Asked
from intel.entities import Entity, Kind, entity
from intel.errors import ConfigError, ReadError
from intel.facts import State
from intel.first_seen import CHANNELS, words
from intel.registration_differences import RECORD, Change, Difference
from intel.registration_merge import CLOSE, Merged, Testimony
from intel.registration_shown import in_words, printable
from intel.registration_timeline import Event, Gap
from intel.registration_versions import (
    CREATED,
    DATES,
    FIELDS,
    MAIL_HOST,
    NAME_SERVERS,
    REGISTRAR,
    SOA_CONTACT,
    UPDATED,
    Sighting,
)
from tasks.collect.fetched import utc_now
from tasks.enrich.history import History, other_sightings, read_history
from tasks.enrich.records import Lookup
from tasks.enrich.reread import reread

_Block = tuple[str, tuple[str, ...]]
_Entry = tuple[tuple[datetime, int], _Block]

_NEWEST: Final = 30
"""Entries of the history that are shown without --all."""
_OF_DNS: Final = (NAME_SERVERS, MAIL_HOST, SOA_CONTACT)
_SILENT: Final = 5


def register(app: typer.Typer) -> None:
    """Add this command."""
    app.command()(registration)


def registration(
    domain: Annotated[str, typer.Argument(help="A domain; what stands below it is registered with it.")],
    everything: Annotated[bool, typer.Option("--all", help="Every difference, source and failed look-up.")] = False,
    ask: Annotated[bool, typer.Option("--ask", help="Look it up now, within configs/lookups.yaml.")] = False,
    again: Annotated[
        bool, typer.Option("--reread", help="Read the answers that are kept again; nobody is asked.")
    ] = False,
    unmask: Annotated[
        str, typer.Option("--unmask", "--reveal", help="Show people's data; the reason is written down.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a domain's registration as it stands, who says so, and its history as differences, the newest last."""
    wanted = _read(domain)
    with ready_warehouse() as engine:
        asked = _ask(engine, wanted.value) if ask else None
        if again:
            reread(engine, wanted.value)
        history = _look(engine, wanted, unmask)
    if history is None:
        if as_json:
            print_json({"domain": wanted.value, "known": False})
        else:
            console.print(
                f"nobody has named {wanted.value} yet; `lapsewatch registration {wanted.value} --ask` looks it up",
                markup=False,
            )
        raise typer.Exit(1)
    if as_json:
        answer = registration_json.as_json(history, reveal=bool(unmask))
        print_json(answer if asked is None else {**answer, "asked": [msgspec.structs.asdict(one) for one in asked]})
        return
    _show_asked(asked)
    _show(history, everything=everything, reveal=bool(unmask))


def _read(text: str) -> Entity:
    """The registrable domain that a text stands on."""
    try:
        named = entity(Kind.DOMAIN, text)
    except ReadError as error:
        raise ConfigError(f"{error}; name a domain, as in evil.example") from error
    if not named.scope:
        raise ConfigError(
            f"{named.value} is a public suffix, which nobody registers; name a domain, as in evil.example"
        )
    return entity(Kind.DOMAIN, named.scope)


def _ask(engine: Engine, domain: str) -> tuple[Lookup, ...]:
    from tasks.enrich.look_up import ask_now

    with progress(f"asking about {domain}"):
        return ask_now(engine, domain)


def _show_asked(asked: tuple[Lookup, ...] | None) -> None:
    """What asking came to, as far as it brought nothing new to show below."""
    if asked is None:
        return
    if not asked:
        console.print("another process is asking about it now")
    for one in asked:
        if one.detail and (not one.asked or one.outcome not in {"registered", "not_found"}):
            where = f" at {one.server}" if one.server else ""
            console.print(Text(printable(f"{one.protocol} {one.tier}{where}, {one.outcome}: {one.detail}")))


def _look(engine: Engine, wanted: Entity, reason: str) -> History | None:
    with engine.begin() as connection:
        history = read_history(connection, wanted, now=utc_now())
        if history is not None and reason and history.entity_id:
            disclosures.disclose(connection, history.entity_id, reason)
        return history


def _show(history: History, *, everything: bool, reveal: bool) -> None:
    console.print(Text(f"domain {history.domain}", style="bold"))
    console.print(Text(_state(history)))
    told = [one for one in history.view.fields if everything or one.best.said.state is not State.ABSENT]
    show_blocks("as it stands", (_field(one, history, reveal=reveal) for one in told))
    if history.view.leads:
        console.print(f"{_NAMES[history.view.leads]} leads: {history.view.because}", markup=False)
    _show_timeline(history, everything=everything, reveal=reveal)
    _show_seen(history)
    others = other_sightings(history)
    if not everything:
        others = tuple(one for one in others if one.field not in FIELDS)
    show_blocks("seen by others", (_sighting(one, history, reveal=reveal) for one in others))
    _show_silent(history, everything=everything)
    show_blocks("ends of ownership", ((f"{cell(one.at)}  {one.reason}", (f"fact {one.fact}",)) for one in history.ends))
    if history.cut:
        console.print("there is more than is shown: only the newest of it was read")


_NAMES: Final = {"rdap": "RDAP", "whois": "WHOIS"}


def _state(history: History) -> str:
    if history.view.registered is None:
        return "no look-up has told anything of it"
    state = "registered" if history.view.registered else "not registered"
    last = max(look.at for one in history.chronicles for look in one.looks)
    dispute = "; another server knows no such domain" if history.view.disputed else ""
    return f"{state}, as of {cell(last)} (UTC){dispute}"


def _field(one: Merged, history: History, *, reveal: bool) -> _Block:
    said = in_words(one.field, one.best.said, history.book, reveal=reveal)
    lines = [f"says {_by(one.best)}"]
    for other in one.others:
        differs = other.said.content != one.best.said.content
        if other.said.state is State.ABSENT or not differs:
            continue
        alike = not one.conflict and other.said.state is State.VALUE and one.field in {*DATES, REGISTRAR}
        word = "and" if alike and abs(other.heard - one.best.heard) <= CLOSE else "but"
        lines.append(f"{word} {in_words(one.field, other.said, history.book, reveal=reveal)} says {_by(other)}")
    return f"{one.field}: {said}{' (in dispute)' if one.conflict else ''}", tuple(lines)


def _by(told: Testimony) -> str:
    where = f" at {told.server}" if told.server else ""
    reader = f", read by {told.said.reader}" if told.said.reader else ""
    last = "" if cell(told.heard) == cell(told.since) else f", last {cell(told.heard)}"
    return f"{told.voice.label}{where} since {cell(told.since)}{last}{reader}"


def _show_timeline(history: History, *, everything: bool, reveal: bool) -> None:
    events = [one for one in history.events if everything or one.field != UPDATED]
    entries: list[_Entry] = [
        ((key[0], 1), _events(tuple(group), history, reveal=reveal)) for key, group in groupby(events, key=_together)
    ]
    entries = sorted([*entries, *_in_dns(history, reveal=reveal)], key=lambda one: one[0])
    hidden = 0 if everything else max(0, len(entries) - _NEWEST)
    entries = [*_first(history), *(((one.until, 0), _gap(one, history)) for one in history.gaps), *entries[hidden:]]
    show_blocks("history (UTC)", (block for _, block in sorted(entries, key=lambda one: one[0])))
    if hidden:
        console.print(f"the newest {_NEWEST} entries are shown; --all shows {hidden} more")


def _in_dns(history: History, *, reveal: bool) -> Iterator[_Entry]:
    """When mail hosts, SOA contacts and name servers were first seen in the DNS, and last where they are gone."""
    of: dict[tuple[str, str], list[Sighting]] = {}
    for one in history.sightings:
        if one.field in _OF_DNS and one.said.state is State.VALUE:
            of.setdefault((one.field, in_words(one.field, one.said, history.book, reveal=reveal)), []).append(one)
    for (field, told), seen in of.items():
        first = min(seen, key=lambda one: one.first)
        yield (first.first, 2), (f"{cell(first.first)}  {field} seen", (told, f"says {first.source}"))
        ended = [one for one in seen if one.ended is not None]
        if len(ended) == len(seen):
            last = max(ended, key=lambda one: one.ended or one.last)
            at = last.ended or last.last
            yield (at, 2), (f"{cell(at)}  {field} gone", (told, f"says {last.source}"))


def _together(one: Event) -> tuple[datetime, datetime | None, bool, tuple[str, ...]]:
    """What was found by the same looks, in the same interval, is one entry."""
    return one.until, one.since, one.dated, tuple(_witness(told) for told in one.witnesses)


def _first(history: History) -> list[_Entry]:
    looks = sorted((one.looks[0].at, one.voice, one.looks[0].server) for one in history.chronicles if one.looks)
    lines = tuple(f"{voice.label}{f' at {server}' if server else ''}, {cell(at)}" for at, voice, server in looks)
    return [((looks[0][0], 0), (f"{cell(looks[0][0])}  first look", lines))] if looks else []


def _events(events: tuple[Event, ...], history: History, *, reveal: bool) -> _Block:
    first = events[0]
    kinds = dict.fromkeys(one.change for one in events)
    if Change.HIDDEN in kinds:
        # A field that was empty and is redacted now was hidden with the others.
        kinds.pop(Change.COVER, None)
    changes = "; ".join(kinds)
    said = (_change(one, history, reveal=reveal) for one in events)
    witnesses = (f"says {_witness(told)}" for told in first.witnesses)
    return f"{cell(first.until)}  {changes}", (*said, _when(first), *witnesses)


def _change(one: Event, history: History, *, reveal: bool) -> str:
    before = in_words(one.field, one.before, history.book, reveal=reveal)
    after = in_words(one.field, one.after, history.book, reveal=reveal)
    if one.field == RECORD:
        return ""
    if one.change is Change.EXPIRED:
        return f"{one.field}: {after}"
    if one.change in (Change.STATUS_SET, Change.STATUS_CLEARED):
        return f"{one.change}: {after if one.change is Change.STATUS_SET else before}"
    if one.before.state is State.ABSENT and one.change is Change.STATED:
        return f"{one.field}: {after}"
    return f"{one.field}: {before} -> {after}"


def _when(one: Event) -> str:
    if one.since is None:
        return f"at {cell(one.until)} or before"
    if one.change is Change.EXPIRED or one.since == one.until:
        return ""
    why = ", by the record's own dates" if one.dated else ""
    return f"between {cell(one.since)} and {cell(one.until)}{why}"


def _witness(told: Difference) -> str:
    where = f" at {told.look.server}" if told.look.server else ""
    return f"{told.voice.label}{where}, {cell(told.at)}"


def _gap(one: Gap, history: History) -> _Block:
    silent = [asked for asked in history.silent if one.since <= asked.asked_at <= one.until]
    counts: dict[str, int] = {}
    for asked in silent:
        counts[asked.outcome] = counts.get(asked.outcome, 0) + 1
    failed = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    what = "nothing known before the first look" if one.before_first else "nothing known"
    line = f"asked in vain: {failed}" if failed else "" if one.before_first else "nobody asked"
    since = f"since {cell(one.since)}" if one.open else f"{cell(one.since)} to {cell(one.until)}"
    return f"{since}  {what} ({words(one.until - one.since)})", (line,)


def _show_seen(history: History) -> None:
    blocks: list[tuple[datetime, _Block]] = []
    for one in history.seen:
        head = f"{cell(one.at)}  {CHANNELS.get(one.channel, one.channel)}"
        blocks.append((one.at, (head, (f"by {one.source}",) if one.source else ())))
    created = history.view.field(CREATED)
    if blocks and created is not None and (at := created.best.said.at) is not None:
        blocks.append((at, (f"{in_words(CREATED, created.best.said, history.book)}  created, by its record", ())))
    notes: list[_Block] = [(note, ()) for note in history.notes]
    show_blocks("first seen (UTC)", [*(block for _, block in sorted(blocks, key=lambda one: one[0])), *notes])


def _sighting(one: Sighting, history: History, *, reveal: bool) -> _Block:
    span = f"since {cell(one.first)}" if one.first == one.last else f"{cell(one.first)} to {cell(one.last)}"
    ended = f", ended {cell(one.ended)}" if one.ended is not None else ""
    return (
        f"{one.field}: {in_words(one.field, one.said, history.book, reveal=reveal)}",
        (
            f"says {one.source} ({one.reliability}), {span}{ended} (UTC)",
            f"reference {one.reference}" if one.reference else "",
        ),
    )


def _show_silent(history: History, *, everything: bool) -> None:
    silent = history.silent if everything else history.silent[:_SILENT]
    show_blocks("look-ups that said nothing (UTC)", _silent(silent))
    if len(history.silent) > len(silent):
        console.print(f"the newest {_SILENT} are shown; --all shows {len(history.silent) - len(silent)} more")


def _silent(silent: tuple[Asked, ...]) -> Iterator[_Block]:
    for one in silent:
        where = f" at {one.server}" if one.server else ""
        yield (
            f"{cell(one.asked_at)}  {one.outcome}: {one.protocol} {one.tier}{where}",
            (f"asked for {one.reason}" if one.reason else "",),
        )
