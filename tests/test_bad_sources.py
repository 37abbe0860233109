from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from typer.testing import CliRunner

from apps.cli.main import app
from db.engine import open_engine
from intel.errors import LapsewatchError
from intel.settings import settings
from lab.configs import Addresses, write_configs
from lab.faults import FaultServer, serve_faults
from lab.server import serve
from lab.taxii import LabCollection, TaxiiFaults, TaxiiLab, taxii_app
from lab.world import indicator
from tasks.collect import slices
from tasks.collect.session import find_source, open_run
from tasks.collect.slices import collect_slice
from tasks.load.load import load_batch
from tasks.normalize.stage import stage

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
COLLECTION: Final = "7f4c1a52-4c55-4f0c-8a3e-3e9c3b1c0f10"
MAPPING: Final = {"statements": [{"subject": {"column": "domain", "kind": "domain"}}]}
NOBODY: Final = "http://127.0.0.1:9"
# One try more, no long pauses: what is waited for in earnest is the business of tests/tasks/collect/.
LIMITS: Final = {"seconds": 1, "bytes": 1_000_000, "retries": 1, "wait": 5, "pages": 5}

# Path of the fault server -> how the run ends, and what it says of the cause.
BEHAVIOURS: Final = {
    "/truncated": ("failed", "peer closed connection"),
    "/truncated-gzip": ("failed", "its gzip body is cut short"),
    "/oversized": ("failed", "more than 1000000 bytes"),
    "/oversized-declared": ("failed", "more than 1000000 bytes"),
    "/gzip-bomb": ("failed", "more than 1000000 bytes decoded"),
    "/drip": ("failed", "it took too long"),
    "/drip-headers": ("failed", "it took too long"),
    "/hang": ("failed", "it took too long"),
    "/throttled-seconds": ("failed", "the server asks to wait for 7 s"),
    "/throttled-date": ("failed", "the server asks to wait for"),
    "/throttled-silent": ("failed", "the server asks to wait without saying for how long"),
    "/throttled-long": ("failed", "the server asks to wait for 86400 s"),
    "/broken": ("failed", "status 500"),
    "/missing": ("failed", "status 404"),
    "/partial": ("failed", "status 206"),
    "/html": ("failed", "the server sent a web page"),
    "/wrong-encoding": ("partial", "bytes that its encoding does not know"),
    "/endless-headers": ("failed", "couldn't fetch"),
    "/broken-chunks": ("failed", "couldn't fetch"),
    "/cut-chunks": ("failed", "couldn't fetch"),
    "/not-gzip": ("failed", "couldn't fetch"),
    "/unasked-coding": ("failed", "'br' was not asked for"),
    "/to-metadata": ("failed", "169.254.169.254"),
    "/to-file": ("failed", "scheme 'file' is not http or https"),
    "/to-nowhere": ("failed", "it names no host"),
    "/loop": ("failed", "more than 5 redirects"),
}

# What a TAXII server does wrong -> what the run says of it.
TAXII: Final[dict[str, tuple[TaxiiFaults, str]]] = {
    "the same page for ever": (TaxiiFaults(pages_for_ever=True), "two pages hold the same objects"),
    "new pages for ever": (TaxiiFaults(endless_new=True, max_limit=2), "there are more than 5 pages"),
    "empty pages for ever": (TaxiiFaults(empty_for_ever=True), "there are more than 5 pages"),
    "the same token for ever": (TaxiiFaults(repeated_next=True), "its next token came before"),
    "more without next": (
        TaxiiFaults(more_without_next=True, no_dates=True, no_manifest=True, max_limit=1),
        "there is more, and neither a next token nor a date to go on from",
    ),
    "broken JSON": (TaxiiFaults(not_json=True), "couldn't read"),
    "JSON without bottom": (TaxiiFaults(nested=True), "couldn't read"),
    "a web page": (TaxiiFaults(html=True), "the server sent a web page"),
    "TAXII 2.0": (TaxiiFaults(taxii_20=True), "the server speaks TAXII 2.0"),
    "not acceptable": (TaxiiFaults(not_acceptable=True), "status 406"),
    "tokens that it forgets": (TaxiiFaults(expired_tokens=True, max_limit=1), "status 400"),
    "slow down": (TaxiiFaults(throttle=100, retry_after="600"), "the server asks to wait for 600 s"),
}
# These give good pages first: what came is kept, and the run says what did not.
GOOD_FIRST: Final = {
    "the same page for ever",
    "new pages for ever",
    "the same token for ever",
    "more without next",
    "tokens that it forgets",
}


