"""The lab for stories that are told many times: the invented world, back to its Monday at will, on addresses that stay.

What a source says of itself (its location, the references of a log) is part of facts, so that two stories can only be
compared where every server listens where it listened before. A server here is a switch that is pointed to a new
application when a story begins.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from lab import world
from lab.configs import Addresses
from lab.feeds import LabClock, feeds_app
from lab.internet import COLLECTION, Internet, make_logs
from lab.server import serve
from lab.taxii import LabCollection, TaxiiLab, taxii_app

DAYS: Final = (world.MONDAY, world.WEDNESDAY, world.FRIDAY)


class _Switch:
    """An ASGI application that is another one, which may change between two requests."""

    def __init__(self) -> None:
        self.app: ASGIApp = Starlette()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class StoryLab:
    """Feeds, a TAXII server and two CT logs; `restart` begins the world anew, `move` takes it to another day."""

    def __init__(self, switches: Sequence[_Switch], addresses: Addresses) -> None:
        self._switches = switches
        self._net: Internet
        self.addresses: Final = addresses
        self.restart()

    def restart(self) -> None:
        """Back to Monday, every server as it was then."""
        clock = LabClock(world.MONDAY)
        content = world.InventedWorld()
        logs = make_logs(clock)
        upstream = TaxiiLab(collections=[LabCollection(id=COLLECTION, title="Invented indicators")])
        applications = (feeds_app(content, clock), taxii_app(upstream), logs.log.app(), logs.tiled.app())
        for switch, application in zip(self._switches, applications, strict=True):
            switch.app = application
        self._net = Internet(content, clock, logs, upstream, world.registry())
        self._net.move(world.MONDAY)

    def move(self, day: datetime) -> None:
        """On to a later day."""
        self._net.move(day)


@contextlib.contextmanager
def story_lab() -> Iterator[StoryLab]:
    """The lab, running until the block ends. Nobody answers for registration: a story without look-ups asks nobody."""
    feeds, taxii, ct, tiled = switches = (_Switch(), _Switch(), _Switch(), _Switch())
    with serve(feeds) as at_feeds, serve(taxii) as at_taxii, serve(ct) as at_ct, serve(tiled) as at_tiled:
        logs = make_logs(LabClock(world.MONDAY))
        nobody = ("127.0.0.1", 9)
        yield StoryLab(
            switches,
            Addresses(
                feeds=at_feeds.url,
                taxii=at_taxii.url,
                taxii_collection=COLLECTION,
                ct=at_ct.url,
                ct_key=logs.log.key_der,
                ct_tiled=at_tiled.url,
                ct_tiled_key=logs.tiled.key_der,
                rdap=f"http://{nobody[0]}:{nobody[1]}",
                whois=nobody,
                allow=frozenset({at_feeds.address, at_taxii.address, at_ct.address, at_tiled.address}),
            ),
        )
