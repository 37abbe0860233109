"""`hub`: what kind of shared thing a value is, how common it is, what that means for a pivot; counts given by hand."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.text import Text
from typer.core import TyperGroup

from apps.cli.output import ATTENTION, console, errors, print_json, show_blocks, show_record
from apps.cli.place import ready_warehouse
from db import prevalence, prevalence_sources
from intel.entities import Entity, Kind, entity, guess, literal, masked
from intel.errors import ConfigError, ReadError
from intel.hubs import Hub, weakest
from intel.traits import Name, Trait, trait_digest
from tasks.pivot.hub_lists import lists, newer_folder, suffix_list_day
from tasks.pivot.hubs import hubs_of, meaning
from tasks.pivot.prevalence_given import registrar_identity, take_counts

_AS: Final = re.compile(r"asn?\s?\d{1,10}", re.IGNORECASE)
_DISTINGUISHED: Final = re.compile(r"(?:CN|OU?|C|L|ST|DC)=", re.IGNORECASE)
_GIVEN: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,40}")
_HASHED: Final = (Kind.CERTIFICATE, Kind.PUBLIC_KEY, Kind.FILE)
_MOST: Final = 40


class _Group(TyperGroup):
    """`hub VALUE` is `hub show VALUE`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """A first word that is no command is a value."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            args = ["show", *args]
        return super().resolve_command(ctx, args)


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(
        cls=_Group,
        help="What kind of shared thing a value is, how common it is, and what that means (`hub VALUE`).",
        no_args_is_help=False,
    )
    group.callback(invoke_without_command=True)(_populations_by_default)
    group.command()(show)
    group.command()(populations)
    group.command(name="import")(import_)
    app.add_typer(group, name="hub")


def _populations_by_default(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    if context.invoked_subcommand is None:
        populations(as_json=as_json)


def show(
    value: Annotated[str, typer.Argument(help="A value; KIND:VALUE where its form does not tell its kind.")],
    predicate: Annotated[str, typer.Option(help="What it is of another thing: issued-by, say.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what kind of shared thing a value is, by which list, how common it is, and what that means for a pivot."""
    kinds = _read(value)
    hubs = list(dict.fromkeys(hub for one in kinds for hub in hubs_of(one, predicate=predicate)))
    with ready_warehouse() as engine, engine.connect() as connection:
        common = prevalence.everywhere(connection, _digests(value, kinds))
    least = weakest(hubs)
    if as_json:
        print_json(
            {
                "value": _shown(kinds[0]),
                "kinds": [one.kind for one in kinds],
                "links": least is None or least.links,
                "factor": 1.0 if least is None else least.factor,
                "hubs": [_record(hub) for hub in hubs],
                "prevalence": common,
            }
        )
        return
    console.print(Text(f"{_shown(kinds[0])} ({' or '.join(one.kind for one in kinds)})", overflow="fold"))
    if least is None:
        console.print("no list or entry knows it as a shared thing: a link over it counts by how common it is")
    else:
        console.print(Text("links nothing" if not least.links else f"a link over it counts {least.factor:g}"))
    show_blocks("What it is", [(_head(hub), [hub.why, meaning(hub)]) for hub in hubs])
    show_blocks("How common it is", [(_share(row), [row["title"]]) for row in common[:_MOST]])
    if not common:
        console.print("\nNo reference population has it.")


