"""Where the archive's files lie: a folder, or any place that fsspec knows (s3://, gs://, ...).

A file is there once it has its name: it is written elsewhere first, flushed to disk, then renamed (POSIX) or put in
one request, as object stores do. No name is used twice, so a name stands for the same bytes for ever.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from intel.config.ct import Archive
from intel.errors import ConfigError, ReadError, UnavailableError
from intel.settings import settings

_PART: Final = ".part"
_FILE: Final = "file://"
_LEFT_BEHIND: Final = 86_400.0


def need(module: str) -> ModuleType:
    """A module of the extra `archive`. Raises ConfigError with what to do where it is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"couldn't use the archive: {module.partition('.')[0]} is not installed; `pip install -e '.[archive]'` in"
            " the checkout installs it, or set `archive: {enabled: false}` in configs/ct.yaml"
        ) from error


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A file of the archive. `path` is below its folder, `changed` is recorded time by the store's clock."""

    path: str
    bytes: int
    changed: datetime


class Store:
    """The archive's folder; `root` is a local path, or a URL with `remote` as its file system."""

    def __init__(self, root: str, remote: Any = None) -> None:
        self.root: Final = root.rstrip("/")
        self.remote: Final = remote

    def url(self, path: str) -> str:
        """The path as DuckDB and pyarrow take it."""
        return f"{self.root}/{path}"

    @contextlib.contextmanager
    def create(self, path: str) -> Iterator[Path]:
        """A local file to write; it is in the store under `path` once the block has ended well.

        Raises UnavailableError where the store does not take it; nothing of it is left then.
        """
        with contextlib.ExitStack() as leaving:
            try:
                if self.remote is None:
                    target = Path(self.root, path)
                    beside = target.with_name(f"{target.name}.{secrets.token_hex(4)}{_PART}")
                    beside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    leaving.callback(_unlink, beside)
                else:
                    folder = scratch()
                    leaving.callback(discard, folder)
                    beside = folder / Path(path).name
                yield beside
                with beside.open("rb+") as file:
                    os.fsync(file.fileno())
                if self.remote is None:
                    beside.replace(target)
                    _sync(target.parent)
                else:
                    self.remote.put_file(str(beside), self.url(path))
            except OSError as error:
                raise UnavailableError(
                    f"couldn't keep {path} in the archive: {error.strerror or error}; nothing of it is committed, the"
                    " next run goes on from before it"
                ) from error

    def open(self, path: str) -> Any:
        """The file, as a binary file object. Raises ReadError where it is not there."""
        try:
            return Path(self.url(path)).open("rb") if self.remote is None else self.remote.open(self.url(path), "rb")
        except OSError as error:
            raise ReadError(f"couldn't read {path} of the archive: {error.strerror or error}") from error

    def holds(self, path: str) -> bool:
        """Whether there is such a file now."""
        return Path(self.url(path)).is_file() if self.remote is None else bool(self.remote.exists(self.url(path)))

    def remove(self, path: str) -> None:
        """Remove a file; one that is gone already is no fault."""
        with contextlib.suppress(FileNotFoundError):
            if self.remote is None:
                Path(self.url(path)).unlink()
            else:
                self.remote.rm_file(self.url(path))

    def files(self) -> Iterator[Stored]:
        """Every file, half-written ones included, in no order."""
        if self.remote is not None:
            base = self.remote._strip_protocol(self.root)  # noqa: SLF001 - fsspec has no public name for it
            self.remote.invalidate_cache()
            for path, about in self.remote.find(self.root, detail=True).items():
                changed = about.get("mtime") or about.get("LastModified") or about.get("created")
                yield Stored(path=path.removeprefix(base).lstrip("/"), bytes=about["size"], changed=_moment(changed))
            return
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    about = path.stat()
                    changed = datetime.fromtimestamp(about.st_mtime, UTC)
                    yield Stored(path=str(path.relative_to(self.root)), bytes=about.st_size, changed=changed)


def open_store(archive: Archive, home: Path) -> Store:
    """The store that configs/ct.yaml names; a path that is not absolute is below `home`, LAPSEWATCH_HOME.

    Raises ConfigError where nothing installed knows such a place.
    """
    if "://" in archive.location and not archive.location.startswith(_FILE):
        return store_at(archive.location)
    path = Path(archive.location.removeprefix(_FILE) or "archive").expanduser()
    return Store(str(home.absolute() / path))


def store_at(location: str) -> Store:
    """The store at an absolute path or a URL. Raises ConfigError where nothing installed knows such a place."""
    if "://" not in location:
        return Store(location)
    fsspec = need("fsspec.core")
    try:
        remote, root = fsspec.url_to_fs(location)
    except (ImportError, ValueError) as error:
        raise ConfigError(
            f"couldn't use the archive's location: {error}; name a folder or a URL that fsspec knows in"
            " configs/ct.yaml, archive.location"
        ) from error
    return Store(remote.unstrip_protocol(root), remote)


def scratch() -> Path:
    """A folder of our own for what DuckDB and uploads write on the way; whoever asks removes it."""
    base = _temporary()
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Path(tempfile.mkdtemp(dir=base))


def _unlink(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _temporary() -> Path:
    return settings().home / "tmp" / "archive"


def discard(folder: Path) -> None:
    """Remove a folder that `scratch` gave."""
    shutil.rmtree(folder, ignore_errors=True)


def sweep_scratch(*, older_than: float = _LEFT_BEHIND) -> None:
    """Remove what killed processes left in our folder, `older_than` seconds ago or more."""
    until = time.time() - older_than
    for path in _temporary().glob("*") if _temporary().is_dir() else ():
        # Whoever made it may remove it at this moment.
        with contextlib.suppress(OSError):
            if path.stat().st_mtime <= until:
                discard(path)


def _moment(value: Any) -> datetime:
    """A store's time of a file; one that says none counts as new, so that nothing young is taken for left behind."""
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC) if isinstance(value, int | float) else datetime.now(UTC)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
