"""An installation of its own for a test: its database, its configs, the lab's servers as its internet."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from sqlalchemy import Engine, text

from db import runs
from db.engine import open_engine
from db.entities import ensure_entities
from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel.entities import LITERALS, Kind, entity, guess, literal
from intel.facts import Fact, Predicate, RawDocument
from intel.settings import settings
from lab.registration import RegistrationLab, Registry, lab
from lab.world import registry
from tasks.enrich.records import Case, Subject

CHECKOUT: Final = Path(__file__).resolve().parent.parent


@dataclass(kw_only=True)
class Home:
    """`configs` is written to as the test needs it."""

    configs: Path
    engine: Engine
    internet: RegistrationLab

    def lookups(self, **values: Any) -> None:
        """Write configs/lookups.yaml: the lab's servers, and what is given."""
        host, port = self.internet.whois["registry"]
        entries: dict[str, Any] = {
            "rdap_servers": {"example": self.internet.rdap["registry"], "test": self.internet.rdap["registry"]},
            "whois_servers": {"example": f"{host}:{port}", "test": f"{host}:{port}"},
            "whois_root": "",
            "manners": {"default": {"per_minute": 60_000, "burst": 1000, "per_day": 100_000}},
        }
        (self.configs / "lookups.yaml").write_text(yaml.safe_dump(entries | values))

    def allow(self, *more: tuple[str, int]) -> None:
        """Write configs/network.yaml: the lab's servers and `more` may be reached."""
        pairs = sorted(f"{host}:{port}" for host, port in (*self.internet.allow, *more))
        (self.configs / "network.yaml").write_text(yaml.safe_dump({"allow": pairs}))

    def case(self, *texts: str, incident: int = 1) -> Case:
        """A case about these values, with rows of their entities."""
        read = [guess(one) for one in texts]
        with self.engine.begin() as connection:
            ids = ensure_entities(connection, read)
        return Case(
            incident=incident,
            subjects=tuple(
                Subject(id=ids[one.digest], kind=one.kind, value=one.value, scope=one.scope, address=one.address)
                for one in read
            ),
        )

    def state(self, source: str, facts: Iterable[Fact], *, at: datetime, **values: Any) -> int | None:
        """Have `source` state these facts at a time, through staging and load; the batch, None for no news."""
        row = {"title": source.title(), "reliability": "B", "tlp": 0, "snapshot": False} | values
        with self.engine.begin() as connection:
            source_id = runs.ensure_source(connection, name=source, redistribution=True, commercial_use=True, **row)
            run_id = runs.begin(connection, source_id)
            number = runs.new_document(
                connection, source_id=source_id, run_id=run_id, location=f"https://{source}.example/", size=0,
                sha256=bytes(32), as_of=at, fetched_at=at,
            )  # fmt: skip
        with self.engine.connect() as connection:
            with Staging(driver(connection), run_id=run_id, source=source, tlp=int(row["tlp"])) as staging:
                staging.add(RawDocument(document_id=number, location="", body=b"", as_of=at), facts)
            connection.commit()
        with self.engine.begin() as connection:
            batch = Batch(source=source, source_id=source_id, run_id=run_id, documents=(number,), facts=staging.facts)
            return load(connection, batch).batch_id

    def rows(self, statement: str, **values: Any) -> list[Any]:
        """The rows of a query."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(statement), values))


@pytest.fixture
def world() -> Registry:
    """The invented world's registry, which a test may change before it asks for its home."""
    return registry()


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, world: Registry) -> Iterator[Home]:
    """An installation on the test's database, whose registries are the lab's."""
    configs = tmp_path / "configs"
    (configs / "sources").mkdir(parents=True)
    (configs / "watches").mkdir()
    for name in ("registration.yaml", "sources/registration.yaml"):
        shutil.copy(CHECKOUT / "configs" / name, configs / name)
    (configs / "organisation.yaml").write_text("")
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(configs))
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    engine = open_engine(database_url)
    try:
        with lab(world) as internet:
            made = Home(configs=configs, engine=engine, internet=internet)
            made.lookups()
            made.allow()
            yield made
    finally:
        engine.dispose()
        settings.cache_clear()


def said(subject: str, predicate: Predicate, named: str, *, kind: Kind | None = None, **values: Any) -> Fact:
    """A fact between two things as people write them; `kind` is that of the object, told by its form otherwise."""
    if kind is None:
        named_entity = guess(named)
    elif kind in LITERALS:
        named_entity = literal(kind, named)
    else:
        named_entity = entity(kind, named)
    start, colon, rest = subject.partition(":")
    known = colon and start in {str(one) for one in Kind}
    about = entity(start, rest) if known else guess(subject)
    return Fact(subject=about, predicate=predicate, object=named_entity, **values)
