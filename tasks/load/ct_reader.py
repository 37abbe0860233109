"""The process that reads and matches what a log gives: `python -m tasks.load.ct_reader`, frames in, frames out.

A frame is a length (u32, big-endian), an octet that says what it is, and MessagePack. In: a `WatchSet` that entries are
matched with from then on, or an `Answer`. Out, for each answer: a `Reply`. It asks nobody and writes nowhere; when its
input ends, as it does when the one who started it dies, so does it.
"""

from __future__ import annotations

import sys
from typing import IO, Final

import msgspec

from intel.ct_answer import Answer
from intel.errors import LapsewatchError, ReadError
from intel.match.certificates import WatchSet
from intel.match.entries import Judged, judge

_LENGTH: Final = 4


class Watching(msgspec.Struct, frozen=True):
    """What to match from now on, and whether the rows of the archive are wanted."""

    watch: WatchSet
    archive: bool


class Reply(msgspec.Struct, frozen=True):
    """What was read: `rows` for the archive are Arrow's, empty where none are wanted. `fault`: it cannot be read."""

    judged: Judged | None = None
    rows: bytes = b""
    fault: str = ""


_WATCHING: Final = b"W"
_ANSWER: Final = b"A"
_REPLY: Final = b"R"
_ENCODER: Final = msgspec.msgpack.Encoder()
_KINDS: Final = {Watching: _WATCHING, Answer: _ANSWER, Reply: _REPLY}
_READ_WATCHING: Final = msgspec.msgpack.Decoder(Watching)
_READ_ANSWER: Final = msgspec.msgpack.Decoder(Answer)
_READ_REPLY: Final = msgspec.msgpack.Decoder(Reply)


def frame_of(record: Watching | Answer | Reply) -> bytes:
    """A record as it is sent."""
    body = _ENCODER.encode(record)
    return (len(body) + 1).to_bytes(_LENGTH, "big") + _KINDS[type(record)] + body


def write_frame(stream: IO[bytes], frame: bytes) -> None:
    """Send what `frame_of` gave."""
    stream.write(frame)
    stream.flush()


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame without its length; None where the stream has ended, within a frame or before one."""
    head = stream.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    length = int.from_bytes(head, "big")
    body = stream.read(length)
    return body if len(body) == length else None


def read_reply(frame: bytes) -> Reply:
    """A reply from its frame."""
    return _READ_REPLY.decode(memoryview(frame)[1:])


class Reader:
    """Reads answers against the watch set that it was given last."""

    def __init__(self) -> None:
        self._watching = Watching(watch=WatchSet(), archive=False)

    def watch(self, watching: Watching) -> None:
        """From now on, match these."""
        self._watching = watching

    def read(self, answer: Answer) -> Reply:
        """Read one answer."""
        archive = self._watching.archive
        try:
            judged = judge(answer, self._watching.watch, archive=archive)
        except ReadError as error:
            return Reply(fault=str(error))
        rows = b""
        if judged.columns is not None:
            # Only here, since the archive is an extra.
            from db.archive import to_arrow  # noqa: PLC0415 - imported where it is wanted

            rows = to_arrow(judged.columns)
        return Reply(judged=msgspec.structs.replace(judged, columns=None), rows=rows)


def main() -> int:
    """Serve until the input ends."""
    reader = Reader()
    while (frame := read_frame(sys.stdin.buffer)) is not None:
        content = memoryview(frame)[1:]
        if frame[:1] == _WATCHING:
            reader.watch(Watching(watch=WatchSet(), archive=False))  # the old set goes before the new one comes
            reader.watch(_READ_WATCHING.decode(content))
            continue
        try:
            reply = reader.read(_READ_ANSWER.decode(content))
        except LapsewatchError as error:
            reply = Reply(fault=str(error))
        write_frame(sys.stdout.buffer, frame_of(reply))
    return 0


if __name__ == "__main__":
    sys.exit(main())
