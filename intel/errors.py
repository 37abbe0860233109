"""Every error that Lapsewatch raises on purpose, as one tree.

LapsewatchError
├── ConfigError            a file in configs/ or a setting is wrong
├── ReadError              bytes that could not be read as what they claim to be
│   ├── OversizedError     more bytes, depth or expansion than allowed
│   └── VerificationError  a signature, hash or tree that does not add up (RFC 6962)
├── CollectError           the world did not give what was asked for
│   ├── RefusedError       we refused: a forbidden address, scheme or redirect
│   ├── UnreachableError   no connection, a timeout, a broken transfer
│   ├── StatusError        an HTTP status other than success (carries `status`)
│   ├── LaterError         a server's turn comes later (carries `until`)
│   ├── ThrottledError     told to slow down (carries `retry_after`, seconds)
│   └── PagingError        a server that pages without end or without a way on
├── WarehouseError         the database said no
│   ├── UnavailableError   it cannot be started or reached
│   └── BusyError          another process holds the lock of this source, log or monitor
└── PublishError           an object could not be published

A message says what could not be done, to what, why, and what happens next:
"couldn't <verb> <object>: <cause>; <what happens next>".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


class LapsewatchError(Exception):
    """The root: anything that Lapsewatch raises on purpose."""


class ConfigError(LapsewatchError):
    """A file in `configs/` or a setting is wrong."""


class ReadError(LapsewatchError):
    """Bytes that could not be read as what they claim to be."""


class OversizedError(ReadError):
    """More bytes, depth or expansion than allowed."""


class VerificationError(ReadError):
    """A signature, hash or tree that does not add up; `evidence` is what was given, as it came, where it is at hand."""

    def __init__(self, message: str, *, evidence: bytes = b"") -> None:
        super().__init__(message)
        self.evidence = evidence


class CollectError(LapsewatchError):
    """The world did not give what was asked for."""


class RefusedError(CollectError):
    """We refused: a forbidden address, scheme or redirect."""


class UnreachableError(CollectError):
    """No connection, a timeout, or a transfer that broke."""


class StatusError(CollectError):
    """An HTTP status other than success."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class ThrottledError(CollectError):
    """Told to slow down; `retry_after` is in seconds, None where the server did not say."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class LaterError(CollectError):
    """A server's turn comes later; `until` is when (aware, UTC, recorded time). Nothing was sent."""

    def __init__(self, message: str, *, until: datetime) -> None:
        super().__init__(message)
        self.until = until


class PagingError(CollectError):
    """A server that pages without end or without a way on."""


class WarehouseError(LapsewatchError):
    """The database said no."""


class UnavailableError(WarehouseError):
    """The database cannot be started or reached."""


class BusyError(WarehouseError):
    """Another process holds the lock of this source, log or monitor."""


class PublishError(LapsewatchError):
    """An object could not be published."""
