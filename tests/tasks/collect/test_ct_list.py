from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from db import ct_logs, documents
from db.ct_logs import LIST_SOURCE
from db.engine import open_engine
from intel.errors import ConfigError, ReadError, StatusError, VerificationError
from intel.settings import settings
from lab.server import serve
from tasks.collect import ct_list
from tasks.collect.session import find_source
from tests.ct_lists import LIST_KEY_PEM, LIST_KEY_TEXT, MADE, list_json, log_json, signed, tiled_json


class Published:
    """A list and its signature on loopback, with an ETag."""

    def __init__(self) -> None:
        self.body = list_json(log_json("fisher"), tiled=(tiled_json("reed"),))
        self.signature: bytes | None = None
        self.stale_signatures = 0
        self.requests: list[str] = []
        self.agents: set[str] = set()

    def app(self) -> Starlette:
        def answer(request: Request) -> Response:
            self.requests.append(request.url.path)
            self.agents.add(request.headers["user-agent"])
            if request.url.path.endswith(".sig"):
                if self.stale_signatures:
                    self.stale_signatures -= 1
                    return Response(signed(b"the list of yesterday"))
                return Response(signed(self.body) if self.signature is None else self.signature)
            if not request.url.path.endswith(".json"):
                return Response(status_code=404)
            etag = f'"{hash(self.body)}"'
            if request.headers.get("if-none-match") == etag:
                return Response(status_code=304)
            return Response(self.body, media_type="application/json", headers={"ETag": etag})

        return Starlette(routes=[Route("/{path:path}", answer)])


class Home:
    """An installation whose logs come from a list."""

    def __init__(self, engine: Engine, configs: Path, published: Published, url: str) -> None:
        self.engine, self.configs, self.published, self.url = engine, configs, published, url

    def configure(self, **log_list: Any) -> None:
        config = {"log_list": log_list, "follow": [{"states": ["usable"], "shards": "all", "start": 7}]}
        (self.configs / "ct.yaml").write_text(yaml.safe_dump(config))

    def names(self, *, listed: bool = True) -> list[str]:
        with self.engine.connect() as connection:
            return [log.name for log in ct_logs.logs(connection) if log.listed or not listed]

    def runs(self) -> list[Any]:
        with self.engine.connect() as connection:
            query = (
                "SELECT outcome, error FROM run r JOIN source s ON s.id = source_id WHERE s.name = :name ORDER BY r.id"
            )
            return [tuple(row) for row in connection.execute(text(query), {"name": LIST_SOURCE})]

    def age(self, hours: float) -> None:
        """Make what was done look older."""
        with self.engine.begin() as connection:
            for column in ("started_at", "finished_at"):
                connection.execute(
                    text(f"UPDATE run SET {column} = {column} - make_interval(secs => :seconds)"),
                    {"seconds": hours * 3600},
                )


@pytest.fixture
def home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    configs = tmp_path / "configs"
    (configs / "sources").mkdir(parents=True)
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(configs))
    settings.cache_clear()
    engine = open_engine(database_url)
    published = Published()
    with serve(published.app()) as served:
        (configs / "network.yaml").write_text(f'allow: ["127.0.0.1:{served.port}"]\n')
        made = Home(engine, configs, published, served.url)
        made.configure(location=f"{served.url}/v3/log_list.json", key=LIST_KEY_TEXT)
        yield made
    engine.dispose()
    settings.cache_clear()


NAMES = ["heron-trust-heron-fisher", "heron-trust-heron-reed"]


def test_a_signed_list_over_the_network(home: Home) -> None:
    refreshed = ct_list.refresh(home.engine)
    assert refreshed.synced == ct_logs.Synced(new=2, changed=0, gone=0)
    assert (refreshed.made_at, refreshed.rejects) == (MADE, ())
    assert home.names() == NAMES
    assert home.published.requests == ["/v3/log_list.json", "/v3/log_list.sig"]
    assert home.runs() == [("ok", "")]
    with home.engine.connect() as connection:
        document = connection.execute(text("SELECT location, sha256, loaded, as_of FROM document")).one()
    assert (document.location, document.loaded) == (f"{home.url}/v3/log_list.json", True)
    assert document.as_of == MADE
    assert documents.get(settings().document_store, bytes(document.sha256)) == home.published.body


