"""What a tiled lab log answers (C2SP static-ct-api, tlog-tiles): a path in, a checkpoint, a tile or an issuer out.

Raises LookupError for what is not there. A partial tile is there only where a head that was shown implies it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from intel.ct import log_id
from intel.ct_static import TILE_WIDTH

if TYPE_CHECKING:
    from lab.ct import CtLog

_OCTETS: Final = "application/octet-stream"
_TILE: Final = re.compile(r"((?:x[0-9]{3}/){0,8}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
_LEVELS: Final = 6
# A witness's line (tlog-cosignature); nobody here has its key.
_WITNESS: Final = "\N{EM DASH} witness.example " + base64.b64encode(bytes(4 + 8 + 64)).decode()


def checkpoint(log: CtLog, _request: Request) -> Response:
    """/checkpoint: a signed note, its own signature behind a witness's."""
    head = log.tree_head()
    key_id = hashlib.sha256(log.origin.encode() + b"\n\x05" + log_id(log.key_der)).digest()[:4]
    signature = key_id + head.timestamp.to_bytes(8, "big") + head.signature.to_bytes()
    lines = (
        log.origin,
        str(head.tree_size),
        base64.b64encode(head.root_hash).decode(),
        "",
        _WITNESS,
        f"\N{EM DASH} {log.origin} {base64.b64encode(signature).decode()}",
        "",
    )
    return PlainTextResponse("\n".join(lines))


def data_tile(log: CtLog, request: Request) -> Response:
    """/tile/data/<N>[.p/<W>]: entries."""
    number, width = _tile(log, request, 0)
    faults = log.faults
    start = (number + faults.shifted) * TILE_WIDTH
    body = b"".join(_tile_leaf(log, index) for index in range(start, start + width))
    if number == faults.flipped_tile:
        body = faults.flipped(body)
    if number == faults.cut_tile:
        body = body[: len(body) - 10]
    if not log.compressed:
        return Response(body, media_type=_OCTETS)
    return Response(gzip.compress(body, 1, mtime=0), media_type=_OCTETS, headers={"Content-Encoding": "gzip"})


def _tile_leaf(log: CtLog, index: int) -> bytes:
    entry, faults = log.entry(index), log.faults
    leaf, end = entry.tile_leaf, len(entry.leaf_input) - 2
    if index == faults.flipped_leaf:
        leaf = faults.flipped(leaf[:end]) + leaf[end:]
    if index == faults.flipped_precertificate and entry.is_precert:
        precert = end + 3 + int.from_bytes(leaf[end : end + 3], "big")
        leaf = leaf[: end + 3] + faults.flipped(leaf[end + 3 : precert]) + leaf[precert:]
    if index == faults.flipped_chain:
        leaf = faults.flipped(leaf, 1.0)
    return leaf


def hash_tile(log: CtLog, request: Request) -> Response:
    """/tile/<L>/<N>[.p/<W>]: the roots of complete subtrees."""
    level = int(request.path_params["level"])
    number, width = _tile(log, request, level)
    body = b"".join(log.hashes(level, number * TILE_WIDTH, number * TILE_WIDTH + width))
    if (level, number) == log.faults.flipped_hash_tile:
        body = log.faults.flipped(body)
    return Response(body, media_type=_OCTETS)


def issuer(log: CtLog, request: Request) -> Response:
    """/issuer/<SHA-256>: a certificate of some chain."""
    faults = log.faults
    certificate = log.issuers[bytes.fromhex(request.path_params["fingerprint"])]
    if faults.issuer_missing:
        raise LookupError("no issuer today")
    body = faults.flipped(certificate) if faults.issuer_wrong else certificate
    return Response(body, media_type="application/pkix-cert")


def _tile(log: CtLog, request: Request, level: int) -> tuple[int, int]:
    """Number and width of the tile that is asked for. Raises LookupError where it does not exist."""
    found = _TILE.fullmatch(request.path_params["tile"])
    if found is None or level >= _LEVELS:
        raise LookupError("no such tile")
    number = int("".join(group.lstrip("x") for group in found[1].split("/")))
    width = TILE_WIDTH if found[2] is None else int(found[2])
    held = log.published >> 8 * level
    full = held >= (number + 1) * TILE_WIDTH
    if found[2] is None:
        if not full:
            raise LookupError("that tile is not full")
    elif log.protocol == "hybrid" or width >= TILE_WIDTH or not log.was_shown(level, number, width):
        raise LookupError("no head implies that partial tile")
    elif full and log.faults.partial_vanishes:
        raise LookupError("the full tile has taken its place")
    return number, width
