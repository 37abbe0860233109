"""A small Certificate Transparency log on loopback: certificates in, signed answers out, faults on demand.

It speaks RFC 6962, static-ct-api, or the hybrid of both (tiles under the tree heads of RFC 6962). It grows while it is
followed, and its clock is given, so that its answers are the same every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

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
from intel.ct_static import TILE_WIDTH
from intel.merkle import leaf_hash
from intel.x509 import read_certificate, tbs_without_scts
from lab.certificates import key_from_seed, sign, spki_der
from lab.ct_faults import CtFaults
from lab.merkle import MerkleTree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from starlette.applications import Starlette

__all__ = ["CtFaults", "CtLog", "Entry", "Protocol", "growing", "milliseconds"]

Protocol = Literal["rfc6962", "static", "hybrid"]
"""`hybrid` answers RFC 6962, full data tiles and issuers; it has no checkpoint, no partial tile, no tile of hashes."""

_SHA256_ECDSA: Final = (4, 3)  # RFC 5246 7.4.1.4.1
_NO_CHAIN: Final = b"\0\0\0"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An entry in both wire formats: `tile_leaf` is what a data tile holds of it."""

    leaf_input: bytes
    extra_data: bytes = _NO_CHAIN
    tile_leaf: bytes = b""

    @property
    def is_precert(self) -> bool:
        """Whether the leaf says so (RFC 6962 3.4: two octets behind version, leaf type and timestamp)."""
        return self.leaf_input[10:12] == b"\x00\x01"


def _fixed_clock() -> datetime:
    return datetime(2026, 1, 2, tzinfo=UTC)


