"""The embedded server's processes: starting, stopping and asking them.

In: a `Place` and settings. Out: a running postmaster, or an UnavailableError that says what is wrong, with the end of
the log. Everything here but `running` and `ask` is called with the mutex held.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from db.embedded import config
from db.embedded.cluster import check_version, write_config
from db.embedded.locks import open_lock, try_lock, wait_lock
from db.embedded.place import INSTEAD, Place, own_directory
from db.embedded.run import detach, run, unavailable
from intel.errors import UnavailableError

PORT: Final = 5432
_LOG_BYTES: Final = 16 * 1024 * 1024
# Crash recovery replays up to max_wal_size; a fast shutdown writes out all of shared_buffers.
_START_SECONDS: Final = 600.0
_STOP_SECONDS: Final = 300.0
_ORPHAN_SECONDS: Final = 30.0
_LOCK_SECONDS: Final = 1.0  # nobody holds it; somebody may just be looking


@dataclass(frozen=True, kw_only=True)
class Postmaster:
    """What postmaster.pid says; `ready` once it takes connections."""

    pid: int
    socket_dir: Path
    port: int
    ready: bool


def running(place: Place) -> Postmaster | None:
    """The live postmaster of this cluster; None where there is none, or only a stale file of a dead one."""
    try:
        lines = (place.cluster / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return None
    if not lines or not lines[0].isdigit() or not _is_postmaster(int(lines[0]), place.cluster):
        return None
    lines += [""] * (8 - len(lines))
    port = int(lines[3]) if lines[3].isdigit() else PORT
    socket_dir = Path(lines[4]) if lines[4] else place.socket_dir
    return Postmaster(pid=int(lines[0]), socket_dir=socket_dir, port=port, ready=lines[7].strip() == "ready")


def _is_postmaster(pid: int, cluster: Path) -> bool:
    """Pids are reused, so the command line must name the cluster. (/proc/PID/cwd would tell as well, but root without
    CAP_SYS_PTRACE, as in a container, may not read another account's.)
    """
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        if Path("/proc/self").exists():
            return False
        with suppress(PermissionError):
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return False
        return True
    return os.path.basename(arguments[0]) == b"postgres" and os.fsencode(cluster) in arguments  # noqa: PTH119  # bytes


def _clear_stale(place: Place) -> None:
    """Remove what a killed postmaster left. Its pid may be another process's now, at which PostgreSQL would give up."""
    (place.cluster / "postmaster.pid").unlink(missing_ok=True)
    for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (place.socket_dir / name).unlink(missing_ok=True)


def start(place: Place, programs: Path, settings: Mapping[str, str]) -> Postmaster:
    """Start the server and wait until it takes connections. Raises UnavailableError."""
    check_version(place, programs)
    alive = open_lock(place.control / "server.lock")
    log = _open_log(place)
    try:
        if not wait_lock(alive, seconds=_LOCK_SECONDS):
            raise _in_use(place)
        own_directory(place.socket_dir, place.account)
        _clear_stale(place)
        write_config(place, programs, settings)
        begin = os.fstat(log).st_size
        command = [
            *(str(programs / "postgres"), "-D", str(place.cluster)),
            *("-c", "listen_addresses=", "-c", f"port={PORT}"),
            *("-c", f"unix_socket_directories={place.socket_dir}", "-c", "unix_socket_permissions=0700"),
            *("-c", f"hba_file={place.cluster / 'pg_hba.conf'}", "-c", f"ident_file={place.cluster / 'pg_ident.conf'}"),
        ]
        detach(place.account, command, log=log, inherit=[alive])
    finally:
        os.close(log)
        os.close(alive)
    started = settled(place)
    if started is None:
        raise unavailable(f"start the database in {place.cluster}", _log_tail(place, begin))
    return started


def settled(place: Place) -> Postmaster | None:
    """The running server, once it takes connections; None once all of it is gone. Raises UnavailableError.

    Who started it may have been killed before it was up; it may be on its way down, with the machine; or the postmaster
    was killed, and its backends, which leave by themselves, first finish what they are at.
    """
    begin = time.monotonic()
    seen = begin
    while True:
        found = running(place)
        if found is not None and found.ready:
            return found
        if found is None and not processes_left(place):
            return None
        now = time.monotonic()
        seen = seen if found is None else now
        if now - seen > _ORPHAN_SECONDS:
            raise _in_use(place)
        if now - begin > _START_SECONDS:
            raise UnavailableError(
                f"couldn't wait for the database in {place.cluster}: it has been neither ready nor gone for "
                f"{_START_SECONDS:.0f} s; see {place.log} and try again"
            )
        time.sleep(0.01)


def _in_use(place: Place) -> UnavailableError:
    return UnavailableError(
        f"couldn't start the database in {place.cluster}: processes of an earlier server, or a server in another "
        f"container, still use it; stop them, or {INSTEAD}"
    )


def processes_left(place: Place) -> bool:
    """Whether any process of the server, postmaster or backend, is alive."""
    return _locked(place.control / "server.lock")


def _locked(path: Path) -> bool:
    fd = open_lock(path)
    try:
        return not try_lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def stop(place: Place) -> bool:
    """Stop the server: open transactions are rolled back, then a checkpoint is written. False where none ran."""
    found = running(place)
    if found is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGINT)  # "fast" shutdown: PostgreSQL's chapter 18.5
    until = time.monotonic() + _STOP_SECONDS
    while running(place) is not None or processes_left(place):
        if time.monotonic() > until:
            raise UnavailableError(
                f"couldn't stop the database in {place.cluster}: pid {found.pid} is still there after "
                f"{_STOP_SECONDS:.0f} s; see {place.log}"
            )
        time.sleep(0.01)
    with suppress(OSError):
        found.socket_dir.rmdir()
    return True


def ensure_keeper(place: Place) -> None:
    """Start, where there is none, the process that stops the server after a last user who was killed and could not."""
    if not sys.executable or _locked(place.control / "keeper.lock"):
        return
    code = "import sys; sys.path.insert(0, sys.argv[2]); from db.embedded.keeper import keep; keep(sys.argv[1])"
    log = _open_log(place)
    try:
        checkout = str(Path(__file__).resolve().parent.parent.parent)
        detach(None, [sys.executable, "-I", "-S", "-c", code, str(place.control), checkout], log=log)
    finally:
        os.close(log)


def ask(place: Place, programs: Path, server: Postmaster, statements: Sequence[str]) -> list[str]:
    """Each statement on a connection of the account's own; what they say, line by line. Raises UnavailableError."""
    command = [str(programs / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", str(server.socket_dir)]
    command += ["-p", str(server.port), "-U", config.ROLE, "-d", "postgres"]
    done = run(place.account, [*command, *(word for text in statements for word in ("-c", text))])
    if done.returncode != 0:
        raise unavailable(f"talk to the database in {place.cluster}", done.stderr)
    return done.stdout.splitlines()


def _open_log(place: Place) -> int:
    """The log, to append to. Past its size the older part is dropped; that is safe while a server has it open, for
    O_APPEND writes at whatever the end is.
    """
    fd = open_lock(place.log, append=True)
    if os.fstat(fd).st_size > _LOG_BYTES:
        tail = os.pread(fd, _LOG_BYTES // 4, os.fstat(fd).st_size - _LOG_BYTES // 4)
        os.ftruncate(fd, 0)
        os.write(fd, tail)
    return fd


def _log_tail(place: Place, begin: int) -> str:
    with place.log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(begin, size - 8192) if begin <= size else 0)
        return file.read().decode("utf-8", "replace")