@dataclass(kw_only=True)
class Site:
    configs: Path
    engine: Engine
    allow: frozenset[tuple[str, int]]

    def entries(self, *entries: dict[str, Any]) -> None:
        here = Addresses(
            feeds=NOBODY, taxii=NOBODY, taxii_collection="", ct=NOBODY, ct_key=b"", rdap=NOBODY,
            whois=("127.0.0.1", 9), allow=self.allow,
        )  # fmt: skip
        write_configs(self.configs, here, entries=entries, watches={})

    def collect(self, name: str) -> None:
        source = find_source(name)
        with open_run(self.engine, source) as run:
            more = True
            while more:
                collected = collect_slice(self.engine, source, run)
                if not collected.documents and collected.cursor is None and not collected.problems:
                    break
                more = not load_batch(self.engine, stage(self.engine, source, collected)).last

    def collect_badly(self, name: str) -> None:
        with contextlib.suppress(LapsewatchError):
            self.collect(name)

    def said(self, name: str) -> dict[str, Any]:
        """What the warehouse has from a source, cursors and documents that count included."""
        of = {
            "facts": "SELECT f.* FROM fact f JOIN source s ON s.id = f.source_id WHERE s.name = :name ORDER BY f.id",
            "history": "SELECT h.* FROM fact_history h JOIN fact f ON f.id = h.fact_id JOIN source s"
            " ON s.id = f.source_id WHERE s.name = :name ORDER BY 1, 2, 3",
            "cursors": "SELECT * FROM cursor WHERE name LIKE '%:' || :name ORDER BY name",
            "documents": "SELECT d.* FROM document d JOIN source s ON s.id = d.source_id"
            " WHERE s.name = :name AND d.loaded ORDER BY d.id",
        }
        with self.engine.connect() as connection:
            return {what: connection.execute(text(sql), {"name": name}).all() for what, sql in of.items()}

    def links(self) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT * FROM link ORDER BY 1, 2, 3")))

    def left_in_staging(self) -> list[str]:
        with self.engine.connect() as connection:
            return list(
                connection.execute(text("SELECT tablename FROM pg_tables WHERE schemaname = 'staging'")).scalars()
            )

    def status(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code of `lapsewatch status`, and what it shows of each source."""
        shown = CliRunner().invoke(app, ["status", "--json"])
        return shown.exit_code, {row["source"]: row for row in json.loads(shown.stdout)["sources"]}


@pytest.fixture
def faulty() -> Iterator[FaultServer]:
    with serve_faults() as server:
        yield server


@pytest.fixture
def upstream() -> TaxiiLab:
    lab = TaxiiLab(collections=[LabCollection(id=COLLECTION, title="Invented")])
    lab.collections[0].add(NOON, indicator("[domain-name:value = 'first.example']", NOON, "first"))
    return lab


@pytest.fixture
def taxii(upstream: TaxiiLab) -> Iterator[str]:
    with serve(taxii_app(upstream)) as server:
        yield server.url


@pytest.fixture
def site(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, faulty: FaultServer, taxii: str
) -> Iterator[Site]:
    monkeypatch.setenv("LAPSEWATCH_DATABASE_URL", database_url)
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(tmp_path / "configs"))
    settings.cache_clear()
    engine = open_engine(database_url)
    host, port = taxii.removeprefix("http://").split(":")
    yield Site(configs=tmp_path / "configs", engine=engine, allow=frozenset({faulty.address, (host, int(port))}))
    engine.dispose()
    settings.cache_clear()


def entry(name: str, location: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "transport": "http",
        "format": "csv",
        "location": location,
        "semantics": "snapshot",
        "cadence": "hourly",
        "reliability": "C",
        "tlp": "GREEN",
        "licence": {"name": "invented", "commercial_use": True, "redistribution": True},
        "enabled": True,
        "options": {"mapping": MAPPING, "label": "listed"},
        "limits": LIMITS,
        **more,
    }


def taxii_entry(url: str, **limits: Any) -> dict[str, Any]:
    return entry(
        "bad", f"{url}/api/", transport="taxii", format="stix", semantics="stream",
        options={"collection": COLLECTION}, limits=LIMITS | limits,
    )  # fmt: skip


def check(site: Site, *, before: dict[str, Any], outcome: str, cause: str, good: str = "good") -> str:
    """That the last run of `bad` ended so, changed nothing, is shown, and spares the other source; what it said."""
    assert site.said("bad") == before
    assert not site.left_in_staging()
    site.collect(good)
    code, shown = site.status()
    assert code == 1
    assert shown["bad"]["outcome"] == outcome
    assert shown["bad"]["health"] == outcome
    assert cause in shown["bad"]["error"]
    # "couldn't <verb> <object>: <cause>; <what happens next>"
    assert "couldn't " in shown["bad"]["error"]
    assert "; " in shown["bad"]["error"]
    assert (shown[good]["outcome"], shown[good]["health"], shown[good]["error"]) == ("ok", "well", "")
    return str(shown["bad"]["error"])


@pytest.mark.parametrize("path", BEHAVIOURS)
def test_a_web_server_that_misbehaves(site: Site, faulty: FaultServer, path: str) -> None:
    outcome, cause = BEHAVIOURS[path]
    ok, other = entry("bad", f"{faulty.url}/ok"), entry("good", f"{faulty.url}/ok")
    site.entries(ok, other)
    site.collect("bad")
    before, links = site.said("bad"), site.links()
    assert len(before["facts"]) == 1
    site.entries(ok | {"location": faulty.url + path}, other)
    site.collect_badly("bad")
    assert site.links() == links
    said = check(site, before=before, outcome=outcome, cause=cause)
    # Where a redirect is at fault, it is named instead.
    assert faulty.url + path in said or path.startswith("/to-")
    if outcome == "partial":
        # The same bytes again: that nothing of them could be read must not pass for nothing new.
        site.collect_badly("bad")
        assert site.status()[1]["bad"]["outcome"] == outcome
    site.entries(ok, other)
    site.collect("bad")
    assert site.status()[1]["bad"]["health"] == "well"


@pytest.mark.parametrize("path", ["/truncated-once", "/broken-twice", "/to-ok"])
def test_what_works_when_asked_again_is_no_failure(site: Site, faulty: FaultServer, path: str) -> None:
    site.entries(entry("good", faulty.url + path, limits=LIMITS | {"retries": 2}))
    site.collect("good")
    code, shown = site.status()
    assert (code, shown["good"]["outcome"], shown["good"]["facts_new"]) == (0, "ok", 1)


def test_a_redirect_to_this_machine_is_not_followed(site: Site, faulty: FaultServer) -> None:
    with serve_faults() as private:

        async def away(_: object) -> Response:
            return RedirectResponse(f"{private.url}/ok")

        with serve(Starlette(routes=[Route("/feed.csv", away)])) as feed:
            site.allow |= {feed.address}
            site.entries(entry("bad", f"{feed.url}/feed.csv"), entry("good", f"{faulty.url}/ok"))
            site.collect_badly("bad")
        assert private.asked == []
    nothing: dict[str, Any] = {"facts": [], "history": [], "cursors": [], "documents": []}
    check(site, before=nothing, outcome="failed", cause="127.0.0.1")


@pytest.mark.parametrize("wrong", TAXII)
def test_a_taxii_server_that_misbehaves(
    site: Site, faulty: FaultServer, upstream: TaxiiLab, taxii: str, wrong: str
) -> None:
    faults, cause = TAXII[wrong]
    site.entries(taxii_entry(taxii), entry("good", f"{faulty.url}/ok"))
    site.collect("bad")
    before = site.said("bad")
    assert before["cursors"]
    assert before["facts"]
    upstream.collections[0].add(
        NOON.replace(hour=13), indicator("[domain-name:value = 'second.example']", NOON, "second")
    )
    upstream.faults = replace(faults)
    site.collect_badly("bad")
    if wrong in GOOD_FIRST:
        check(site, before=site.said("bad"), outcome="partial", cause=cause)
    else:
        check(site, before=before, outcome="failed", cause=cause)
    upstream.faults = TaxiiFaults()
    site.collect("bad")
    if wrong == "new pages for ever":
        # That went on with the token of a list that never was; this one asks from the last date again.
        site.collect("bad")
    assert site.said("bad")["facts"] != before["facts"]
    assert site.status()[1]["bad"]["health"] == "well"


def test_a_taxii_server_that_hangs_costs_what_its_entry_allows(site: Site, faulty: FaultServer) -> None:
    # Any path of the fault server that is no TAXII at all; this one never answers.
    hanging = taxii_entry(faulty.url) | {"location": f"{faulty.url}/hang?"}
    site.entries(hanging, entry("good", f"{faulty.url}/ok"))
    site.collect_badly("bad")
    nothing: dict[str, Any] = {"facts": [], "history": [], "cursors": [], "documents": []}
    check(site, before=nothing, outcome="failed", cause="it took too long")


def test_pages_without_end_end_with_the_run_and_not_with_its_slices(
    site: Site, upstream: TaxiiLab, taxii: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slices, "MAX_SLICE_DOCUMENTS", 2)
    upstream.faults = TaxiiFaults(endless_new=True, max_limit=1)
    site.entries(taxii_entry(taxii, seconds=30))
    site.collect("bad")
    row = site.status()[1]["bad"]
    assert row["outcome"] == "partial"
    assert "more than 5 pages" in row["error"]
    # Two slices of two pages and one of one; the next run goes on from there.
    assert row["documents"] == 5
    assert site.said("bad")["cursors"][0].value["next"] == "5"
