"""`ct hunt` and `ct archive`: searching backwards in what was read of logs, and what there is of it."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from sqlalchemy import Engine

from apps.cli.output import ATTENTION, console, errors, print_json, progress, show_blocks, show_table
from apps.cli.place import ready_warehouse
from db import archive_manifest
from db.archive_duckdb import THREADS
from db.archive_hunt import Answered, Wanted
from db.archive_hunt import hunt as ask
from intel.config.ct import read_ct
from intel.ct_archived import Archived
from intel.entities import Kind, entity
from intel.errors import ConfigError, ReadError
from intel.settings import settings
from tasks.load import ct_hunt
from tasks.watch import certificates

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_NAMES: Final = 3
"""Names of a certificate that a person is shown; JSON has all."""
_GIGA: Final = 1_000_000_000


def register(group: typer.Typer) -> None:
    """Add these commands."""
    group.command(name="hunt")(hunt)
    group.command(name="archive")(archive)


def hunt(
    name: Annotated[str, typer.Option(help="Certificates for this name, wildcards included.")] = "",
    tree: Annotated[str, typer.Option(help="Names that are this one or stand below it.")] = "",
    suffix: Annotated[str, typer.Option(help="Names that end like this: -bank.example")] = "",
    regex: Annotated[str, typer.Option(help="Names in which RE2 finds this; ^ and $ are a name's ends.")] = "",
    key: Annotated[str, typer.Option(help="SHA-256 of a public key (SPKI).")] = "",
    tbs: Annotated[str, typer.Option(help="SHA-256 of a TBSCertificate without SCTs and poison.")] = "",
    certificate: Annotated[str, typer.Option(help="SHA-256 of a certificate.")] = "",
    issuer: Annotated[str, typer.Option(help="A part of the issuer's name, in any case.")] = "",
    since: Annotated[str, typer.Option(help="Logged from this day or time on (UTC).")] = "",
    until: Annotated[str, typer.Option(help="Logged before this day or time (UTC).")] = "",
    log: Annotated[list[str] | None, typer.Option(help="In this log only; may be said several times.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000_000, help="Stop after so many, the newest first.")] = 100,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Processor cores to search with.")] = THREADS,
    record: Annotated[
        str, typer.Option(metavar="REASON", help="State what is found as facts; the watches then judge it.")
    ] = "",
    watched: Annotated[
        bool, typer.Option("--watched", help="Hunt for what is watched and was not hunted for yet.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Search the archive of all that was read of logs: names, keys, certificates, issuers, times; all that is said.

    What is watched is hunted for every ten minutes by itself. The archive keeps no subjects and no serial numbers.
    """
    wanted = Wanted(
        name=_name(name), tree=_name(tree), suffix=suffix.lower(), regex=regex, key=_digest(key, "--key"),
        tbs=_digest(tbs, "--tbs"), certificate=_digest(certificate, "--certificate"), issuer=issuer,
        since=_time(since, "--since"), until=_time(until, "--until"), logs=tuple(log or ()), limit=limit,
    )  # fmt: skip
    asked = wanted != Wanted(limit=limit)
    if asked == watched:
        raise ConfigError(
            "couldn't hunt: " + ("--watched takes nothing else" if asked else "say what for")
            + "; `lapsewatch ct hunt --help` shows what can be asked"
        )  # fmt: skip
    with ready_warehouse() as engine:
        if watched:
            _hunt_watched(engine, threads, as_json=as_json)
            return
        answers = list(_asking(engine, wanted, threads))
        found = sorted((one for answer in answers for one in answer.found), key=lambda one: (-one.timestamp, one.log))
        findings = _record(engine, found, record) if record and found else None
    _show(found, answers, findings, as_json=as_json)


def archive(as_json: Json = False) -> None:
    """Show what the archive holds of each log: entries, from when to when, bytes, and what is kept at most."""
    config = read_ct(settings().configs).archive
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = archive_manifest.state(connection)
    for row in rows:
        row["bytes_per_entry"] = round(row["bytes"] / max(row["entries"], 1), 1)
    if as_json:
        print_json({"enabled": config.enabled, "location": _location(), "max_bytes": config.max_bytes,
                    "max_days": config.max_days, "logs": rows})  # fmt: skip
        return
    shown = [
        {"log": row["log"], "entries": row["entries"], "from (UTC)": row["earliest"], "to (UTC)": row["latest"],
         "MB": round(row["bytes"] / 1e6), "B/entry": row["bytes_per_entry"], "to hunt": row["to_hunt"]}
        for row in rows
    ]  # fmt: skip
    empty = "the archive holds nothing" + ("" if config.enabled else "; it is switched off in configs/ct.yaml")
    show_table(shown, list(shown[0]) if shown else [], empty=empty, as_json=False)
    if rows:
        entries, size = sum(row["entries"] for row in rows), sum(row["bytes"] for row in rows)
        console.print(f"{entries:,} entries in {size / _GIGA:.2f} GB, {size / max(entries, 1):.1f} bytes an entry")
    days = f", and what was logged in the last {config.max_days} days" if config.max_days is not None else ""
    console.print(
        f"{'on' if config.enabled else 'off'}, in {_location()}; kept: {config.max_bytes / _GIGA:.1f} GB at most{days}",
        markup=False,
    )


