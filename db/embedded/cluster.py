"""The cluster's files: initdb, its version, its configuration. Called with the mutex held.

In: a `Place`, the programs, settings. Out: a PGDATA that `process.start` can start.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path

from db.embedded import config
from db.embedded.place import INSTEAD, Place, own_directory
from db.embedded.run import run, unavailable
from intel.errors import UnavailableError


def make_cluster(place: Place, programs: Path, *, durable: bool) -> None:
    """initdb, beside its place and then renamed: a cluster is there as a whole or not at all.

    Each attempt has a name of its own: the initdb of a killed predecessor may still be writing to its one.
    """
    partial = place.home / f"data.new-{secrets.token_hex(4)}"
    own_directory(partial, place.account)
    done = run(
        place.account,
        [
            str(programs / "initdb"),
            f"--pgdata={partial}",
            f"--username={config.ROLE}",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
            "--auth-local=peer",
            "--auth-host=reject",
            "--no-instructions",
            *([] if durable else ["--no-sync"]),
        ],
    )
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        raise unavailable(f"make a database in {place.cluster}", done.stderr)
    with (partial / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write("\ninclude 'lapsewatch.conf'\n")
    partial.rename(place.cluster)


def sweep_attempts(place: Place) -> None:
    """Remove what killed predecessors left half made. An initdb that still writes leaves some for the next start."""
    for left in place.home.glob("data.new-*"):
        shutil.rmtree(left, ignore_errors=True)


def check_version(place: Place, programs: Path) -> None:
    """Raises UnavailableError for a cluster of another major version, which these programs cannot read."""
    ours = run(place.account, [str(programs / "postgres"), "--version"])
    if ours.returncode != 0:
        raise unavailable("run PostgreSQL", ours.stderr)
    major = ours.stdout.split()[-1].partition(".")[0]
    theirs = (place.cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if theirs != major:
        raise UnavailableError(
            f"couldn't use {place.cluster}: it was made by PostgreSQL {theirs}, this is {major}; dump it with "
            f"{theirs}'s pg_dumpall, move it away and restore the dump, or {INSTEAD}"
        )


def _has_lz4(place: Place, programs: Path) -> bool:
    return "--with-lz4" in run(place.account, [str(programs / "pg_config"), "--configure"]).stdout


def write_config(place: Place, programs: Path, settings: Mapping[str, str]) -> None:
    """Write what the next start reads: the settings, who may connect, and as whom."""
    accounts = ["root", place.account.name]
    merged = {**config.machine_settings(lz4=_has_lz4(place, programs)), **settings}
    texts = {
        "lapsewatch.conf": config.settings_text(merged),
        "pg_hba.conf": config.hba_text(),
        "pg_ident.conf": config.ident_text(accounts),
    }
    for name, text in texts.items():
        # Beside it and renamed: never half a file, and no link that the account left there is followed.
        partial = place.cluster / f"{name}.new"
        partial.unlink(missing_ok=True)
        fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            if place.account.lent:
                os.fchown(fd, place.account.uid, place.account.gid)
            file.write(text)
        partial.replace(place.cluster / name)
