"""What a request asks for, and where the next page goes on.

Comes in: the query of a request (TAXII 2.1, section 3.4, and 5 for the filters). Goes out: a `Selection`, or a 400.

`next` is a position, not a session: it says after which position of the collection to go on and what was asked for,
signed for one partner, collection and resource. Following it alone continues the same question (some clients drop the
filters), filters that come with it count in place of its own, and `added_after` is ignored, since the position says
more. It opens nothing: authorisation is checked with every request.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from starlette.datastructures import QueryParams

from apps.taxii.errors import bad_request

MAX_LIMIT: Final = 1000
_SPEC_VERSION: Final = "2.1"
_MATCH: Final = ("match[id]", "match[type]", "match[version]", "match[spec_version]")
# A token carries the filters, and comes back beside them: both fit into a request line of 64 KiB.
_MAX_QUERY: Final = 32_768
_MAX_FILTERS: Final = 12_288
_MAX_VALUES: Final = 200
_MAC_BYTES: Final = 16
_DIGITS: Final = re.compile(r"[0-9]{1,20}")
_SPEC: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions of which objects, after which position. Times are UTC; `added_after` is a `date_added`.

    `versions` has `first`, `last`, `all` or times. `any_spec` is false where only other STIX versions are asked for.
    `filters` is what was asked, as it was written, for the next page's token.
    """

    limit: int
    after: int
    added_after: datetime | None
    ids: tuple[str, ...]
    types: tuple[str, ...]
    versions: tuple[str | datetime, ...]
    any_spec: bool
    filters: dict[str, str]


class _Token(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    after: int
    limit: int
    filters: dict[str, str]


class Signer:
    """Makes and reads `next`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, selection: Selection, after: int, scope: Sequence[str]) -> str:
        """The token that goes on after position `after`; `scope` is the partner, collection and resource."""
        payload = msgspec.json.encode(_Token(after=after, limit=selection.limit, filters=selection.filters))
        return base64.urlsafe_b64encode(self._mac(payload, scope) + payload).decode().rstrip("=")

    def read(self, token: str, scope: Sequence[str]) -> _Token:
        """What a token says. Raises the 400 of one that is altered, or of another `scope`."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise bad_request("next isn't one of ours; start without it") from error
        mac, payload = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(payload, scope)):
            raise bad_request("next isn't one of ours, or not for this; start without it")
        return msgspec.json.decode(payload, type=_Token)

    def _mac(self, payload: bytes, scope: Sequence[str]) -> bytes:
        signed = "\0".join(scope).encode() + b"\0" + payload
        return hmac.new(self._secret, signed, hashlib.sha256).digest()[:_MAC_BYTES]


def read_selection(
    query: QueryParams, signer: Signer, scope: Sequence[str], *, allowed: Sequence[str] = _MATCH
) -> Selection:
    """What a request asks for. Unknown parameters are ignored, empty ones too. Raises the 400 of a malformed one.

    `allowed` names the filters that the resource knows.
    """
    given = _given(query)
    filters = {name: given[name] for name in allowed if name in given}
    limit, after = _limit(given.get("limit")), 0
    added_after = None if "added_after" not in given else timestamp(given["added_after"], "added_after")
    if "next" in given:
        token = signer.read(given["next"], scope)
        after, added_after = token.after, None
        limit = token.limit if "limit" not in given else limit
        filters = {name: value for name, value in token.filters.items() if name in allowed} | filters
    if len(msgspec.json.encode(filters)) > _MAX_FILTERS:
        raise bad_request(f"the filters are longer than {_MAX_FILTERS} bytes")
    specs = _values(filters, "match[spec_version]")
    if any(not _SPEC.fullmatch(spec) for spec in specs):
        raise bad_request("match[spec_version] has something other than versions of STIX")
    return Selection(
        limit=limit,
        after=after,
        added_after=added_after,
        ids=_values(filters, "match[id]"),
        types=_values(filters, "match[type]"),
        versions=_versions(_values(filters, "match[version]")),
        any_spec=not specs or _SPEC_VERSION in specs,
        filters=filters,
    )


def timestamp(text: str, name: str) -> datetime:
    """An RFC 3339 time with 0 to 6 fractional digits, in UTC. Raises the 400 of anything else.

    A plus sign that a client did not encode arrives as a space.
    """
    if text[-6:-5] == " ":
        text = f"{text[:-6]}+{text[-5:]}"
    match = _TIME.fullmatch(text)
    if match is None:
        raise bad_request(f"{name} has something other than an RFC 3339 time with at most 6 fractional digits")
    date, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone in {"Z", "z"} else zone
    try:
        return datetime.fromisoformat(f"{date}T{clock}{(fraction or '.').ljust(7, '0')}{zone}").astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise bad_request(f"{name} has a time that does not exist") from error


def _given(query: QueryParams) -> dict[str, str]:
    """The parameters that are not empty; a filter that is given twice asks for either."""
    given: dict[str, str] = {}
    if sum(len(name) + len(value) for name, value in query.multi_items()) > _MAX_QUERY:
        raise bad_request(f"the query is longer than {_MAX_QUERY} characters")
    for name, value in query.multi_items():
        if _CONTROL.search(value):
            raise bad_request("a parameter has control characters in it")
        if value.strip():
            both = name in _MATCH and name in given
            given[name] = f"{given[name]},{value}" if both else value.strip()
    return given


def _limit(text: str | None) -> int:
    if text is None:
        return MAX_LIMIT
    if not _DIGITS.fullmatch(text) or int(text) == 0:
        raise bad_request("limit is something other than a number above 0")
    return min(int(text), MAX_LIMIT)


def _values(filters: dict[str, str], name: str) -> tuple[str, ...]:
    values = tuple(dict.fromkeys(value.strip() for value in filters.get(name, "").split(",") if value.strip()))
    if len(values) > _MAX_VALUES:
        raise bad_request(f"{name} has more than {_MAX_VALUES} values")
    return values


def _versions(values: tuple[str, ...]) -> tuple[str | datetime, ...]:
    if "all" in values and len(values) > 1:
        raise bad_request("match[version] has all beside other versions")
    words = {"first", "last", "all"}
    return tuple(value if value in words else timestamp(value, "match[version]") for value in values) or ("last",)
