"""Being told to stop: Ctrl-C, SIGTERM and SIGHUP end what is going on by an exception, so that it can be tidied away.

Without this SIGTERM and SIGHUP end the process where it stands, and the services that it has started live on; a second
Ctrl-C would end the stopping of them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass
class _Told:
    active: bool = False
    held: bool = False  # in a step that must not be broken
    waiting: bool = False  # a signal came meanwhile
    stopping: bool = False


_told = _Told()


@contextmanager
def stoppable() -> Iterator[None]:
    """The first signal raises KeyboardInterrupt in the block; later ones do nothing, since it is being stopped by then.

    One that whoever started us wants ignored (nohup) stays so. Inside another such block, and outside the main
    thread, which alone hears signals, this does nothing.
    """
    if _told.active or threading.current_thread() is not threading.main_thread():
        yield
        return
    vars(_told).update(vars(_Told(active=True)))
    before = {
        number: signal.signal(number, _hear) for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        _told.stopping = True
        for number, handler in before.items():
            signal.signal(number, handler)
        _told.active = False


@contextmanager
def unbroken() -> Iterator[None]:
    """A signal in the block is heard at its end."""
    _told.held = True
    try:
        yield
    finally:
        _told.held = False
    if _told.waiting:
        _stop()


def ignore() -> None:
    """From here to the end of the `stoppable` block signals do nothing: what they ask for is being done."""
    _told.stopping = True


def _hear(_number: int, _frame: FrameType | None) -> None:
    if _told.held:
        _told.waiting = True
    elif not _told.stopping:
        _stop()


def _stop() -> None:
    _told.stopping, _told.waiting = True, False
    raise KeyboardInterrupt
