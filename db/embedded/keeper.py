"""The keeper: a small process beside the embedded server that stops it when its last user was killed.

In: the control folder. A user who leaves in good order stops the server himself when he was the last; one who was
killed cannot, and without the keeper the server would stay until somebody comes and goes again. It looks once a second,
always with the mutex held, so that nobody starts, stops or registers meanwhile.
"""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from typing import Final

from db.embedded import process
from db.embedded.locks import holders, mutex, open_lock, try_lock
from db.embedded.place import find

_SECONDS: Final = 1.0


def keep(control_dir: str) -> None:
    """Return once the server has stopped, by us or by others, or where it has a keeper already."""
    control = Path(control_dir)
    try:
        lock = open_lock(control / "keeper.lock")
        if not try_lock(lock):
            return
        while True:
            time.sleep(_SECONDS)
            with mutex(control, make=False):  # it must not make anew what somebody is removing
                place = find(control)
                if place is None or process.running(place) is None or not holders(control, sweep=True):
                    # Released before the mutex is: who starts the server next finds no keeper and starts one.
                    fcntl.flock(lock, fcntl.LOCK_UN)
                    if place is not None:
                        process.stop(place)
                    return
    except FileNotFoundError:
        return  # the data directory was removed; PostgreSQL notices that by itself
