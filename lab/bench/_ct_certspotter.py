"""certspotter, the peer that the benchmark `ct` is measured against: installed, run on a loopback log, stopped.

It is Debian's package. The package enables a service that reads every log on the internet: that is masked before the
package comes, and disabled after it. What is run here names one log, on loopback, in a file.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from intel.errors import ConfigError, ReadError
from lab.bench._ct_lists import watch_file
from lab.bench._ct_measured import Measured
from lab.bench._ct_processes import Sampler
from lab.ct_big import BigLog

_SERVICE: Final = "certspotter.service"
_POLL: Final = 0.02


def installed() -> tuple[str, str]:
    """Its path and version; installed with apt where it is missing. Raises ConfigError where that cannot be done."""
    path = shutil.which("certspotter")
    if path is None:
        _install()
        path = shutil.which("certspotter")
    if path is None:
        raise ConfigError("couldn't run the benchmark ct: certspotter is not there; install Debian's package")
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", "certspotter"], capture_output=True, text=True, check=False
    ).stdout
    return path, version or "unknown"


def _install() -> None:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise ConfigError(
            "couldn't run the benchmark ct: certspotter is missing, and only root may install it with apt"
            " (apt-get install certspotter; disable its service)"
        )
    systemctl = shutil.which("systemctl")
    if systemctl:
        subprocess.run([systemctl, "mask", _SERVICE], capture_output=True, check=False)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "install", "-y", "certspotter"]):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            raise ConfigError(f"couldn't install certspotter: {done.stderr.strip()[-300:]}; nothing is measured")
    if systemctl:
        subprocess.run([systemctl, "disable", "--now", _SERVICE], capture_output=True, check=False)


def measure(path: str, log: BigLog, *, entries: int, domains: Sequence[str], patience: float) -> Measured:
    """Let it read the log of `entries` from the start. Raises ReadError where it did not read and verify them all."""
    place = Path(tempfile.mkdtemp(prefix="lapsewatch-certspotter-"))
    try:
        (place / "watchlist").write_text(watch_file(domains), "ascii")
        (place / "logs.json").write_text(json.dumps(_log_list(log, entries)), "utf-8")
        command = [path, "-logs", str(place / "logs.json"), "-watchlist", str(place / "watchlist")]
        command += ["-state_dir", str(place / "state"), "-stdout"]
        log.stats()
        began = time.monotonic()
        with (place / "out").open("wb") as out, (place / "err").open("wb") as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=_environment(place))
            try:
                with Sampler([process.pid]) as sampler:
                    _wait(process, place, entries, patience)
                    ended = time.monotonic()
                    cpu = sampler.cpu()
                    stats = log.stats()
            finally:
                process.terminate()
                process.wait()
        if stats["entries"] < entries:
            raise ReadError(f"couldn't measure certspotter: it asked for {stats['entries']} of {entries} entries")
        found = (place / "out").read_text("utf-8", "replace").count("Log Entry = ")
        return Measured(
            system="certspotter",
            protocol="rfc6962",
            watched=f"{len(domains):,} domains",
            entries=entries,
            seconds=ended - max(began, stats["first"]),
            cpu=cpu,
            largest=sampler.largest(),
            together=sampler.sum_peak,
            hits=found,
            server=stats["cpu"],
        )
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _environment(place: Path) -> dict[str, str]:
    """Nothing of the account's own configuration is read, and no hook is run."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "HOME": str(place), "CERTSPOTTER_CONFIG_DIR": str(place / "config")}


def _wait(process: subprocess.Popen[bytes], place: Path, entries: int, patience: float) -> None:
    until = time.monotonic() + patience
    while _verified(place) < entries:
        if process.poll() is not None:
            raise ReadError(f"couldn't measure certspotter: it ended; it said {_last(place / 'err')}")
        if time.monotonic() > until:
            raise ReadError(f"couldn't measure certspotter: {_verified(place)} of {entries} after {patience:.0f} s")
        time.sleep(_POLL)


def _verified(place: Path) -> int:
    """What it says it has verified, which it writes when it has read all that there was."""
    for path in (place / "state").glob("logs/*/state.json"):
        try:
            state: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError:
            return 0  # it is being written
        return int((state.get("verified_position") or {}).get("size", 0))
    return 0


def _last(path: Path) -> str:
    return path.read_text("utf-8", "replace").strip().rpartition("\n")[2][:300] or "nothing"


def _log_list(log: BigLog, entries: int) -> dict[str, Any]:
    """A log list of version 2 with the one log."""
    described = {
        "description": "loopback",
        "log_id": base64.b64encode(hashlib.sha256(log.key_der).digest()).decode(),
        "key": base64.b64encode(log.key_der).decode(),
        "url": f"{log.url(entries)}/",
        "mmd": 86_400,
        "state": {"usable": {"timestamp": "2026-01-01T00:00:00Z"}},
    }
    return {"version": "1", "operators": [{"name": "lab", "email": ["lab@log.example"], "logs": [described]}]}