class CtLog:
    """The log. `base_url + "/ct/v1/..."` (or tiles) is answered by `app()`; `append` may be called from any thread.

    `origin` names a tiled log in its checkpoints. `leaf_index` is whether entries and SCTs state their index, as
    static-ct-api wants it. `compressed` tiles are gzip whether or not the client asked for it.
    """

    def __init__(
        self,
        *,
        seed: str = "lab log",
        protocol: Protocol = "rfc6962",
        clock: Callable[[], datetime] = _fixed_clock,
        maximum: int = 256,
        accepted: Sequence[bytes] = (),
        origin: str = "log.example/lab",
        leaf_index: bool | None = None,
        compressed: bool = True,
    ) -> None:
        self.key: Final = key_from_seed(seed)
        self.key_der: Final = spki_der(self.key)
        self.protocol: Final = protocol
        self.faults: CtFaults = CtFaults()
        self.maximum = maximum
        self.accepted: Final = tuple(accepted)
        self.origin: Final = origin
        self.leaf_index: Final = protocol != "rfc6962" if leaf_index is None else leaf_index
        self.compressed = compressed
        self.requests: list[str] = []
        self.statuses: Final[Counter[int]] = Counter()
        self.agents: Final[set[str]] = set()
        self.most_at_once = 0
        self.before_answer: Callable[[str], None] | None = None
        """Called with the path of every request, from the server's thread, before it is answered."""
        self.issuers: dict[bytes, bytes] = {}
        """The certificates of all chains, by their SHA-256."""
        self.other: CtLog | None = None
        """The log that some clients see where the view is split; `fork` makes it."""
        self._seed = seed
        self._clock = clock
        self._lock = threading.RLock()
        self._tree = MerkleTree()
        self._entries: list[Entry] = []
        self._index_of: dict[bytes, int] = {}
        self._published = 0
        self._shown: set[int] = set()

    # --- what it holds

    @property
    def size(self) -> int:
        """How many entries it holds, published or not."""
        return len(self._entries)

    @property
    def published(self) -> int:
        """How many entries its next head covers."""
        return self._published

    def entry(self, index: int) -> Entry:
        """The entry at `index`, as it was logged."""
        return self._entries[index]

    def index_of(self, leaf: bytes) -> int:
        """The index of the first entry with this leaf hash. Raises KeyError."""
        return self._index_of[leaf]

    def was_shown(self, level: int, tile: int, width: int) -> bool:
        """Whether a head that was shown implies this partial tile (static-ct-api, "Merkle tree")."""
        with self._lock:
            return any(divmod(size >> 8 * level, TILE_WIDTH) == (tile, width) for size in self._shown)

    def hashes(self, level: int, start: int, stop: int) -> list[bytes]:
        """The roots of the complete subtrees of `256 ** level` leaves, from one number to another."""
        with self._lock:
            return self._tree.nodes(8 * level, start, stop)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """RFC 6962 2.1.2."""
        with self._lock:
            return self._tree.consistency(first, second)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """RFC 6962 2.1.1."""
        with self._lock:
            return self._tree.inclusion(index, size)

    # --- growing

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
        signed = tbs_without_scts(certificate_or_precert) if precert else certificate_or_precert
        own = vector24(certificate_or_precert) if precert else b""
        fingerprints = [hashlib.sha256(certificate).digest() for certificate in chain]
        with self._lock:
            entry = TimestampedEntry(
                timestamp=milliseconds(self._clock()) + self.faults.entry_offset_ms,
                entry_type=EntryType.PRECERT if precert else EntryType.X509,
                signed=signed,
                issuer_key_hash=issuer_key_hash if precert else b"",
                # static-ct-api, "SCT Extension": type 0, five octets.
                extensions=b"\x00\x00\x05" + self.size.to_bytes(5, "big") if self.leaf_index else b"",
            )
            self.issuers.update(zip(fingerprints, chain, strict=True))
            self.append_raw(
                write_leaf(entry),
                own + vector24(b"".join(vector24(certificate) for certificate in chain)),
                tail=own + (32 * len(chain)).to_bytes(2, "big") + b"".join(fingerprints),
                publish=publish,
            )
        return self._sct(entry)

    def append_raw(
        self, leaf_input: bytes, extra_data: bytes = _NO_CHAIN, *, tail: bytes = b"\0\0", publish: bool = True
    ) -> None:
        """Log octets as they are, readable or not; `tail` is what a data tile holds behind the timestamped entry."""
        with self._lock:
            hashed = leaf_hash(leaf_input)
            self._tree.append(hashed)
            self._index_of.setdefault(hashed, len(self._entries))
            self._entries.append(Entry(leaf_input=leaf_input, extra_data=extra_data, tile_leaf=leaf_input[2:] + tail))
            if publish:
                self._published = len(self._entries)
            if self.other is not None:
                self.other.append_raw(leaf_input, extra_data, tail=tail, publish=publish)

    def publish(self) -> None:
        """Let the next tree head cover all that was appended."""
        with self._lock:
            self._published = len(self._entries)
            if self.other is not None:
                self.other.publish()

    def fork(self, at: int) -> CtLog:
        """Make `other`: the same log with another entry at `at`, of the same size, and growing as this one does.

        Nobody sees it before `faults.split_view` says who does.
        """
        with self._lock:
            other = CtLog(
                seed=self._seed, protocol=self.protocol, clock=self._clock, maximum=self.maximum,
                accepted=self.accepted, origin=self.origin, leaf_index=self.leaf_index, compressed=self.compressed,
            )  # fmt: skip
            other.faults, other.issuers = self.faults, self.issuers
            for index, entry in enumerate(self._entries):
                leaf = entry.leaf_input
                tail = entry.tile_leaf[len(leaf) - 2 :]
                if index == at:  # logged a millisecond apart
                    leaf = leaf[:9] + bytes((leaf[9] ^ 0x01,)) + leaf[10:]
                other.append_raw(leaf, entry.extra_data, tail=tail, publish=index < self._published)
            self.other = other
        return other

    # --- what it signs

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
        """A signed head of the first `size` entries; what is shown now, with the faults, where not given."""
        faults = self.faults if size is None else CtFaults()
        if faults.stale is not None:
            return faults.stale
        with self._lock:
            shown = size
            if shown is None:
                shown = self._published if faults.shrunk_to is None else faults.shrunk_to
                self._shown.add(shown)
            root = self._tree.root(shown)
        if faults.wrong_root:
            root = bytes(octet ^ 0xFF for octet in root)
        timestamp = milliseconds(self._clock()) + faults.head_offset_ms
        message = tree_head_message(timestamp, shown, root)
        if faults.bad_signature:
            message += b"\0"
        signature = self._signed(message)
        match faults.flipped_head:
            case "size":
                shown ^= 1
            case "root":
                root = faults.flipped(root)
            case "timestamp":
                timestamp ^= 1
            case "signature":
                # Behind the DER framing, so that it stays a signature to read and is none to verify.
                octets = faults.flipped(signature.signature, 0.6)
                signature = DigitallySigned(hash_algorithm=4, signature_algorithm=3, signature=octets)
        return SignedTreeHead(tree_size=shown, timestamp=timestamp, root_hash=root, signature=signature)

    def app(self) -> Starlette:
        """The log as an ASGI application."""
        from lab.ct_app import log_app  # noqa: PLC0415 - it answers for this class, so it imports this module

        return log_app(self)


@contextlib.contextmanager
def growing(append: Callable[[int], object], *, per_second: float, first: int = 0) -> Iterator[threading.Event]:
    """Call `append` with first, first + 1, ... at this rate, from a thread, until the block ends.

    Setting the event that it gives ends the growth before.
    """
    done = threading.Event()

    def grow() -> None:
        began, made = time.monotonic(), 0
        while not done.wait(max(0.0, began + made / per_second - time.monotonic())):
            append(first + made)
            made += 1

    thread = threading.Thread(target=grow, name="lab-growing", daemon=True)
    thread.start()
    try:
        yield done
    finally:
        done.set()
        thread.join(10.0)


def milliseconds(moment: datetime) -> int:
    """An aware datetime as milliseconds since 1970 UTC."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
