"""Follows a log in a process that kills itself: `python -m lab.bench._ct_kills_child STORY_JSON`, a number a line in.

Each number is answered by a process of its own, forked after the imports, that follows the log and judges what came of
it, and dies of SIGKILL at that call into the project; below 0 it lives. The answer is a line: its exit status, and how
many calls there were.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from types import CodeType, FrameType
from typing import Any

from db.engine import warehouse
from intel.config.sources import Source
from intel.names import default_suffixes
from tasks.collect.session import open_run
from tasks.load import ct
from tasks.watch import certificates
from tasks.watch.warninglists import lists

WHERE = ("/tasks/load/", "/tasks/collect/", "/tasks/watch/monitor.py", "/db/", "/sqlalchemy/engine/base.py")


def live(source: Source, kill_at: int, chunk: int) -> int:
    """Follow and judge; returns the number of calls, unless it dies before."""
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

    with warehouse() as engine:
        sys.setprofile(profile)
        with open_run(engine, source) as run:
            # In processes of their own, as a long way is read.
            ct.follow(engine, source, run, ct.head(engine, source, run), chunk_entries=chunk, few=0)
        certificates.monitor(engine)
        sys.setprofile(None)
    return calls


def main(story: dict[str, Any]) -> None:
    """Live, and die, as often as asked."""
    source = Source.model_validate(story["source"])
    # What each process would read for itself, slowly, being watched.
    default_suffixes()
    lists()
    for line in sys.stdin:
        ours, theirs = os.pipe()
        number = os.fork()
        if number == 0:
            os.write(theirs, str(live(source, int(line), story["chunk"])).encode())
            os._exit(0)
        os.close(theirs)
        status = os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])
        said = os.read(ours, 64).decode() or "0"
        os.close(ours)
        sys.stdout.write(f"{status} {said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
