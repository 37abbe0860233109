from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import httpx
from starlette.applications import Starlette

from lab.feeds import LabClock, feeds_app
from lab.server import serve

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class GrowingWorld:
    """One list that gains a line a day."""

    def documents(self, at: datetime) -> Mapping[str, tuple[bytes, str]]:
        days = (at - NOON).days
        lines = "".join(f"c{number}.bad.example\n" for number in range(days + 1))
        return {"feeds/list.txt": (lines.encode(), "text/plain; charset=utf-8")}


def test_documents_change_as_the_clock_is_moved_and_only_then() -> None:
    clock = LabClock(NOON)
    app = feeds_app(GrowingWorld(), clock)
    with serve(app) as server, httpx.Client(base_url=server.url, trust_env=False) as client:
        first = client.get("/feeds/list.txt")
        assert (first.text, first.headers["content-type"]) == ("c0.bad.example\n", "text/plain; charset=utf-8")
        assert first.headers["last-modified"] == "Sun, 01 Mar 2026 12:00:00 GMT"
        clock.now += timedelta(hours=1)
        for condition in (
            {"If-None-Match": first.headers["etag"]},
            {"If-None-Match": f'"x", W/{first.headers["etag"]}'},
            {"If-Modified-Since": first.headers["last-modified"]},
        ):
            same = client.get("/feeds/list.txt", headers=condition)
            assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", first.headers["etag"])
        clock.now += timedelta(days=1)
        second = client.get("/feeds/list.txt", headers={"If-None-Match": first.headers["etag"]})
        assert second.status_code == 200
        assert second.text.count("\n") == 2
        assert second.headers["last-modified"] == "Mon, 02 Mar 2026 13:00:00 GMT"
        since = {"If-Modified-Since": first.headers["last-modified"]}
        assert client.get("/feeds/list.txt", headers=since).status_code == 200
        assert client.get("/nothing").status_code == 404
    assert app.state.requests[:1] == ["feeds/list.txt"]


def test_several_servers_run_side_by_side_and_stop() -> None:
    before = threading.active_count()
    with serve(Starlette()) as one, serve(Starlette()) as two:
        assert one.port != two.port
        for server in (one, two):
            assert httpx.get(f"{server.url}/", trust_env=False).status_code == 404
    assert threading.active_count() <= before
