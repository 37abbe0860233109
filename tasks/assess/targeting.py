"""Targeted or opportunistic: what speaks for either, from who we are and what the incident touches. Pure.

In: the organisation and the names, addresses and certificates around an incident. Out: `Targeting`: evidence, and no
verdict. That nothing of ours is touched proves little: phishing of everybody may pass us by, and so may a target's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from intel.config.organisation import Organisation

_SHORTEST_BRAND: Final = 4  # letters; a shorter one stands in names by chance


class Touched(msgspec.Struct, frozen=True, kw_only=True):
    """One value that touches us: `ours` names what of ours, `where` says how the value came in."""

    value: str
    ours: str
    where: str


class Targeting(msgspec.Struct, frozen=True, kw_only=True):
    """What speaks for a target. `known` is false where configs/organisation.yaml says nothing of us."""

    known: bool
    touched: tuple[Touched, ...] = ()
    names: int = 0
    addresses: int = 0


def targeting(
    organisation: Organisation,
    *,
    names: Iterable[tuple[str, str]],
    addresses: Iterable[tuple[str, str]],
    certificates: Iterable[tuple[str, str]] = (),
) -> Targeting:
    """Which of these touch us. Each is (value, how it came in); names and addresses are canonical."""
    known = bool(organisation.domains or organisation.brands or organisation.networks)
    said_names, said_addresses = dict(names), dict(addresses)
    touched = [
        *(Touched(value=name, ours=ours, where=where) for name, where in said_names.items()
          if (ours := _ours(organisation, name))),
        *(Touched(value=address, ours=ours, where=where) for address, where in said_addresses.items()
          if (ours := _network(organisation, address))),
        *(Touched(value=value, ours="a certificate or key of ours", where=where) for value, where in certificates
          if value.removeprefix("sha256:") in _digests(organisation)),
    ]  # fmt: skip
    return Targeting(known=known, touched=tuple(touched), names=len(said_names), addresses=len(said_addresses))


def _digests(organisation: Organisation) -> set[str]:
    return {digest.lower().removeprefix("sha256:").replace(":", "") for digest in organisation.expected_certificates}


def _ours(organisation: Organisation, name: str) -> str:
    if domain := organisation.domain_of(name):
        return f"our domain {domain}"
    letters = "".join(mark for mark in name.rpartition(".")[0] if mark.isalnum())
    for brand in organisation.brands:
        folded = "".join(mark for mark in brand.casefold() if mark.isalnum())
        if len(folded) >= _SHORTEST_BRAND and folded in letters:
            return f"our brand {brand}"
    return ""


def _network(organisation: Organisation, address: str) -> str:
    network = organisation.network_of(address)
    return f"our network {network}" if network else ""
