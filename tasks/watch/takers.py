"""Who takes domains away from those who used them: `ends` of configs/hubs.yaml in, `Taker`s out.

Addresses come from the lists that the file names. One that a content network or a cloud serves as well says nothing: a
sinkhole that stood behind it once did not take everybody who stands there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Final

import msgspec

from db.ownership import Taker
from intel.config.hubs import EndEntry, read_hubs
from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.settings import settings
from tasks.pivot.hub_lists import networks_of
from tasks.pivot.hubs import annotate

_SHARED: Final = frozenset({"cdn", "cloud", "shared-hosting", "public-dns"})


class Takers(msgspec.Struct, frozen=True, kw_only=True):
    """Those who take domains away, and the digest of what is said of them (hexadecimal)."""

    takers: tuple[Taker, ...]
    digest: str


@cache
def takers() -> Takers:
    """Those that configs/hubs.yaml names, read once in a process. Raises ConfigError."""
    hubs = read_hubs(settings().configs / "hubs.yaml")
    found = sorted((one for entry in hubs.ends for one in takers_of(entry)), key=lambda one: (one.match, one.value))
    return Takers(takers=tuple(found), digest=hashlib.sha256(msgspec.json.encode(found)).hexdigest())


def takers_of(entry: EndEntry) -> Iterator[Taker]:
    """Those of one entry. Raises ConfigError for a list that the package lacks, ReadError for a name that is none."""
    since, until = _at(entry.since), _at(entry.until)
    for value in entry.registrants:
        yield Taker(
            reason=entry.reason, match="registrant", value=value.lower(), how=entry.how, since=since, until=until
        )
    for value in entry.name_servers:
        host = entity(Kind.NAME_SERVER, value).value
        yield Taker(reason=entry.reason, match="name-server", value=host, how=entry.how, since=since, until=until)
    listed = [network for name in entry.lists for network in networks_of(name)]
    for network in (*map(str, entry.addresses), *(network for network in listed if not _is_shared(network))):
        yield Taker(
            reason=entry.reason,
            match="address",
            value=network,
            network=network,
            how=entry.how,
            since=since,
            until=until,
        )


def _is_shared(network: str) -> bool:
    try:
        said = annotate(entity(Kind.NETWORK, network))
    except ReadError:
        return True
    return any(one.hub in _SHARED for one in said)


def _at(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
