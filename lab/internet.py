"""The small internet on loopback: every server of the invented world, with one clock that tests and demo move."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from lab import world
from lab.configs import Addresses
from lab.ct import CtLog
from lab.feeds import LabClock, World, feeds_app
from lab.registration import lab
from lab.registration_records import Registry
from lab.server import serve
from lab.taxii import LabCollection, TaxiiLab, taxii_app

COLLECTION = "7f4c1a52-4c55-4f0c-8a3e-3e9c3b1c0f10"


class Content(World, Protocol):
    """What a world serves, besides its documents."""

    def taxii_objects(self, at: datetime) -> Iterable[tuple[datetime, dict[str, Any]]]:
        """(date added, object) of the upstream TAXII server, in order."""
        ...

    def certificates(self, at: datetime) -> list[bytes]:
        """What the CT log holds, in order, DER."""
        ...

    def tiled(self, at: datetime) -> list[world.Submission]:
        """What the tiled CT log holds, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Logs:
    """The CT logs: one of RFC 6962, one of static-ct-api."""

    log: CtLog
    tiled: CtLog


def make_logs(clock: LabClock) -> Logs:
    """Both, empty; their keys are the same every time."""
    return Logs(
        log=CtLog(seed="lab log", clock=clock),
        tiled=CtLog(seed="lab tiled log", protocol="static", origin="tiled.log.example", clock=clock),
    )


class Internet:
    """The running lab. `move` takes it to another moment of the story; it only goes forward."""

    def __init__(self, content: Content, clock: LabClock, logs: Logs, taxii: TaxiiLab, registry: Registry) -> None:
        self._content = content
        self._clock = clock
        self._logs = logs
        self._taxii = taxii
        self._registry = registry
        self._moved = time.monotonic()
        # A registry's data is newer each time that it is asked, and it says so.
        registry.elapsed = lambda: timedelta(seconds=time.monotonic() - self._moved)
        self.addresses: Addresses

    @property
    def now(self) -> datetime:
        """The lab's moment."""
        return self._clock.now

    def move(self, moment: datetime) -> None:
        """Take every server to `moment`: feeds change, the logs and collections grow, registration data is edited."""
        self._clock.now = moment
        self._registry.now, self._moved = moment, time.monotonic()
        log, tiled = self._logs.log, self._logs.tiled
        for certificate in self._content.certificates(moment)[log.size :]:
            log.append(certificate)
        for one in self._content.tiled(moment)[tiled.size :]:
            tiled.append(one.der, chain=[one.issuer.certificate], issuer_key_hash=one.issuer.key_hash)
        collection = self._taxii.collections[0]
        for added, item in list(self._content.taxii_objects(moment))[len(collection.records) :]:
            collection.add(added, item)


@contextlib.contextmanager
def internet(content: Content | None = None, *, at: datetime = world.MONDAY) -> Iterator[Internet]:
    """Run all servers until the block ends, from `at` on; with the invented world where no other is given."""
    content = content or world.InventedWorld()
    clock = LabClock(at)
    logs = make_logs(clock)
    upstream = TaxiiLab(collections=[LabCollection(id=COLLECTION, title="Invented indicators")])
    registry = world.registry()
    with contextlib.ExitStack() as stack:
        feeds = stack.enter_context(serve(feeds_app(content, clock)))
        taxii = stack.enter_context(serve(taxii_app(upstream)))
        ct = stack.enter_context(serve(logs.log.app()))
        tiled = stack.enter_context(serve(logs.tiled.app()))
        registration = stack.enter_context(lab(registry))
        running = Internet(content, clock, logs, upstream, registry)
        running.addresses = Addresses(
            feeds=feeds.url,
            taxii=taxii.url,
            taxii_collection=COLLECTION,
            ct=ct.url,
            ct_key=logs.log.key_der,
            ct_tiled=tiled.url,
            ct_tiled_key=logs.tiled.key_der,
            rdap=registration.rdap["registry"],
            whois=registration.whois["registry"],
            bootstrap=registration.servers.bootstrap,
            whois_root=registration.servers.root,
            allow=frozenset({feeds.address, taxii.address, ct.address, tiled.address}) | registration.allow,
        )
        running.move(at)
        yield running
