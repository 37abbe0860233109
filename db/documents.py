"""The document store: raw bytes as received, compressed, under their SHA-256; the rows are in table `document`.

A file is complete once it has its name: it is written beside it, flushed to disk, then renamed (rename is atomic within
a file system, POSIX). The bytes are there before the row that names them.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import secrets
from pathlib import Path

from intel.errors import ReadError, UnavailableError


def put(store: Path, body: bytes) -> bytes:
    """Keep `body`; returns its SHA-256. The same bytes are kept once. Raises UnavailableError where it cannot."""
    digest = hashlib.sha256(body).digest()
    path = _path(store, digest)
    if path.exists():
        return digest
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        with beside.open("xb") as file:
            file.write(gzip.compress(body, compresslevel=3, mtime=0))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise UnavailableError(
            f"couldn't keep a document in {store}: {error.strerror}; nothing of it was loaded, the next run fetches it"
        ) from error
    return digest


def get(store: Path, digest: bytes) -> bytes:
    """The bytes of SHA-256 `digest`. Raises ReadError where they are missing or no longer what they were."""
    try:
        body = gzip.decompress(_path(store, digest).read_bytes())
    except (OSError, EOFError, gzip.BadGzipFile) as error:
        raise ReadError(f"couldn't read document {digest.hex()} from {store}: {error}; fetch it again") from error
    if hashlib.sha256(body).digest() != digest:
        raise ReadError(f"couldn't read document {digest.hex()} from {store}: its bytes have changed; fetch it again")
    return body


def _path(store: Path, digest: bytes) -> Path:
    name = digest.hex()
    return store / name[:2] / name[2:4] / f"{name}.gz"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
