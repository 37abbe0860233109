"""What the embedded server is told: its settings, who may connect, and as whom.

In: the machine's memory, the account's name, overrides. Out: the text of lapsewatch.conf (included from
postgresql.conf), pg_hba.conf and pg_ident.conf. Pure, but for looking at the machine.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from intel.errors import ConfigError

ROLE: Final = "lapsewatch"

_MIB: Final = 1024 * 1024
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
# Given on the command line, where neither a setting nor ALTER SYSTEM reaches: they decide who can connect at all.
_FIXED: Final = frozenset(
    {
        "config_file",
        "data_directory",
        "hba_file",
        "ident_file",
        "listen_addresses",
        "port",
        "unix_socket_directories",
        "unix_socket_group",
        "unix_socket_permissions",
    }
)


def memory_bytes() -> int:
    """What this process may use: the machine's memory, or its control group's limit where that is less."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            text = Path(limit).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            total = min(total, int(text))
    return total


def default_settings(*, memory: int, lz4: bool, shared_memory: int) -> dict[str, str]:
    """The settings for a machine with `memory` bytes, of which `shared_memory` may lie in /dev/shm.

    Durable first (a committed cursor must not outrun its data), then sized for COPY and set-based upserts.
    """
    mib = memory // _MIB
    return {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "shared_buffers": f"{max(64, min(mib // 4, 4096))}MB",
        "effective_cache_size": f"{max(128, mib * 3 // 4)}MB",
        "maintenance_work_mem": f"{max(32, min(mib // 8, 512))}MB",
        "work_mem": f"{max(4, min(mib // 32, 64))}MB",
        # Disks without moving parts, and most of the warehouse in memory: a page by index costs little more than one in
        # turn.
        "random_page_cost": "1.1",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "15min",
        # pglz costs a bulk load more processor time than the smaller log saves: after a checkpoint each page of the
        # indexes by digest is written whole once.
        "wal_compression": "lz4" if lz4 else "off",
        "max_connections": "200",
        "autovacuum": "on",
        # The plans here are short and many: compiling them costs more than it saves.
        "jit": "off",
        # A container's /dev/shm is 64 MB unless it is told otherwise, and parallel queries die of it.
        "dynamic_shared_memory_type": "posix" if shared_memory >= 512 * _MIB else "mmap",
        "timezone": "UTC",
        "log_timezone": "UTC",
        # People's data is in statements, in DETAIL lines ("Key (email)=(...) already exists") and in the text of an
        # ERROR. The client is told all of it; the log gets none: only what is LOG or worse, without either.
        "log_min_messages": "log",
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_statement": "none",
        "log_parameter_max_length": "0",
        "log_parameter_max_length_on_error": "0",
        "log_line_prefix": "%m [%p] ",
    }


def machine_settings(*, lz4: bool) -> dict[str, str]:
    """default_settings for this machine."""
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108  # only its size is asked for
        shared_memory = shm.f_frsize * shm.f_blocks
    except OSError:
        shared_memory = 0
    return default_settings(memory=memory_bytes(), lz4=lz4, shared_memory=shared_memory)


def settings_text(settings: Mapping[str, str]) -> str:
    """lapsewatch.conf. Raises ConfigError for a name or a value that cannot stand in it."""
    lines = ["# Written by Lapsewatch at each start; ALTER SYSTEM overrides it.\n"]
    for name, value in settings.items():
        if name in _FIXED or not _NAME.fullmatch(name) or any(ord(char) < 0x20 for char in value):
            raise ConfigError(
                f"couldn't take the database setting {name!r}: Lapsewatch decides on it, or it is malformed"
            )
        escaped = value.replace("\\", "\\\\").replace("'", "''")
        lines.append(f"{name} = '{escaped}'\n")
    return "".join(lines)


def hba_text() -> str:
    """pg_hba.conf: over the socket, as our role, by the kernel's word for who calls; nobody else at all."""
    return f"# Written by Lapsewatch at each start.\nlocal  all  {ROLE}  peer  map={ROLE}\n"


def ident_text(accounts: Iterable[str]) -> str:
    """pg_ident.conf: the operating system's accounts that may be our role."""
    lines = ["# Written by Lapsewatch at each start.\n"]
    for account in sorted(set(accounts)):
        # A leading slash would make it a regular expression, a line break another line.
        if account.startswith("/") or any(ord(char) < 0x20 for char in account):
            raise ConfigError(f"couldn't map the account {account!r} to a database role: such a name is not supported")
        quoted = account.replace('"', '""')
        lines.append(f'{ROLE}  "{quoted}"  {ROLE}\n')
    return "".join(lines)
