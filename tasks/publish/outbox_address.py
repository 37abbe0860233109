"""Where a channel's address stands: in the environment, or wherever `block` looks."""

from __future__ import annotations

import os
from collections.abc import Callable

from intel.config.notify import Channel
from intel.errors import ConfigError


def address(channel: Channel, block: Callable[[str], str] | None = None) -> str:
    """A channel's address, a secret. Raises ConfigError where there is none."""
    if channel.url_from:
        found = os.environ.get(channel.url_from, "").strip()
        where = f"the environment variable {channel.url_from}"
    elif block is not None:
        found, where = block(channel.url_block).strip(), f"the Secret block {channel.url_block}"
    else:
        found, where = "", f"the Secret block {channel.url_block}, which only a flow of Prefect's can read,"
    if not found:
        raise ConfigError(
            f"couldn't use channel {channel.name}: {where} has no address; nothing is sent there until it has"
        )
    return found
