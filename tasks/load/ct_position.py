"""How far a log has been read, and whether it is believed: the cursors of a followed log.

`source:NAME` is {position, frontier, head}: entries verified and judged, the Merkle frontier behind the last of them,
and the signed head that confirmed them. `ct:NAME` is what is known beside that: how far has been downloaded, how fast,
how the log takes being asked, and `halted` while it is not believed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine

from db import documents, runs
from intel.config.sources import Source
from intel.ct import SignedTreeHead, read_digitally_signed
from intel.errors import ReadError, VerificationError, WarehouseError
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


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What `ct:NAME` says beside `halted`.

    `head_size` and `head_at` (event time, milliseconds since 1970 UTC) are of the head that the log showed last, at
    `asked_at` (recorded time). `downloaded` is behind the last entry that was received, verified or not; `logged_at` is
    the timestamp of the last verified entry that can be read (event time, milliseconds). `rate` is in entries per
    second, of the slice that read last. `pace` is the log's (tasks/collect/ct_pace.py). `chunk` is how many entries are
    committed together where the log stops giving before more can be confirmed, 0 where it does not.
    """

    head_size: int = 0
    head_at: int = 0
    asked_at: datetime | None = None
    downloaded: int = 0
    logged_at: int = 0
    rate: float = 0.0
    pace: dict[str, Any] = {}
    chunk: int = 0


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


def read_progress(connection: Connection, source: str) -> Progress:
    """What is known beside the position. Raises ReadError for a cursor that says something else."""
    try:
        return msgspec.convert(runs.read_cursor(connection, f"ct:{source}") or {}, Progress, strict=False)
    except msgspec.ValidationError as error:
        raise ReadError(f"couldn't read what is known of {source}: {error}; nothing is read of it") from error


def note(connection: Connection, source: str, run_id: int | None, **known: Any) -> None:
    """Write fields of `Progress` down, beside those that stand. The caller holds the log's lock."""
    before = runs.read_cursor(connection, f"ct:{source}") or {}
    runs.write_cursor(connection, f"ct:{source}", {**before, **msgspec.to_builtins(known)}, run_id)


def refuse_taken_over(connection: Connection, source: str, run_id: int) -> None:
    """Raise WarehouseError where the run is no longer running; until this transaction ends, nobody takes it over.

    The log's lock goes with its connection. Where that was lost, another run has closed ours and follows from the
    position: ours would set it back.
    """
    outcome = runs.lock_run(connection, run_id)
    if outcome != "running":
        raise WarehouseError(
            f"couldn't go on with {source}: run {run_id} is {outcome or 'unknown'}, so another process has taken over;"
            " nothing more is written, and that process goes on"
        )


def refuse_halted(connection: Connection, source: str) -> None:
    """Raise VerificationError where the log was stopped and nobody has let it go on."""
    halted = (runs.read_cursor(connection, f"ct:{source}") or {}).get("halted")
    if halted:
        raise VerificationError(
            f"couldn't follow {source}: it was stopped on {halted['at'][:16]} in run {halted['run']}, since what it"
            f" said did not add up ({halted['reason']}); nothing is read of it until a person lets it go on"
        )


def halt(engine: Engine, source: Source, run: Run, error: VerificationError, heads: list[SignedTreeHead]) -> None:
    """Stop the log: the heads that contradict each other (or the entries) are kept, the position stays.

    So is the head that the error is about as it came: one that nobody signed is no `SignedTreeHead`.
    """
    store = settings().document_store
    now = datetime.now(UTC)
    bodies = [(msgspec.json.encode(head_json(head)), "application/json") for head in dict.fromkeys(heads)]
    static = source.options.protocol == "static"
    bodies += [(error.evidence, "text/plain" if static else "application/json")] if error.evidence else []
    digests = [documents.put(store, body) for body, _ in bodies]
    shown = "checkpoint" if static else "ct/v1/get-sth"
    with engine.begin() as connection:
        kept = [
            runs.new_document(
                connection,
                source_id=run.source_id,
                run_id=run.run_id,
                location=f"{source.location.rstrip('/')}/{shown}",
                sha256=digest,
                size=len(body),
                media_type=media_type,
                as_of=now,
                fetched_at=now,
            )
            for (body, media_type), digest in zip(bodies, digests, strict=True)
        ]
        halted = {"reason": str(error), "at": now.isoformat(), "run": run.run_id, "documents": kept}
        before = runs.read_cursor(connection, f"ct:{source.name}") or {}
        runs.write_cursor(connection, f"ct:{source.name}", {**before, "halted": halted}, run.run_id)


def resume(engine: Engine, source: str) -> bool:
    """Let a stopped log go on from its position, when a person has looked; whether it was stopped."""
    with engine.begin() as connection:
        value = runs.read_cursor(connection, f"ct:{source}") or {}
        stopped = bool(value.pop("halted", None))
        if stopped:
            runs.write_cursor(connection, f"ct:{source}", value, None)
    return stopped
