"""The queue: findings ranked, and grouped by what they have in common.

Comes in: rows of `db/finding_queue.py` and what their facts name. Goes out: groups, the best first, each with its head
(the best of it) and its members in order. The same rows give the same groups and ranks in whatever order they come.

Rank is a sum of points, so that a person can check it: severity (0 to 100, annotations taken off), 10 for a lapse, up
to 10 for evidence that is new (10 now, half as many after each `HALF_LIFE`), up to 6 for who says so (1 for each step
of reliability above F, at most 5, and 1 where several sources do), up to 5 for the size of its group (one for each
doubling). Ties go to the newer evidence, then to the higher id.

Findings belong together where they share the registrable domain, address, key, certificate, registrant or name-server
set that they are about, or a known fact that they met. What is a hub joins nothing: sharing it says nothing about the
hand.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from db import finding_queue
from intel.entities import Entity, Kind, digest
from tasks.pivot.hubs import links_nothing
from tasks.watch.describe import shown

LAPSE: Final = 10
NEWNESS: Final = 10
HALF_LIFE: Final = timedelta(days=3)
SIZE: Final = 5
_RELIABILITIES: Final = "FEDCBA"
_TIES: Final[Mapping[str, str]] = {
    Kind.DOMAIN: "the domain {}",
    Kind.IP: "the address {}",
    Kind.CERTIFICATE: "the certificate {}",
    Kind.PUBLIC_KEY: "the key {}",
    Kind.REGISTRANT: "the registrant {}",
    Kind.EMAIL: "the e-mail {}",
    Kind.PHONE: "the phone {}",
    Kind.HANDLE: "the handle {}",
    Kind.NAME_SERVER_SET: "the name servers {}",
}
"""Kinds that tie findings, with how a group's title names one."""
_STANDING: Final = frozenset({Kind.ENDPOINT, Kind.URL, Kind.NAME_SERVER})
"""Kinds that tie by what they stand on."""
_KNOWN: Final = "known-fact"
_PRECEDENCE: Final = (*_TIES, _KNOWN)


