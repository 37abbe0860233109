"""Sorted delegations on disk: blocks of lines in, a gzip file out, and back.

A line is a name, a tab, and its name servers joined by spaces; lines are sorted by their bytes, each name once. The
other core packs and unpacks: zlib works outside of Python's lock, in a thread that holds a few megabytes at most.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from intel.errors import LapsewatchError, OversizedError, ReadError, UnavailableError

PIECE: Final = 1 << 18
"""Bytes that are looked at together: what stays in the processor's cache is read nearly twice as fast."""
# A thread that comes back from zlib waits up to 5 ms for Python's lock, so it has to come back seldom.
_STEP: Final = 1 << 21
_BLOCK: Final = 50_000
_WAITING: Final = 2
_QUICK: Final = 1
_GZIP: Final = 31
_MAGIC: Final = b"\x1f\x8b"


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much one file may hold, packed and unpacked, and how many times larger than packed."""

    bytes: int
    expansion: float


class Unpacked:
    """The pieces of a file, unpacked where it is gzip, read ahead by a thread; close it, or use it as a block.

    `sha256` and `bytes` are of the file as it is, complete once all pieces were taken.
    Iterating raises ReadError for a file that does not decode or is cut short, OversizedError beyond its bounds.
    """

    def __init__(self, path: Path, bounds: Bounds | None = None, *, step: int = _STEP) -> None:
        self.bytes = 0
        self._step = step
        self._path = path
        self._bounds = bounds
        self._hash = hashlib.sha256()
        self._pieces: queue.Queue[bytes | BaseException | None] = queue.Queue(_WAITING)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._read, name="unpack", daemon=True)
        self._thread.start()

    @property
    def sha256(self) -> bytes:
        """SHA-256 of the file as it is."""
        return self._hash.digest()

    def __iter__(self) -> Iterator[bytes]:
        while (piece := self._pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            for start in range(0, len(piece), PIECE):
                yield piece[start : start + PIECE]

    def close(self) -> None:
        """Stop reading, and wait for the thread."""
        self._left.set()
        while self._thread.is_alive():
            with suppress(queue.Empty):
                self._pieces.get(timeout=0.05)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        ended: BaseException | None = None
        try:
            self._unpack()
        except LapsewatchError as error:
            ended = error
        except OSError as error:
            ended = ReadError(f"couldn't read {self._path.name}: {error.strerror or error}; nothing of it is used")
        except BaseException as error:  # noqa: BLE001 - whoever waits for the next piece must not wait for ever
            ended = error
        self._pieces.put(ended)

    def _unpack(self) -> None:
        made = 0
        decoder: zlib._Decompress | None = None
        with self._path.open("rb") as file:
            while (data := file.read(self._step // 4)) and not self._left.is_set():
                if not self.bytes and data.startswith(_MAGIC):
                    decoder = zlib.decompressobj(_GZIP)
                self.bytes += len(data)
                self._hash.update(data)
                if decoder is None:
                    made += len(data)
                    self._check(made)
                    self._pieces.put(data)
                    continue
                while data and not self._left.is_set():
                    try:
                        if decoder.eof:
                            # Another member, or padding after the last one (RFC 1952 section 2.2).
                            data = data.lstrip(b"\0")
                            decoder = zlib.decompressobj(_GZIP) if data else decoder
                            continue
                        piece = decoder.decompress(data, self._step)
                    except zlib.error as error:
                        raise ReadError(f"couldn't unpack {self._path.name}: {error}; nothing of it is used") from None
                    data = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
                    made += len(piece)
                    self._check(made)
                    if piece:
                        self._pieces.put(piece)
        if decoder is not None and not decoder.eof and not self._left.is_set():
            raise ReadError(f"couldn't unpack {self._path.name}: it is cut short; nothing of it is used")

    def _check(self, made: int) -> None:
        bounds = self._bounds
        if bounds is None:
            return
        if max(made, self.bytes) > bounds.bytes:
            raise OversizedError(
                f"couldn't read {self._path.name}: more than {bounds.bytes} bytes; nothing of it is used"
            )
        if made > (64 << 20) and made > bounds.expansion * self.bytes:
            raise OversizedError(
                f"couldn't read {self._path.name}: it expands more than {bounds.expansion:g} times; nothing of it is"
                " used"
            )


def read_blocks(path: Path, *, step: int = _STEP) -> Iterator[list[bytes]]:
    """The sorted lines of a file that `LineWriter` wrote, some thousands at a time; `step` is how many bytes are
    unpacked at once. Raises ReadError.
    """
    rest = b""
    with Unpacked(path, step=step) as pieces:
        for piece in pieces:
            lines = (rest + piece).split(b"\n")
            rest = lines.pop()
            if lines:
                yield lines
    if rest:
        raise ReadError(f"couldn't read {path.name}: its last line is cut short; nothing of it is used")


class LineWriter:
    """Writes sorted lines to a file, packed by a thread; on the disk once `finish` has returned.

    Raises UnavailableError where the disk does not take it. A file that is not finished is the caller's to remove.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        self.lines = 0
        self._hash = hashlib.sha256()
        self._blocks: queue.Queue[bytes | None] = queue.Queue(_WAITING)
        self._failed: BaseException | None = None
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._thread = threading.Thread(target=self._write, name="pack", daemon=True)
        self._thread.start()

    def write(self, lines: list[bytes]) -> None:
        """Add lines; they come after all that were added before."""
        if self._failed is not None:
            self._raise(self._failed)
        self.lines += len(lines)
        for start in range(0, len(lines), _BLOCK):
            self._blocks.put(b"\n".join(lines[start : start + _BLOCK]) + b"\n")

    def finish(self) -> bytes:
        """Flush it to the disk. Returns the SHA-256 of the file."""
        self._blocks.put(None)
        self._thread.join()
        if self._failed is not None:
            self._raise(self._failed)
        return self._hash.digest()

    def abandon(self) -> None:
        """Stop, and remove what was written."""
        if self._thread.is_alive():
            self._blocks.put(None)
            self._thread.join()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _raise(self, error: BaseException) -> None:
        cause = error.strerror or error if isinstance(error, OSError) else type(error).__name__
        raise UnavailableError(
            f"couldn't write {self.path.name}: {cause}; nothing of it is committed, the next run begins again"
        ) from error

    def _write(self) -> None:
        try:
            packer = zlib.compressobj(_QUICK, zlib.DEFLATED, _GZIP)
            with self.path.open("wb") as file:
                while (block := self._blocks.get()) is not None:
                    self._keep(file.write, packer.compress(block))
                self._keep(file.write, packer.flush())
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:  # noqa: BLE001 - whoever writes must hear of it, and must not wait for room
            self._failed = error
            while self._blocks.get() is not None:
                pass

    def _keep(self, write: object, packed: bytes) -> None:
        self._hash.update(packed)
        write(packed)  # type: ignore[operator]  # a file's


def sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk: those that files were given by renaming them, say."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
