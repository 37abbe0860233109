from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from taxii2client.v21 import Server as ClientServer

from db.engine import open_engine
from db.partners import create_partner
from intel.settings import CHECKOUT


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.slow
def test_the_server_runs_as_a_process_and_stops_when_told(database_url: str) -> None:
    port = _free_port()
    environment = os.environ | {"LAPSEWATCH_DATABASE_URL": database_url, "LAPSEWATCH_TAXII_PORT": str(port)}
    child = subprocess.Popen(
        [sys.executable, "-m", "apps.taxii"], cwd=CHECKOUT, env=environment, stderr=subprocess.PIPE
    )
    try:
        until = time.monotonic() + 30
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.TransportError:
                assert child.poll() is None, child.stderr and child.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.05)
        assert answer.json() == {"status": "ok"}
        engine = open_engine(database_url)
        with engine.begin() as connection:
            key = create_partner(connection, "Pier CERT", ["partners", "community"])
        client = ClientServer(f"http://127.0.0.1:{port}/taxii2/", user="x", password=key)
        assert [one.title for one in client.default.collections] == [
            "Findings for the community",
            "Findings for partners",
        ]
    finally:
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=20)
    assert child.returncode in {0, -signal.SIGTERM}


def _fails(folder: Path, url: str, publishing: str | None = None) -> str:
    configs = folder / "configs"
    shutil.copytree(CHECKOUT / "configs", configs)
    if publishing is not None:
        (configs / "publishing.yaml").write_text(publishing)
    environment = os.environ | {"LAPSEWATCH_DATABASE_URL": url, "LAPSEWATCH_CONFIGS": str(configs)}
    done = subprocess.run(
        [sys.executable, "-m", "apps.taxii"],
        check=False,
        cwd=CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    return done.stderr


@pytest.mark.slow
def test_what_keeps_it_from_starting_is_said_in_one_line(empty_database_url: str, tmp_path: Path) -> None:
    assert "lacks migrations; run `lapsewatch db upgrade`" in _fails(tmp_path / "one", empty_database_url)
    said = _fails(tmp_path / "two", empty_database_url, "identity: nonsense\n")
    assert "publishing.yaml" in said
    assert "identity" in said
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"postgresql://postgres@127.0.0.1:{port}/none"
    assert "couldn't reach the warehouse" in _fails(tmp_path / "three", url)
