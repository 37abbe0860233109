"""`rule`: rules of watches' own: what they say, whether a file is right, and what one would find before it is used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
import yaml
from rich.text import Text
from sqlalchemy import Connection, select

from apps.cli.output import console, print_json, progress, show_blocks, show_table
from apps.cli.place import ready_warehouse
from db import watch_rules
from db.models import Watch
from db.watch_rules import OwnRule
from intel.config.read import check as check_file
from intel.config.read import read_yaml
from intel.config.watches import WatchFile
from intel.entities import PERSONAL, masked
from intel.errors import ConfigError, ReadError
from intel.rules import Rule, read_rule, write_rule
from tasks.watch.own_rules import DryRun, check_name, dry_run, read_own

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_MOST_MONTHS: Final = 12


class _Found(msgspec.Struct, frozen=True, kw_only=True):
    """A rule to try, and whose items are watched."""

    rule: Rule
    watch: str = ""
    watch_id: int | None = None


def register(app: typer.Typer) -> None:
    """Add these commands."""
    group = typer.Typer(help="Rules of watches' own: list, read, check and try them.", no_args_is_help=True)
    group.command(name="list")(list_)
    group.command()(show)
    group.command()(check)
    group.command(name="dry-run")(dry_run_)
    app.add_typer(group, name="rule")


def list_(as_json: Json = False) -> None:
    """List the rules that watches bring along, and what each has found."""
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = [
            {"watch": one.watch, "rule": one.name, "origin": one.origin, "findings": one.findings,
             "active": one.active, "history": "judged" if one.swept else "due", "added": one.added_at}
            for one in watch_rules.list_rules(connection)
        ]  # fmt: skip
    columns = ["watch", "rule", "origin", "findings", "active", "history"]
    show_table(rows, columns, empty="no rules: they stand under `rules:` in configs/watches/*.yaml", as_json=as_json)


def show(
    name: Annotated[str, typer.Argument(help="A rule; WATCH/RULE where several watches have one of that name.")],
    as_json: Json = False,
) -> None:
    """Show a rule as a watch's file would have it; what may name people in it is masked."""
    with ready_warehouse() as engine, engine.connect() as connection:
        own = _stored(connection, name)
    definition = _masked(own.definition)
    if as_json:
        print_json(
            {
                "watch": own.watch,
                "origin": own.origin,
                "active": own.active,
                "findings": own.findings,
                "rule": definition,
            }
        )
        return
    state = "" if own.active else ", not evaluated"
    console.print(Text(f"of watch {own.watch}, made by {own.origin}{state}: {own.findings} findings", style="dim"))
    console.print(Text(yaml.safe_dump(definition, sort_keys=False, allow_unicode=True).rstrip()))


def check(
    file: Annotated[Path, typer.Argument(help="A watch's file, or one with a rule or a list of rules.")],
    as_json: Json = False,
) -> None:
    """Read the rules of a file and say how they are understood; a wrong one is said with its place (exit code 2)."""
    rules = [one.rule for one in _of_file(file)]
    if as_json:
        print_json([_masked(write_rule(rule)) for rule in rules])
        return
    for rule in rules:
        console.print(Text(yaml.safe_dump([_masked(write_rule(rule))], sort_keys=False, allow_unicode=True).rstrip()))
    console.print(f"{len(rules)} rules, all of them right" if rules else "no rule of its own in it")


