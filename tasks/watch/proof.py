"""How to prove that logs hold what a finding is about: a finding in, a place in each log with its proof's requests out.

The entry was verified when it was read: its leaf hash is under a head that the log signed. Whoever wants to see that
for himself asks the log for what is named here, and checks it against that head (RFC 6962 2.1.1).
"""

from __future__ import annotations

import base64
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from sqlalchemy import Connection

from db import documents
from db.watching_places import places
from intel.ct import SignedTreeHead
from intel.ct_static import TILE_WIDTH, tile_path
from intel.errors import ReadError
from intel.merkle import HASH_SIZE
from intel.tiles import Tile, inclusion
from tasks.normalize.ct_document import HeldHead, read_held_head

MAX_PLACES: Final = 100


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of a log, and how it can be proven.

    `index` and `leaf_hash` (hexadecimal) say where it is; `tree_size`, `root`, `signature` (hexadecimal) and
    `signed_at` (event time) are of the head under which it was verified; `requests` give its audit path in that tree.
    Where the document that holds the head is gone, there is neither. `chain` says what is wrong with the chain that
    the log gave.
    """

    log: str
    certificate: str
    index: int
    leaf_hash: str
    chain: str = ""
    url: str = ""
    protocol: str = ""
    tree_size: int | None = None
    signed_at: datetime | None = None
    root: str = ""
    signature: str = ""
    requests: tuple[str, ...] = ()
    document: str = ""


def prove(connection: Connection, finding_id: int, store: Path) -> tuple[Place, ...]:
    """The places of a finding's certificate, in all logs and forms; `store` holds the documents."""
    held: dict[bytes, HeldHead | None] = {}
    return tuple(_place(row, store, held) for row in places(connection, finding_id, limit=MAX_PLACES))


def _place(row: Any, store: Path, held: dict[bytes, HeldHead | None]) -> Place:
    place = Place(
        log=row.log,
        certificate=row.certificate,
        index=row.index,
        leaf_hash=row.leaf_hash,
        chain=row.chain,
        document=row.location or "",
    )
    if row.sha256 is None:
        return place
    if row.sha256 not in held:
        held[row.sha256] = _read(store, row.sha256)
    document = held[row.sha256]
    if document is None or document.head is None:
        return place
    protocol = document.protocol or row.protocol or ("static" if "/ct/v1/" not in place.document else "rfc6962")
    head = document.head
    return msgspec.structs.replace(
        place,
        url=document.log,
        protocol=protocol,
        tree_size=head.tree_size,
        signed_at=head.signed_at,
        root=head.root_hash.hex(),
        signature=head.signature.to_bytes().hex(),
        requests=_requests(document.log.rstrip("/"), protocol, place, head),
    )


def _read(store: Path, sha256: bytes) -> HeldHead | None:
    try:
        return read_held_head(documents.get(store, sha256))
    except ReadError:
        return None


def _requests(url: str, protocol: str, place: Place, head: SignedTreeHead) -> tuple[str, ...]:
    if not 0 <= place.index < head.tree_size:
        return ()
    if protocol != "static":
        asked = {"hash": base64.b64encode(bytes.fromhex(place.leaf_hash)).decode(), "tree_size": head.tree_size}
        return (f"{url}/ct/v1/get-proof-by-hash?{urlencode(asked)}",)
    return tuple(f"{url}/{path}" for path in proof_tiles(place.index, head.tree_size))


def proof_tiles(index: int, size: int) -> list[str]:
    """The paths of the tiles that hold an entry, its hash and its audit path in a tree of `size`, each once."""
    number = index // TILE_WIDTH
    width = min(size - number * TILE_WIDTH, TILE_WIDTH)
    paths = [tile_path(None, number, width), tile_path(0, number, width)]

    def note(tile: Tile) -> list[bytes]:
        paths.append(tile.path)
        return [bytes(HASH_SIZE)] * tile.width

    inclusion(note, index, size)
    return list(dict.fromkeys(paths))
