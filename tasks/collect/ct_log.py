"""One way to ask any log, whatever it speaks: a source's entry in, a `LogReader` out.

What a reader gives of heads and proofs is checked against the log's key and the signed head. Answers are not: whoever
hashes their entries into a frontier compares it with the head (`tasks/normalize/ct.py`). A log of another kind, as
Merkle tree certificates will bring, is one more class in `_READERS`.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key

from intel.config.organisation import read_organisation
from intel.config.sources import Source
from intel.ct import SignedTreeHead
from intel.ct_answer import Answer
from intel.errors import ConfigError
from intel.merkle import Frontier
from intel.settings import settings
from tasks.collect.ct_ask import LARGEST, PATIENCE, Asker
from tasks.collect.ct_pace import MOST_AT_ONCE, Pace
from tasks.collect.ct_reader import Place
from tasks.collect.ct_rfc6962 import Rfc6962Reader
from tasks.collect.ct_static import HybridReader, StaticReader
from tasks.collect.http import open_client
from tasks.collect.retry import RetryPolicy
from tasks.collect.slices import policy

__all__ = ["PATIENCE", "LogReader", "log_key", "open_log", "start_index", "user_agent"]


class LogReader(Protocol):
    """A log that is being asked.

    All raise the collect tree's errors for what could not be had, ReadError for what cannot be read, and
    VerificationError for what does not add up. Positions are indexes of entries; `next` is not included.
    """

    protocol: str
    pace: Pace
    """How fast it is asked; `pace.state()` is for the next run and for people."""

    def head(self) -> SignedTreeHead:
        """The head that the log shows now, signed by its key. It may be older than one that was shown before."""

    def answers(self, first: int, next: int, head: SignedTreeHead, *, until: float = ...) -> Iterator[Answer]:  # noqa: A002 - the word of the records that it fills
        """Entries `first` to `next` in order, without a gap, unverified. The head must have that many leaves.

        Several connections read ahead, within a bound on memory. What came before an error is given before it is
        raised. From `until` (of time.monotonic()) on nothing more is asked for, and the iterator ends early; the first
        answer always comes. Close it to end its threads. An answer may turn out to hold fewer than it says.
        """

    def frontier(self, size: int, head: SignedTreeHead) -> Frontier:
        """The right edge of the tree of `size` leaves, under the signed root of `head` or consistent with it."""

    def consistency(self, first: int, head: SignedTreeHead) -> tuple[bytes, ...]:
        """The proof that the head's tree continues the one of `first` leaves; `verify_consistency` checks it."""

    def prove(self, index: int, leaf_hash: bytes, head: SignedTreeHead) -> tuple[bytes, ...]:
        """The audit path of the entry at `index`, which leads from its leaf hash to the signed root."""

    def index_at(self, moment: datetime, head: SignedTreeHead) -> int:
        """About the first entry that was logged at `moment` or later (event time); the head's size where none was.

        Entries are in the order of their times but for the log's merge delay.
        """

    def issuer(self, fingerprint: bytes) -> bytes:
        """The certificate of a chain with this SHA-256, from our documents where it was had before."""


_READERS: Final[dict[str, Callable[[Asker, Place], LogReader]]] = {
    "rfc6962": Rfc6962Reader,
    "static": StaticReader,
    "hybrid": HybridReader,
}


@contextmanager
def open_log(
    source: Source,
    *,
    pace: Mapping[str, Any] | None = None,
    patience: RetryPolicy = PATIENCE,
    most_at_once: int = MOST_AT_ONCE,
) -> Iterator[LogReader]:
    """A reader of the log that `source` names. `pace` is what `reader.pace.state()` gave in the last run.

    Raises ConfigError for an entry without the log's key.
    """
    key = log_key(source)
    agent = user_agent()
    with open_client(policy(), user_agent=agent, limits=LARGEST) as client:
        asker = Asker(client, Pace(patience=patience, state=pace, most=most_at_once), patience)
        place = Place(name=source.name, url=source.location.rstrip("/"), key=key, documents=settings().document_store)
        yield _READERS[source.options.protocol](asker, place)


def log_key(source: Source) -> bytes:
    """The log's key, SPKI in DER. Raises ConfigError where the entry has none that can be read."""
    try:
        key = base64.b64decode(source.options.log_key, validate=True)
        load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm) as error:  # binascii.Error is a ValueError
        raise ConfigError(
            f"couldn't follow {source.name}: options.log_key is not a public key (DER, base64); nothing is read of it"
        ) from error
    return key


def start_index(reader: LogReader, source: Source, head: SignedTreeHead) -> int:
    """The first entry to read of a log never read before, as the source's `follow` says; at most the head's size."""
    follow = source.options.follow
    if follow == "head":
        return head.tree_size
    if follow == "start":
        return 0
    if follow.isdigit():
        return min(int(follow), head.tree_size)
    return reader.index_at(datetime.fromisoformat(follow), head)


def user_agent() -> str:
    """Who asks, with our organisation's contact where it has one: logs throttle those who name none."""
    path = settings().configs / "organisation.yaml"
    contact = read_organisation(settings().configs).contact.strip() if path.exists() else ""
    if contact and (not contact.isascii() or not contact.isprintable()):
        raise ConfigError(f"couldn't use {path}: contact is sent to logs, so it has to be plain ASCII")
    if contact.startswith("https://"):
        contact = f"+{contact}"
    return f"Lapsewatch/0.1 ({contact})" if contact else "Lapsewatch/0.1"