class Tie(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """One thing that findings may share: its kind (`known-fact` for a fact that was known) and value."""

    kind: str
    value: str

    def words(self) -> str:
        """As a group's title names it, people's data masked."""
        return "what they met" if self.kind == _KNOWN else _TIES[Kind(self.kind)].format(shown(self.kind, self.value))


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A finding in the queue: its row, and the points that it is ranked by."""

    row: dict[str, Any]
    points: float

    @property
    def id(self) -> int:
        """The finding's id."""
        return int(self.row["finding"])


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Findings that belong together, the best first; `shared` is what ties them, the most telling first."""

    title: str
    findings: tuple[Ranked, ...]
    shared: tuple[Tie, ...] = ()

    @property
    def head(self) -> Ranked:
        """The best of them."""
        return self.findings[0]


def queue(connection: Connection, *, now: datetime, statuses: Sequence[str] = ("open",), **filters: Any) -> list[Group]:
    """The queue of the findings in these statuses (`filters` as in db/finding_queue.py), ranked as of `now` (UTC)."""
    rows = finding_queue.waiting(connection, statuses=statuses, **filters)
    return groups(rows, read_ties(connection, rows), now)


def group_of(connection: Connection, finding_id: int, *, now: datetime, statuses: Sequence[str]) -> list[int]:
    """The ids of the group that a finding is in among those in these statuses; itself alone where it is in none, or is
    not among the most severe that are grouped.
    """
    for group in queue(connection, now=now, statuses=statuses):
        ids = [one.id for one in group.findings]
        if finding_id in ids:
            return ids
    return [finding_id]


def read_ties(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[int, set[Tie]]:
    """What each finding could share, hubs left out."""
    found: dict[int, set[Tie]] = {
        row["finding"]: set(
            _of(row["subject_kind"], row["subject"], row["subject_scope"], row["subject_address"], links_nothing)
        )
        for row in rows
    }
    kinds = (*_TIES, *_STANDING)
    for row in finding_queue.ties(connection, list(found), kinds):
        if row.role == "known":
            found[row.finding].add(Tie(kind=_KNOWN, value=str(row.fact)))
        found[row.finding].update(_of(row.kind, row.value, row.scope, row.address, links_nothing))
    return found


def _of(kind: str, value: str, scope: str, address: str | None, hub: Callable[[Entity], bool]) -> Iterable[Tie]:
    """What an entity ties a finding to."""
    if kind in _TIES and kind not in {Kind.DOMAIN, Kind.IP} and not hub(_entity(kind, value, scope, address)):
        yield Tie(kind=kind, value=value)
    # An e-mail ties by itself: its provider's domain is nobody's.
    if scope and kind != Kind.EMAIL and not hub(_entity(Kind.DOMAIN, scope, scope, None)):
        yield Tie(kind=Kind.DOMAIN, value=scope)
    if address and "/" not in address and not hub(_entity(Kind.IP, address, "", address)):
        yield Tie(kind=Kind.IP, value=address)


def _entity(kind: str, value: str, scope: str, address: str | None) -> Entity:
    return Entity(kind, value, scope, address or "", digest(kind, value))


def groups(rows: Iterable[dict[str, Any]], ties: Mapping[int, Iterable[Tie]], now: datetime) -> list[Group]:
    """The rows, grouped by the ties that they share, groups and members ranked as of `now`."""
    by_id = {int(row["finding"]): row for row in rows}
    sharing: dict[Tie, list[int]] = {}
    for finding_id in sorted(by_id):
        for tie in sorted(set(ties.get(finding_id, ()))):
            sharing.setdefault(tie, []).append(finding_id)
    joined = {tie: ids for tie, ids in sharing.items() if len(ids) > 1}
    sets = union(by_id, joined.values())
    set_of = {one: place for place, ids in enumerate(sets) for one in ids}
    tied: dict[int, dict[Tie, int]] = {}
    for tie, ids in joined.items():
        tied.setdefault(set_of[ids[0]], {})[tie] = len(ids)
    made = [_group([by_id[one] for one in ids], tied.get(place, {}), now) for place, ids in enumerate(sets)]
    return sorted(made, key=lambda group: _order(group.head))


def union(ids: Iterable[int], together: Iterable[Sequence[int]]) -> list[list[int]]:
    """The ids in sets that `together` joins, each sorted, the sets by their least; in whatever order it comes."""
    parent = {one: one for one in ids}

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for first, *others in together:
        for other in others:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    found: dict[int, list[int]] = {}
    for one in sorted(parent):
        found.setdefault(root(one), []).append(one)
    return list(found.values())


def _group(rows: Sequence[dict[str, Any]], tied: Mapping[Tie, int], now: datetime) -> Group:
    """A group out of its rows and its ties, each with how many of them share it."""
    ranked = sorted((Ranked(row=row, points=points(row, len(rows), now)) for row in rows), key=_order)
    if len(ranked) == 1:
        return Group(title=ranked[0].row["title"], findings=tuple(ranked))
    own = sorted(tied.items(), key=lambda one: (-one[1], _PRECEDENCE.index(one[0].kind), one[0].value))
    shared = tuple(tie for tie, _ in own)
    words = " and ".join(tie.words() for tie in shared[:2])
    return Group(title=f"{len(ranked)} findings share {words}", findings=tuple(ranked), shared=shared)


def points(row: Mapping[str, Any], size: int, now: datetime) -> float:
    """What a finding of a group of `size` is ranked by, as of `now`."""
    age = max(now - (row["evidence_at"] or row["found_at"]), timedelta())
    letter = row["reliability"]
    said = max(_RELIABILITIES.find(letter), 0) if letter else 0
    total = (
        row["severity"]
        + (LAPSE if row["lapse"] else 0)
        + NEWNESS * 0.5 ** (age / HALF_LIFE)
        + said
        + (1 if row["sources"] > 1 else 0)
        + min(SIZE, math.log2(size))
    )
    return round(float(total), 2)


def _order(one: Ranked) -> tuple[float, float, int]:
    newest: datetime = one.row["evidence_at"] or one.row["found_at"]
    return -one.points, -newest.timestamp(), -one.id
