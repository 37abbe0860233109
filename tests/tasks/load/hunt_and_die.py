"""Compacts, hunts and tidies in a process that kills itself; a number a line on standard input.

Each number is answered by a process of its own, forked after the imports, that dies of SIGKILL at that call into the
project; below 0 it lives. The answer is a line: its exit status, and how many calls there were.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import timedelta
from types import CodeType, FrameType
from typing import Any

from db.archive_compact import compact
from db.archive_retain import tidy
from db.engine import warehouse
from intel.config.ct import read_ct
from intel.names import default_suffixes
from intel.settings import settings
from tasks.load.ct_hunt import hunt

WHERE = ("/tasks/load/", "/tasks/normalize/", "/tasks/collect/session.py", "/db/", "/sqlalchemy/engine/base.py")


def live(kill_at: int) -> int:
    calls = 0
    counted: dict[CodeType, bool] = {}

    def profile(frame: FrameType, _event: str, _argument: Any) -> None:
        nonlocal calls
        code = frame.f_code
        if code not in counted:
            counted[code] = any(part in code.co_filename for part in WHERE)
        if counted[code]:
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    archive, home = read_ct(settings().configs).archive, settings().home
    with warehouse() as engine:
        sys.setprofile(profile)
        compact(engine, archive, home, target=16)
        hunt(engine)
        # At once, so that a kill may meet the removal of what the kills before left.
        tidy(engine, archive, home, spared=timedelta())
        sys.setprofile(None)
    return calls


def main() -> None:
    default_suffixes()
    for line in sys.stdin:
        ours, theirs = os.pipe()
        number = os.fork()
        if number == 0:
            os.write(theirs, str(live(int(line))).encode())
            os._exit(0)
        os.close(theirs)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        said = os.read(ours, 64).decode() or "0"
        os.close(ours)
        sys.stdout.write(f"{status} {said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
