"""What is watched for ourselves: who we are in, a watch of its own out (configs/organisation.yaml).

Names that look like our domains and brands are looked for. Where we say which certificates are ours, certificates for
our domains are too: those that nobody expects are what is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

import msgspec

from db.watching import EXPECTED_EVERYWHERE, Item
from intel.config.organisation import Organisation
from intel.entities import Kind, entity
from intel.errors import ReadError
from tasks.watch.certificate_items import certificate_items, expected_items
from tasks.watch.read_items import domain_items

WATCH: Final = "organisation"
"""What the watch is called; no other may be."""
RULES: Final = ("certificate-name", "lookalike-name", "lookalike-domain", "unreadable-certificate")
"""Rules that are about ourselves. The others look for mistakes of actors."""


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """The items of the organisation's watch. `left_out` says what cannot be looked for, and why."""

    items: tuple[Item, ...] = ()
    left_out: tuple[str, ...] = ()


def ours(organisation: Organisation) -> Ours:
    """What to watch for an organisation; a name that cannot be looked for costs itself alone."""
    items: list[Item] = []
    left_out: list[str] = []
    for said, take in _wanted(organisation):
        try:
            items += take()
        except ReadError as error:
            left_out.append(f"{said}: {error}")
    return Ours(items=tuple(items), left_out=tuple(left_out))


def _lookalike(domain: str) -> Iterator[Item]:
    found = entity(Kind.DOMAIN, domain)
    yield from certificate_items("lookalike", found.scope or found.value, None)


def _wanted(organisation: Organisation) -> Iterator[tuple[str, Callable[[], Iterable[Item]]]]:
    """Each name as the file says it, with what reads it."""
    for domain in organisation.domains:
        yield domain, partial(_lookalike, domain)
    for brand in organisation.brands:
        # A brand of several words is written as one in names.
        yield brand, partial(certificate_items, "lookalike", "".join(brand.split()), None)
    for digest in organisation.expected_certificates:
        yield digest, partial(expected_items, EXPECTED_EVERYWHERE, digest)
    if organisation.expected_certificates:
        for domain in organisation.domains:
            yield domain, partial(domain_items, domain, None)
