"""Asks a tiled Certificate Transparency log (C2SP static-ct-api): a client and what is wanted in, raw bytes out.

Nothing is tried again here: see `tasks/collect/ct_ask.py`. `prefix` is the log's monitoring prefix, with or without the
slash at its end. Errors of all: the collect tree's, OversizedError, and ReadError for a web page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from intel.ct_static import TILE_WIDTH, tile_path
from intel.errors import ReadError, StatusError, VerificationError
from intel.merkle import HASH_SIZE
from tasks.collect.http import HttpLimits, RetryPolicy, expect_media, fetch
from tasks.collect.inflate import expand_gzip

if TYPE_CHECKING:
    import httpx

_ONCE: Final = RetryPolicy(retries=0)
_CHECKPOINT: Final = HttpLimits(max_bytes=1 << 14, max_seconds=60.0)
_HASHES: Final = HttpLimits(max_bytes=TILE_WIDTH * HASH_SIZE, max_seconds=60.0)
_CERTIFICATE: Final = HttpLimits(max_bytes=1 << 20, max_seconds=60.0)
_GZIP: Final = b"\x1f\x8b"
_GONE: Final = frozenset({404, 410})


def get_checkpoint(client: httpx.Client, prefix: str, *, limits: HttpLimits = _CHECKPOINT) -> bytes:
    """The log's checkpoint: a signed note."""
    return _get(client, prefix, "checkpoint", limits)


def get_hash_tile(
    client: httpx.Client, prefix: str, level: int, index: int, width: int = TILE_WIDTH, *, limits: HttpLimits = _HASHES
) -> bytes:
    """`width` hashes of the tile `index` of level `level`; they are checked by what is made of them."""
    body = _get_tile(client, prefix, (level, index, width), limits)
    if len(body) < width * HASH_SIZE:
        raise VerificationError(
            f"couldn't use {tile_path(level, index, width)}: {len(body)} octets are not {width} hashes; nothing of"
            " it is believed"
        )
    return body[: width * HASH_SIZE]


def get_data_tile(
    client: httpx.Client, prefix: str, index: int, width: int = TILE_WIDTH, *, limits: HttpLimits
) -> bytes:
    """The tile `index` of entries, unpacked; it may hold more than `width` where it has become full meanwhile."""
    body = _get_tile(client, prefix, (None, index, width), limits)
    # Packed without saying so, as object stores serve it: no entry was logged in the year that these octets say.
    if body.startswith(_GZIP):
        body = expand_gzip(body, max_bytes=limits.max_bytes, max_expansion=limits.max_expansion)
    return body


def get_issuer(client: httpx.Client, prefix: str, fingerprint: bytes, *, limits: HttpLimits = _CERTIFICATE) -> bytes:
    """The certificate with this SHA-256, not yet compared with it."""
    return _get(client, prefix, f"issuer/{fingerprint.hex()}", limits)


def _get_tile(client: httpx.Client, prefix: str, tile: tuple[int | None, int, int], limits: HttpLimits) -> bytes:
    level, index, width = tile
    try:
        return _get(client, prefix, tile_path(level, index, width), limits)
    except StatusError as error:
        if width == TILE_WIDTH or error.status not in _GONE:
            raise
    # A partial tile may go once the full one is there, and then that one has what was in it.
    return _get(client, prefix, tile_path(level, index), limits)


def _get(client: httpx.Client, prefix: str, path: str, limits: HttpLimits) -> bytes:
    fetched = fetch(client, f"{prefix.rstrip('/')}/{path}", limits=limits, retry=_ONCE)
    expect_media(fetched, path)
    if not fetched.body:
        raise ReadError(f"couldn't use {path}: the log sent nothing; it is left until the next run")
    return fetched.body
