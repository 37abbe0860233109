"""Running the wheel's programs as the account that PostgreSQL belongs to.

In: an account and a command. Out: what it said, or the pid of what now runs by itself; an UnavailableError with the end
of what it said, and with advice, where it failed.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Sequence
from typing import Final

from db.embedded.place import INSTEAD, Account
from intel.errors import UnavailableError

# Nothing of ours (PGOPTIONS, LD_LIBRARY_PATH, secrets) reaches the server.
_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
_ADVICE: Final = (
    ("No space left on device", "make room on that disk"),
    ("Permission denied", "give the account that access"),
    ("could not map anonymous shared memory", "give the machine more memory, or lower shared_buffers"),
    ("could not create shared memory segment", "give the machine more shared memory"),
    ("error while loading shared libraries", "install what is missing (the wheel needs glibc 2.27)"),
)


def run(account: Account, argv: Sequence[str], *, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
    """Run one of the wheel's programs as the account. Raises UnavailableError where it cannot even be run."""
    lent = {"user": account.uid, "group": account.gid, "extra_groups": []} if account.lent else {}
    try:
        return subprocess.run(  # type: ignore[call-overload,no-any-return]  # keywords chosen at run time  # noqa: S603  # our argv
            argv,
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            umask=0o077,
            check=False,
            **lent,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"couldn't finish {argv[0]}: no answer in {seconds:.0f} s; try again") from error
    except OSError as error:
        raise UnavailableError(f"couldn't run {argv[0]}: {_why_not_run(error)}; {INSTEAD}") from error


def _why_not_run(error: OSError) -> str:
    if error.errno == errno.ENOEXEC:
        return f"it was built for another kind of processor than this ({os.uname().machine})"
    if error.errno == errno.ENOENT:
        return "the wheel's programs need glibc, which this system (musl?) lacks"
    return str(error.strerror)


def detach(account: Account | None, argv: Sequence[str], *, log: int, inherit: Sequence[int] = ()) -> int:
    """Run `argv` in a session of its own, as nobody's child, and return its pid.

    As our child it would be a zombie after its end, and so seem alive, for as long as we live. The shell gets the
    command as arguments: no path is ever quoted. No descriptor but `inherit` is handed down, above all no lock of ours.
    """
    lent = {"user": account.uid, "group": account.gid, "extra_groups": []} if account and account.lent else {}
    done = subprocess.run(  # type: ignore[call-overload]  # keywords chosen at run time  # noqa: S603  # fixed command
        ["/bin/sh", "-c", '"$@" </dev/null >&2 & echo $!', "sh", *argv],
        cwd="/",
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        pass_fds=tuple(inherit),
        start_new_session=True,
        umask=0o077,
        check=True,
        **lent,
    )
    return int(done.stdout)


def unavailable(what: str, output: str) -> UnavailableError:
    """The error that says what one of the programs said, and what to do about it."""
    lines = [line for line in output.splitlines() if line.strip()][-12:]
    advice = next((advice for sign, advice in _ADVICE if sign in output), "look at what it says")
    said = "\n  ".join(lines) or "(nothing)"
    return UnavailableError(f"couldn't {what}: PostgreSQL gave up; {advice}, or {INSTEAD}. It said:\n  {said}")
