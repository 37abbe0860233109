from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.ct_log_list import FinalHead, list_key, read_log_list, verify_log_list
from intel.errors import ConfigError, OversizedError, ReadError, VerificationError
from tests.ct_lists import LIST_KEY_PEM, LIST_KEY_TEXT, MADE, key_of, list_json, log_json, signed, tiled_json


def test_a_list_with_logs_of_both_kinds() -> None:
    listed = read_log_list(list_json(log_json("fisher"), tiled=(tiled_json("reed"),)))
    assert (listed.version, listed.made_at, listed.rejects) == ("1.2", MADE, ())
    fisher, reed = listed.logs
    assert (fisher.description, fisher.operator, fisher.protocol) == ("Heron 'fisher' log", "Heron Trust", "rfc6962")
    assert (fisher.url, fisher.submission_url, fisher.mmd) == ("https://ct.heron.test/fisher/", "", 86400)
    assert fisher.key == key_of("fisher")
    assert fisher.state == "usable"
    assert (fisher.not_after_start, fisher.not_after_end) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 7, 1, tzinfo=UTC),
    )
    assert (reed.protocol, reed.mmd) == ("static", 60)
    assert (reed.url, reed.submission_url) == ("https://read.reed.heron.test/", "https://submit.reed.heron.test/")


def test_a_readonly_log_has_its_last_tree() -> None:
    root = bytes(range(32))
    final = {"sha256_root_hash": base64.b64encode(root).decode(), "tree_size": 4_000_000_000}
    state = {"readonly": {"timestamp": "2025-01-01T00:00:00Z", "final_tree_head": final}}
    (log,) = read_log_list(list_json(log_json("fisher", state=state))).logs
    assert (log.state, log.final_head) == ("readonly", FinalHead(tree_size=4_000_000_000, root_hash=root))


def test_logs_without_state_shard_or_slash() -> None:
    entry = log_json("fisher", url="https://ct.heron.test/fisher", log_type="test")
    del entry["state"], entry["temporal_interval"]
    (log,) = read_log_list(list_json(entry)).logs
    assert (log.state, log.not_after_start, log.not_after_end) == ("pending", None, None)
    assert log.url == "https://ct.heron.test/fisher/"


def test_a_renamed_shard_is_the_same_log() -> None:
    (before,) = read_log_list(list_json(tiled=(tiled_json("reed"),))).logs
    renamed = tiled_json("reed", description="Heron 'reed' a", monitoring_url="https://read2.heron.test/")
    (after,) = read_log_list(list_json(tiled=(renamed,))).logs
    assert before.log_id == after.log_id
    assert before.url != after.url


WRONG: list[dict[str, Any]] = [
    {"log_id": base64.b64encode(bytes(32)).decode()},
    {"log_id": "AAAA"},
    {"log_id": "not base64 at all"},
    {"key": base64.b64encode(b"no key").decode()},
    {"key": "A" * 10_000},
    {"url": ""},
    {"url": "ftp://ct.heron.test/"},
    {"url": "https:///nowhere/"},
    {"url": "https://user:password@ct.heron.test/"},
    {"url": "https://ct.heron.test/?a=b"},
    {"url": "https://ct.heron.test:99999/"},
    {"url": "https://ct.heron.test/\x07"},
    {"url": ["https://ct.heron.test/"]},
    {"mmd": "soon"},
    {"mmd": -1},
    {"mmd": 10**12},
    {"state": {"splendid": {}}},
    {"state": {"usable": {}, "retired": {}}},
    {"state": "usable"},
    {"state": {"readonly": {"final_tree_head": {"tree_size": 3, "sha256_root_hash": "AAAA"}}}},
    {"description": ""},
    {"description": "x" * 1000},
    {"description": "two\nlines"},
    {"temporal_interval": {"start_inclusive": "2026-07-01T00:00:00Z", "end_exclusive": "2026-01-01T00:00:00Z"}},
    {"temporal_interval": {"start_inclusive": "2026-01-01T00:00:00", "end_exclusive": "2026-07-01T00:00:00"}},
    {"temporal_interval": {"start_inclusive": "then"}},
]


