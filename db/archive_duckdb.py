"""DuckDB as the archive is asked through: two threads, a limit on memory, its own folder to spill into, no network.

Paths in statements are the archive's own; whatever a person typed is bound as a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from db.archive_manifest import Held
from db.archive_store import Store, discard, need, scratch
from intel.errors import ReadError

THREADS: Final = 2
MEMORY: Final = "1GB"


@contextmanager
def connect(store: Store | None = None, *, threads: int = THREADS, memory: str = MEMORY) -> Iterator[Any]:
    """A connection that reads from `store`, gone with its folder when the block ends.

    Raises ConfigError where the extra `archive` is not installed.
    """
    duckdb = need("duckdb")
    folder = scratch()
    try:
        with duckdb.connect() as connection:
            # Nothing is ever fetched: what the wheel carries is all that there is.
            connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
            connection.execute(f"SET threads = {int(threads)}")
            connection.execute(f"SET memory_limit = '{memory}'")
            connection.execute(f"SET temp_directory = '{quoted(str(folder))}'")
            connection.execute("SET enable_progress_bar = false")
            if store is not None and store.remote is not None:
                connection.register_filesystem(store.remote)
            connection.execute("SET lock_configuration = true")
            yield connection
    finally:
        discard(folder)


@contextmanager
def readable(part: Sequence[Held]) -> Iterator[None]:
    """Say in our words, as ReadError, what DuckDB and Arrow say of the files of these segments of a log."""
    try:
        yield
    except (need("duckdb").Error, need("pyarrow").ArrowException, OSError) as error:
        said = str(error).splitlines()[0][:300]
        raise ReadError(
            f"couldn't read entries {part[0].first} to {part[-1].next} of {part[0].log} in the archive: {said}"
        ) from error


def quoted(text: str) -> str:
    """Text for the inside of a literal."""
    return text.replace("'", "''")


def files(store: Store, paths: list[str]) -> str:
    """The table of these files, for a FROM clause."""
    listed = ", ".join(f"'{quoted(store.url(path))}'" for path in paths)
    return f"read_parquet([{listed}], hive_partitioning = false)"
