"""The process that is fuzzed: `python -m lab.fuzz.child NAME CORPUS [options of libFuzzer]`."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["intel"]):
    from lab.fuzz.seeds import seeds
    from lab.fuzz.targets import TARGETS


def main() -> None:
    """Write the seeds into the corpus and hand over to libFuzzer, which ends the process."""
    name, corpus, *options = sys.argv[1:]
    for number, octets in enumerate(seeds(name)):
        (Path(corpus) / f"seed-{number:03}").write_bytes(octets)
    atheris.Setup([sys.argv[0], *options, corpus], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
