"""What the steps of an investigation found, or why they failed: the records that a report is made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from intel.errors import LapsewatchError
from tasks.assess.investigation import Watched
from tasks.assess.learned import Learned
from tasks.enrich.records import Certificates, Known, Network, PassiveDns, Registered
from tasks.pivot.follow import Followed
from tasks.pivot.leads import Led

_PIVOT: Final = "pivot"
_CALLED: Final = {
    "watched": "watch",
    "registered": "registration",
    "followed": "look-ups of leads",
    "led": "second pivot",
}
"""Steps as a report calls them, where that is not the name of the field."""


class Branches(msgspec.Struct, frozen=True, kw_only=True, weakref=True):
    """What the branches found; one that failed left its empty record and a line in `failed` (branch, why)."""

    known: Known = Known()
    registered: Registered = Registered()
    certificates: Certificates = Certificates()
    passive_dns: PassiveDns = PassiveDns()
    network: Network = Network()
    pivot: Led = Led()
    followed: Followed = Followed()
    led: Led | None = None
    watched: Watched | None = None
    new_watches: Watched | None = None
    patterns: Learned = Learned()
    failed: tuple[tuple[str, str], ...] = ()

    @property
    def leads(self) -> Led:
        """What it leads to by the last pivot that went well."""
        return self.pivot if self.led is None else self.led

    @property
    def pivoted(self) -> bool:
        """Whether a pivot went well: where none did, that there are no leads says nothing."""
        return self.led is not None or _PIVOT not in dict(self.failed)

    @property
    def watching(self) -> Watched | None:
        """The watch as it stands."""
        return self.watched if self.new_watches is None else self.new_watches


def branches(results: Mapping[str, object]) -> Branches:
    """The branches' records by name, each a record or the error that ended its branch.

    The names are those of the fields of `Branches`; others (`registrations looked back`) can only fail.
    """
    failed = tuple(
        (_CALLED.get(name, name.replace("_", " ")), why(result))
        for name, result in results.items()
        if _is_error(result)
    )
    fields = {
        name: result
        for name, result in results.items()
        if name in Branches.__struct_fields__ and not _is_error(result) and result is not None
    }
    return msgspec.structs.replace(Branches(failed=failed), **fields)


def _is_error(result: object) -> bool:
    return isinstance(result, BaseException)


def why(error: object) -> str:
    """Why a branch failed. What is not one of our errors may quote people's data: its text stays in the log."""
    if isinstance(error, LapsewatchError):
        return str(error)
    return f"{type(error).__name__}: a fault of Lapsewatch; see the log of the flow run"
