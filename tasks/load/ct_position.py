"""How far a log has been read, and whether it is believed: the cursors of a followed log.

`source:NAME` is {position, frontier, head}: entries verified and judged, the Merkle frontier behind the last of them,
and the signed head that confirmed them. `ct:NAME` holds `halted` while the log is not believed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine

from db import documents, runs
from intel.config.sources import Source
from intel.ct import SignedTreeHead, read_digitally_signed
from intel.errors import ReadError, VerificationError
from intel.merkle import Frontier
from intel.settings import settings
from tasks.normalize.ct_facts import head_json
from tasks.records import Run


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """What the cursor `source:NAME` says. The next entry to read is `frontier.size`."""

    frontier: Frontier
    head: SignedTreeHead

    def cursor(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "position": self.frontier.size,
            "frontier": self.frontier.to_bytes().hex(),
            "head": {
                "size": self.head.tree_size,
                "root": self.head.root_hash.hex(),
                "timestamp": self.head.timestamp,
                "signature": self.head.signature.to_bytes().hex(),
            },
        }


def read_position(connection: Connection, source: str) -> Position | None:
    """Where the log stands; None where it was never read. Raises ReadError for a cursor that says something else."""
    value = runs.read_cursor(connection, f"source:{source}")
    if value is None:
        return None
    try:
        head = value["head"]
        return Position(
            frontier=Frontier.from_bytes(bytes.fromhex(value["frontier"])),
            head=SignedTreeHead(
                tree_size=head["size"],
                timestamp=head["timestamp"],
                root_hash=bytes.fromhex(head["root"]),
                signature=read_digitally_signed(bytes.fromhex(head["signature"])),
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"couldn't read the position in {source}: {error!r}; nothing is read of it") from error


def refuse_halted(connection: Connection, source: str) -> None:
    """Raise VerificationError where the log was stopped and nobody has let it go on."""
    halted = (runs.read_cursor(connection, f"ct:{source}") or {}).get("halted")
    if halted:
        raise VerificationError(
            f"couldn't follow {source}: it was stopped on {halted['at'][:16]} in run {halted['run']}, since what it"
            f" said did not add up ({halted['reason']}); nothing is read of it until a person lets it go on"
        )


def halt(engine: Engine, source: Source, run: Run, error: VerificationError, heads: list[SignedTreeHead]) -> None:
    """Stop the log: the heads that contradict each other (or the entries) are kept, the position stays."""
    store = settings().document_store
    now = datetime.now(UTC)
    bodies = [msgspec.json.encode(head_json(head)) for head in dict.fromkeys(heads)]
    digests = [documents.put(store, body) for body in bodies]
    with engine.begin() as connection:
        kept = [
            runs.new_document(
                connection,
                source_id=run.source_id,
                run_id=run.run_id,
                location=f"{source.location.rstrip('/')}/ct/v1/get-sth",
                sha256=digest,
                size=len(body),
                media_type="application/json",
                as_of=now,
                fetched_at=now,
            )
            for body, digest in zip(bodies, digests, strict=True)
        ]
        halted = {"reason": str(error), "at": now.isoformat(), "run": run.run_id, "documents": kept}
        runs.write_cursor(connection, f"ct:{source.name}", {"halted": halted}, run.run_id)


def resume(engine: Engine, source: str) -> bool:
    """Let a stopped log go on from its position, when a person has looked; whether it was stopped."""
    with engine.begin() as connection:
        stopped = bool((runs.read_cursor(connection, f"ct:{source}") or {}).get("halted"))
        if stopped:
            runs.write_cursor(connection, f"ct:{source}", {}, None)
    return stopped
