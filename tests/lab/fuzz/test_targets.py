from __future__ import annotations

import random
import subprocess
import sys
from importlib.util import find_spec

import pytest

from intel.settings import CHECKOUT
from lab.fuzz.__main__ import main
from lab.fuzz.seeds import seeds
from lab.fuzz.targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_no_seed_breaks_its_target(target: str) -> None:
    begun_with = seeds(target)
    assert begun_with
    for octets in begun_with:
        TARGETS[target](octets)


@pytest.mark.parametrize("target", TARGETS)
def test_no_altered_seed_breaks_its_target(target: str) -> None:
    chance = random.Random(target)
    begun_with = seeds(target)
    for _ in range(200):
        altered = bytearray(chance.choice(begun_with))
        for _ in range(chance.randrange(1, 4)):
            at = chance.randrange(len(altered))
            altered[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
        TARGETS[target](bytes(altered))


def test_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(TARGETS)
    for arguments in ([], ["certificate"], ["certificate", "soon"], ["none", "1"]):
        assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed (extra bench)")
def test_a_second_of_fuzzing_tells_what_it_did() -> None:
    told = subprocess.run(
        (sys.executable, "-m", "lab.fuzz", "checkpoint", "1"), cwd=CHECKOUT, capture_output=True, check=True, timeout=60
    )
    assert b"nothing broke" in told.stdout
    assert b"checkpoint: 0 executions" not in told.stdout