def test_an_unchanged_list_costs_a_question(home: Home) -> None:
    ct_list.refresh(home.engine)
    home.published.requests.clear()
    assert ct_list.refresh(home.engine) == ct_list.Refreshed(made_at=MADE, synced=None)
    assert home.published.requests == ["/v3/log_list.json"]
    assert [outcome for outcome, _ in home.runs()] == ["ok", "unchanged"]


def test_a_new_list_is_applied_and_an_older_one_is_not(home: Home) -> None:
    ct_list.refresh(home.engine)
    before = home.published.body
    home.published.body = list_json(log_json("otter"), made_at=MADE + timedelta(days=1))
    assert ct_list.refresh(home.engine).synced == ct_logs.Synced(new=1, changed=0, gone=2)
    home.published.body = before  # with its own good signature
    with pytest.raises(ReadError, match="a newer one"):
        ct_list.refresh(home.engine)
    assert home.names() == ["heron-trust-heron-otter"]
    assert home.names(listed=False) == [*NAMES, "heron-trust-heron-otter"]


def test_the_key_as_it_is_published(home: Home) -> None:
    home.configure(location=f"{home.url}/v3/log_list.json", key=LIST_KEY_PEM)
    ct_list.refresh(home.engine)
    assert home.names() == NAMES


def test_a_list_that_somebody_changed(home: Home) -> None:
    home.published.signature = signed(home.published.body)
    home.published.body = home.published.body.replace(b"fisher", b"Fisher")
    with pytest.raises(VerificationError, match="did not sign it"):
        ct_list.refresh(home.engine)
    assert home.names() == []
    ((outcome, error),) = home.runs()
    assert (outcome, "did not sign it" in error) == ("failed", True)


def test_between_the_list_and_its_signature(home: Home) -> None:
    home.published.stale_signatures = 1
    ct_list.refresh(home.engine)
    assert home.names() == NAMES


@pytest.mark.parametrize("signature", [b"", bytes(256), bytes(10_000)])
def test_what_is_no_signature(home: Home, signature: bytes) -> None:
    home.published.signature = signature
    with pytest.raises(ReadError):
        ct_list.refresh(home.engine)
    assert home.names() == []


def test_a_wrong_entry_is_on_the_run(home: Home) -> None:
    home.published.body = list_json(log_json("fisher"), log_json("otter", mmd=-1))
    assert len(ct_list.refresh(home.engine).rejects) == 1
    ((outcome, error),) = home.runs()
    assert outcome == "partial"
    assert "Heron Trust, logs 1: its maximum merge delay" in error


def test_an_unsigned_list_over_the_network_is_refused(home: Home) -> None:
    home.configure(location=f"{home.url}/v3/log_list.json")
    with pytest.raises(ConfigError, match=r"log_list\.key of ct\.yaml is empty"):
        ct_list.refresh(home.engine)
    assert ct_list.chosen_names(home.engine) == []
    assert home.published.requests == []
    assert home.runs() == []


def test_a_missing_list(home: Home) -> None:
    home.configure(location=f"{home.url}/v3/other", key=LIST_KEY_TEXT)
    with pytest.raises(StatusError):
        ct_list.refresh(home.engine)
    home.configure()
    with pytest.raises(ConfigError, match=r"location of ct\.yaml is empty"):
        ct_list.refresh(home.engine)


def test_a_list_from_a_file(home: Home) -> None:
    home.configure(location="logs.json")
    with pytest.raises(ConfigError, match=r"log_list of ct\.yaml names it"):
        ct_list.refresh(home.engine)
    (home.configs / "logs.json").write_bytes(home.published.body)
    ct_list.refresh(home.engine)
    assert home.names() == NAMES
    # Whoever puts a file there says which list is right.
    (home.configs / "logs.json").write_bytes(list_json(log_json("vole"), made_at=MADE - timedelta(days=400)))
    ct_list.refresh(home.engine)
    assert home.names() == ["heron-trust-heron-vole"]
    assert ct_list.refresh(home.engine).synced is None


