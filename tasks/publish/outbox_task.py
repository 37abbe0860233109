"""Prefect's view of the outbox: what is new goes in, what is due is sent."""

from __future__ import annotations

from typing import Any

from prefect import task
from prefect.blocks.system import Secret
from prefect.cache_policies import NO_CACHE

from db.engine import warehouse
from intel.config.notify import Channel, read_notify
from intel.errors import ConfigError
from intel.settings import settings
from tasks.publish import outbox
from tasks.publish.outbox_address import address


@task(name="enqueue", persist_result=False, cache_policy=NO_CACHE)
def enqueue() -> outbox.Enqueued:
    """Put what is new for each channel into the outbox."""
    notify = read_notify(settings().configs)
    if not notify.channels:
        return outbox.Enqueued()
    with warehouse() as engine, engine.begin() as connection:
        return outbox.enqueue(connection, notify)


@task(name="send", persist_result=False, cache_policy=NO_CACHE)
def send(enqueued: outbox.Enqueued) -> outbox.Sent:  # noqa: ARG001 - drawn as what comes before
    """Send what is due, by its own clock: not only what was put in just now."""
    notify = read_notify(settings().configs)
    if not notify.channels:
        return outbox.Sent()
    with warehouse() as engine:
        return outbox.send_due(engine, notify, _address)


def _address(channel: Channel) -> str:
    return address(channel, read_block)


def read_block(name: str) -> str:
    """A Secret block's value."""
    try:
        block: Any = Secret.load(name)  # type: ignore[no-untyped-call,unused-ignore]  # Prefect's, either way
    except ValueError as error:
        raise ConfigError(f"couldn't read the Secret block {name}: there is none; nothing is sent there") from error
    return str(block.get())
