from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct_proof import read_inclusion_proof
from intel.errors import ReadError

NODE = base64.b64encode(bytes(32)).decode()


def test_a_proof() -> None:
    body = json.dumps({"leaf_index": 3, "audit_path": [NODE, NODE]}).encode()
    assert read_inclusion_proof(body) == (3, [bytes(32), bytes(32)])
    assert read_inclusion_proof(b'{"leaf_index": 0}') == (0, [])


@pytest.mark.parametrize(
    "proof",
    [
        {"audit_path": [NODE]},
        {"leaf_index": "3", "audit_path": []},
        {"leaf_index": 3, "audit_path": ["AA=="]},
        {"leaf_index": 3, "audit_path": [NODE] * 65},
        [],
    ],
)
def test_what_is_no_proof(proof: Any) -> None:
    with pytest.raises(ReadError):
        read_inclusion_proof(json.dumps(proof).encode())


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_octets_that_are_no_proof(body: bytes) -> None:
    with pytest.raises(ReadError):
        read_inclusion_proof(body)


def test_nesting_without_end() -> None:
    with pytest.raises(ReadError):
        read_inclusion_proof(b'{"x": ' + b"[" * 100_000)
