"""The lapses that are judged whole: what the candidates touch in, matches out (db/watching_whole.py says how).

Part of the monitor of registrations, in its transactions. A rule for which nothing came costs no more than the look at
what came: a list of 100,000 addresses makes no statement about flows or mailboxes run.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from sqlalchemy import Connection, text

from db import ownership, watching_flows, watching_handles, watching_prepared, watching_whole
from intel.config.lapses import Lapses, read_lapses
from intel.config.organisation import read_organisation
from intel.entities import Kind, entity
from intel.facts import Predicate
from intel.settings import CHECKOUT, settings

_FLOWS: Final = frozenset({Predicate.COMMUNICATES_WITH, Predicate.PRESENTS, Predicate.USES})
_PERSONS: Final = (Kind.EMAIL, Kind.HANDLE, Kind.PERSONA, Kind.PHONE)
_PREDICATES: Final = "SELECT DISTINCT predicate FROM watch_candidate"
_ANY_OF: Final = "SELECT EXISTS (SELECT FROM watch_entity WHERE kind = ANY(:kinds))"


class Judging:
    """One judgement: `reach` before the candidates' hits are asked for, `reach_on` after, `find` beside the rules."""

    def __init__(self, connection: Connection, batch_id: int | None) -> None:
        """`batch_id` is the batch that is judged, None in a look backwards."""
        self._connection = connection
        self._batch_id = batch_id
        self._lapses = _lapses()
        self._predicates: set[str] = set(connection.execute(text(_PREDICATES)).scalars())
        self._flows = bool(self._predicates & _FLOWS)
        self._handles = False
        self._prepared = False
        self._make(watching_whole.TEMPORARY)

    def reach(self) -> None:
        """Lead from the candidates to what else has to be looked at."""
        self._reach_servers()
        self._handles = bool(self._ask(_ANY_OF, kinds=list(_PERSONS)) or self._ask(ownership.ANY))
        if self._handles:
            self._make(watching_handles.TEMPORARY)
            self._run(watching_handles.PERSONS)
            of = self._lapses.handles
            if self._run(watching_handles.ALIKE, most=of.most, shortest=of.shortest, common=list(of.common)):
                self._run(watching_handles.BOTH_WAYS)
            self._handles = self._run(watching_handles.TIES) > 0
        if self._handles:
            self._run(watching_handles.REACH)
        self._look_further(hits=False)

    def reach_on(self) -> None:
        """Lead from what is watched to how it was prepared, and to whether that is watched."""
        most = self._lapses.prepared.most_with_name_servers
        self._make(watching_prepared.TEMPORARY)
        found = self._run(watching_prepared.SCOPES)
        if Predicate.USES_NAME_SERVERS in self._predicates:
            found += self._run(watching_prepared.BESIDE, most=most)
        if not found:
            return
        self._analyse("watch_scope")
        self._run(watching_prepared.BEYOND, most=most)
        self._analyse("watch_scope")
        self._prepared = self._run(watching_prepared.PREPARATION) > 0
        if self._prepared:
            self._run(watching_prepared.USE)
            self._analyse("watch_step")
            self._run(watching_prepared.REACH)
            self._look_further(hits=True)

    def find(self) -> int:
        """Match. Returns how many rows there are."""
        matched = self._find_flows() if self._flows else 0
        if self._handles:
            self._run(watching_handles.JUDGED)
            matched += self._run(watching_handles.SHARED, crowd=watching_handles.MOST)
        if self._prepared:
            of = self._lapses.prepared
            self._run(watching_prepared.JUDGED)
            matched += self._run(watching_prepared.BEFORE, shortest=of.shortest_days, longest=of.longest_days)
            matched += self._run(watching_prepared.READY, longest=of.longest_days, most=of.most_with_name_servers)
        return matched

    def _reach_servers(self) -> None:
        """A list of ranges that came or went says something of connections that are known already."""
        values = {"batch_id": self._batch_id, "labels": self._labels()}
        if self._batch_id is not None and self._ask(watching_flows.RANGES_TOUCHED, **values):
            self._flows = self._run(watching_flows.REACH_SERVERS) > 0 or self._flows
            self._run("INSERT INTO watch_reached SELECT id FROM watch_server")

    def _find_flows(self) -> int:
        self._make(watching_flows.TEMPORARY)
        if not self._run(watching_flows.FILL):
            return 0
        self._run(watching_flows.JUDGED)
        clear, admin = self._lapses.clear, self._lapses.administration
        said = {"secure": list(clear.secure), "clear": list(clear.services), "ports": list(clear.ports)}
        matched = self._run(watching_flows.CLEAR, **said)
        side = {"ports": list(admin.ports), "services": list(admin.services), "own": _own()}
        if self._run(watching_flows.CONNECTIONS, **side) and self._run(watching_flows.RANGES, labels=self._labels()):
            self._run(watching_flows.INSIDE, labels=self._labels())
            matched += self._run(watching_flows.OUTSIDE, usual=admin.usual)
        return matched

    def _look_further(self, *, hits: bool) -> None:
        """Take what was reached among the entities; with `hits`, ask which of it is watched."""
        if self._run(watching_whole.FURTHER):
            self._analyse("watch_further")
            self._run(watching_whole.FURTHER_ENTITIES)
            if hits:
                self._run(watching_whole.FURTHER_HITS)
            self._analyse("watch_entity")
        self._run("TRUNCATE watch_reached, watch_further")

    def _labels(self) -> list[str]:
        return [entity(Kind.LABEL, one).digest.hex() for one in self._lapses.administration.ranges]

    def _run(self, statement: str, **values: Any) -> int:
        return self._connection.execute(text(statement), values).rowcount

    def _ask(self, statement: str, **values: Any) -> Any:
        return self._connection.execute(text(statement), values).scalar_one()

    def _analyse(self, table: str) -> None:
        self._connection.exec_driver_sql(f"ANALYZE {table}")

    def _make(self, tables: str) -> None:
        self._connection.exec_driver_sql(tables)


@cache
def _lapses() -> Lapses:
    configs = settings().configs
    return read_lapses(configs if (configs / "lapses.yaml").is_file() else CHECKOUT / "configs")


def _own() -> list[str]:
    """Our own networks: whoever connects from there is no operator of theirs."""
    return list(read_organisation(settings().configs).networks)
