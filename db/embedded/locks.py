"""Who uses the embedded server, told by flock(2) alone: what a dead process held, the kernel has let go.

In: the control folder (the data directory that `acquire` was given). Out: locks on files in it.

    mutex.lock       held while the server is started or stopped and while holders are counted
    holders/*.lock   one file for each lease, locked for as long as its process lives
    server.lock      handed down to the postmaster and by it to every backend: free once the last of them is gone
    keeper.lock      held by the keeper (db/embedded/keeper.py)

A pid in a file is never the truth here: pids are reused, and a pid of another container means nothing.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from intel.errors import UnavailableError

# Crash recovery replays up to max_wal_size, with the mutex held: the others wait for longer than that takes.
MUTEX_SECONDS: Final = 900.0


def open_lock(path: Path, *, append: bool = False, make: bool = True) -> int:
    """A descriptor on the lock file (or log) `path`, by default made where it is missing. No child inherits it.

    Root working in somebody's directory leaves the file to that directory's owner, who could not open it otherwise;
    only a file made just now is given away, for the owner could have put a link in its place.
    """
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_APPEND if append else 0)
    if not make:
        return os.open(path, flags)
    try:
        fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    if os.geteuid() == 0:
        parent = path.parent.stat()
        os.fchown(fd, parent.st_uid, parent.st_gid)
    return fd


def try_lock(fd: int, operation: int = fcntl.LOCK_EX) -> bool:
    """Whether the lock was free, and now is ours."""
    try:
        fcntl.flock(fd, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_lock(fd: int, *, seconds: float) -> bool:
    """Like try_lock, for at most `seconds`. (flock has no timeout of its own.)"""
    until = time.monotonic() + seconds
    while not try_lock(fd):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def mutex(control: Path, *, seconds: float = MUTEX_SECONDS, make: bool = True) -> Iterator[None]:
    """Nobody else starts, stops or counts while the block runs. Raises UnavailableError after `seconds`."""
    fd = open_lock(control / "mutex.lock", make=make)
    try:
        if not wait_lock(fd, seconds=seconds):
            raise UnavailableError(
                f"couldn't lock {control}: another process has been starting or stopping the database for "
                f"{seconds:.0f} s; see {control / 'server.log'} and try again"
            )
        try:
            yield
        finally:
            # Unlocked by name: a child forked meanwhile shares the descriptor and would keep the lock.
            fcntl.flock(fd, fcntl.LOCK_UN)
    finally:
        os.close(fd)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """One lease's file in holders/; `pid` made it."""

    path: Path
    fd: int
    pid: int

    def is_mine(self) -> bool:
        """False in a forked child: the lease is its parent's."""
        return os.getpid() == self.pid

    def drop(self) -> None:
        """Let go; a forked child only closes its copy."""
        if self.is_mine():
            self.path.unlink(missing_ok=True)
            fcntl.flock(self.fd, fcntl.LOCK_UN)
        os.close(self.fd)


def hold(control: Path) -> Holder:
    """Register this process as a user of the server. Call with the mutex held: an unlocked file looks abandoned."""
    folder = control / "holders"
    if not folder.is_dir():
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            parent = control.stat()
            os.chown(folder, parent.st_uid, parent.st_gid, follow_symlinks=False)
    path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.lock"
    fd = open_lock(path)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return Holder(path=path, fd=fd, pid=os.getpid())


def holders(control: Path, *, sweep: bool) -> list[int]:
    """The pids of the live leases, one for each lease. `sweep` (mutex held) removes what dead processes left."""
    alive: list[int] = []
    for path in sorted((control / "holders").glob("*.lock")):
        try:
            fd = open_lock(path, make=False)
        except FileNotFoundError:
            continue
        try:
            # Shared, so that two who look at the same time do not take each other for the holder.
            if not try_lock(fd, fcntl.LOCK_SH):
                alive.append(int(path.name.partition("-")[0]))
            elif sweep:
                path.unlink(missing_ok=True)
        finally:
            os.close(fd)
    return alive
