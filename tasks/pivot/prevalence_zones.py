"""Counts name servers in zones: sorted snapshots on the disk in, how many names each set, host and provider has out.

A zone of a hundred million names is streamed; what is held is a table of sets of bounded size. A set that is let go of
because few had it is still counted for its hosts and providers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, Engine

from db.prevalence import Counted, as_of, replace
from db.prevalence_sources import Zone, zones
from db.zones import folder_of
from intel.config.prevalence import Counting
from intel.errors import LapsewatchError
from intel.facts import Predicate
from intel.traits import Name, providers
from tasks.load.zones_file import read_blocks
from tasks.pivot.prevalence_records import Done, Part
from tasks.pivot.prevalence_tally import digest_of, let_go

_HOST: Final = Predicate.USES_NAME_SERVER.value
_SETS: Final = Name.NAME_SERVERS.value
_PROVIDER: Final = Name.NAME_SERVER_PROVIDER.value


def count_zones(engine: Engine, counting: Counting) -> Done:
    """Count the newest snapshot of each zone that was not counted yet. One that cannot be read costs itself."""
    with engine.connect() as connection:
        found = zones(connection)
        known = {zone.zone: as_of(connection, _name(zone)) for zone in found}
    parts: list[Part] = []
    problems: list[str] = []
    for zone in found:
        if known[zone.zone] == zone.as_of:
            continue
        try:
            parts.append(_count(engine, zone, counting))
        except (LapsewatchError, OSError) as error:
            cause = error.strerror if isinstance(error, OSError) else error
            problems.append(f"couldn't count the zone {zone.zone}: {cause}; its old figures stand")
    return Done(parts=tuple(parts), problems=tuple(problems))


def _count(engine: Engine, zone: Zone, counting: Counting) -> Part:
    tally = Sets(counting.most_values)
    for lines in read_blocks(folder_of(zone.source) / Path(zone.path).name):
        tally.add(lines)
    with engine.begin() as connection:
        return _keep(connection, zone, tally, counting)


def _keep(connection: Connection, zone: Zone, tally: Sets, counting: Counting) -> Part:
    population = Counted(
        name=_name(zone),
        title=f"names delegated in the zone {zone.zone}, by the source {zone.source}",
        total=tally.total,
        traits=dict.fromkeys((_SETS, _PROVIDER, _HOST), tally.total),
        as_of=zone.as_of,
    )
    values = replace(connection, population, tally.rows(counting.least))
    return Part(population=population.name, total=tally.total, values=values)


def _name(zone: Zone) -> str:
    return f"zone:{zone.zone}"


class Sets:
    """Counts sets of name servers, and from them hosts and providers."""

    def __init__(self, most_values: int) -> None:
        self.total = 0
        self._most = most_values
        self._sets: Counter[bytes] = Counter()
        self._hosts: Counter[str] = Counter()
        self._providers: Counter[str] = Counter()

    def add(self, lines: list[bytes]) -> None:
        """Count sorted lines of a zone: a name, a tab, its servers."""
        self.total += len(lines)
        self._sets.update(line.partition(b"\t")[2] for line in lines)
        if len(self._sets) > 2 * self._most:
            self._spread(let_go(self._sets, self._most))

    def rows(self, least: int) -> Iterator[tuple[str, bytes, int]]:
        """(trait or predicate, digest, count) of every set, host and provider that at least so many names have."""
        self._spread(self._sets)
        let_go(self._sets, self._most)
        for servers, count in self._sets.items():
            if count >= least and (digest := digest_of(_SETS, servers.decode("ascii", "replace"))):
                yield _SETS, digest, count
        for host, count in self._hosts.items():
            if count >= least and (digest := digest_of(_HOST, host)):
                yield _HOST, digest, count
        for provider, count in self._providers.items():
            if count >= least:
                yield _PROVIDER, digest_of(_PROVIDER, provider), count

    def _spread(self, sets: Counter[bytes]) -> None:
        for servers, count in sets.items():
            hosts = servers.decode("ascii", "replace").split()
            for host in hosts:
                self._hosts[host] += count
            if called := providers(hosts):
                self._providers[called] += count
        for counts in (self._hosts, self._providers):
            let_go(counts, 2 * self._most)
