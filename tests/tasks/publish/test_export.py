from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from stix2validator import ValidationOptions, validate_instance

from db.engine import open_engine
from db.finding_export import Exported, exported
from db.publishing_records import Evidence
from intel.config.organisation import Organisation
from intel.entities import PERSONAL
from intel.facts import TLP
from tasks.publish.export import COLUMNS, as_csv, as_stix
from tasks.publish.export_blocklists import Blocked, blocked, lines
from tests import factories
from tests.tasks.publish.test_objects import EVIDENCE, NOON, PUBLISHER, SUBJECTS, record

US = Organisation(domains=("harbour.example",), networks=("198.51.100.0/24",))
STANDING = ("open", "acknowledged", "confirmed")


@pytest.fixture(scope="module")
def connection(database_server: str, _template_database: str) -> Iterator[Connection]:
    from tests.conftest import _database

    for url in _database(database_server, _template_database):
        engine = open_engine(url)
        with engine.begin() as opened:
            yield opened
        engine.dispose()


def one(kind: str = "domain", value: str = "login.example", **values: Any) -> Exported:
    annotations, ended = values.pop("annotations", ()), values.pop("ended", False)
    said = {"severity": 80} | values
    return Exported(record=record(kind, value, **said), annotations=annotations, ended=ended)


def read(found: list[Exported], ceiling: TLP = TLP.AMBER) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(as_csv(found, ceiling)), newline="")))


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_cell_of_a_csv_is_a_formula_and_every_line_reads_back(title: str, reason: str) -> None:
    text = "".join(
        as_csv([Exported(record=record("domain", "login.example", title=title), status_reason=reason)], TLP.RED)
    )
    head, row = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert tuple(head) == COLUMNS
    assert len(row) == len(COLUMNS)
    assert not any(cell.strip()[:1] in {"=", "+", "-", "@", "\t", "\r"} for cell in row if cell.strip())
    assert text.count("\r\n") == 2


def test_a_csv_keeps_the_ceiling_and_masks_people() -> None:
    red = (Evidence(**{name: getattr(EVIDENCE, name) for name in EVIDENCE.__struct_fields__} | {"tlp": 4}),)
    found = [one(), one(value="secret.example", evidence=red), one("email", "john@mail.example")]
    found.append(one("url", "https://gate.example/?to=john@mail.example"))
    rows = read(found)
    assert [row["subject"] for row in rows] == [
        "login.example", "j***@mail.example", "https://gate.example/?to=j***@mail.example",
    ]  # fmt: skip
    assert rows[0]["tlp"] == "TLP:GREEN"
    assert rows[0]["sources"] == "feed"
    [row] = read([Exported(record=record("domain", "login.example"), status_reason="john@mail.example said so")])
    assert row["status_reason"] == "j***@mail.example said so"


def test_a_stix_bundle_is_valid_and_keeps_what_publishing_keeps() -> None:
    found = [one(*said, id=number, novelty=UUID(int=number)) for number, said in enumerate(SUBJECTS.values())]
    found += [one(value="dismissed.example", status="dismissed"), one("phone", "+44 20 7946 0000")]
    bundle = as_stix(found, PUBLISHER, TLP.AMBER)
    assert validate_instance(bundle, ValidationOptions(version="2.1")).is_valid
    patterns = [thing["pattern"] for thing in bundle["objects"] if thing["type"] == "indicator"]
    assert len(patterns) >= len(SUBJECTS) - 1
    assert not any("dismissed" in pattern or "7946" in pattern for pattern in patterns)
    assert as_stix(found, PUBLISHER, TLP.AMBER) == bundle
    assert as_stix(found, PUBLISHER, TLP.CLEAR)["objects"] == []


def test_a_blocklist_has_what_is_sure_and_nobody_elses() -> None:
    taken = {"takes": 40, "about": "subject", "hub": "suppressed", "list": "suppression:1", "why": "ours"}
    yes = [
        one(value="evil.example"),
        one(value="weak.example", severity=10, status="confirmed"),
        one("ip", "203.0.113.7"),
        one("network", "203.0.113.0/28"),
        one("endpoint", "[2001:db8::7]:8443"),
        one("endpoint", "panel.example:8443"),
        one("url", "https://gate.example/x.php"),
    ]
    no = [
        one(value="low.example", severity=60),
        one(value="closed.example", status="dismissed"),
        one(value="gone.example", status="withdrawn"),
        one(value="taught.example", annotations=(taken,)),
        one(value="www.harbour.example"),
        one(value="held.example", released=False),
        one(value="red.example", evidence=()),
        one(value="github.io"),
        one(value="co.uk"),
        one(value="www.google.com"),
        one("ip", "198.51.100.9"),
        one("ip", "10.0.0.1"),
        one("ip", "104.16.1.1"),
        one("ip", "8.8.8.8"),
        one("ip", "192.0.0.1"),
        one("ip", "2002:a00:1::1"),
        one("network", "203.0.0.0/16"),
        one("network", "1.1.1.0/24"),
        one(value="lost.example", ended=True),
        one("network", "2001:db8::/32"),
        one("url", "https://gate.example/?to=john@mail.example"),
        one("url", "https://www.harbour.example/"),
        one("email", "john@mail.example"),
        one("certificate", "a1" * 32),
    ]
    things = blocked([*no, *yes, *yes], US, TLP.AMBER)
    assert set(things) == {
        Blocked(kind="domain", value="evil.example"),
        Blocked(kind="domain", value="weak.example"),
        Blocked(kind="domain", value="panel.example"),
        Blocked(kind="ip", value="203.0.113.7"),
        Blocked(kind="ip", value="203.0.113.0/28"),
        Blocked(kind="ip", value="2001:db8::7"),
        Blocked(kind="url", value="https://gate.example/x.php"),
    }
    assert blocked(yes, US, TLP.CLEAR) == {}
    made = {form: list(lines(form, things, NOON)) for form in ("blocklist-domains", "blocklist-ips", "hosts", "rpz")}
    assert made["blocklist-domains"][0] == (
        "# Lapsewatch blocklist-domains, 2026-03-01 12:00 UTC, TLP:GREEN, 3 entries"
    )
    assert made["hosts"][1:] == ["0.0.0.0 evil.example", "0.0.0.0 panel.example", "0.0.0.0 weak.example"]
    assert "*.evil.example CNAME ." in made["rpz"]
    assert len(made["blocklist-ips"]) == 4
    long = Blocked(kind="domain", value=f"{'.'.join(['a' * 60] * 3)}.evil.example")
    assert len(list(lines("blocklist-domains", {long: TLP.CLEAR}, NOON))) == 2
    assert not any("aaa" in line for line in lines("rpz", {long: TLP.CLEAR}, NOON))


def test_findings_are_read_a_block_at_a_time(connection: Connection) -> None:
    for number in range(5):
        factories.found(connection, value=f"n{number}.example", status="dismissed" if number == 2 else "open")
    people = frozenset(str(kind) for kind in PERSONAL)
    found = list(exported(connection, statuses=STANDING, personal=people, size=2))
    assert [said.record.subject for said in found] == [f"n{number}.example" for number in (0, 1, 3, 4)]
    assert list(exported(connection, statuses=STANDING, personal=people, watch="another")) == []
    assert all(said.record.evidence for said in found)