def populations(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the reference populations and the lists: what they count, how many, and of what day."""
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = prevalence.populations(connection)
        sample = prevalence_sources.sample_size(connection)
    dates = {name: None if day is None else day.isoformat() for name, day in lists().dates().items()}
    days = sorted(day for day in dates.values() if day is not None)
    newer = sorted(path.stem for path in newer_folder().glob("*.json"))
    about = {
        "package": f"pymispwarninglists {version('pymispwarninglists')}",
        "lists": len(dates),
        "newest": days[-1] if days else None,
        "oldest": days[0] if days else None,
        "undated": len(dates) - len(days),
        "collected": newer,
        "suffixes": day.isoformat() if (day := suffix_list_day()) is not None else None,
    }
    if as_json:
        print_json({"populations": rows, "sample": sample, "lists": {**about, "dates": dates}})
        return
    if not rows:
        console.print(
            "no reference population was counted yet: links are weighed by the priors of configs/evidence.yaml"
        )
    show_blocks("Reference populations", [(_population(row), [row["title"], _counted(row)]) for row in rows])
    console.print()
    show_record(
        {
            "sample": f"{sample['chosen']} chosen by chance, {sample['answered']} looked up",
            "lists": f"{about['lists']} of {about['package']}, {about['undated']} of them without a day",
            "newest, oldest": f"{about['newest']}, {about['oldest']}",
            "collected since": newer or "none",
            "public suffix list": about["suffixes"],
        },
        as_json=False,
    )


def import_(
    file: Annotated[Path, typer.Argument(help="A CSV file with the columns trait, value, count and total.")],
    name: Annotated[str, typer.Option(help="What they are called; the same name replaces the old.")] = "",
    as_of: Annotated[str, typer.Option(help="The day that they speak of (ISO 8601); default today.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take counts that a provider gave, of values in the whole world, as a reference population."""
    called = name or re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")
    if not _GIVEN.fullmatch(called):
        raise ConfigError(f"couldn't call the counts {called[:60]!r}: small letters, digits and hyphens; use --name")
    at = _day(as_of)
    with ready_warehouse() as engine:
        given = take_counts(engine, file, name=called, as_of=at)
    record = {
        "population": given.part.population,
        "values": given.part.values,
        "total": given.part.total,
        "rejected": given.rejected,
    }
    show_record(record | ({"reasons": list(given.reasons)} if as_json else {}), as_json=as_json)
    if given.rejected:
        for reason in given.reasons if not as_json else ():
            errors.print(Text(reason), soft_wrap=True)
        raise typer.Exit(ATTENTION)


def _day(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"couldn't read --as-of {text[:40]!r}: not a date or time of ISO 8601") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _read(text: str) -> list[Entity]:
    """What the value may be, the likeliest first. Raises ConfigError."""
    kind, colon, rest = text.partition(":")
    try:
        if colon and kind in set(Kind):
            return [literal(kind, rest) if kind == Kind.TEXT else entity(kind, rest)]
        if _AS.fullmatch(text.strip()):
            return [entity(Kind.AS, text)]
        if _DISTINGUISHED.match(text.strip()):
            return [literal(Kind.TEXT, text.strip())]
        if " " in text.strip():
            return _several(text)
        found = guess(text)
    except ReadError as error:
        raise ConfigError(f"{error}; name it as KIND:VALUE, name-server-set:NAME NAME, say") from error
    if found.kind == Kind.FILE:
        return [one for kind in _HASHED if (one := entity(kind, text))]
    if found.kind == Kind.DOMAIN:
        return [found, entity(Kind.NAME_SERVER, text)]
    return [found]


def _several(text: str) -> list[Entity]:
    """Several words: a set of name servers where each is a name with a dot, else a registrant's or registrar's."""
    if all("." in word.strip(".,") for word in text.replace(",", " ").split()):
        return [entity(Kind.NAME_SERVER_SET, text)]
    return [entity(Kind.REGISTRANT, text), entity(Kind.REGISTRAR, text)]


def _digests(text: str, kinds: Sequence[Entity]) -> list[bytes]:
    """All digests under which populations may count it."""
    values = dict.fromkeys([text.strip(), *(one.value for one in kinds), registrar_identity(text.strip())])
    traits = [trait_digest(Trait(name.value, value)) for name in Name for value in values]
    return list(dict.fromkeys([*(one.digest for one in kinds), *traits]))


def _shown(item: Entity) -> str:
    return masked(item.kind, item.value)


def _record(hub: Hub) -> dict[str, Any]:
    names = ("hub", "why", "list", "as_of", "takes", "factor", "links")
    said = {name: getattr(hub, name) for name in names} | {"means": meaning(hub)}
    return said | {"as_of": hub.as_of.isoformat() if hub.as_of is not None else None}


def _head(hub: Hub) -> str:
    return f"{hub.hub}, by {hub.list}{f' of {hub.as_of}' if hub.as_of is not None else ''}"


def _share(row: dict[str, Any]) -> str:
    part = row["count"] / row["total"] if row["total"] else 0.0
    at: date = row["as_of"].date()
    return f"{row['trait']}: {row['count']} of {row['total']} ({part:.3g}) in {row['population']}, {at}"


def _population(row: dict[str, Any]) -> str:
    return f"{row['name']}: {row['total']} things, {row['values']} values, as of {row['as_of']:%Y-%m-%d}"


def _counted(row: dict[str, Any]) -> str:
    known = ", ".join(f"{trait} {count}" for trait, count in sorted(row["traits"].items()))
    return f"counted {row['counted_at']:%Y-%m-%d %H:%M}{', chosen values only' if row['partial'] else ''}: {known}"
