"""Where the embedded server lives and whose it is.

In: the data directory that somebody asked for. Out: a `Place`: the account that PostgreSQL runs as, its cluster, its
binaries, its socket directory. PostgreSQL refuses to run as root; root therefore lends it an account, and what that
account cannot reach (a home of mode 700 over the data directory or over the wheel) is put where it can. No mode or
owner of anything that was there before is changed.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from intel.errors import UnavailableError

_ELSEWHERE: Final = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  # what is there is checked for its owner
_SOCKETS: Final = Path("/tmp")  # noqa: S108  # likewise; sun_path is 107 bytes, so it must be somewhere short
_POINTER: Final = "location"
INSTEAD: Final = "set LAPSEWATCH_DATABASE_URL to use another PostgreSQL"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who PostgreSQL runs as; `lent` where that is not who we are (we are root)."""

    name: str
    uid: int
    gid: int
    lent: bool


@dataclass(frozen=True, kw_only=True)
class Place:
    """`control` is the data directory asked for (locks, log); `home` holds the cluster, there or elsewhere."""

    control: Path
    home: Path
    account: Account

    @property
    def cluster(self) -> Path:
        """PGDATA."""
        return self.home / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.control / "server.log"

    @property
    def socket_dir(self) -> Path:
        """Short, whatever the length of the data directory, and one for each pair of account and data directory."""
        key = f"{self.account.uid}:{self.control}"
        return _SOCKETS / f"lw-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def control_dir(data_dir: Path) -> Path:
    """`data_dir` without links: two paths to the same directory are one server."""
    return Path(os.path.realpath(data_dir.expanduser()))


def _home(control: Path) -> Path:
    pointer = control / _POINTER
    try:
        info = pointer.lstat()
    except OSError:
        return control
    # Root must not be sent elsewhere by whoever owns the data directory.
    if not stat.S_ISREG(info.st_mode) or info.st_uid != os.geteuid():
        raise UnavailableError(f"couldn't trust {pointer}: it isn't a file of ours; remove it, or {INSTEAD}")
    home = Path(pointer.read_text(encoding="utf-8").strip())
    if not home.is_absolute() or not (home / "data").is_dir():
        raise UnavailableError(
            f"couldn't find the database that {pointer} says is in {home}; bring it back, or remove that file to start "
            "with an empty one"
        )
    return home


def _account(control: Path, home: Path) -> Account:
    """Us; for root, whoever owns the cluster, else the data directory, else `postgres`, else `nobody`."""
    euid = os.geteuid()
    try:
        owner = (home / "data").stat().st_uid
    except FileNotFoundError:
        owner = control.stat().st_uid if euid == 0 else euid
    except OSError as error:
        raise UnavailableError(
            f"couldn't look into {home}: {error.strerror}; run as its owner, or {INSTEAD}"
        ) from error
    if euid not in {0, owner}:
        raise UnavailableError(
            f"couldn't use {home / 'data'}: it belongs to user id {owner}; run as that, or {INSTEAD}"
        )
    if owner != 0:
        try:
            entry = pwd.getpwuid(owner)
        except KeyError:
            raise UnavailableError(
                f"couldn't run PostgreSQL as user id {owner}: it has no entry in the passwd database; give it one, or "
                f"{INSTEAD}"
            ) from None
        return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, lent=owner != euid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, lent=True)
    raise UnavailableError(
        "couldn't run PostgreSQL as root, which it refuses: there is no account named postgres or nobody; run as an "
        f"ordinary user, or {INSTEAD}"
    )


def find(control: Path) -> Place | None:
    """The place of a cluster that was made; None where there is none. Changes nothing."""
    if not control.is_dir():
        return None
    home = _home(control)
    try:
        exists = (home / "data").is_dir()
    except OSError:
        exists = True  # it cannot be looked at: _account says why
    return Place(control=control, home=home, account=_account(control, home)) if exists else None


def make_control(control: Path) -> None:
    """Make the data directory where it is missing: ours alone, but that root lets its account pass through."""
    try:
        control.parent.mkdir(parents=True, exist_ok=True)
        control.mkdir(mode=0o700)
        if os.geteuid() == 0:
            control.chmod(0o711)
    except FileExistsError:
        pass
    except OSError as error:
        raise UnavailableError(f"couldn't make {control}: {error.strerror}; choose another directory") from error
    if not control.is_dir():
        raise UnavailableError(f"couldn't use {control}: it isn't a directory; choose another")
    if not os.access(control, os.W_OK | os.X_OK):
        raise UnavailableError(
            f"couldn't use {control}: it belongs to user id {control.stat().st_uid} and isn't ours to write to; run as "
            f"that, choose another directory, or {INSTEAD}"
        )


def prepare(control: Path) -> Place:
    """The place for a cluster, made where it is missing (the cluster itself is not). Call with the mutex held."""
    found = find(control)
    if found is not None:
        if not reaches(found.account, found.cluster):
            raise UnavailableError(
                f"couldn't use {found.cluster}: the account {found.account.name} may not pass through a directory "
                f"above it; let it pass (chmod o+x), or {INSTEAD}"
            )
        return found
    account = _account(control, control)
    if reaches(account, control):
        return Place(control=control, home=control, account=account)
    home = _elsewhere(control, account)
    partial = control / f"{_POINTER}.new"
    partial.unlink(missing_ok=True)
    with partial.open("x", encoding="utf-8") as file:
        file.write(f"{home}\n")
    partial.replace(control / _POINTER)
    return Place(control=control, home=home, account=account)


def _elsewhere(control: Path, account: Account) -> Path:
    name = f"lapsewatch-{hashlib.sha256(str(control).encode()).hexdigest()[:16]}"
    for parent in _ELSEWHERE:
        if parent.is_dir() and os.access(parent, os.W_OK) and reaches(account, parent):
            home = parent / name
            if (home / "data").exists():
                raise UnavailableError(
                    f"couldn't start with an empty database for {control}: the one of an earlier such directory is in "
                    f"{home}; write that path into {control / _POINTER} to use it, or remove it"
                )
            own_directory(home, account)
            return home
    raise UnavailableError(
        f"couldn't find a place for the database: the account {account.name} reaches neither {control} nor a directory "
        f"in {' or '.join(map(str, _ELSEWHERE))}; let it pass (chmod o+x), or {INSTEAD}"
    )


def reaches(account: Account, path: Path) -> bool:
    """Whether the account can enter `path`: asked of the kernel, for modes are not all that decides."""
    if not account.lent:
        return os.access(path, os.X_OK)
    command = ["/bin/sh", "-c", 'cd -- "$1"', "sh", str(path)]
    done = subprocess.run(  # noqa: S603  # fixed command
        command, user=account.uid, group=account.gid, extra_groups=[], cwd="/", env={}, capture_output=True, check=False
    )
    return done.returncode == 0


def own_directory(path: Path, account: Account) -> None:
    """A directory that only the account (and root) enters. What somebody else put at its place is refused.

    Checked and changed through one descriptor, so that it cannot be swapped in between.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise UnavailableError(f"couldn't make {path}: {error.strerror}; {INSTEAD}") from error
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError(f"couldn't use {path}: it isn't a directory of ours; remove it and try again") from error
    try:
        info = os.fstat(fd)
        if info.st_uid not in {account.uid, os.geteuid()}:
            raise UnavailableError(
                f"couldn't use {path}: it belongs to user id {info.st_uid}; remove it and try again, or {INSTEAD}"
            )
        if info.st_uid != account.uid:
            os.fchown(fd, account.uid, account.gid)
        os.fchmod(fd, 0o700)
    finally:
        os.close(fd)
