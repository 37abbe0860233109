"""Asks a Certificate Transparency log (RFC 6962 section 4): a client and an index range in, raw JSON answers out.

Nothing is tried again here: how often a log may be asked is decided where it is followed, for each log. `base_url` is
the log's, with or without the slash at its end.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import msgspec

from intel.ct_frames import NOT_JSON
from intel.errors import PagingError, ReadError
from tasks.collect.http import HttpLimits, RetryPolicy, expect_media, fetch, public_url

if TYPE_CHECKING:
    import httpx

_ONCE: Final = RetryPolicy(retries=0)
# A head has four short fields, a proof at most 64 hashes.
_SMALL: Final = HttpLimits(max_bytes=1 << 16, max_seconds=60.0)
# A log may answer with fewer entries than asked for, so that a large certificate does not make a range unreadable.
_ENTRIES: Final = HttpLimits(max_bytes=64 << 20, max_seconds=180.0, read_seconds=60.0)


def get_sth(client: httpx.Client, base_url: str, *, limits: HttpLimits = _SMALL) -> bytes:
    """The log's signed tree head, as JSON. Raises the collect tree's errors and OversizedError."""
    return _get(client, base_url, "get-sth", limits)


def get_entries(
    client: httpx.Client, base_url: str, start: int, end: int, *, limits: HttpLimits = _ENTRIES
) -> tuple[bytes, int]:
    """Entries `start` to `end`, both included, as JSON, and how many; fewer are normal, and the rest is asked for next.

    Raises PagingError for none at all or more than asked for, ReadError for what is not a list of entries, the
    collect tree's errors and OversizedError.
    """
    if not 0 <= start <= end:
        raise ValueError(f"no range of entries: {start} to {end}")
    body = _get(client, base_url, f"get-entries?start={start}&end={end}", limits)
    what = f"couldn't get entries {start} to {end} of {public_url(base_url)}"
    try:
        count = len(_COUNTED.decode(body).entries)
    except NOT_JSON as error:
        raise ReadError(f"{what}: the answer is no list of entries; the range is left until the next run") from error
    if count == 0:
        raise PagingError(f"{what}: the log gave none; the range is left until the next run")
    if count > end - start + 1:
        raise PagingError(f"{what}: the log gave {count}; the range is left until the next run")
    return body, count


def get_sth_consistency(
    client: httpx.Client, base_url: str, first: int, second: int, *, limits: HttpLimits = _SMALL
) -> bytes:
    """The proof that the tree of `second` leaves continues the one of `first`, as JSON. Errors as for `get_sth`."""
    return _get(client, base_url, f"get-sth-consistency?first={first}&second={second}", limits)


def get_entry_and_proof(
    client: httpx.Client, base_url: str, index: int, tree_size: int, *, limits: HttpLimits = _ENTRIES
) -> bytes:
    """The entry at `index` with its audit path, as JSON: where to begin at a log's end. Errors as for `get_sth`."""
    return _get(client, base_url, f"get-entry-and-proof?leaf_index={index}&tree_size={tree_size}", limits)


def get_proof_by_hash(
    client: httpx.Client, base_url: str, leaf_hash: bytes, tree_size: int, *, limits: HttpLimits = _SMALL
) -> bytes:
    """The audit path of the entry with this leaf hash, as JSON (RFC 6962 4.5). Errors as for `get_sth`."""
    encoded = quote(base64.b64encode(leaf_hash).decode(), safe="")
    return _get(client, base_url, f"get-proof-by-hash?hash={encoded}&tree_size={tree_size}", limits)


class _Counted(msgspec.Struct):
    entries: list[msgspec.Raw]


_COUNTED: Final = msgspec.json.Decoder(_Counted)


def _get(client: httpx.Client, base_url: str, call: str, limits: HttpLimits) -> bytes:
    fetched = fetch(client, f"{base_url.rstrip('/')}/ct/v1/{call}", limits=limits, retry=_ONCE)
    expect_media(fetched, "json")
    return fetched.body
