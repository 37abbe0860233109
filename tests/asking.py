"""A WHOIS look-up as a script would make it: a server, and then those that it refers to, without queue and gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from intel.errors import RefusedError, UnreachableError
from intel.names import canonical_name
from tasks.collect.whois import WHOIS_PORT, WhoisLimits, ask, referral

if TYPE_CHECKING:
    from tasks.collect.whois import WhoisHop


@dataclass(frozen=True, kw_only=True)
class Hops:
    """Every hop in order; `detail` is why there is no further one, where that is a failure."""

    domain: str
    hops: tuple[WhoisHop, ...]
    detail: str = ""


def follow(
    server: str,
    domain: str,
    *,
    port: int = WHOIS_PORT,
    allow: frozenset[tuple[str, int]] = frozenset(),
    limits: WhoisLimits | None = None,
) -> Hops:
    """Ask `server`, and then the servers that it refers to, each once."""
    name = canonical_name(domain)
    hops: list[WhoisHop] = []
    asked: set[tuple[str, int]] = set()
    here: tuple[str, int] | None = (server, port)
    while here is not None and here not in asked:
        asked.add(here)
        try:
            hops.append(ask(here, name, allow=allow, limits=limits or WhoisLimits()))
        except (RefusedError, UnreachableError) as error:
            if not hops:
                raise
            return Hops(domain=name, hops=tuple(hops), detail=str(error))
        here = referral(hops[-1].body)
    return Hops(domain=name, hops=tuple(hops))
