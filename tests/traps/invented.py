"""Configs of the invented twins: shared things that no list of ours names, entered as an analyst would enter them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final

import yaml

from intel.settings import CHECKOUT

CONTENT_NETWORK: Final = ("198.51.100.10", "198.51.100.11", "2001:db8:cd::10")
CONTENT_NAME: Final = "edge.contentnet.example"
LEAKED_KEY: Final = "sha256:" + "1e" * 32
LEAKED_CERTIFICATE: Final = "sha256:" + "ce" * 32
DNS_PROVIDER: Final = "dns.provider.example"
"""Deals out a pair of its hosts by account, as Cloudflare does."""
DEFAULT_SET: Final = "ns1.registrar.example ns2.registrar.example"
"""What every customer of a registrar has who asks for nothing else."""
MAIL_PROVIDER: Final = "mail.everybody.example"
PARKING: Final = ("park1.parked.example", "park2.parked.example")
AUTHORITY: Final = "taken@authority.example"
AUTHORITY_SERVERS: Final = ("ns1.seized-by.example", "ns2.seized-by.example")
RESELLER: Final = "orders@reseller.example"
"""A reseller's mailbox: nothing says that it is one."""
REGISTRAR: Final = 64_001
REGISTRAR_NAMES: Final = ("Quayside Names Limited", "Harbour Domain Company")


def write_configs(folder: Path) -> None:
    """The project's configs, and entries for the invented things."""
    shutil.copytree(CHECKOUT / "configs", folder, ignore=shutil.ignore_patterns("sources", "watches"))
    for name in ("sources", "watches"):
        (folder / name).mkdir()
    entry = {"why": "invented", "as_of": "2026-03-01", "source": "a test"}
    values = {
        "content-network": entry
        | {"hub": "cdn", "names": ["contentnet.example"], "values": {"ip": list(CONTENT_NETWORK)}},
        "dns-provider": entry | {"hub": "dns-provider", "names": [DNS_PROVIDER]},
        "default-set": entry | {"hub": "registrar-default", "names": ["registrar.example"], "sets": 0},
        "mail-provider": entry | {"hub": "mail-provider", "names": [MAIL_PROVIDER]},
        "parking": entry | {"hub": "parking", "names": ["parked.example"], "sets": 0},
        "leaked-key": entry
        | {"hub": "leaked-key", "values": {"public-key": [LEAKED_KEY], "certificate": [LEAKED_CERTIFICATE]}},
    }
    _add(folder / "hubs-values.yaml", "entries", values)
    taken = {
        "reason": "seized",
        "how": "an invented authority holds it",
        "as_of": "2026-03-01",
        "registrants": [AUTHORITY],
        "name_servers": ["seized-by.example"],
    }
    _add(folder / "hubs.yaml", "ends", [taken])
    _add(folder / "registrars.yaml", "registrars", [{"iana_id": REGISTRAR, "names": list(REGISTRAR_NAMES)}])


def _add(path: Path, key: str, more: Any) -> None:
    value = yaml.safe_load(path.read_text("utf-8"))
    value[key] = value[key] | more if isinstance(more, dict) else [*value.get(key, ()), *more]
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), "utf-8")
