"""The document store: raw bytes as received, compressed, under their SHA-256; the rows are in table `document`.

A file is complete once it has its name: it is written beside it, flushed to disk, then renamed (rename is atomic within
a file system, POSIX). The bytes are there before the row that names them.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import secrets
import time
import zlib
from pathlib import Path
from typing import Final

from intel.errors import ReadError, UnavailableError

_LEFT_BEHIND: Final = 86_400.0
"""Seconds after which a file that is still being written is one that nobody writes any more."""


def put(store: Path, body: bytes) -> bytes:
    """Keep `body`; returns its SHA-256. The same bytes are kept once. Raises UnavailableError where it cannot."""
    digest = hashlib.sha256(body).digest()
    path = _path(store, digest)
    if path.exists():
        return digest
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with beside.open("xb") as file:
            file.write(gzip.compress(body, compresslevel=3, mtime=0))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        # A full disk is no better for half a document.
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise UnavailableError(
            f"couldn't keep a document in {store}: {error.strerror}; nothing of it was loaded, the next run fetches it"
        ) from error
    return digest


def get(store: Path, digest: bytes) -> bytes:
    """The bytes of SHA-256 `digest`. Raises ReadError where they are missing or no longer what they were.

    A file whose bytes are no longer what they were is renamed to `.bad`, or `put` would take it for the document.
    """
    path = _path(store, digest)
    try:
        with path.open("rb") as file:
            try:
                body = gzip.decompress(file.read())
                cause = "" if hashlib.sha256(body).digest() == digest else "its bytes have changed"
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                cause = str(error)
            if cause:
                _set_aside(path, os.fstat(file.fileno()))
    except OSError as error:
        raise ReadError(f"couldn't read document {digest.hex()} from {store}: {error}; fetch it again") from error
    if cause:
        raise ReadError(
            f"couldn't read document {digest.hex()} from {store}: {cause}; it was set aside as .bad, fetch it again"
        )
    return body


def sweep(store: Path, *, older_than: float = _LEFT_BEHIND) -> int:
    """Remove what killed processes left half written, `older_than` seconds ago or more. Returns how many files."""
    until = time.time() - older_than
    removed = 0
    for path in store.glob("??/??/*.part"):
        # Whoever wrote it may finish, or another sweep may remove it, at this moment.
        with contextlib.suppress(OSError):
            if path.stat().st_mtime <= until:
                path.unlink()
                removed += 1
    return removed


def _set_aside(path: Path, read: os.stat_result) -> None:
    """Rename the bad file, unless another process did so and a good one has taken its place."""
    with contextlib.suppress(OSError):
        now = path.stat()
        if (now.st_dev, now.st_ino) == (read.st_dev, read.st_ino):
            path.replace(path.with_suffix(".bad"))


def _path(store: Path, digest: bytes) -> Path:
    name = digest.hex()
    return store / name[:2] / name[2:4] / f"{name}.gz"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
