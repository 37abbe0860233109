"""Certificates made to cost time or memory: each is judged in bounded time, and all of them in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from intel.settings import CHECKOUT

SECONDS = 2.0
PEAK_MB = 400

CHILD = """
import json, time
from pathlib import Path
from intel.ct import EntryType, TimestampedEntry
from intel.ct_answer import Answer, AnswerFormat
from intel.match.entries import judge
from lab.fuzz.targets import WATCH
from tests.handmade import HOSTILE

took = {}
for what, make in HOSTILE.items():
    octets = make()
    body = TimestampedEntry(timestamp=1, entry_type=EntryType.X509, signed=octets).to_bytes() + b"\\0\\0"
    began = time.process_time()
    judge(Answer(format=AnswerFormat.TILE, begins=0, first=0, next=1, body=body), WATCH, archive=True)
    took[what] = time.process_time() - began
    del octets, body
# Not ru_maxrss: across fork and exec, that begins with what the parent had.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"took": took, "peak_mb": int(peak.split()[1]) / 1024}))
"""


@pytest.mark.slow
def test_certificates_of_sixteen_megabytes_stay_in_bounds() -> None:
    told = subprocess.run((sys.executable, "-c", CHILD), cwd=CHECKOUT, capture_output=True, check=True, timeout=280)
    measured = json.loads(told.stdout)
    assert {what: seconds for what, seconds in measured["took"].items() if seconds > SECONDS} == {}
    assert measured["peak_mb"] < PEAK_MB