def dry_run_(
    what: Annotated[str, typer.Argument(help="A file with rules, or the name of a rule (or WATCH/RULE).")],
    known_good: Annotated[bool, typer.Option("--known-good", help="Examples of findings on known-good only.")] = False,
    examples: Annotated[int, typer.Option(min=0, max=1000, help="How many examples.")] = 5,
    as_json: Json = False,
) -> None:
    """Try rules over all that is known, and write nothing: how many findings, how many on known-good, examples."""
    path = Path(what)
    found = _of_file(path) if path.is_file() else None
    tried: list[tuple[_Found, DryRun]] = []
    with ready_warehouse() as engine, engine.connect() as connection:
        connection.exec_driver_sql("SET jit = off; SET work_mem = '64MB'")
        if found is None:
            own = _stored(connection, what)
            found = [_Found(rule=read_own(own), watch=own.watch, watch_id=own.watch_id)]
        for one in found:
            watch_id = one.watch_id or _watch_id(connection, one.watch)
            with progress(f"trying {one.rule.name}"):
                told = dry_run(connection, one.rule, watch_id=watch_id, examples=examples, known_good=known_good)
            tried.append((one, told))
    if as_json:
        print_json([{"rule": one.rule.name, "watch": one.watch, **msgspec.to_builtins(told)} for one, told in tried])
        return
    for one, told in tried:
        _show(one, told)
    if not tried:
        console.print("no rule of its own in it")


def _show(one: _Found, told: DryRun) -> None:
    number = f"more than {told.findings}" if told.more else str(told.findings)
    console.print(Text(f"{one.rule.name}: {number} findings in {told.seconds:.2f} s", style="bold"))
    if told.more:
        console.print("  too many to be evaluated: say more of what to look for; what follows is of some of them")
    if told.unexplained:
        console.print(
            f"  {told.unexplained} of the examples are left out: the matcher does not find them, which is an error"
        )
    console.print(f"  on known-good: {told.known_good}")
    if told.hubs:
        console.print(Text(f"  lists: {', '.join(f'{hub} {count}' for hub, count in told.hubs.items())}"))
    if told.by_month:
        months = list(told.by_month.items())[-_MOST_MONTHS:]
        console.print(Text(f"  by month: {', '.join(f'{month} {count}' for month, count in months)}"))
    show_blocks(
        "Newest",
        (
            (
                example.title,
                [f"{example.event_time:%Y-%m-%d %H:%M}, severity {example.severity}", *_lists(example.hubs)],
            )
            for example in told.examples
        ),
    )


def _lists(hubs: Iterable[str]) -> list[str]:
    said = ", ".join(hubs)
    return [f"touches {said}"] if said else []


def _of_file(path: Path) -> list[_Found]:
    """The rules of a watch's file, of a list, or the one. Raises ConfigError with the place of what is wrong."""
    value = read_yaml(path)
    if isinstance(value, dict) and "when" not in value:
        file = check_file(path, WatchFile, value)
        found = [_Found(rule=rule, watch=file.name) for rule in file.own]
    else:
        try:
            found = [_Found(rule=read_rule(one)) for one in (value if isinstance(value, list) else [value])]
        except ReadError as error:
            raise ConfigError(f"couldn't use {path}: {error}; nothing of it is used") from error
    for one in found:
        check_name(one.rule)
    return found


def _stored(connection: Connection, name: str) -> OwnRule:
    watch, slash, rule = name.rpartition("/")
    found = [one for one in watch_rules.list_rules(connection, name=rule) if not slash or one.watch == watch]
    if not found:
        raise ConfigError(f"couldn't find rule {name}: no watch has one, and no file is called so; see `rule list`")
    if len(found) > 1:
        watches = ", ".join(f"{one.watch}/{one.name}" for one in found)
        raise ConfigError(f"couldn't tell which rule {name} is: there are {watches}")
    return found[0]


def _watch_id(connection: Connection, name: str) -> int | None:
    return connection.execute(select(Watch.id).where(Watch.name == name)).scalar_one_or_none() if name else None


def _masked(value: Any) -> Any:
    """A definition with the values that may name people masked."""
    if isinstance(value, dict):
        return {key: _masked(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked(one) for one in value]
    if isinstance(value, str):
        kind, colon, rest = value.partition(":")
        return f"{kind}:{masked(kind, rest)}" if colon and kind in PERSONAL else value
    return value
