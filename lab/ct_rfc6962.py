"""What a lab log answers over RFC 6962 (section 4): a request's parameters in, JSON out.

Raises KeyError and ValueError for what cannot be answered; `lab/ct_app.py` makes it a bad request.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

if TYPE_CHECKING:
    from lab.ct import CtLog


def _get_sth(log: CtLog, _request: Request) -> Response:
    head = log.tree_head()
    return JSONResponse(
        {
            "tree_size": head.tree_size,
            "timestamp": head.timestamp,
            "sha256_root_hash": _base64(head.root_hash),
            "tree_head_signature": _base64(head.signature.to_bytes()),
        }
    )


def _get_entries(log: CtLog, request: Request) -> Response:
    start, end = int(request.query_params["start"]), int(request.query_params["end"])
    faults = log.faults
    if not 0 <= start <= end or start >= log.published:
        raise ValueError("no such range")
    if faults.no_entries:
        return JSONResponse({"entries": []})
    start, end = start + faults.shifted, end + faults.shifted
    stop = min(end + 1, start + (log.maximum if faults.short is None else faults.short), log.published)
    if faults.too_many_entries:
        stop = min(end + 2, log.size)
    return JSONResponse({"entries": [_entry(log, index) for index in range(start, stop)]})


def _entry(log: CtLog, index: int) -> dict[str, str]:
    entry, faults = log.entry(index), log.faults
    leaf, extra = entry.leaf_input, entry.extra_data
    if index == faults.flipped_leaf:
        leaf = faults.flipped(leaf)
    if index == faults.flipped_extra_data:
        extra = faults.flipped(extra)  # by default in a precertificate: within its TBSCertificate
    if index == faults.flipped_precertificate and entry.is_precert:
        end = 3 + int.from_bytes(extra[:3], "big")
        extra = extra[:3] + faults.flipped(extra[3:end]) + extra[end:]
    if index == faults.flipped_chain:
        extra = faults.flipped(extra, 1.0)
    return {"leaf_input": _base64(leaf), "extra_data": _base64(extra)}


def _get_consistency(log: CtLog, request: Request) -> Response:
    first, second = int(request.query_params["first"]), int(request.query_params["second"])
    if not 0 <= first <= second <= log.published:
        raise ValueError("no such sizes")
    return JSONResponse({"consistency": _all_base64(log.consistency(first, second))})


def _get_proof_by_hash(log: CtLog, request: Request) -> Response:
    size = int(request.query_params["tree_size"])
    index = log.index_of(base64.b64decode(request.query_params["hash"], validate=True))
    return JSONResponse({"leaf_index": index, "audit_path": _audit_path(log, index, size)})


def _get_entry_and_proof(log: CtLog, request: Request) -> Response:
    index, size = int(request.query_params["leaf_index"]), int(request.query_params["tree_size"])
    path = _audit_path(log, index, size)
    return JSONResponse({**_entry(log, index), "audit_path": path})


def _audit_path(log: CtLog, index: int, size: int) -> list[str]:
    if not 0 <= index < size <= log.published:
        raise ValueError("no such leaf in a tree of that size")
    return _all_base64(log.inclusion(index, size))


def _get_roots(log: CtLog, _request: Request) -> Response:
    return JSONResponse({"certificates": _all_base64(log.accepted)})


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _all_base64(many: Iterable[bytes]) -> list[str]:
    return [_base64(one) for one in many]


CALLS: Final[dict[str, Callable[[CtLog, Request], Response]]] = {
    "get-sth": _get_sth,
    "get-entries": _get_entries,
    "get-sth-consistency": _get_consistency,
    "get-proof-by-hash": _get_proof_by_hash,
    "get-entry-and-proof": _get_entry_and_proof,
    "get-roots": _get_roots,
}
