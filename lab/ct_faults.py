"""What a lab log does wrong: switches, and what they do to a connection before anything is answered.

In: a request. Out: the answer that a fault gives in place of the log's, or None. What the switches do to heads, entries
and tiles stands where those are answered (`lab/ct.py`, `lab/ct_rfc6962.py`, `lab/ct_tiles.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from starlette.responses import Response, StreamingResponse

if TYPE_CHECKING:
    from starlette.requests import Request

    from intel.ct import SignedTreeHead

_PIECES: Final = 16


@dataclass(kw_only=True)
class CtFaults:
    """What the log does wrong; all of it may be switched while it runs. Indexes and sizes are the tree's."""

    # The head.
    bad_signature: bool = False
    wrong_root: bool = False
    """Signs a root that no tree has."""
    flipped_head: Literal["", "size", "root", "timestamp", "signature"] = ""
    """One bit of a head is another than what was signed."""
    shrunk_to: int | None = None
    stale: SignedTreeHead | None = None
    """Shows this head, as a server behind the others does."""
    head_offset_ms: int = 0
    """The clock that stamps heads is wrong by so much."""
    entry_offset_ms: int = 0
    """The clock that stamps new entries is wrong by so much."""
    split_view: str | None = None
    """Clients whose User-Agent holds this see the tree of `CtLog.fork`; "" is everybody."""

    # Entries and tiles.
    flipped_leaf: int | None = None
    flipped_extra_data: int | None = None
    flipped_precertificate: int | None = None
    flipped_chain: int | None = None
    """An octet of the chain: of the last certificate (RFC 6962), of the last fingerprint (tiles)."""
    flipped_tile: int | None = None
    """The number of a data tile of which one octet is flipped."""
    flipped_hash_tile: tuple[int, int] | None = None
    """The level and number of a tile of hashes of which one octet is flipped."""
    flip_place: float = 0.25
    """Where in what is flipped: the share of octets before the one."""
    cut_tile: int | None = None
    """The number of a data tile that ends early."""
    no_entries: bool = False
    too_many_entries: bool = False
    short: int | None = None
    """Answers of get-entries hold at most so many."""
    shifted: int = 0
    """Entries of other indexes than asked for: so many further (get-entries), so many tiles further."""
    partial_vanishes: bool = False
    """A partial tile is gone once the full one exists."""
    issuer_missing: bool = False
    issuer_wrong: bool = False

    # The connection.
    only: str = ""
    """The faults below meet only requests whose path holds this."""
    throttled: bool = False
    throttled_next: int = 0
    """So many requests more are told to wait."""
    throttled_share: float = 0.0
    """This share of requests is told to wait, evenly spread."""
    retry_after: str | None = None
    wants_contact: bool = False
    """Clients whose User-Agent names neither a mail address nor a page are told to wait."""
    hang_seconds: float = 0.0
    """Says nothing for so long, then answers."""
    drip_seconds: float = 0.0
    """Takes so long over the body of an answer."""
    web_page: bool = False
    _owed: float = field(default=0.0, repr=False)

    async def instead(self, request: Request) -> Response | None:
        """What is answered in place of what was asked for; None where nothing is wrong with the connection."""
        if self.only not in request.url.path:
            return None
        if self.hang_seconds:
            await asyncio.sleep(self.hang_seconds)
        if self._throttles(request):
            headers = {} if self.retry_after is None else {"Retry-After": self.retry_after}
            return Response("slow down", status_code=429, headers=headers)
        if self.web_page:
            return Response("<html><body>be right back</body></html>", media_type="text/html")
        return None

    def _throttles(self, request: Request) -> bool:
        agent = request.headers.get("user-agent", "")
        if self.throttled or (self.wants_contact and "@" not in agent and "+http" not in agent):
            return True
        if self.throttled_next:
            self.throttled_next -= 1
            return True
        self._owed += self.throttled_share
        if self._owed < 1:
            return False
        self._owed -= 1
        return True

    def paced(self, request: Request, answer: Response) -> Response:
        """The answer, or the same in pieces with waits between them."""
        if not self.drip_seconds or self.only not in request.url.path:
            return answer
        body, wait = bytes(answer.body), self.drip_seconds / _PIECES
        size = max(1, -(-len(body) // _PIECES))

        async def pieces() -> AsyncIterator[bytes]:
            for at in range(0, len(body), size):
                await asyncio.sleep(wait)
                yield body[at : at + size]

        return StreamingResponse(pieces(), status_code=answer.status_code, headers=dict(answer.headers))

    def flipped(self, octets: bytes, place: float | None = None) -> bytes:
        """The octets with one bit flipped."""
        at = min(int(len(octets) * (self.flip_place if place is None else place)), len(octets) - 1)
        return octets[:at] + bytes((octets[at] ^ 0x01,)) + octets[at + 1 :]
