"""Decompression that ends: gzip (RFC 1952), zlib and raw deflate (RFC 1950, 1951) and ZIP, in bounded steps.

In: compressed bytes, piece by piece, and caps. Out: the decoded bytes, or OversizedError before they are in memory.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from fnmatch import fnmatchcase

from intel.errors import OversizedError, ReadError

# An honest page of equal lines packs 1,000 to 1: the ratio counts only beyond this many decoded bytes.
EXPANSION_FLOOR = 1 << 20
_STEP = 1 << 16
# Each member costs a copy of the rest of its piece, so a stream of empty members is slow, not large.
_MAX_MEMBERS = 10_000
_MAX_ENTRIES = 10_000


class Inflater:
    """Decodes one content coding incrementally: `feed` pieces, then ask `complete`.

    Never holds more than `max_bytes` decoded bytes, nor more than `max_expansion` times what was fed.
    """

    def __init__(self, coding: str, *, max_bytes: int, max_expansion: float) -> None:
        if coding not in {"identity", "gzip", "deflate"}:
            raise ReadError(f"couldn't decode the body: {coding[:40]!r} was not asked for; it was dropped")
        self._coding = coding
        self._max_bytes = max_bytes
        self._max_expansion = max_expansion
        self._decoder: zlib._Decompress | None = None
        self._members = 0
        self._fed = 0
        self._made = 0
        # A step that fills its buffer may leave output in the decoder although all input is consumed.
        self._pending = False

    @property
    def complete(self) -> bool:
        """Whether the stream ended where its format says that it ends."""
        return self._coding == "identity" or self._fed == 0 or (self._decoder is not None and self._decoder.eof)

    def feed(self, data: bytes) -> bytes:
        """Decode one piece. Raises OversizedError at a cap, ReadError on bytes that do not decode."""
        self._fed += len(data)
        if self._coding == "identity":
            self._count(len(data))
            return data
        made = bytearray()
        try:
            while data or self._pending:
                data = self._step(data, made)
        except zlib.error as error:
            raise ReadError(f"couldn't decode the body as {self._coding}: {error}; it was dropped") from None
        return bytes(made)

    def _step(self, data: bytes, made: bytearray) -> bytes:
        if self._decoder is None or self._decoder.eof:
            if self._decoder is not None and (self._coding == "deflate" or not data.strip(b"\0")):
                return b""  # padding after the end
            self._decoder = self._open(data)
        piece = self._decoder.decompress(data, _STEP)
        self._pending = len(piece) == _STEP and not self._decoder.eof
        self._count(len(piece))
        made += piece
        return self._decoder.unused_data if self._decoder.eof else self._decoder.unconsumed_tail

    def _open(self, data: bytes) -> zlib._Decompress:
        self._members += 1
        if self._members > _MAX_MEMBERS:
            raise OversizedError(f"couldn't decode the body: more than {_MAX_MEMBERS} gzip members; it was dropped")
        if self._coding == "gzip":
            return zlib.decompressobj(wbits=31)
        # "deflate" means zlib, but some servers send raw deflate (RFC 9110 section 8.4.1.2): CM is 8 in zlib's header.
        is_zlib = data[0] & 0x0F == 8 and (len(data) < 2 or int.from_bytes(data[:2], "big") % 31 == 0)
        return zlib.decompressobj(wbits=15 if is_zlib else -15)

    def _count(self, size: int) -> None:
        self._made += size
        if self._made > self._max_bytes:
            raise OversizedError(f"couldn't read the body: more than {self._max_bytes} bytes decoded; it was dropped")
        if self._made > EXPANSION_FLOOR and self._made > self._max_expansion * self._fed:
            raise OversizedError(
                f"couldn't read the body: it expands more than {self._max_expansion:g} times; it was dropped"
            )


def expand_gzip(data: bytes, *, max_bytes: int, max_expansion: float) -> bytes:
    """Decode a whole .gz file. Raises OversizedError or ReadError."""
    inflater = Inflater("gzip", max_bytes=max_bytes, max_expansion=max_expansion)
    body = b"".join(inflater.feed(data[start : start + _STEP]) for start in range(0, len(data), _STEP))
    if not data or not inflater.complete:
        raise ReadError("couldn't decode the gzip file: it is cut short; it was dropped")
    return body


def expand_zip(data: bytes, *, max_bytes: int, max_expansion: float, member: str = "*") -> bytes:
    """Decode the one file of a ZIP whose name matches `member` (a glob; folders do not count).

    Raises ReadError where none or several match, and on encryption or a method other than stored and deflate (the
    others cannot be decoded in bounded steps); OversizedError at a cap. Names are never used as paths.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            if len(entries) > _MAX_ENTRIES:
                raise OversizedError(f"couldn't read the ZIP: more than {_MAX_ENTRIES} entries; it was dropped")
            found = [entry for entry in entries if not entry.is_dir() and fnmatchcase(entry.filename, member)]
            if len(found) != 1:
                raise ReadError(f"couldn't read the ZIP: {len(found)} files match, not one; name the member to read")
            return _expand_entry(archive, found[0], max_bytes=max_bytes, max_expansion=max_expansion)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, ValueError, OSError) as error:
        raise ReadError(f"couldn't read the ZIP: {error}; it was dropped") from None


def _expand_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, max_bytes: int, max_expansion: float) -> bytes:
    if entry.flag_bits & 0x1:
        raise ReadError("couldn't read the ZIP: the file in it is encrypted; it was dropped")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ReadError("couldn't read the ZIP: its method is neither stored nor deflate; it was dropped")
    body = bytearray()
    # The sizes in the directory are the sender's word; what counts is what comes out, against the archive's own size.
    ceiling = min(float(max_bytes), max(EXPANSION_FLOOR, max_expansion * archive.fp.seek(0, 2))) if archive.fp else 0
    with archive.open(entry) as stream:
        while piece := stream.read(_STEP):
            body += piece
            if len(body) > ceiling:
                raise OversizedError("couldn't read the ZIP: the file in it expands beyond the limit; it was dropped")
    return bytes(body)


def expand(data: bytes, *, max_bytes: int, max_expansion: float, member: str = "*") -> bytes:
    """Decode a gzip or ZIP file by its first bytes; anything else is given back as it is (within `max_bytes`)."""
    if data.startswith(b"\x1f\x8b"):
        return expand_gzip(data, max_bytes=max_bytes, max_expansion=max_expansion)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return expand_zip(data, max_bytes=max_bytes, max_expansion=max_expansion, member=member)
    if len(data) > max_bytes:
        raise OversizedError(f"couldn't read the body: more than {max_bytes} bytes; it was dropped")
    return data