def _location() -> str:
    from db.archive_store import open_store

    return open_store(read_ct(settings().configs).archive, settings().home).root


def _asking(engine: Engine, wanted: Wanted, threads: int) -> Iterator[Answered]:
    config = read_ct(settings().configs).archive
    with _searching() as advance:
        for answer in ask(engine, config, settings().home, wanted, threads=threads):
            advance(answer)
            yield answer


@contextmanager
def _searching() -> Iterator[Any]:
    """A bar on standard error while the archive is searched; silent where nobody watches."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(compact=True),
    )  # fmt: skip
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("searching", total=None)
        found = 0

        def advance(answer: Answered) -> None:
            nonlocal found
            found += len(answer.found)
            bar.update(task, total=answer.total, advance=answer.entries, description=f"searching, {found} found")

        yield advance


def _record(engine: Engine, found: Sequence[Archived], reason: str) -> int:
    with progress("judging"):
        ct_hunt.record(engine, found, reason)
        return certificates.monitor(engine).findings


def _hunt_watched(engine: Engine, threads: int, *, as_json: bool) -> None:
    with progress("hunting for what is watched"):
        done = ct_hunt.hunt(engine, max_seconds=float("inf"), threads=threads)
        findings = certificates.monitor(engine).findings
    if as_json:
        print_json({"segments": done.segments, "searched": done.entries, "hits": done.hits, "findings": findings,
                    "problems": done.problems})  # fmt: skip
    else:
        console.print(f"{done.entries:,} entries searched, {done.hits:,} of them touch a watch: {findings} findings")
        _problems(done.problems)
    if done.problems:
        raise typer.Exit(ATTENTION)


def _show(found: Sequence[Archived], answers: Sequence[Answered], findings: int | None, *, as_json: bool) -> None:
    searched = sum(answer.entries for answer in answers)
    problems = [answer.problem for answer in answers if answer.problem]
    more = any(answer.more for answer in answers)
    if as_json:
        print_json({"found": [_row(one) for one in found], "searched": searched, "more": more, "findings": findings,
                    "problems": problems})  # fmt: skip
    else:
        show_blocks(f"{len(found)} found, the newest first", ((_head(one), _lines(one)) for one in found))
        console.print(f"{searched:,} entries searched" + ("" if found else ", nothing found"))
        if more:
            console.print("there may be more: --limit shows further ones, --until older ones")
        if findings is not None:
            console.print(f"stated as facts: {findings} findings")
        _problems(problems)
    if problems:
        raise typer.Exit(ATTENTION)


def _problems(problems: Sequence[str]) -> None:
    for problem in problems:
        errors.print(problem, style="red", markup=False)


def _row(one: Archived) -> dict[str, Any]:
    return {
        "time": one.logged_at,
        "log": one.log,
        "index": one.index,
        "names": one.names,
        "addresses": one.addresses,
        "issuer": one.issuer,
        "not_before": one.view.not_before,
        "not_after": one.view.not_after,
        "key": one.key,
        "tbs": one.tbs,
        "fingerprint": one.fingerprint,
        "leaf_hash": one.leaf_hash,
    }


def _head(one: Archived) -> str:
    moment = f"{one.logged_at:%Y-%m-%d %H:%M:%S}" if one.logged_at is not None else "at no time"
    form = "precertificate" if one.fingerprint is None else "certificate"
    return f"{moment}  {one.log} {one.index}  {form}"


def _lines(one: Archived) -> list[str]:
    names = [*one.names, *one.addresses]
    shown = ", ".join(name if len(name) <= 100 else name[:99] + "…" for name in names[:_NAMES])
    left = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return [
        f"{shown}{left}" if names else "names nothing",
        f"issuer {one.issuer}" if one.issuer else "",
        f"key {one.key.hex()}" if one.key is not None else "",
        f"{'tbs' if one.fingerprint is None else 'sha256'} {one.digest.hex()}",
        f"leaf {one.leaf_hash.hex()}",
    ]


def _name(text: str) -> str:
    if not text:
        return ""
    try:
        return entity(Kind.DOMAIN, text.removeprefix("*.")).value
    except ReadError as error:
        if "." not in text.strip(".") and text.strip(".").isalnum():
            return text.strip(".").lower()  # a top-level domain: all below it
        raise ConfigError(f"couldn't hunt: {error}; --regex and --suffix take parts of names") from error


def _digest(text: str, option: str) -> bytes:
    if not text:
        return b""
    try:
        digest = binascii.unhexlify(text.removeprefix("sha256:").replace(":", "").strip())
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise ConfigError(f"couldn't hunt: {option} takes a SHA-256, 64 hexadecimal digits")
    return digest


def _time(text: str, option: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"couldn't hunt: {option} takes a day or time of ISO 8601, 2026-03-01T12:00") from error
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
