from __future__ import annotations

import hashlib
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from db import runs
from lab import world
from lab.certificates import Authority

if TYPE_CHECKING:
    from tests.apps.cli.conftest import Lapsewatch


def test_certificates_and_patterns_are_watched(lapsewatch: Lapsewatch, tmp_path: Path) -> None:
    pem = tmp_path / "one.pem"
    pem.write_text(ssl.DER_cert_to_PEM_cert(Authority().certificate))
    words = {
        "--tbs": "11" * 32, "--serial": f"{'22' * 32}/0a", "--pem": str(pem), "--lookalike": "quay.example",
        "--keyword": "harbour", "--issuer": "*O=Acme Trust*", "--subject": "CN=acme*", "--expected": "33" * 32,
    }  # fmt: skip
    lapsewatch("watch", "add", "ours", *(word for pair in words.items() for word in pair))
    rows = lapsewatch.rows(
        "SELECT match, value FROM watch_item i JOIN watch w ON w.id = i.watch_id AND w.name = 'ours'"
    )
    digest = hashlib.sha256(Authority().certificate).hexdigest()
    assert {("entity", f"sha256:{digest}"), ("entity", "keyword:harbour"), ("expected", f"sha256:{'33' * 32}")} <= {
        tuple(row) for row in rows
    }
    assert len(rows) == 12
    [listed] = [row for row in lapsewatch("watch", "list", "--json").json if row["watch"] == "ours"]
    assert listed["items"] == 11


def test_a_monitor_that_is_at_work_elsewhere_keeps_nobody_from_watching(lapsewatch: Lapsewatch) -> None:
    with runs.exclusive(lapsewatch.engine, "monitor:certificates"):
        said = lapsewatch("watch", "add", "quay", "quay.example").stdout
    assert "watching quay: 0 findings" in said
    assert "a monitor is at work elsewhere" in said


def test_what_cannot_be_watched_is_said_in_a_line(lapsewatch: Lapsewatch, tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_bytes(b"\xff\xfe")
    for words in (
        ("--keyword", "ab"),
        ("--serial", "1"),
        ("--pem", str(tmp_path / "none.pem")),
        ("--pem", str(tmp_path / "odd.pem")),
        ("--keyword", "harbour", "--expected", "1"),
    ):
        assert lapsewatch("watch", "add", "odd", *words, code=2).stderr.count("\n") == 1
    assert lapsewatch.rows("SELECT FROM watch WHERE name = 'odd'") == []


def test_our_names_are_watched_with_the_files(lapsewatch: Lapsewatch) -> None:
    path = lapsewatch.configs / "organisation.yaml"
    path.write_text(yaml.safe_dump({"domains": ["quay.example"], "brands": ["Quay Pilots", "qp"]}))
    said = lapsewatch("watch", "sync").stdout
    assert "2 watches from files, 0 removed" in said
    assert "not looked for: qp" in said
    listed = {row["watch"]: row["items"] for row in lapsewatch("watch", "list", "--json").json}
    assert listed["organisation"] == 2


def test_why_says_in_which_log_a_certificate_is_and_how_that_is_proven(lapsewatch: Lapsewatch) -> None:
    lapsewatch("watch", "add", "heron", world.KNOWN_DOMAIN)
    lapsewatch("collect", "lab-ct")
    rows = lapsewatch("findings", "--watch", "heron", "--json").json
    number = next(row["finding"] for row in rows if row["rule"] == "certificate-name")
    explained = lapsewatch("why", str(number), "--json").json
    assert explained["proofs"]
    said = lapsewatch("why", str(number))
    assert said.widest <= 80
    joined = "".join(line.strip() for line in said.stdout.splitlines())
    for place in explained["proofs"]:
        assert place["requests"]
        assert f"{place['log']} entry {place['index']}" in said.stdout
        assert place["leaf_hash"] in joined
        assert f"verified under the head of {place['tree_size']} entries" in said.stdout
        for request in place["requests"]:
            assert request in joined
