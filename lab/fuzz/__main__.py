"""`python -m lab.fuzz NAME SECONDS` looks for octets that break a reader, `--list` names the readers.

It needs the extra `bench` (atheris). `all` fuzzes them one after another, each for so many seconds. Inputs that break
something are left in the folder that is named then. Exit status 1: something broke. 2: it could not be run.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_NAMES: Final = ("certificate", "leaf", "tile", "entries", "checkpoint")
_LONGEST: Final = {"certificate": 4096, "leaf": 4096, "tile": 16_384, "entries": 16_384, "checkpoint": 2048}
_INPUT_SECONDS: Final = 10
_MOST_MB: Final = 1024


def main(arguments: Sequence[str]) -> int:
    """Fuzz what `arguments` ask for; returns the exit status."""
    if list(arguments) == ["--list"]:
        print("\n".join(_NAMES))
        return 0
    if len(arguments) != 2 or arguments[0] not in {*_NAMES, "all"} or not arguments[1].isdigit():
        print(f"usage: python -m lab.fuzz NAME SECONDS | --list; NAME: all, {', '.join(_NAMES)}", file=sys.stderr)
        return 2
    if find_spec("atheris") is None:
        print("couldn't fuzz: atheris is not installed; it comes with the extra `bench`", file=sys.stderr)
        return 2
    name, seconds = arguments
    failed = [one for one in (_NAMES if name == "all" else (name,)) if not _fuzz(one, int(seconds))]
    return 1 if failed else 0


def _fuzz(name: str, seconds: int) -> bool:
    """Fuzz one reader in a process of its own, since libFuzzer ends the one that it runs in; whether nothing broke."""
    folder = Path(tempfile.mkdtemp(prefix=f"lapsewatch-fuzz-{name}-"))
    corpus = folder / "corpus"
    corpus.mkdir()
    command = (
        *(sys.executable, "-m", "lab.fuzz.child", name, str(corpus)),
        f"-max_total_time={seconds}",
        f"-max_len={_LONGEST[name]}",
        f"-timeout={_INPUT_SECONDS}",
        f"-rss_limit_mb={_MOST_MB}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
    )
    done = subprocess.run(command, capture_output=True, check=False)
    told = (done.stdout + done.stderr).decode("utf-8", "replace")
    counts = dict(re.findall(r"stat::(\w+):\s+(\d+)", told))
    covered = re.findall(r"cov: (\d+) ft: (\d+)", told)
    print(
        f"{name}: {int(counts.get('number_of_executed_units', 0)):,} executions in {seconds} s,"
        f" {len(list(corpus.iterdir())):,} inputs kept, coverage {covered[-1][0] if covered else 0},"
        f" peak {counts.get('peak_rss_mb', '?')} MB: " + ("nothing broke" if done.returncode == 0 else "BROKEN"),
        flush=True,
    )
    if done.returncode != 0:
        print(f"{told[:4000]}\n{name}: see {folder}", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