@pytest.mark.parametrize("wrong", WRONG, ids="-".join)
def test_a_wrong_entry_costs_itself_alone(wrong: dict[str, Any]) -> None:
    listed = read_log_list(list_json(log_json("fisher"), log_json("otter", **wrong), log_json("vole")))
    assert [log.description for log in listed.logs] == ["Heron 'fisher' log", "Heron 'vole' log"]
    assert len(listed.rejects) == 1
    assert listed.rejects[0].startswith("Heron Trust, logs 1: ")
    assert listed.rejects[0].isprintable()


def test_entries_that_are_no_objects_and_operators_that_are_none() -> None:
    whole = json.loads(list_json(log_json("fisher")))
    whole["operators"][0]["logs"] += [None, 7, [], {}]
    whole["operators"] += [None, {"name": ""}, {"name": "Otter", "logs": {}}, {"name": "Vole", "tiled_logs": []}]
    listed = read_log_list(json.dumps(whole).encode())
    assert len(listed.logs) == 1
    assert len(listed.rejects) == 7


def test_the_second_entry_of_one_log_is_left_out() -> None:
    listed = read_log_list(list_json(log_json("fisher"), log_json("fisher", description="Again")))
    assert [log.description for log in listed.logs] == ["Heron 'fisher' log"]
    assert "same log_id" in listed.rejects[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"operators": []}',
        b'{"log_list_timestamp": "2026-01-01T00:00:00", "operators": []}',
        b"\xff",
    ],
)
def test_what_is_no_list(body: bytes) -> None:
    with pytest.raises(ReadError):
        read_log_list(body)


def test_a_list_too_large() -> None:
    with pytest.raises(OversizedError):
        read_log_list(b" " * (17 << 20))


def test_nesting_without_end() -> None:
    deep = b"[" * 100_000
    with pytest.raises(ReadError):
        read_log_list(b'{"log_list_timestamp": "2026-01-01T00:00:00Z", "operators": ' + deep)
    listed = list_json(log_json("fisher")).replace(b'"mmd": 86400', b'"mmd": ' + deep + b"]" * 100_000)
    with pytest.raises(ReadError):
        read_log_list(listed)


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_list_is_read_or_refused(data: st.DataObject) -> None:
    body = bytearray(list_json(log_json("fisher"), tiled=(tiled_json("reed"),)))
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        listed = read_log_list(bytes(body))
    except ReadError:
        return
    assert len(listed.logs) + len(listed.rejects) <= 4


def test_the_signature_is_over_the_files_bytes() -> None:
    body = list_json(log_json("fisher"))
    key = list_key(LIST_KEY_TEXT)
    verify_log_list(body, signed(body), key)
    for wrong_body, signature in ((body + b"\n", signed(body)), (body, signed(body)[::-1]), (body, b"")):
        with pytest.raises(VerificationError, match="did not sign it"):
            verify_log_list(wrong_body, signature, key)


def test_the_key_may_be_written_in_two_ways() -> None:
    assert (
        list_key(LIST_KEY_PEM) == list_key(LIST_KEY_TEXT) == list_key(f"  {LIST_KEY_TEXT[:40]}\n{LIST_KEY_TEXT[40:]}")
    )


@pytest.mark.parametrize("text", ["", "AAAA", "no base64!", base64.b64encode(key_of("an EC key")).decode()])
def test_what_is_no_key_of_a_list(text: str) -> None:
    with pytest.raises(ConfigError, match=r"log_list\.key"):
        list_key(text)


@pytest.mark.data
def test_the_real_lists(data_dir: Path) -> None:
    folder = data_dir / "certificates"
    listed = read_log_list((folder / "log_list" / "all_logs_list_v53.34_2025-05-05.json").read_bytes())
    assert (listed.version, len(listed.logs), listed.rejects) == ("53.34", 181, ())
    assert sum(log.protocol == "static" for log in listed.logs) == 6
    assert sum(log.final_head is not None for log in listed.logs) == 1
    (reject,) = read_log_list((folder / "ct-go" / "testdata" / "loglist3.json").read_bytes()).rejects
    assert "its key cannot be read" in reject
