"""Lists of invented logs, as Chrome's version 3 has them: for tests of what reads and applies them."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from intel.ct import log_id
from lab.certificates import key_from_seed, spki_der

MADE: Final = datetime(2026, 3, 1, 12, tzinfo=UTC)


def key_of(seed: str) -> bytes:
    """The log's key, SPKI in DER."""
    return spki_der(key_from_seed(seed))


def log_json(seed: str, **changes: Any) -> dict[str, Any]:
    """An RFC 6962 log."""
    key = key_of(seed)
    return {
        "description": f"Heron '{seed}' log",
        "log_id": base64.b64encode(log_id(key)).decode(),
        "key": base64.b64encode(key).decode(),
        "url": f"https://ct.heron.test/{seed}/",
        "mmd": 86400,
        "state": {"usable": {"timestamp": "2025-01-01T00:00:00Z"}},
        "temporal_interval": {
            "start_inclusive": "2026-01-01T00:00:00Z",
            "end_exclusive": "2026-07-01T00:00:00Z",
        },
    } | changes


def tiled_json(seed: str, **changes: Any) -> dict[str, Any]:
    """A tiled log."""
    entry = log_json(seed, mmd=60)
    del entry["url"]
    return (
        entry
        | {
            "submission_url": f"https://submit.{seed}.heron.test/",
            "monitoring_url": f"https://read.{seed}.heron.test/",
        }
        | changes
    )


def list_json(*logs: dict[str, Any], tiled: tuple[dict[str, Any], ...] = (), made_at: datetime = MADE) -> bytes:
    """A list whose one operator is Heron Trust."""
    return json.dumps(
        {
            "version": "1.2",
            "log_list_timestamp": made_at.isoformat().replace("+00:00", "Z"),
            "operators": [
                {"name": "Heron Trust", "email": ["ct@heron.test"], "logs": list(logs), "tiled_logs": list(tiled)}
            ],
        }
    ).encode()


LIST_KEY: Final = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LIST_KEY_TEXT: Final = base64.b64encode(
    LIST_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
LIST_KEY_PEM: Final = LIST_KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def signed(body: bytes) -> bytes:
    """The detached signature."""
    return LIST_KEY.sign(body, padding.PKCS1v15(), hashes.SHA256())
