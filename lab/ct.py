"""A small Certificate Transparency log on loopback (RFC 6962): certificates in, signed answers out, faults on demand.

It grows while it is followed, and its clock is given, so that its answers are the same every time.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from intel.ct import (
    DigitallySigned,
    EntryType,
    SignedTreeHead,
    TimestampedEntry,
    log_id,
    tree_head_message,
    vector24,
    write_leaf,
)
from intel.merkle import leaf_hash
from intel.x509 import read_certificate, tbs_without_scts
from lab.certificates import key_from_seed, sign, spki_der
from lab.merkle import MerkleTree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

_SHA256_ECDSA: Final = (4, 3)  # RFC 5246 7.4.1.4.1


@dataclass(kw_only=True)
class CtFaults:
    """What the log does wrong; all of it may be switched while it runs. Indexes and sizes are the tree's."""

    bad_signature: bool = False
    wrong_root: bool = False
    flipped_leaf: int | None = None
    flipped_extra_data: int | None = None
    shrunk_to: int | None = None
    throttled: bool = False
    retry_after: str | None = None
    no_entries: bool = False
    too_many_entries: bool = False
    hang_seconds: float = 0.0
    web_page: bool = False


def _fixed_clock() -> datetime:
    return datetime(2026, 1, 2, tzinfo=UTC)


