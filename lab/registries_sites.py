"""One registration server: it counts who asks, keeps its limit, and answers, rightly or with a fault.

In: what it knows (a function from a question to an answer), a limit, a fault. Out: its address, and the log of all that
it was asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from lab.registries_faults import Fault
from lab.registries_limits import Gate, Limit, TooFast, Verdict, refused
from lab.registries_serving import Loop, Peer, Protocol, Reply

Answers = Callable[[str], Reply]


@dataclass(frozen=True, kw_only=True)
class Query:
    """One question: `about` is the name or the path, `asked` all that was sent, `at` a monotonic time in seconds."""

    site: str
    about: str
    asked: str
    at: float
    verdict: Verdict


@dataclass(kw_only=True)
class Site:
    """A server. `fault` may be set and cleared while it runs."""

    name: str
    protocol: Protocol
    answers: Answers
    limit: Limit | None = None
    fault: Fault | None = None
    where: tuple[str, int] = ("", 0)
    queries: list[Query] = field(default_factory=list)
    _gate: Gate | None = None

    @property
    def key(self) -> str:
        """`host:port`, as configs/lookups.yaml names a server."""
        return f"{self.where[0]}:{self.where[1]}"

    @property
    def url(self) -> str:
        """The base URL of an RDAP server, without a slash at its end."""
        return f"http://{self.key}"

    def open(self, loop: Loop) -> Site:
        """Start to answer."""
        self._gate = Gate(limit=self.limit, now=time.monotonic) if self.limit else None
        self.where = loop.listen(self.protocol, self._serve)
        return self

    async def _serve(self, peer: Peer) -> None:
        about = self._about(peer.asked)
        verdict = self._gate.verdict() if self._gate else "answered"
        self.queries.append(Query(site=self.name, about=about, asked=peer.asked, at=time.monotonic(), verdict=verdict))
        if verdict != "answered" and self.limit:
            reply = refused(self._form(self.limit.form), about.rpartition("/")[2], self.limit.patience)
        else:
            reply = self.answers(about)
        if self.fault is not None:
            await self.fault(peer, reply)
        elif _unchanged(peer, reply):
            await peer.send(Reply(status=304, headers=reply.headers).wire("rdap"))
        elif not reply.silent:
            await peer.send(reply.wire(self.protocol))

    def _about(self, asked: str) -> str:
        if self.protocol == "rdap":
            return asked.partition("?")[0].strip("/").lower()
        return asked.rsplit(maxsplit=1)[-1].lower() if asked.split() else ""

    def _form(self, form: TooFast) -> TooFast:
        """A WHOIS server has no statuses: it says it in words."""
        wordless = form in {TooFast.CLOSE, TooFast.BAN, TooFast.PROSE}
        return form if self.protocol == "rdap" or wordless else TooFast.PROSE


def _unchanged(peer: Peer, reply: Reply) -> bool:
    tag = reply.headers.get("ETag")
    return tag is not None and peer.headers.get("if-none-match") == tag


def files(documents: Callable[[], Mapping[str, Any]]) -> Answers:
    """JSON files by path, each with an ETag: a web server."""

    def answer(path: str) -> Reply:
        found = documents().get(path)
        if found is None:
            return Reply(body=b"not found\n", status=404, media_type="text/plain")
        body = json.dumps(found).encode()
        tag = f'"{sha256(body).hexdigest()[:32]}"'
        return Reply(body=body, media_type="application/json", headers={"ETag": tag})

    return answer
