"""The real data of the traps: 718 domains of three campaigns with what was known of each, and the galaxy of actors."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from tests.traps.warehouse import Warehouse, galaxy, table

PIVOTS: Final = "keys/iris_pivots.csv"
EXPORTS: Final = "actors/domaintools/2025"
GALAXY: Final = "actors/reference/misp-galaxy_threat-actor.json"


def _said(predicate: str, column: str, kind: str, *, split: str | None = " ") -> dict[str, Any]:
    value: dict[str, Any] = {"column": column, "kind": kind}
    if split is not None:
        value["split"] = split
    return {
        "subject": {"column": "domain", "kind": "domain"},
        "predicate": predicate,
        "object": value,
        "optional": True,
    }


MAPPING: Final[dict[str, Any]] = {
    "statements": [
        _said("created", "create_date", "time", split=None),
        _said("registered-through", "registrar", "registrar", split=None),
        _said("registered-by", "reg_email", "email"),
        _said("registered-by", "reg_name", "registrant", split=None),
        _said("uses-name-server", "ns", "name-server"),
        _said("uses-name-servers", "ns", "name-server-set", split=None),
        _said("uses-mail-host", "mx", "domain"),
        _said("resolves-to", "ip", "ip"),
        _said("presents", "cert_sha1", "certificate"),
    ],
    "event_time": {"column": "first_seen"},
}


CONTACTS: Final[dict[str, Any]] = {
    "statements": [_said("has-soa-contact", "soa email 1", "email", split=None)],
    "event_time": {"column": "first seen"},
}


@dataclass(frozen=True)
class Row:
    """A domain of a campaign, and what it was seen with."""

    campaign: str
    domain: str
    addresses: frozenset[str]
    hosts: frozenset[str]
    emails: frozenset[str]
    names: frozenset[str]
    certificates: frozenset[str]
    mail: frozenset[str]
    registrar: str


@cache
def rows(root: Path) -> tuple[Row, ...]:
    with (root / PIVOTS).open(encoding="utf-8") as file:
        return tuple(
            Row(
                campaign=row["campaign"],
                domain=row["domain"],
                addresses=frozenset(row["ip"].split()),
                hosts=frozenset(row["ns"].split()),
                emails=frozenset(row["reg_email"].split()),
                names=frozenset({row["reg_name"]} - {""}),
                certificates=frozenset(row["cert_sha1"].split()),
                mail=frozenset(row["mx"].split()),
                registrar=row["registrar"],
            )
            for row in csv.DictReader(file)
        )


def pairs(root: Path, *, same: bool) -> Iterator[tuple[Row, Row]]:
    """Pairs of domains of one campaign, or of two."""
    for left, right in combinations(rows(root), 2):
        if (left.campaign == right.campaign) is same:
            yield left, right


def shared_aliases(root: Path) -> dict[str, frozenset[str]]:
    """Names that more than one actor of the galaxy goes by, each with the actors' ids."""
    named: dict[str, set[str]] = defaultdict(set)
    for cluster in json.loads((root / GALAXY).read_bytes())["values"]:
        for name in (cluster["value"], *cluster.get("meta", {}).get("synonyms", ())):
            named[name.lower()].add(cluster["uuid"])
    return {name: frozenset(actors) for name, actors in sorted(named.items()) if len(actors) > 1}


def read_all(warehouse: Warehouse, root: Path, folder: Path) -> None:
    """Through collect, normalize and load; of the actors those that share an alias, by way of `folder`."""
    assert warehouse.read(table("campaigns", root / PIVOTS, MAPPING)) > 0
    assert warehouse.read(table("contacts", root / EXPORTS, CONTACTS, pattern="*.csv")) > 0
    wanted = {actor for actors in shared_aliases(root).values() for actor in actors}
    whole = json.loads((root / GALAXY).read_bytes())
    whole["values"] = [cluster for cluster in whole["values"] if cluster["uuid"] in wanted]
    (folder / "galaxy.json").write_text(json.dumps(whole), "utf-8")
    assert warehouse.read(galaxy("galaxy", folder / "galaxy.json")) > 0