class CtLog:
    """The log. `base_url + "/ct/v1/..."` is answered by `app()`; `append` may be called from any thread."""

    def __init__(
        self,
        *,
        seed: str = "lab log",
        clock: Callable[[], datetime] = _fixed_clock,
        maximum: int = 256,
        accepted: Sequence[bytes] = (),
    ) -> None:
        self.key: Final = key_from_seed(seed)
        self.key_der: Final = spki_der(self.key)
        self.faults: Final = CtFaults()
        self.maximum = maximum
        self.accepted: Final = tuple(accepted)
        self.requests: Final[list[str]] = []
        self._clock = clock
        self._lock = threading.Lock()
        self._tree = MerkleTree()
        self._entries: list[tuple[bytes, bytes]] = []
        self._index_of: dict[bytes, int] = {}
        self._published = 0

    @property
    def size(self) -> int:
        """How many entries it holds, published or not."""
        return len(self._entries)

    def append(
        self,
        certificate_or_precert: bytes,
        *,
        chain: Sequence[bytes] = (),
        issuer_key_hash: bytes = b"",
        publish: bool = True,
    ) -> bytes:
        """Log a certificate or precertificate; the SCT (RFC 6962 3.2) comes back. Unpublished ones wait for `publish`.

        A precertificate wants `issuer_key_hash`.
        """
        precert = read_certificate(certificate_or_precert).is_precertificate
        if precert and len(issuer_key_hash) != 32:
            raise ValueError("a precertificate is logged with its issuer's key hash")
        entry = TimestampedEntry(
            timestamp=_milliseconds(self._clock()),
            entry_type=EntryType.PRECERT if precert else EntryType.X509,
            signed=tbs_without_scts(certificate_or_precert) if precert else certificate_or_precert,
            issuer_key_hash=issuer_key_hash if precert else b"",
        )
        chain_octets = vector24(b"".join(vector24(certificate) for certificate in chain))
        extra = (vector24(certificate_or_precert) if precert else b"") + chain_octets
        self.append_raw(write_leaf(entry), extra, publish=publish)
        return self._sct(entry)

    def append_raw(self, leaf_input: bytes, extra_data: bytes = b"\0\0\0", *, publish: bool = True) -> None:
        """Log octets as they are, readable or not."""
        with self._lock:
            hashed = leaf_hash(leaf_input)
            self._tree.append(hashed)
            self._index_of.setdefault(hashed, len(self._entries))
            self._entries.append((leaf_input, extra_data))
            if publish:
                self._published = len(self._entries)

    def publish(self) -> None:
        """Let the next tree head cover all that was appended."""
        with self._lock:
            self._published = len(self._entries)

    def _sct(self, entry: TimestampedEntry) -> bytes:
        # RFC 6962 3.2: what is signed is the entry behind version 1 and signature type certificate_timestamp.
        signed = self._signed(b"\x00\x00" + entry.to_bytes())
        head = b"\x00" + log_id(self.key_der) + struct.pack(">Q", entry.timestamp)
        return head + struct.pack(">H", len(entry.extensions)) + entry.extensions + signed.to_bytes()

    def _signed(self, message: bytes) -> DigitallySigned:
        hash_algorithm, signature_algorithm = _SHA256_ECDSA
        return DigitallySigned(
            hash_algorithm=hash_algorithm, signature_algorithm=signature_algorithm, signature=sign(self.key, message)
        )

    def tree_head(self, size: int | None = None) -> SignedTreeHead:
        """A signed head of the first `size` entries; of all published ones, with the faults, where not given."""
        with self._lock:
            faults = self.faults
            shown = size
            if shown is None:
                shown = self._published if faults.shrunk_to is None else faults.shrunk_to
            root = self._tree.root(shown)
        if size is None and faults.wrong_root:
            root = bytes(octet ^ 0xFF for octet in root)
        timestamp = _milliseconds(self._clock())
        message = tree_head_message(timestamp, shown, root)
        if size is None and faults.bad_signature:
            message += b"\0"
        return SignedTreeHead(tree_size=shown, timestamp=timestamp, root_hash=root, signature=self._signed(message))

    def app(self) -> Starlette:
        """The log as an ASGI application."""
        calls = {
            "get-sth": self._get_sth,
            "get-entries": self._get_entries,
            "get-sth-consistency": self._get_consistency,
            "get-proof-by-hash": self._get_proof_by_hash,
            "get-entry-and-proof": self._get_entry_and_proof,
            "get-roots": self._get_roots,
        }

        def route(name: str, answer: Callable[[Request], Any]) -> Route:
            async def endpoint(request: Request) -> Response:
                return await self._answer(request, answer)

            return Route(f"/ct/v1/{name}", endpoint)

        return Starlette(routes=[route(name, answer) for name, answer in calls.items()])

    async def _answer(self, request: Request, answer: Callable[[Request], Any]) -> Response:
        self.requests.append(f"{request.url.path}?{request.url.query}")
        faults = self.faults
        if faults.hang_seconds:
            await asyncio.sleep(faults.hang_seconds)
        if faults.throttled:
            headers = {} if faults.retry_after is None else {"Retry-After": faults.retry_after}
            return Response("slow down", status_code=429, headers=headers)
        if faults.web_page:
            return Response("<html><body>be right back</body></html>", media_type="text/html")
        try:
            return JSONResponse(answer(request))
        except (KeyError, ValueError, IndexError) as error:
            return Response(f"bad request: {error}", status_code=400)

    def _get_sth(self, _request: Request) -> dict[str, Any]:
        head = self.tree_head()
        return {
            "tree_size": head.tree_size,
            "timestamp": head.timestamp,
            "sha256_root_hash": _base64(head.root_hash),
            "tree_head_signature": _base64(head.signature.to_bytes()),
        }

    def _get_entries(self, request: Request) -> dict[str, Any]:
        start, end = int(request.query_params["start"]), int(request.query_params["end"])
        if not 0 <= start <= end or start >= self._published:
            raise ValueError("no such range")
        if self.faults.no_entries:
            return {"entries": []}
        stop = min(end + 1, start + self.maximum, self._published)
        if self.faults.too_many_entries:
            stop = min(end + 2, self.size)
        return {"entries": [self._entry_json(index) for index in range(start, stop)]}

    def _entry_json(self, index: int) -> dict[str, str]:
        leaf_input, extra_data = self._entries[index]
        if index == self.faults.flipped_leaf:
            leaf_input = _flipped(leaf_input)
        if index == self.faults.flipped_extra_data:
            extra_data = _flipped(extra_data)
        return {"leaf_input": _base64(leaf_input), "extra_data": _base64(extra_data)}

    def _get_consistency(self, request: Request) -> dict[str, Any]:
        first, second = int(request.query_params["first"]), int(request.query_params["second"])
        if not 0 <= first <= second <= self._published:
            raise ValueError("no such sizes")
        with self._lock:
            return {"consistency": [_base64(node) for node in self._tree.consistency(first, second)]}

    def _get_proof_by_hash(self, request: Request) -> dict[str, Any]:
        size = int(request.query_params["tree_size"])
        index = self._index_of[base64.b64decode(request.query_params["hash"], validate=True)]
        return {"leaf_index": index, "audit_path": self._audit_path(index, size)}

    def _get_entry_and_proof(self, request: Request) -> dict[str, Any]:
        index, size = int(request.query_params["leaf_index"]), int(request.query_params["tree_size"])
        path = self._audit_path(index, size)
        return {**self._entry_json(index), "audit_path": path}

    def _audit_path(self, index: int, size: int) -> list[str]:
        if not 0 <= index < size <= self._published:
            raise ValueError("no such leaf in a tree of that size")
        with self._lock:
            return [_base64(node) for node in self._tree.inclusion(index, size)]

    def _get_roots(self, _request: Request) -> dict[str, Any]:
        return {"certificates": [_base64(certificate) for certificate in self.accepted]}


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _flipped(octets: bytes) -> bytes:
    at = len(octets) // 4  # in a precertificate and its chain: within its TBSCertificate
    return octets[:at] + bytes((octets[at] ^ 0x01,)) + octets[at + 1 :]


def _milliseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
