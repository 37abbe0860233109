"""`own` and `watch`: who we are, and what we want to know about."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
import yaml

from apps.cli.output import console, progress, show_table
from apps.cli.place import ready_warehouse
from db import watch_rules, watching
from intel.config.organisation import Organisation, read_organisation
from intel.config.read import check
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from intel.errors import BusyError, ConfigError, ReadError
from intel.settings import settings
from tasks.watch import certificates, items, own_rules, registrations

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    app.command()(own)
    group = typer.Typer(
        help="What to look for: actors, domains, addresses, certificates, keys, lookalikes.", no_args_is_help=True
    )
    group.command()(add)
    group.command(name="list")(list_)
    group.command()(remove)
    group.command()(sync)
    app.add_typer(group, name="watch")


def own(domains: Annotated[list[str], typer.Argument(help="Our registrable domains.")], as_json: Json = False) -> None:
    """Say which domains are ours: what touches them is targeted at us. They go into configs/organisation.yaml."""
    path = settings().configs / "organisation.yaml"
    current = read_organisation(settings().configs)
    try:
        given = [entity(Kind.DOMAIN, domain).value for domain in domains]
    except ReadError as error:
        raise ConfigError(str(error)) from error
    changed = current.model_copy(update={"domains": tuple(dict.fromkeys([*current.domains, *given]))})
    path.write_text(yaml.safe_dump(changed.model_dump(mode="json"), sort_keys=False, allow_unicode=True), "utf-8")
    check(path, Organisation, yaml.safe_load(path.read_text("utf-8")))
    show_table([{"our domain": domain} for domain in changed.domains], ["our domain"], as_json=as_json)


def add(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    things: Annotated[
        list[str] | None, typer.Argument(help="Domains (with all below them), addresses, URLs, ...")
    ] = None,
    actor: Annotated[str, typer.Option(help="Follow what sources claim of this actor (maltrail:apt_...).")] = "",
    network: Annotated[list[str] | None, typer.Option(help="A network, 203.0.113.0/24.")] = None,
    certificate: Annotated[list[str] | None, typer.Option(help="SHA-256 of a certificate, or its SHA-1.")] = None,
    tbs: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of a certificate's TBS without SCTs: as of its precertificate.")
    ] = None,
    key: Annotated[list[str] | None, typer.Option(help="SHA-256 of a public key.")] = None,
    serial: Annotated[
        list[str] | None, typer.Option(help="SHA-256 of the issuer's name (DER), a slash, the serial number in hex.")
    ] = None,
    pem: Annotated[list[Path] | None, typer.Option(help="A file with a certificate (PEM): by all of these.")] = None,
    lookalike: Annotated[list[str] | None, typer.Option(help="A domain or brand: names that look like it.")] = None,
    keyword: Annotated[list[str] | None, typer.Option(help="Letters that stand anywhere in a name.")] = None,
    issuer: Annotated[list[str] | None, typer.Option(help="A shell pattern for an issuer, '*O=Acme*'.")] = None,
    subject: Annotated[list[str] | None, typer.Option(help="A shell pattern for a certificate's subject.")] = None,
    expected: Annotated[
        list[str] | None,
        typer.Option(help="SHA-256 of a certificate or key that is right: findings say so."),
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Watch an actor, or things; what the warehouse knows already is judged at once.

    Lookalikes, keywords and issuers are looked for in certificates: in those that are logged from now on, and in the
    archive of logs, which is hunted through every ten minutes for what is new.
    """
    given = {
        "network": network, "certificate": certificate, "tbs": tbs, "key": key, "serial": serial,
        "pem": [_text(path) for path in pem or ()], "lookalike": lookalike, "keyword": keyword, "issuer": issuer,
        "subject": subject,
    }  # fmt: skip
    wanted = [
        *(_thing(thing) for thing in things or ()),
        *(WatchedItem.model_validate({field: one}) for field, some in given.items() for one in some or ()),
    ]
    if not wanted and not actor:
        raise ConfigError("couldn't add a watch: it watches nothing; name things, or an actor with --actor")
    with ready_warehouse() as engine:
        with engine.begin() as connection:
            items.add_watch(
                connection, name, wanted, reason=reason, actor=actor, follow_actor=bool(actor), expected=expected or ()
            )
        found, busy = 0, False
        with progress("looking back over the warehouse"):
            for monitor in (registrations.monitor, certificates.monitor, own_rules.monitor):
                try:
                    found += monitor(engine).findings
                except BusyError:
                    busy = True  # the one that is at it looks for new items before it ends
    console.print(f"watching {name}: {found} findings in what is known already")
    if busy:
        console.print(
            "a monitor is at work elsewhere and looks back as well: `lapsewatch findings` shows what it finds"
        )


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        cause = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"couldn't read {path}: {cause}; nothing is watched") from error


def list_(as_json: Json = False) -> None:
    """List the watches, how much each watches and what it has found."""
    with ready_warehouse() as engine, engine.connect() as connection:
        own = Counter(rule.watch_id for rule in watch_rules.list_rules(connection, active=True))
        rows = [
            {"watch": one.name, "actor": one.actor or "-", "items": one.items, "own rules": own[one.id],
             "findings": one.findings, "origin": one.origin, "active": one.active, "reason": one.reason}
            for one in watching.list_watches(connection)
        ]  # fmt: skip
    columns = ["watch", "actor", "items", "own rules", "findings", "origin", "active", "reason"]
    show_table(rows, columns, empty="no watches: `lapsewatch watch add NAME ...`", as_json=as_json)


def remove(name: str) -> None:
    """Stop watching; what was found is kept."""
    with ready_warehouse() as engine, engine.begin() as connection:
        if not watching.remove_watch(connection, name):
            raise ConfigError(f"couldn't remove watch {name}: there is no active one of that name")
    console.print(f"no longer watching {name}")


def sync() -> None:
    """Bring the watches of configs/watches/ and our own names into the warehouse; `collect` does it as well."""
    with ready_warehouse() as engine, engine.begin() as connection:
        changed = items.sync(connection, settings().configs)
    console.print(f"{changed.watches} watches from files, {changed.removed} removed")
    for said in changed.left_out:
        console.print(f"not looked for: {said}", markup=False)


def _thing(text: str) -> WatchedItem:
    """A domain is watched with all below it, anything else exactly."""
    try:
        entity(Kind.DOMAIN, text)
    except ReadError:
        return WatchedItem(entity=text)
    return WatchedItem(domain=text)
