"""Processes that kill themselves: a number a line on standard input, an answer a line on standard output.

Each number is answered by a process of its own, forked after the imports, that does its work and dies of SIGKILL at
that call into the project; below 0 it lives. The answer is its exit status, and how many calls there were.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType
from typing import Any

Watch = Callable[[bool], None]
"""Calls are counted from when it is called with True, until it is called with False."""


def die_on_demand(work: Callable[[Watch], None], where: Sequence[str]) -> None:
    """Answer until standard input ends. Calls count whose file's path holds one of `where`."""
    for line in sys.stdin:
        ours, theirs = os.pipe()
        number = os.fork()
        if number == 0:
            os.write(theirs, str(_live(work, where, int(line))).encode())
            os._exit(0)
        os.close(theirs)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        said = os.read(ours, 64).decode() or "0"
        os.close(ours)
        sys.stdout.write(f"{status} {said}\n")
        sys.stdout.flush()


def _live(work: Callable[[Watch], None], where: Sequence[str], kill_at: int) -> int:
    """Do the work; returns the number of calls, unless it dies before."""
    calls = 0
    counted: dict[CodeType, bool] = {}

    def profile(frame: FrameType, _event: str, _argument: Any) -> None:
        nonlocal calls
        code = frame.f_code
        if code not in counted:
            counted[code] = any(part in code.co_filename for part in where)
        if counted[code]:
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    work(lambda watching: sys.setprofile(profile if watching else None))
    return calls
