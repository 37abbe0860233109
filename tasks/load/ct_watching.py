"""The watch set that a slice matches with: loaded at its begin, and again where the watches have changed."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import Engine, text

from db.watched import load_watch_set, watch_version
from tasks.load.ct_reader import Watching
from tasks.load.ct_readers import Readers

WATCHES_SECONDS: Final = 60.0
"""How often a slice looks whether the watches have changed, which costs next to nothing."""


class Watched:
    """The active watches. A new set takes the place of the old one whole.

    What the warehouse comes to know of what is watched (further keys and forms of certificates) while a slice runs is
    for the next slice, and for the hunt in the archive: a segment carries the time at which its set was loaded.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._looked = float("-inf")
        self._version = ""
        self._given: Readers | None = None

    def give(self, readers: Readers, *, archive: bool) -> None:
        """Hand the set to the readers where they do not have it."""
        if self._given is readers and time.monotonic() - self._looked < WATCHES_SECONDS:
            return
        with self._engine.connect() as connection:
            # The version and the time come first: what is added meanwhile is newer, and found at the next look.
            version = watch_version(connection)
            self._looked = time.monotonic()
            if self._given is readers and version == self._version:
                return
            at = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
            readers.watch(Watching(watch=load_watch_set(connection), archive=archive), at)
        self._given, self._version = readers, version
