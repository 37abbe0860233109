from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

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
