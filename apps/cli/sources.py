"""`sources`, `collect`: what is pulled, and pulling it now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
import typer
from sqlalchemy import Engine

from apps.cli.output import console, print_json, progress, show_blocks, show_record, show_table
from apps.cli.place import ready_warehouse
from db.load import Loaded
from intel.config.sources import Format, Source, read_sources
from intel.errors import ConfigError
from intel.settings import settings
from tasks.collect.session import find_source, open_run
from tasks.collect.slices import collect_slice
from tasks.collect.zones import next_zone
from tasks.load import ct
from tasks.load.load import load_batch
from tasks.load.name_ranking import open_ranker
from tasks.load.new_domain_lists import load_lists
from tasks.load.new_domains import Arrived
from tasks.load.zones import compare
from tasks.load.zones_snapshot import sort
from tasks.normalize.stage import stage
from tasks.watch import certificates, items, registrations

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_LICENCE: Final = 20


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command(name="sources")(list_sources)
    app.command()(collect)


def list_sources(as_json: Json = False) -> None:
    """List the sources of configs/: what they are, what their licence allows, whether they are on."""
    rows: list[dict[str, Any]] = [
        {
            "source": source.name,
            "on": source.enabled,
            "format": source.format.value,
            "cadence": source.cadence,
            "reliability": source.reliability,
            "TLP": source.tlp,
            "licence": source.licence.name,
            "needs": source.secret,
            "title": source.title,
            "location": source.location,
        }
        for source in read_sources(settings().configs).values()
    ]
    if as_json:
        print_json(rows)
        return
    shown = [
        row | {"TLP": row["TLP"].removeprefix("TLP:"), "grade": row["reliability"], "licence": _cut(row["licence"])}
        for row in rows
    ]
    columns = ["source", "on", "cadence", "grade", "TLP", "licence"]
    show_table(shown, columns, empty="no sources in configs/sources/", as_json=False)
    keys: dict[str, list[str]] = {}
    for row in rows:
        if row["needs"]:
            keys.setdefault(row["needs"], []).append(row["source"])
    show_blocks("a key in the environment is needed", ((key, (", ".join(names),)) for key, names in keys.items()))


def _cut(text: str) -> str:
    return text if len(text) <= _LICENCE else text[: _LICENCE - 1] + "…"


def collect(source: str, as_json: Json = False) -> None:
    """Collect everything that is new from one source, here and now, then judge it against the watches."""
    entry = find_source(source)
    if entry.transport == "lookup":
        raise ConfigError(
            f"couldn't collect {source}: it only answers single questions; `lapsewatch incident IOC...` asks it"
        )
    with ready_warehouse() as engine:
        with progress(f"collecting from {entry.title}"):
            row = _way(entry)(engine, entry)
        with engine.begin() as connection:
            items.sync(connection, settings().configs)
        with progress("judging"):
            found = [registrations.monitor(engine), certificates.monitor(engine)]
    row["findings"] = sum(monitored.findings for monitored in found)
    if as_json:
        print_json(row)
        return
    show_record({name: value for name, value in row.items() if value != ""}, as_json=False)
    if row["findings"]:
        console.print("`lapsewatch findings` shows them")


def _way(entry: Source) -> Callable[[Engine, Source], dict[str, Any]]:
    """How a source is collected from."""
    if entry.transport == "ct":
        return _follow
    return {Format.ZONE: _compare, Format.DOMAINS: _new_domains}.get(entry.format, _collect)


def _compare(engine: Engine, entry: Source) -> dict[str, Any]:
    added, removed, changed, alarms = 0, 0, 0, []
    ranker = open_ranker(engine)
    with open_run(engine, entry) as run:
        while (file := next_zone(engine, entry, run)) is not None:
            compared = compare(engine, entry, run, sort(engine, entry, run, file), ranker=ranker)
            added, removed = added + compared.added, removed + compared.removed
            changed += compared.changed
            alarms += [compared.alarm] if compared.alarm else []
    return {
        "source": entry.name,
        "names added": added,
        "removed": removed,
        "moved": changed,
        "alarm": "; ".join(alarms),
    }


def _collect(engine: Engine, entry: Source) -> dict[str, Any]:
    new, ended, alarms = 0, 0, []
    with open_run(engine, entry) as run:
        loaded: Loaded | None = None
        while loaded is None or not loaded.last:
            collected = collect_slice(engine, entry, run)
            if not collected.documents and collected.cursor is None and not collected.problems:
                break
            loaded = load_batch(engine, stage(engine, entry, collected))
            new, ended = new + loaded.facts_new, ended + loaded.facts_ended
            alarms += [loaded.alarm] if loaded.alarm else []
    return {"source": entry.name, "new facts": new, "ended facts": ended, "alarm": "; ".join(alarms)}


def _new_domains(engine: Engine, entry: Source) -> dict[str, Any]:
    ranker = open_ranker(engine)
    with open_run(engine, entry) as run:
        done = Arrived(run_id=run.run_id, source=entry.name, last=False)
        while not done.last:
            collected = collect_slice(engine, entry, run)
            if not collected.documents and collected.cursor is None and not collected.problems:
                break
            some = load_lists(engine, entry, collected, ranker=ranker)
            done = msgspec.structs.replace(done.plus(some), last=some.last)
    return {
        "source": entry.name,
        "names": done.names,
        "new": done.new,
        "touch a watch": done.matched,
        "looked up": done.wanted,
        "new facts": done.facts_new,
    }


def _follow(engine: Engine, entry: Source) -> dict[str, Any]:
    with open_run(engine, entry) as run:
        followed = ct.follow(engine, entry, run, ct.head(engine, entry, run))
    return {"source": entry.name, "entries read": followed.entries, "hits": followed.hits}
