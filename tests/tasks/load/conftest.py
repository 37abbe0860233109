from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text

from db.engine import open_engine
from intel.config.sources import Source
from intel.settings import settings
from lab.ct import CtLog, Protocol
from lab.server import Served, serve
from tasks.collect.retry import RetryPolicy
from tasks.collect.session import open_run
from tasks.load.ct import Followed, follow, head

NO_PATIENCE = RetryPolicy(retries=1, base_seconds=0.01, max_retry_after=1.0)


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(tmp_path / "configs"))
    (tmp_path / "configs" / "sources").mkdir(parents=True)
    settings.cache_clear()
    made = open_engine(database_url)
    yield made
    made.dispose()
    settings.cache_clear()


@dataclass
class Following:
    """A lab log on loopback, its source entry, and the warehouse that it is followed into."""

    engine: Engine
    log: CtLog
    served: Served
    name: str = "lab-log"

    def source(self, **options: Any) -> Source:
        return Source.model_validate(
            {
                "name": self.name,
                "title": "Lab log",
                "transport": "ct",
                "format": "ct",
                "location": f"{self.served.url}/",
                "semantics": "stream",
                "cadence": "continuous",
                "reliability": "A",
                "tlp": "TLP:CLEAR",
                "licence": {"name": "public", "commercial_use": True, "redistribution": True},
                "enabled": True,
                "options": {
                    "protocol": self.log.protocol,
                    "follow": "start",
                    "log_key": base64.b64encode(self.log.key_der).decode(),
                    **options,
                },
            }
        )

    def run(self, source: Source | None = None, **more: Any) -> Followed:
        entry = source or self.source()
        with open_run(self.engine, entry) as run:
            shown = head(self.engine, entry, run, patience=NO_PATIENCE)
            return follow(self.engine, entry, run, shown, patience=NO_PATIENCE, **more)

    def rows(self, statement: str) -> list[Any]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))]

    def cursor(self, name: str = "") -> Any:
        found = self.rows(f"SELECT value FROM cursor WHERE name = '{name or 'source:' + self.name}'")
        return found[0][0] if found else None

    def outcomes(self) -> list[tuple[str, str]]:
        return self.rows("SELECT outcome, error FROM run ORDER BY id")

    def named(self) -> set[str]:
        """What the certificates in the warehouse name."""
        query = "SELECT o.value FROM fact f JOIN entity o ON o.id = f.object_id WHERE f.predicate = 'names'"
        return {value for (value,) in self.rows(query)}

    def watch(self, *items: tuple[str, str, str]) -> None:
        """Add (match, kind, value) items to the watch `heron`."""
        with self.engine.begin() as connection:
            found = connection.execute(
                text(
                    "INSERT INTO watch (name, origin, rules) VALUES ('heron', 'command', '{*}')"
                    " ON CONFLICT (name) DO UPDATE SET origin = 'command' RETURNING id"
                )
            ).scalar_one()
            for match, kind, value in items:
                connection.execute(
                    text(
                        "INSERT INTO watch_item (watch_id, match, kind, value, network)"
                        " VALUES (:watch, :match, :kind, :value, CAST(:network AS inet))"
                    ),
                    {
                        "watch": found,
                        "match": match,
                        "kind": kind,
                        "value": value,
                        "network": value if match == "network" else None,
                    },
                )


@pytest.fixture
def protocol() -> Protocol:
    """What the log speaks; a test that is parametrised by it takes its place."""
    return "rfc6962"


@pytest.fixture
def lab_log(protocol: Protocol) -> CtLog:
    return CtLog(protocol=protocol)


@pytest.fixture
def following(engine: Engine, lab_log: CtLog, tmp_path: Path) -> Iterator[Following]:
    with serve(lab_log.app()) as served:
        (tmp_path / "configs" / "network.yaml").write_text(f'allow: ["127.0.0.1:{served.port}"]\n')
        yield Following(engine=engine, log=lab_log, served=served)
