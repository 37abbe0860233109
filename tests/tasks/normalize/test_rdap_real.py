from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from intel.entities import Entity, Kind, entity
from intel.errors import ReadError
from intel.rdap_bootstrap import REGISTRIES, read_bootstrap
from intel.registration import FieldState, Outcome
from intel.registration_numbers import AutnumRecord, EntityRecord, NameServerRecord, NetworkRecord
from intel.registration_words import read_words
from tasks.normalize.rdap import read_rdap
from tasks.normalize.rdap_cards import Card
from tasks.normalize.rdap_numbers import read_object

pytestmark = pytest.mark.data

WORDS = read_words((Path(__file__).parents[3] / "configs" / "registration.yaml").read_bytes())


def subject_of(record: dict[str, Any]) -> Entity:
    kind = record["objectClassName"]
    if kind == "ip network":
        return entity(Kind.IP, record["startAddress"])
    if kind == "autnum":
        return entity(Kind.AS, str(record["startAutnum"]))
    if kind == "nameserver":
        return entity(Kind.NAME_SERVER, record["ldhName"])
    return entity(Kind.HANDLE, record["handle"])


def outcome_of(path: Path) -> str:
    """What becomes of a file: `read ...`, or `refused: reason`."""
    body = path.read_bytes()
    if path.parent.name.startswith("bootstrap") and path.suffix == ".json":
        name: Any = path.stem if path.stem in REGISTRIES else "dns"
        try:
            found = read_bootstrap({name: body})
        except ReadError as error:
            return f"refused: {error}"
        return f"read: a list of servers, {found.refused} entries refused"
    try:
        record = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        record = None
    if path.parent.name == "jcard":
        card = Card({"vcardArray": record}, "")
        if record is None:
            return "refused: no JSON"
        return "refused: no property of a card" if card.broken else f"read: a card of {len(card.properties)} properties"
    if path.name == "data_bootstrap.json":
        files: Any = {name: msgspec.json.encode(record[name.partition("-")[0]]) for name in REGISTRIES}
        return f"read: five lists of servers, {read_bootstrap(files).refused} entries refused"
    status = 404 if path.name == "404.html" else 200
    if isinstance(record, dict) and record.get("objectClassName") != "domain":
        one = read_object(body, status, WORDS, subject=subject_of(record), server="https://rdap.example")
        return f"read: {one.reason}" if one.outcome is Outcome.REGISTERED else f"refused: {one.outcome}, {one.reason}"
    domain = read_rdap(body, status, WORDS)
    kept = domain.outcome is Outcome.REGISTERED
    return f"read: {domain.reason}" if kept else f"refused: {domain.outcome}, {domain.reason}"


def test_every_file_is_read_or_refused_with_a_reason(data_dir: Path) -> None:
    folder = data_dir / "registration" / "rdap"
    table = {str(path.relative_to(folder)): outcome_of(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    shown = "\n".join(f"{name}: {what}" for name, what in table.items())
    assert len(table) == 41, shown
    refused = {Path(name).name for name, what in table.items() if what.startswith("refused: ")}
    assert refused == {
        "404.html",
        "dns_empty.json",
        "dns_syntax_error.json",
        "empty.html",
        "error_bad_properties_array.json",
        "error_bad_property_name.json",
        "error_bad_property_nest_depth.json",
        "error_bad_property_parameters_2.json",
        "error_bad_property_size.json",
        "error_bad_vcard_label.json",
        "error_invalid_json.json",
        "malformed.json",
    }, shown
    assert not [what for what in table.values() if what.partition(": ")[2] == ""], shown
    assert not [what for what in table.values() if "not_found" in what], shown


def test_real_domains_have_their_fields(data_dir: Path) -> None:
    folder = data_dir / "registration" / "rdap"
    for path in (
        *sorted((folder / "whoisit").glob("*domain*")),
        folder / "openrdap/rdap/rdap.nic.cz/domain-example.cz.json",
    ):
        found = read_rdap(path.read_bytes(), 200, WORDS)
        assert found.outcome is Outcome.REGISTERED, path.name
        assert found.name_servers, path.name
        assert found.created.at, path.name
        assert found.expires.at or path.name == "data_rdap_response_domain2.json", path.name


def test_real_numbers_have_their_fields(data_dir: Path) -> None:
    folder = data_dir / "registration" / "rdap"
    held = 0
    for path in sorted(folder.rglob("*")):
        if (
            path.parent.name not in {"whoisit", "rdap.nic.cz", "rdap-pilot.verisignlabs.com"}
            or "bootstrap" in path.name
        ):
            continue
        record = msgspec.json.decode(path.read_bytes())
        if record["objectClassName"] == "domain":
            continue
        one = read_object(path.read_bytes(), 200, WORDS, subject=subject_of(record))
        assert one.outcome is Outcome.REGISTERED, (path.name, one.reason)
        assert one.handle.value, path.name
        if isinstance(one, NetworkRecord):
            assert one.networks, path.name
            assert one.name.value, path.name
            assert one.type.value or "arin" in str(record.get("port43")), path.name
        if isinstance(one, AutnumRecord):
            assert one.first == one.last, path.name
        if isinstance(one, NameServerRecord):
            assert one.name, path.name
        if isinstance(one, EntityRecord):
            assert one.contact is not None, path.name
            assert one.contact.speaks, path.name
            assert one.contact.country.state is FieldState.VALUE, path.name
        held += bool(one.holder and one.holder.organisation.state is FieldState.VALUE)
    assert held >= 4
