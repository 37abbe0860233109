"""Follows a log in a process that kills itself: `follow_and_die.py SOURCE_JSON`, a number a line on standard input.

Each number is answered by a process of its own, forked after the imports, that follows the log and dies of SIGKILL at
that call into the project; below 0 it lives. The answer is a line: its exit status, and how many calls there were.
"""

from __future__ import annotations

import os
import signal
import sys
from types import CodeType, FrameType
from typing import Any

from db.engine import warehouse
from intel.config.sources import Source
from intel.names import default_suffixes
from tasks.collect.session import open_run
from tasks.load.ct import follow, head

WHERE = ("/tasks/load/", "/tasks/collect/session.py", "/db/", "/sqlalchemy/engine/base.py")


def live(source: Source, kill_at: int) -> int:
    calls = 0
    counted: dict[CodeType, bool] = {}

    def profile(frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        code = frame.f_code
        if code not in counted:
            counted[code] = any(part in code.co_filename for part in WHERE)
        if counted[code]:
            calls += 1
            if calls == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    with warehouse() as engine:
        sys.setprofile(profile)
        with open_run(engine, source) as run:
            follow(engine, source, run, head(engine, source, run), chunk_entries=8)
        sys.setprofile(None)
    return calls


def main(source: Source) -> None:
    default_suffixes()
    for line in sys.stdin:
        ours, theirs = os.pipe()
        number = os.fork()
        if number == 0:
            os.write(theirs, str(live(source, int(line))).encode())
            os._exit(0)
        os.close(theirs)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        said = os.read(ours, 64).decode() or "0"
        os.close(ours)
        sys.stdout.write(f"{status} {said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(Source.model_validate_json(sys.argv[1]))
