"""One entry of the archive: what was kept of a verified entry of a log, in the words that matchers understand.

The archive keeps no subject, serial number or DER, and of a precertificate not its own fingerprint: what is watched
by those is found in entries as they are read, and not in the archive.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from intel.ct import at_milliseconds
from intel.match.entries import MAX_TIMESTAMP
from intel.x509 import CertificateView

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Archived(msgspec.Struct, frozen=True, kw_only=True):
    """An archived entry of log `log` (its source's name). All times are event time.

    `timestamp` is milliseconds, `not_before` and `not_after` are seconds since 1970 UTC. `tbs` is the SHA-256 of the
    TBSCertificate without SCTs and poison, `fingerprint` that of a certificate's DER, None for a precertificate. A name
    that the certificate spells in characters that nobody sees is not among `names`.
    """

    log: str
    index: int
    timestamp: int
    leaf_hash: bytes
    tbs: bytes
    fingerprint: bytes | None = None
    key: bytes | None = None
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    issuer: str = ""
    not_before: int | None = None
    not_after: int | None = None

    @property
    def digest(self) -> bytes:
        """The SHA-256 in the value of its certificate's entity."""
        return self.tbs if self.fingerprint is None else self.fingerprint

    @property
    def digests(self) -> tuple[bytes, ...]:
        """All that its certificate goes by here."""
        return (self.tbs,) if self.fingerprint is None else (self.fingerprint, self.tbs)

    @property
    def logged_at(self) -> datetime | None:
        """When it was logged; None where the log says a time beyond the year 9999, which is archived as its end."""
        return at_milliseconds(self.timestamp) if 0 <= self.timestamp < MAX_TIMESTAMP else None

    @property
    def view(self) -> CertificateView:
        """The certificate, as far as the archive has it."""
        return CertificateView(
            names=self.names,
            ip_addresses=self.addresses,
            issuer=self.issuer,
            spki_sha256=self.key,
            not_before=_moment(self.not_before),
            not_after=_moment(self.not_after),
        )


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else _EPOCH + timedelta(seconds=seconds)
