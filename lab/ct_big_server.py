"""`python -m lab.ct_big_server FOLDER MAXIMUM`: serves what `lab/ct_big.py` made; prints its port, ends with its input.

A thread for each connection, and files that go to the socket without passing through Python, so that what is measured
is who asks. HTTP/1.1 (RFC 9112), GET alone.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from intel.ct import DigitallySigned, log_id, tree_head_message
from intel.ct_static import TILE_WIDTH
from intel.merkle import HASH_SIZE
from lab.certificates import key_from_seed, sign, spki_der
from lab.ct_big import KEY_SEED, About
from lab.merkle import RepeatedTree

_MAX_REQUEST: Final = 16_384
_TILE: Final = re.compile(r"tile/(data|[0-5])/((?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")
ORIGIN: Final = "big.example/log"


class Body(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: octets in memory around a slice of a file."""

    before: bytes = b""
    file: int = -1
    offset: int = 0
    length: int = 0
    after: bytes = b""
    headers: str = "Content-Type: application/json\r\n"
    entries: int = 0
    status: str = "200 OK"


class Pieces:
    """A file of pieces, as `lab.ct_big` wrote it, and a slice of some that follow each other."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.offsets = array("Q")
        self.offsets.frombytes(path.with_suffix(".offsets").read_bytes())

    def slice(self, first: int, stop: int) -> tuple[int, int, int]:
        """File descriptor, offset and length."""
        return self._file.fileno(), self.offsets[first], self.offsets[stop] - self.offsets[first]


class Folder:
    """The answers of all sizes. Raises LookupError and ValueError for what it cannot answer."""

    def __init__(self, folder: Path, maximum: int) -> None:
        self._about = msgspec.json.decode((folder / "about.json").read_bytes(), type=About)
        self._listed, self._tiles = Pieces(folder / "entries"), Pieces(folder / "tiles")
        self._tree, self._tiled = (_tree(folder / name) for name in ("leaves", "tiled-leaves"))
        self._issuers = {path.name[7:]: path.read_bytes() for path in folder.glob("issuer-*")}
        self._key = key_from_seed(KEY_SEED)
        self._log_id = log_id(spki_der(self._key))
        self._maximum = maximum

    def answer(self, target: str) -> Body:
        """What stands at a request's target."""
        path, _, query = target.partition("?")
        size, _, rest = path.lstrip("/").partition("/")
        if rest.startswith("ct/v1/"):
            asked = {name: value for name, value in parse_qsl(query) if name != "hash"}
            return self._calls[rest[6:]](self, int(size), {name: int(value) for name, value in asked.items()})
        if int(size) > self._about.entries:
            raise LookupError("tiles state their index, so they do not repeat")
        if rest == "checkpoint":
            return self._checkpoint(int(size))
        if rest.startswith("issuer/"):
            return Body(before=self._issuers[rest[7:]], headers="Content-Type: application/pkix-cert\r\n")
        return self._tile(int(size), rest)

    def _head(self, size: int, tree: RepeatedTree) -> tuple[int, bytes, bytes]:
        timestamp, root = int(time.time() * 1000), tree.root(size)
        signature = sign(self._key, tree_head_message(timestamp, size, root))
        signed = DigitallySigned(hash_algorithm=4, signature_algorithm=3, signature=signature)
        return timestamp, root, signed.to_bytes()

    def _get_sth(self, size: int, _asked: dict[str, int]) -> Body:
        timestamp, root, signature = self._head(size, self._tree)
        return _json(
            {
                "tree_size": size,
                "timestamp": timestamp,
                "sha256_root_hash": base64.b64encode(root).decode(),
                "tree_head_signature": base64.b64encode(signature).decode(),
            }
        )

    def _get_entries(self, size: int, asked: dict[str, int]) -> Body:
        first, last = asked["start"], asked["end"]
        if not 0 <= first <= last or first >= size:
            raise ValueError("no such range")
        period = self._about.entries
        stop = min(last + 1, first + self._maximum, size, (first // period + 1) * period)
        file, offset, length = self._listed.slice(first % period, (stop - 1) % period + 1)
        # The last piece ends with the comma that another one would want.
        return Body(
            before=b'{"entries":[', file=file, offset=offset, length=length - 1, after=b"]}", entries=stop - first
        )

    def _get_consistency(self, size: int, asked: dict[str, int]) -> Body:
        if not 0 <= asked["first"] <= asked["second"] <= size:
            raise ValueError("no such sizes")
        return _json({"consistency": _all(self._tree.consistency(asked["first"], asked["second"]))})

    def _get_entry_and_proof(self, size: int, asked: dict[str, int]) -> Body:
        index, stated = asked["leaf_index"], asked["tree_size"]
        if not 0 <= index < stated <= size:
            raise ValueError("no such leaf")
        file, offset, length = self._listed.slice(index % self._about.entries, index % self._about.entries + 1)
        entry = os.pread(file, length, offset)[:-2]  # without what closes the object, and the comma
        return Body(
            before=entry + b',"audit_path":%b}' % json.dumps(_all(self._tree.inclusion(index, stated))).encode()
        )

    def _get_roots(self, _size: int, _asked: dict[str, int]) -> Body:
        return _json({"certificates": _all(self._issuers.values())})

    def _checkpoint(self, size: int) -> Body:
        timestamp, root, signature = self._head(size, self._tiled)
        key_id = hashlib.sha256(ORIGIN.encode() + b"\n\x05" + self._log_id).digest()[:4]
        note = base64.b64encode(key_id + timestamp.to_bytes(8, "big") + signature).decode()
        text = f"{ORIGIN}\n{size}\n{base64.b64encode(root).decode()}\n\n\N{EM DASH} {ORIGIN} {note}\n"
        return Body(before=text.encode(), headers="Content-Type: text/plain; charset=utf-8\r\n")

    def _tile(self, size: int, path: str) -> Body:
        found = _TILE.fullmatch(path)
        if found is None:
            raise LookupError("no such tile")
        number = int("".join(group.lstrip("x") for group in found[2].split("/")))
        level = 0 if found[1] == "data" else int(found[1])
        width = TILE_WIDTH if found[3] is None else int(found[3])
        held = size >> 8 * level
        full = held >= (number + 1) * TILE_WIDTH
        if not full if found[3] is None else divmod(held, TILE_WIDTH) != (number, width):
            raise LookupError("no such tile in a tree of that size")
        octets = "Content-Type: application/octet-stream\r\n"
        if found[1] == "data":
            file, offset, length = self._tiles.slice(number, number + 1)
            packed = octets + "Content-Encoding: gzip\r\n"
            return Body(file=file, offset=offset, length=length, headers=packed, entries=TILE_WIDTH)
        start = number * TILE_WIDTH
        return Body(before=b"".join(self._tiled.nodes(8 * level, start, start + width)), headers=octets)

    _calls: Final[dict[str, Callable[[Folder, int, dict[str, int]], Body]]] = {
        "get-sth": _get_sth,
        "get-entries": _get_entries,
        "get-sth-consistency": _get_consistency,
        "get-entry-and-proof": _get_entry_and_proof,
        "get-roots": _get_roots,
    }


class Server:
    """Accepts for ever; counts what it answers."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._counts = {"requests": 0, "entries": 0, "bytes": 0}
        self._first = 0.0
        self._since = time.process_time(), time.monotonic()

    def run(self, listener: socket.socket) -> None:
        """A thread for each connection."""
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        pending = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in pending:
                    try:
                        octets = connection.recv(_MAX_REQUEST)
                    except OSError:
                        return
                    if not octets or len(pending) > _MAX_REQUEST:
                        return
                    pending += octets
                request, _, pending = pending.partition(b"\r\n\r\n")
                try:
                    self._respond(connection, request.split(b" ", 2)[1].decode("latin-1"))
                except OSError:
                    return

    def _respond(self, connection: socket.socket, target: str) -> None:
        try:
            body = _json(self._stats()) if target == "/stats" else self._folder.answer(target)
        except LookupError as error:
            body = Body(before=str(error).encode(), status="404 Not Found")
        except ValueError as error:
            body = Body(before=str(error).encode(), status="400 Bad Request")
        if body.entries and not self._first:
            self._first = time.monotonic()
        total = len(body.before) + body.length + len(body.after)
        head = f"HTTP/1.1 {body.status}\r\n{body.headers}Content-Length: {total}\r\n\r\n".encode("latin-1")
        if body.file < 0:
            connection.sendall(head + body.before)
        else:
            connection.sendall(head + body.before, socket.MSG_MORE)
            offset, left = body.offset, body.length
            while left:
                sent = os.sendfile(connection.fileno(), body.file, offset, left)
                offset, left = offset + sent, left - sent
            connection.sendall(body.after)
        with self._lock:
            counts = self._counts
            counts["requests"] += 1
            counts["entries"] += body.entries
            counts["bytes"] += total

    def _stats(self) -> dict[str, float]:
        cpu, wall = time.process_time(), time.monotonic()
        with self._lock:
            found: dict[str, float] = {**self._counts, "cpu": cpu - self._since[0], "wall": wall - self._since[1]}
            found["first"] = self._first
            self._counts, self._since, self._first = dict.fromkeys(self._counts, 0), (cpu, wall), 0.0
        return found


def _tree(path: Path) -> RepeatedTree:
    octets = path.read_bytes()
    return RepeatedTree([octets[at : at + HASH_SIZE] for at in range(0, len(octets), HASH_SIZE)])


def _json(value: object) -> Body:
    return Body(before=json.dumps(value).encode())


def _all(many: object) -> list[str]:
    return [base64.b64encode(one).decode() for one in many]  # type: ignore[attr-defined] # any iterable of octets


def main() -> None:
    """Serve until standard input ends."""
    folder = Folder(Path(sys.argv[1]), int(sys.argv[2]))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        print(listener.getsockname()[1], flush=True)
        threading.Thread(target=Server(folder).run, args=(listener,), daemon=True).start()
        sys.stdin.read()


if __name__ == "__main__":
    main()
