"""Writes a configs/ folder for the lab: its sources, the addresses that may be reached, a watch, who we are.

Comes in: where the lab's servers listen. Goes out: files that the schemas of intel/config/ read; what the lab does not
change (words, hubs, publishing) is copied from the project's own configs/.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from intel.settings import CHECKOUT
from lab import world

_OPEN: Final = {"name": "invented", "commercial_use": True, "redistribution": True}

GREY_HERON: Final = {
    "grey-heron.yaml": {
        "name": "grey-heron",
        "reason": "phished our harbour pilots in January",
        "actor": world.ACTOR,
        "follow_actor": True,
    }
}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the lab listens: base URLs without a slash at the end, WHOIS as (host, port).

    `bootstrap` and `whois_root` lead to RDAP and WHOIS servers as IANA does; without them `rdap` and `whois` are named
    for every name.
    """

    feeds: str
    taxii: str
    taxii_collection: str
    ct: str
    ct_key: bytes
    ct_tiled: str = ""
    ct_tiled_key: bytes = b""
    rdap: str
    whois: tuple[str, int]
    bootstrap: str = ""
    whois_root: str = ""
    allow: frozenset[tuple[str, int]]


def write_configs(
    folder: Path,
    here: Addresses,
    *,
    entries: Sequence[Mapping[str, Any]] | None = None,
    watches: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write the folder anew; `entries` and `watches` take the place of the invented world's."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CHECKOUT / "configs", folder, ignore=shutil.ignore_patterns("sources", "watches"))
    for name in ("sources", "watches"):
        (folder / name).mkdir()
    _write(folder / "sources" / "lab.yaml", {"sources": list(sources(here) if entries is None else entries)})
    for kept in ("registration.yaml",):
        if (CHECKOUT / "configs" / "sources" / kept).exists():
            shutil.copy(CHECKOUT / "configs" / "sources" / kept, folder / "sources" / kept)
    _write(folder / "network.yaml", {"allow": sorted(f"{host}:{port}" for host, port in here.allow)})
    _write(
        folder / "organisation.yaml",
        {
            "name": "Harbour Authority (invented)",
            "sector": "transport",
            "contact": "soc@harbour.example",
            "domains": [world.OUR_DOMAIN],
            "brands": ["harbour"],
        },
    )
    for name, watch in (GREY_HERON if watches is None else watches).items():
        _write(folder / "watches" / name, dict(watch))
    _lookups(folder / "lookups.yaml", here, real=watches is not None)
    _hubs(folder)


def sources(here: Addresses) -> list[dict[str, Any]]:
    """An entry for each feed of the invented world."""
    feeds = here.feeds

    def source(name: str, format_: str, path: str, semantics: str, **more: Any) -> dict[str, Any]:
        return {
            "name": f"lab-{name}",
            "title": f"Invented {name}",
            "transport": "http",
            "format": format_,
            "location": f"{feeds}/{path}",
            "semantics": semantics,
            "cadence": "hourly",
            "reliability": "C",
            "tlp": "GREEN",
            "licence": _OPEN,
            "enabled": True,
            **more,
        }

    url_table = {
        "statements": [
            {
                "subject": {
                    "column": "indicator",
                    "kind_from": "type",
                    "kinds": {"url": "url", "domain": "domain", "ip": "ip"},
                },
                "object": {"column": "tag", "kind": "label"},
            }
        ],
        "event_time": {"column": "date"},
        "reference": {"column": "reference"},
    }
    new_domains = {
        "statements": [
            {"subject": {"column": "domain", "kind": "domain"}, "predicate": predicate, "object": said}
            for predicate, said in (
                ("created", {"column": "created", "kind": "time"}),
                ("registered-through", {"column": "registrar", "kind": "registrar"}),
                ("resolves-to", {"column": "ip", "kind": "ip"}),
            )
        ],
        "event_time": {"column": "created"},
    }
    registrations = {
        "statements": [
            {
                "subject": {"column": "domain", "kind": "domain"},
                "predicate": predicate,
                "object": {"column": column, "kind": kind}
                | ({"split": " "} if predicate == "uses-name-server" else {}),
                "optional": True,
            }
            for predicate, column, kind in (
                ("created", "created", "time"),
                ("registered-through", "registrar", "registrar"),
                ("registered-by", "registrant", "registrant"),
                ("registered-by", "email", "email"),
                ("registered-by", "phone", "phone"),
                ("uses-name-server", "servers", "name-server"),
                ("uses-name-servers", "servers", "name-server-set"),
                ("resolves-to", "address", "ip"),
            )
        ],
        "event_time": {"column": "seen"},
    }
    return [
        source("phishing", "list", "lists/phishing.txt", "snapshot", options={"kind": "domain", "label": "phishing"}),
        source("newly-registered", "domains", "lists/newly-registered.txt", "stream"),
        source("urls", "csv", "csv/urls.csv", "stream", options={"mapping": url_table}),
        source("registrations", "csv", "csv/registrations.csv", "stream", options={"mapping": registrations}),
        source("new-domains", "json", "json/new-domains.json", "stream", options={"mapping": new_domains}),
        source(
            "trails", "maltrail", "trails/apt_greyheron.txt", "snapshot", options={"naming_authority": "maltrail"}
        ),
        source(
            "galaxy", "galaxy", "galaxy/threat-actor.json", "snapshot", options={"naming_authority": "misp-galaxy"}
        ),
        source("stix", "stix", "stix/report.json", "stream"),
        source("misp", "misp", "misp/", "stream", transport="misp"),
        source(
            "taxii", "stix", "", "stream",
            transport="taxii", location=f"{here.taxii}/api/", options={"collection": here.taxii_collection},
        ),
        source(
            "ct", "ct", "", "stream",
            transport="ct", location=here.ct + "/", cadence="continuous",
            options={"log_key": base64.b64encode(here.ct_key).decode("ascii"), "follow": "start"},
        ),
        source(
            "ct-static", "ct", "", "stream",
            transport="ct", location=here.ct_tiled + "/", cadence="continuous",
            options={
                "protocol": "static",
                "log_key": base64.b64encode(here.ct_tiled_key).decode("ascii"),
                "follow": "start",
            },
        ),
    ]  # fmt: skip


def _lookups(path: Path, here: Addresses, *, real: bool) -> None:
    """Point every look-up at the lab's registry; of real data nothing is asked at all."""
    if not path.exists():
        return
    value = yaml.safe_load(path.read_text("utf-8"))
    value["manners"] |= {"default": {"per_minute": 6000, "burst": 100, "per_day": 100_000}, "servers": {}}
    # The story's days are not today, and minutes apart: what was answered yesterday is asked again.
    value |= {"stale_days": 36_500, "reuse_days": 0}
    value["refresh"]["most"] = 1
    value |= {"rdap": not real, "whois": not real}
    if here.bootstrap:
        value |= {"bootstrap": here.bootstrap, "whois_root": here.whois_root}
    else:
        value["rdap_servers"] = {"example": f"{here.rdap}/"}
        value["whois_servers"] = {"example": f"{here.whois[0]}:{here.whois[1]}"}
    _write(path, value)


def _hubs(folder: Path) -> None:
    """Add what is shared in the invented world, and who seizes domains there."""
    as_of = f"{world.MONDAY:%Y-%m-%d}"
    authority = {
        "reason": "seized",
        "how": "its name servers are those of an invented authority",
        "as_of": as_of,
        "name_servers": [world.AUTHORITY],
    }
    _add(folder / "hubs.yaml", "ends", [authority])
    known = {"as_of": as_of, "source": "invented"}
    shared = {
        "lab-content-network": known
        | {"hub": "cdn", "why": "an invented content network", "values": {"ip": [world.CONTENT_NETWORK]}},
        "lab-mail": known | {"hub": "mail-provider", "why": "invented mailboxes", "names": [world.MAIL_PROVIDER]},
        "lab-defaults": known
        | {"hub": "registrar-default", "why": "an invented registrar's", "names": [world.DEFAULTS], "sets": 0},
    }
    _add(folder / "hubs-values.yaml", "entries", shared)


def _add(path: Path, key: str, more: Any) -> None:
    value = yaml.safe_load(path.read_text("utf-8"))
    held = value.get(key)
    value[key] = {**(held or {}), **more} if isinstance(more, dict) else [*(held or ()), *more]
    _write(path, value)


def _write(path: Path, value: object) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), "utf-8")
