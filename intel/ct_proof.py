"""The answer to get-proof-by-hash (RFC 6962 4.5): JSON in, an index and an audit path out."""

from __future__ import annotations

from typing import Final

import msgspec

from intel.ct_frames import NOT_JSON
from intel.errors import ReadError
from intel.merkle import HASH_SIZE

_LONGEST: Final = 64  # a tree of 2 ** 64 leaves


class _ProofJson(msgspec.Struct):
    leaf_index: int
    audit_path: list[bytes] = []  # msgspec copies an empty list for each record


_PROOF: Final = msgspec.json.Decoder(_ProofJson)


def read_inclusion_proof(body: bytes) -> tuple[int, list[bytes]]:
    """The index that a leaf has, as the log says, and its audit path; to be checked by `verify_inclusion`.

    Raises ReadError.
    """
    try:
        proof = _PROOF.decode(body)
    except NOT_JSON as error:
        raise ReadError(f"couldn't read a log's proof of inclusion: {error}") from error
    if len(proof.audit_path) > _LONGEST or any(len(node) != HASH_SIZE for node in proof.audit_path):
        raise ReadError("couldn't read a log's proof of inclusion: its nodes are not hashes, or too many")
    return proof.leaf_index, proof.audit_path