def test_a_signed_file(home: Home) -> None:
    home.configure(location="logs.json", key=LIST_KEY_TEXT)
    (home.configs / "logs.json").write_bytes(home.published.body)
    with pytest.raises(ConfigError, match=r"logs\.sig"):
        ct_list.refresh(home.engine)
    (home.configs / "logs.sig").write_bytes(signed(b"something else"))
    with pytest.raises(VerificationError):
        ct_list.refresh(home.engine)
    (home.configs / "logs.sig").write_bytes(signed(home.published.body))
    ct_list.refresh(home.engine)
    assert home.names() == NAMES


def test_the_list_is_fetched_once_a_day(home: Home) -> None:
    assert ct_list.chosen_names(home.engine) == NAMES
    assert ct_list.chosen_names(home.engine) == NAMES
    assert len(home.runs()) == 1
    home.age(hours=25)
    home.published.body = list_json(log_json("otter"), made_at=MADE + timedelta(days=1))
    assert ct_list.chosen_names(home.engine) == ["heron-trust-heron-otter"]
    assert len(home.runs()) == 2


def test_a_list_that_cannot_be_had_stops_no_log(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    ct_list.refresh(home.engine)
    home.age(hours=25)
    home.published.body = list_json(log_json("fisher"), made_at=MADE + timedelta(days=1))
    home.published.signature = b"broken"
    assert ct_list.chosen_names(home.engine) == NAMES
    assert "did not sign it" in caplog.text
    # It is not asked for again at once.
    assert ct_list.chosen_names(home.engine) == NAMES
    assert [outcome for outcome, _ in home.runs()] == ["ok", "failed"]
    home.age(hours=1.1)
    home.published.signature = None
    assert ct_list.chosen_names(home.engine) == NAMES[:1]
    assert [outcome for outcome, _ in home.runs()] == ["ok", "failed", "ok"]


def test_who_asks_for_the_list_says_so(home: Home) -> None:
    (home.configs / "organisation.yaml").write_text("contact: ct@heron.example\n")
    ct_list.refresh(home.engine)
    assert home.published.agents == {"Lapsewatch/0.1 (ct@heron.example)"}


def test_a_listed_log_is_a_source(home: Home) -> None:
    ct_list.refresh(home.engine)
    source = find_source("heron-trust-heron-reed")
    assert (source.location, source.enabled) == ("https://read.reed.heron.test/", True)
    assert source.options.protocol == "static"
    assert source.options.follow == "7"
    assert source.options.submission_url == "https://submit.reed.heron.test/"
    with home.engine.connect() as connection:
        assert find_source("heron-trust-heron-reed", connection) == source
        with pytest.raises(ConfigError, match="no such log"):
            find_source("heron-trust-heron-stork", connection)


def test_a_log_that_is_gone_from_the_list_is_known_and_not_followed(home: Home) -> None:
    ct_list.refresh(home.engine)
    home.published.body = list_json(log_json("fisher"), made_at=MADE + timedelta(days=1))
    ct_list.refresh(home.engine)
    assert ct_list.chosen_names(home.engine) == ["heron-trust-heron-fisher"]
    source = find_source("heron-trust-heron-reed")
    assert (source.enabled, source.location) == (False, "https://read.reed.heron.test/")


def test_no_warehouse_is_needed_to_say_that_there_is_no_such_source(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home.configs / "ct.yaml").unlink()
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    settings.cache_clear()
    with pytest.raises(ConfigError, match="no such source"):
        find_source("heron")


def test_a_log_with_an_entry_of_its_own_is_followed_once(home: Home) -> None:
    ct_list.refresh(home.engine)
    listed = json.loads(home.published.body)["operators"][0]["logs"][0]
    entry = {
        "name": "our-fisher",
        "title": "Fisher, through our mirror",
        "transport": "ct",
        "format": "ct",
        "location": "https://mirror.heron.example/",
        "semantics": "stream",
        "cadence": "continuous",
        "reliability": "A",
        "tlp": "TLP:CLEAR",
        "licence": {"name": "public log", "commercial_use": True, "redistribution": True},
        "enabled": True,
        "options": {"log_key": listed["key"]},
    }
    (home.configs / "sources" / "ct.yaml").write_text(yaml.safe_dump({"sources": [entry]}))
    assert ct_list.chosen_names(home.engine) == ["our-fisher", "heron-trust-heron-reed"]
    (home.configs / "sources" / "ct.yaml").write_text(yaml.safe_dump({"sources": [entry | {"enabled": False}]}))
    assert ct_list.chosen_names(home.engine) == NAMES
