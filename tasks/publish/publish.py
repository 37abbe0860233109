"""Publish: findings that are new or changed become versions of STIX objects in partners' collections.

Comes in: the warehouse and the policy of configs/publishing.yaml. Goes out: rows of `publication` and `withheld`, and
counts. Findings are taken in blocks (db/publishing_findings.py); each block of each collection is one transaction,
which writes the objects, the reasons and the state that it saw. Killed between two blocks, or within one, the next run
goes on with the blocks whose state is not written; what stands already is found by its id, and not written again.

What a collection may no longer have is revoked where it belongs to a finding, and taken back from readers in all its
versions: those who hold it are told to let go, those who come later do not learn what it said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from sqlalchemy import Connection, Engine

from db import publishing, publishing_findings
from db.publishing import Block
from db.publishing_records import HIDDEN, FindingRecord, Standing, Version
from intel.config.organisation import Organisation
from intel.config.publishing import CollectionEntry, Publishing
from intel.entities import PERSONAL
from intel.errors import PublishError
from intel.facts import TLP
from tasks.publish.decide import decide
from tasks.publish.drafts import Draft, laxest, merge, next_versions, remark, revocation, shared
from tasks.publish.identifiers import OWN, own_id
from tasks.publish.objects import Publisher, Slot, build

BLOCK: Final = 256
_PERSONAL: Final = frozenset(str(kind) for kind in PERSONAL)
_TEMPLATES: Final = "4"
"""Raise it when tasks/publish/ writes something differently: everything is then judged again."""

Slots = dict[int, dict[str, Slot]]


class CollectionCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did in one collection.

    `findings` were looked at, `objects` versions were appended, `revoked` of which withdraw one. `withheld` counts all
    findings that are withheld from it now, by reason.
    """

    alias: str
    findings: int = 0
    objects: int = 0
    revoked: int = 0
    withheld: dict[str, int] = {}


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, for each collection in the order of configs/publishing.yaml."""

    collections: tuple[CollectionCounts, ...]

    @property
    def objects(self) -> int:
        """Versions of objects that were appended, in all collections."""
        return sum(counts.objects for counts in self.collections)


def _now() -> datetime:
    return datetime.now(UTC)


def publish(
    engine: Engine,
    policy: Publishing,
    organisation: Organisation,
    *,
    block_size: int = BLOCK,
    now: Callable[[], datetime] = _now,
) -> Published:
    """Bring every collection up to date with the findings; without changes it writes nothing.

    `now` dates versions whose change has no time in the warehouse (another policy, a fact whose TLP became stricter).
    Raises ConfigError where a collection's id was changed, WarehouseError and the database's own errors.
    """
    publisher = Publisher(
        identity=policy.identity,
        name=organisation.name or policy.title,
        contact=policy.contact or organisation.contact,
        watches_tlp=policy.watch_ceiling,
        valid_days=policy.valid_days,
    )
    with engine.begin() as connection:
        publishing.ensure_collections(connection, [entry.row() for entry in policy.collections])
    work = [_Work(engine, publisher, entry, block_size, now()) for entry in policy.collections]
    with engine.connect() as connection:
        # Marks before states: a change in between is in the state and not in the mark, and is looked at once more.
        marks = publishing_findings.marks(connection, size=block_size)
        known = [publishing.known_marks(connection, entry.alias) for entry in policy.collections]
        differ = {block for one, held in zip(work, known, strict=True) for block in one.differ(marks, held)}
        bounds = (min(differ, default=0), max(differ, default=-1))
        states = publishing_findings.states(connection, size=block_size, personal=_PERSONAL, blocks=bounds)
    return Published(
        collections=tuple(one.run(marks, states, held) for one, held in zip(work, known, strict=True)),
    )


class _Work:
    """One collection's part of a run."""

    def __init__(self, engine: Engine, publisher: Publisher, entry: CollectionEntry, size: int, now: datetime) -> None:
        self.engine = engine
        self.publisher = publisher
        self.entry = entry
        self.size = size
        self.now = now
        # What the objects depend on besides the findings: part of the state, so that a new policy is applied to all.
        said = msgspec.json.encode([_TEMPLATES, size, publisher, entry.model_dump(mode="json")], order="deterministic")
        self.policy = hashlib.sha256(said).hexdigest()[:32]

    def differ(self, marks: Mapping[int, str], known: Mapping[int, str]) -> list[int]:
        """The blocks whose marks are not those that were last published."""
        return [block for block, mark in marks.items() if known.get(block) != self._mine(mark)]

    def run(self, marks: Mapping[int, str], states: Mapping[int, str], known: Mapping[int, str]) -> CollectionCounts:
        totals = {"findings": 0, "objects": 0, "revoked": 0}
        for block in self.differ(marks, known):
            mark, state = self._mine(marks[block]), self._mine(states.get(block, ""))
            with self.engine.begin() as connection:
                if publishing.confirm_mark(connection, self.entry.alias, block, state=state, mark=mark):
                    continue
                for name, count in self._block(connection, block, mark).items():
                    totals[name] += count
        with self.engine.connect() as connection:
            withheld = publishing.withheld_reasons(connection, self.entry.id)
        return CollectionCounts(alias=self.entry.alias, withheld=withheld, **totals)

    def _mine(self, digest: str) -> str:
        return f"{self.policy}:{digest}"

    def _block(self, connection: Connection, block: int, mark: str) -> dict[str, int]:
        publishing.lock_collection(connection, self.entry.id)
        # The state is read before the findings: what changes in between is in the findings and not in the state, and
        # the block is judged once more. The other way round it would be missed.
        bounds = (block, block)
        state = publishing_findings.states(connection, size=self.size, personal=_PERSONAL, blocks=bounds).get(block, "")
        found = publishing_findings.findings(connection, block=block, size=self.size, personal=_PERSONAL)
        slots, own = self._slots(connection, found)
        drafts: list[Draft] = []
        reasons: dict[int, str] = {}
        for finding in found:
            made, reasons[finding.id] = self._drafts(finding, slots[finding.id])
            drafts += made
        merged = merge(drafts)
        needed = shared(merged)
        left = self._left(connection, block, needed)
        others = {draft.stix_id for draft in merged if draft.finding_id is None} | set(left)
        standing = own | publishing.last_versions(connection, self.entry.id, others)
        versions = next_versions(merged, standing, self.now) + self._remarked(left, standing)
        revoked = self._revocations(found, slots, own, {draft.stix_id for draft in merged})
        stricter = {one.stix_id: one.tlp for one in versions if one.stix_id in standing}
        gone = {stix_id: tlp for stix_id, tlp in left.items() if tlp == HIDDEN}
        publishing.raise_tlp(
            connection, self.entry.id, stricter | gone | dict.fromkeys((one.stix_id for one in revoked), HIDDEN)
        )
        publishing.append(connection, self.entry.id, [*versions, *revoked])
        publishing.set_withheld(connection, self.entry.id, reasons)
        done = Block(state=self._mine(state), mark=mark, size=self.size, shared=needed)
        publishing.remember_block(connection, self.entry.alias, block, done)
        return {"findings": len(found), "objects": len(versions) + len(revoked), "revoked": len(revoked)}

    def _left(self, connection: Connection, block: int, needed: Mapping[str, int]) -> dict[str, int]:
        """The TLP that is left of the shared objects which this block no longer allows as laxly as it did."""
        before = publishing.read_block(connection, self.entry.alias, block)
        lost = {} if before is None else laxest(before.shared, needed, {})
        elsewhere = publishing.shared_elsewhere(connection, self.entry.alias, block, self.size, lost)
        return {} if before is None else laxest(before.shared, needed, elsewhere)

    @staticmethod
    def _remarked(left: Mapping[str, int], standing: Mapping[str, Standing]) -> list[Version]:
        """The SCOs that stand under a laxer TLP than is left; what has versions is marked anew with its draft."""
        return [
            remark(held, TLP(tlp))
            for stix_id, tlp in left.items()
            if tlp != HIDDEN and (held := standing.get(stix_id)) is not None and held.tlp < tlp and held.is_sco
        ]

    def _drafts(self, finding: FindingRecord, slots: Mapping[str, Slot]) -> tuple[tuple[Draft, ...], str]:
        """(drafts, why there are none)."""
        decision = decide(finding, self.entry)
        if not decision.publish:
            return (), decision.reason
        try:
            return build(finding, decision.tlp, self.publisher, self.entry.ceiling, slots), ""
        except PublishError as error:
            return (), str(error)

    def _slots(self, connection: Connection, found: Sequence[FindingRecord]) -> tuple[Slots, dict[str, Standing]]:
        """The ids of the findings' own objects, and those that stand; revoked ones are passed over for good."""
        slots: Slots = {finding.id: {} for finding in found}
        standing: dict[str, Standing] = {}
        asked = [(finding, role) for finding in found for role in OWN]
        generation = 0
        while asked:
            ids = {(one.id, role): own_id(self.publisher.identity, one, role, generation) for one, role in asked}
            held = publishing.last_versions(connection, self.entry.id, ids.values())
            gone = {stix_id for stix_id, version in held.items() if version.revoked}
            standing |= {stix_id: version for stix_id, version in held.items() if stix_id not in gone}
            for one, role in asked:
                slots[one.id][role] = Slot(stix_id=ids[one.id, role], first=generation == 0)
            asked = [(one, role) for one, role in asked if ids[one.id, role] in gone]
            generation += 1
        return slots, standing

    def _revocations(
        self,
        found: Sequence[FindingRecord],
        slots: Slots,
        standing: Mapping[str, Standing],
        wanted: set[str],
    ) -> list[Version]:
        return [
            revocation(standing[slot.stix_id], changed_at=finding.changed_at, now=self.now, finding_id=finding.id)
            for finding in found
            for slot in slots[finding.id].values()
            if slot.stix_id in standing and slot.stix_id not in wanted
        ]
