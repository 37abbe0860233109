"""Versions, looks and chronicles for tests, made of plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from intel.facts import State
from intel.registrars import registrars
from intel.registration_versions import Chronicle, Look, Said, Version, Voice

DAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)
RDAP: Final = Voice(source="rdap", tier="registrar")
RDAP_REGISTRY: Final = Voice(source="rdap", tier="registry")
WHOIS: Final = Voice(source="whois", tier="registrar")
WHOIS_REGISTRY: Final = Voice(source="whois", tier="registry")
BOOK: Final = registrars({146: ["GoDaddy.com, LLC", "GoDaddy.com, Inc."]})
HIDDEN: Final = Said(state=State.REDACTED, text="REDACTED")


def day(number: float) -> datetime:
    return DAY + timedelta(days=number)


def said(*values: str, personal: bool = False) -> Said:
    return Said(state=State.VALUE, values=tuple(sorted(values)), personal=personal)


def made(fields: Mapping[str, Said | str | tuple[str, ...]]) -> dict[str, Said]:
    """Fields from texts, tuples of texts, or what is said already."""
    return {
        name: one if isinstance(one, Said) else said(one) if isinstance(one, str) else said(*one)
        for name, one in fields.items()
    }


def version(at: float, fields: Mapping[str, Said | str | tuple[str, ...]] | None, voice: Voice = RDAP) -> Version:
    """A version that a look brought so many days after the first; no fields at all: there is no such domain."""
    look = Look(at=day(at), registered=fields is not None, server=f"{voice.source}.example")
    return Version(voice=voice, look=look, registered=fields is not None, fields=made(fields or {}))


def chronicle(voice: Voice, versions: Sequence[Version], more: Sequence[float] = ()) -> Chronicle:
    """A voice's versions, and looks that changed nothing."""
    own = tuple(Version(voice=voice, look=one.look, registered=one.registered, fields=one.fields) for one in versions)
    looks = sorted([*(one.look for one in own), *(Look(at=day(at), server=f"{voice.source}.example") for at in more)])
    return Chronicle(voice=voice, versions=own, looks=tuple(looks))
