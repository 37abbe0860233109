"""`outbox list`, `retry` and `test`: what is on its way to people, what went wrong, and whether a channel works."""

from __future__ import annotations

from typing import Annotated

import typer

from apps.cli.output import ATTENTION, console, show_table
from apps.cli.place import ready_warehouse
from db import outbox as store
from intel.config.notify import Channel, read_notify
from intel.errors import ConfigError
from intel.settings import settings

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_STATES = ("waiting", "sending", "sent", "held", "in a digest", "in doubt", "given up", "dropped")

_app = typer.Typer(no_args_is_help=True, help="What is on its way to the channels of configs/notify.yaml.")


def register(app: typer.Typer) -> None:
    """Add these commands."""
    _app.command(name="list")(list_outbox)
    _app.command()(retry)
    _app.command()(test)
    app.add_typer(_app, name="outbox")


def list_outbox(
    state: Annotated[str, typer.Option(help=f"{', '.join(_STATES)}; all unless given.")] = "",
    channel: Annotated[str, typer.Option(help="Of this channel alone.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Show messages about findings, the newest first: sent, waiting, held for the digest, failed or in doubt."""
    if state not in {"", *_STATES}:
        raise ConfigError(f"couldn't list the outbox: there is no state {state}; it is one of {', '.join(_STATES)}")
    with ready_warehouse() as engine, engine.connect() as connection:
        rows = store.listed(connection, state=state, channel=channel, limit=limit)
    table = [
        {
            "message": row["delivery"],
            "channel": row["channel"],
            "about": f"{row['kind']}: finding {row['finding']}" if row["finding"] else "digest",
            "state": row["state"],
            "when (UTC)": row["sent_at"] or row["due_at"] or row["created_at"],
            "what went wrong": row["error"] or "-",
        }
        for row in rows
    ]
    columns = ["message", "channel", "about", "state", "when (UTC)", "what went wrong"]
    show_table(rows if as_json else table, columns, empty="the outbox is empty", as_json=as_json)


def retry(numbers: Annotated[list[int], typer.Argument(help="The messages' numbers.")]) -> None:
    """Send messages once more that were given up, or are in doubt: those may then arrive twice."""
    with ready_warehouse() as engine, engine.begin() as connection:
        store.settle_died(connection)
        again = store.retry(connection, numbers)
    for number in again:
        console.print(f"message {number} is due again")
    for number in sorted(set(numbers) - set(again)):
        console.print(f"message {number} stays as it is: it was neither given up nor in doubt")
    if len(again) < len(set(numbers)):
        raise typer.Exit(ATTENTION)


def test(channel: Annotated[str, typer.Argument(help="The channel's name.")]) -> None:
    """Send a message to a channel, now, that says nothing but that it works."""
    from tasks.publish.outbox_send import Outcome, open_channel, send
    from tasks.publish.outbox_text import of_test

    notify = read_notify(settings().configs)
    entry = notify.channel(channel)
    if entry is None:
        known = ", ".join(one.name for one in notify.channels) or "none"
        raise ConfigError(f"couldn't test channel {channel}: configs/notify.yaml has {known}; nothing is sent")
    attempt = send(open_channel(channel, _address(entry)), of_test(channel))
    if attempt.outcome is not Outcome.SENT:
        sure = "it may or may not have arrived" if attempt.outcome is Outcome.DOUBTED else "it did not arrive"
        console.print(f"channel {channel}: {sure}: {attempt.why}", markup=False)
        raise typer.Exit(ATTENTION)
    console.print(f"channel {channel} took it")


def _address(entry: Channel) -> str:
    from tasks.publish.outbox_address import address

    if entry.url_block:
        from tasks.publish.outbox_task import read_block

        return address(entry, read_block)
    return address(entry)
