from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from intel.errors import (
    CollectError,
    ConfigError,
    OversizedError,
    PagingError,
    ReadError,
    RefusedError,
    StatusError,
    ThrottledError,
)
from lab.server import Served, serve
from lab.taxii import LabCollection, TaxiiLab, taxii_app
from tasks.collect.credentials import Credentials, Kind
from tasks.collect.http import HttpLimits, NetworkPolicy
from tasks.collect.taxii import TaxiiHttp, TaxiiPage, TaxiiSource, discover, pages

NOW = datetime(2026, 3, 4, tzinfo=UTC)
START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
NAME = "x-lab-collection--107"  # not a UUID, as with MITRE and Limo


def made(number: int, kind: str = "indicator") -> dict[str, Any]:
    # `modified` lies far away from every date added: a cursor that takes it is seen at once.
    modified = "2031-01-01T00:00:00.000Z"
    return {"type": kind, "id": f"{kind}--{number}", "spec_version": "2.1", "modified": modified}


class World:
    """A running server, and a short way to read from it."""

    def __init__(self, lab: TaxiiLab, server: Served) -> None:
        self.lab, self.server = lab, server
        self.faults, self.collection = lab.faults, lab.collections[0]
        self.slept: list[float] = []

    def http(self, **changes: Any) -> TaxiiHttp:
        limits = HttpLimits(max_bytes=1 << 20, max_seconds=5, read_seconds=3)
        given = {"policy": NetworkPolicy(allow=frozenset({self.server.address})), "limits": limits}
        return TaxiiHttp(**{**given, "clock": lambda: NOW, "sleep": self.slept.append, **changes})

    def read(self, cursor: dict[str, str] | None = None, **settings: Any) -> Iterator[TaxiiPage]:
        http = settings.pop("http", None) or self.http()
        given = {"api_root": f"{self.server.url}/api/", "collection": NAME, "limit": 3, "overlap_seconds": 0}
        return pages(TaxiiSource(**{**given, **settings}), cursor or {}, http=http)

    def upto_error(self, cursor: dict[str, str] | None = None, **settings: Any) -> tuple[list[TaxiiPage], str]:
        found: list[TaxiiPage] = []
        with pytest.raises(PagingError) as caught:
            found.extend(self.read(cursor, **settings))
        return found, str(caught.value)

    def objects_asked(self) -> list[str]:
        return [line.partition("?")[2] for line in self.lab.asked if "/objects/" in line]


@pytest.fixture
def world() -> Iterator[World]:
    collection = LabCollection(id=NAME, title="Lab")
    for number in range(8):
        collection.add(START + timedelta(minutes=number), made(number))
    lab = TaxiiLab(collections=[collection])
    with serve(taxii_app(lab)) as server:
        yield World(lab, server)


def ids(found: list[TaxiiPage]) -> list[str]:
    return [item["id"] for page in found for item in json.loads(page.body).get("objects", [])]


def stamp(minutes: int) -> str:
    return (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


ALL = [f"indicator--{number}" for number in range(8)]


def test_pages_follow_the_token_and_end_at_the_last_date_added(world: World) -> None:
    found = list(world.read())
    assert ids(found) == ALL
    assert [page.count for page in found] == [3, 3, 2]
    assert [page.number for page in found] == [1, 2, 3]
    assert found[0].cursor == {"next": "3", "asked": "", "last": stamp(2)}
    assert found[1].cursor == {"next": "6", "asked": "", "last": stamp(5)}
    assert found[2].cursor == {"added_after": stamp(7)}
    assert found[0].fetched_at == NOW
    assert world.objects_asked() == ["limit=3", "next=3&limit=3", "next=6&limit=3"]


def test_a_page_is_kept_as_it_was_received(world: World) -> None:
    page = next(world.read())
    expected = {"objects": [made(0), made(1), made(2)], "more": True, "next": "3"}
    assert page.body == json.dumps(expected).encode()


def test_a_new_poll_asks_only_for_what_came_since(world: World) -> None:
    cursor = list(world.read())[-1].cursor
    again = list(world.read(cursor))
    assert (ids(again), again[-1].cursor) == ([], cursor)
    world.collection.add(START + timedelta(minutes=9), made(9))
    assert ids(list(world.read(cursor))) == ["indicator--9"]
    assert "added_after=2026-03-01T12%3A07%3A00.123456Z" in world.objects_asked()[-1]


def test_a_new_poll_overlaps_the_last(world: World) -> None:
    cursor = list(world.read())[-1].cursor
    world.collection.add(START + timedelta(minutes=7), made(8))  # a tie that became visible late
    found = list(world.read(cursor, overlap_seconds=1))
    assert ids(found) == ["indicator--7", "indicator--8"]
    assert found[-1].cursor == cursor


def test_a_poll_that_was_cut_off_goes_on_with_the_same_filters(world: World) -> None:
    first = next(world.read({"added_after": stamp(0)}, match={"type": "indicator"}))
    assert first.cursor == {"added_after": stamp(0), "next": "3", "asked": stamp(0), "last": stamp(3)}
    rest = list(world.read(first.cursor, match={"type": "indicator"}))
    assert ids([first, *rest]) == ALL[1:]
    query = world.objects_asked()[1]
    assert "next=3" in query
    assert "added_after=" in query
    assert "match%5Btype%5D=indicator" in query


def test_a_token_that_the_server_forgot_starts_the_poll_again(world: World) -> None:
    cursor = next(world.read({"added_after": stamp(0)})).cursor
    world.faults.expired_tokens = True
    world.faults.max_limit = 100
    assert ids(list(world.read(cursor, limit=100))) == ALL[1:]


def test_a_token_that_is_refused_within_a_run_is_an_error(world: World) -> None:
    world.faults.expired_tokens = True
    with pytest.raises(StatusError):
        list(world.read())


def test_more_without_a_token_goes_on_by_the_last_date(world: World) -> None:
    world.faults.more_without_next = True
    found = list(world.read())
    assert list(dict.fromkeys(ids(found))) == ALL
    assert found[0].cursor == {"added_after": stamp(2)}
    assert found[-1].cursor == {"added_after": stamp(7)}


def test_more_without_a_token_does_not_pass_over_ties(world: World) -> None:
    world.faults.more_without_next = True
    world.collection.records.clear()
    for number in range(8):
        world.collection.add(START + timedelta(minutes=number // 2), made(number))
    assert set(ids(list(world.read()))) == set(ALL)


def test_pages_of_one_object_without_a_token_end(world: World) -> None:
    world.faults.more_without_next = True
    assert ids(list(world.read(limit=1))) == ALL


def test_an_inclusive_added_after_ends(world: World) -> None:
    world.faults.more_without_next = world.faults.inclusive_added_after = True
    assert list(dict.fromkeys(ids(list(world.read())))) == ALL
    found, message = world.upto_error(limit=1)
    assert len(found) == 2
    assert "same" in message


def test_more_ties_than_a_page_holds_is_an_error_not_a_loss(world: World) -> None:
    world.faults.more_without_next = True
    world.collection.records.clear()
    world.collection.add(START, *(made(number) for number in range(8)))
    found, message = world.upto_error()
    assert len(found) == 2
    assert "same objects" in message


def test_the_manifest_gives_the_date_where_the_headers_do_not(world: World) -> None:
    world.faults.no_dates = world.faults.more_without_next = True
    found = list(world.read())
    assert list(dict.fromkeys(ids(found))) == ALL
    assert found[-1].cursor == {"added_after": stamp(7)}


def test_no_date_at_all_means_reading_everything_again_never_modified(world: World) -> None:
    world.faults.no_dates = world.faults.no_manifest = True
    assert list(world.read())[-1].cursor == {}
    cursor = {"added_after": stamp(1)}
    assert list(world.read(cursor))[-1].cursor == cursor


def test_more_without_a_token_and_without_a_date_is_an_error(world: World) -> None:
    world.faults.no_dates = world.faults.no_manifest = world.faults.more_without_next = True
    found, message = world.upto_error({"added_after": stamp(0)})
    assert len(found) == 1
    assert found[0].cursor == {"added_after": stamp(0)}
    assert "neither" in message


@pytest.mark.parametrize("odd", ["http", "js", "seconds"])
def test_odd_dates_are_read(world: World, odd: str) -> None:
    world.faults.odd_dates = odd
    assert list(world.read())[-1].cursor == {"added_after": "2026-03-01T12:07:00.000000Z"}


@pytest.mark.parametrize("odd", ["future", "nonsense"])
def test_dates_that_nothing_may_rest_on_are_not_used(world: World, odd: str) -> None:
    world.faults.odd_dates = odd
    assert list(world.read())[-1].cursor == {}


@pytest.mark.parametrize("switch", ["empty_body", "no_objects_key"])
def test_an_empty_envelope_is_an_empty_page(world: World, switch: str) -> None:
    setattr(world.faults, switch, True)
    cursor = {"added_after": "2026-03-01T12:30:00.000000Z"}
    (page,) = world.read(cursor)
    assert (page.count, page.cursor) == (0, cursor)


def test_the_same_page_for_ever_ends(world: World) -> None:
    world.faults.pages_for_ever = True
    found, message = world.upto_error()
    assert len(found) == 2
    assert "same objects" in message


def test_a_repeated_token_ends(world: World) -> None:
    world.faults.repeated_next = True
    found, message = world.upto_error(limit=1)
    assert len(found) == 2
    assert "came before" in message
    assert "next" not in found[-1].cursor


def test_empty_pages_for_ever_end(world: World) -> None:
    world.faults.empty_for_ever = True
    found, message = world.upto_error()
    assert len(found) == 10
    assert "empty" in message


@pytest.mark.parametrize(
    ("cap", "word"), [({"max_pages": 4}, "4 pages"), ({"max_bytes": 900}, "900 bytes"), ({"max_seconds": 0}, "longer")]
)
def test_new_pages_for_ever_end_at_every_cap_and_go_on_next_time(world: World, cap: dict[str, Any], word: str) -> None:
    world.faults.endless_new = True
    found, message = world.upto_error(**cap)
    assert 1 <= len(found) <= 4 + 2
    assert word in message
    assert found[-1].cursor["next"] == str(3 * len(found))


def test_a_429_is_waited_for(world: World) -> None:
    world.faults.throttle = 2
    assert ids(list(world.read())) == ALL
    assert world.slept == [3.0, 3.0]
    world.faults.throttle, world.faults.retry_after = 9, "86400"
    with pytest.raises(ThrottledError) as caught:
        list(world.read())
    assert caught.value.retry_after == 86400


@pytest.mark.parametrize(
    "media_type",
    [
        "application/taxii+json",
        "application/taxii+json; charset=utf-8",
        "application/json",
        'application/taxii+json; version="2.1"',
    ],
)
def test_content_types_that_are_nearly_right_are_taken(world: World, media_type: str) -> None:
    world.faults.media_type = media_type
    assert ids(list(world.read())) == ALL


def test_taxii_20_is_refused_with_a_clear_message(world: World) -> None:
    world.faults.taxii_20 = True
    with pytest.raises(ReadError, match=r"speaks TAXII 2\.0"):
        list(world.read())
    with pytest.raises(ReadError, match=r"speaks TAXII 2\.0"):
        discover(f"{world.server.url}/taxii2/", http=world.http())
    world.faults.taxii_20, world.faults.not_acceptable = False, True
    with pytest.raises(StatusError, match=r"TAXII 2\.0"):
        list(world.read())


@pytest.mark.parametrize("switch", ["not_json", "nested", "html"])
def test_what_is_no_envelope_is_a_read_error(world: World, switch: str) -> None:
    setattr(world.faults, switch, True)
    with pytest.raises(ReadError):
        list(world.read())
    with pytest.raises(ReadError):
        discover(f"{world.server.url}/taxii2/", http=world.http())


def test_a_page_beyond_the_limit_is_dropped(world: World) -> None:
    with pytest.raises(OversizedError):
        list(world.read(http=world.http(limits=HttpLimits(max_bytes=100))))


def test_the_address_policy_holds(world: World) -> None:
    with pytest.raises(RefusedError):
        list(world.read(http=world.http(policy=NetworkPolicy())))
    with pytest.raises(RefusedError):
        list(world.read(api_root="file:///etc/"))
    with pytest.raises(CollectError):
        list(world.read(api_root="http://[bad/"))
    assert world.lab.asked == []


def test_a_collection_that_is_not_there_is_a_status(world: World) -> None:
    with pytest.raises(StatusError):
        list(world.read(collection="../../taxii2"))
    world.collection.can_read = False
    with pytest.raises(StatusError):
        list(world.read())


@pytest.mark.parametrize(
    ("kind", "user", "header"),
    [
        ("basic", "guest", "Basic Z3Vlc3Q6czNjcmV0"),
        ("bearer", "", "Bearer s3cret"),
        ("token", "", "Token s3cret"),
        ("x-api-key", "", "s3cret"),
    ],
)
def test_credentials_are_sent_and_never_shown(world: World, kind: Kind, user: str, header: str) -> None:
    credentials = Credentials(kind=kind, secret="s3cret", user=user)
    world.lab.authorization = header
    assert ids(list(world.read(credentials=credentials))) == ALL
    assert (
        "s3cret"
        not in f"{credentials} {credentials!r} {TaxiiSource(api_root='', collection='', credentials=credentials)}"
    )
    world.lab.authorization = "another"
    with pytest.raises(StatusError) as caught:
        list(world.read(credentials=credentials))
    assert caught.value.status == 401
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"secret": ""}, {"secret": "a\nb"}, {"secret": "\u20ac", "kind": "bearer"}, {"user": "a:b"}, {"kind": "digest"}],
)
def test_credentials_that_cannot_be_sent_are_a_configuration_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as caught:
        Credentials(**{"kind": "basic", "secret": "s3cret", **wrong})
    assert "s3cret" not in str(caught.value)


def test_the_environment_has_no_say(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9/")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    assert ids(list(world.read())) == ALL


def test_discovery_lists_roots_and_collections(world: World) -> None:
    elsewhere = "https://other.example/api/"
    world.lab.roots = ["/api/", f"{world.server.url}/gone/", elsewhere]
    found = discover(f"{world.server.url}/taxii2", http=world.http(), credentials=Credentials(kind="token", secret="x"))
    assert (found.title, found.default) == ("Lab", f"{world.server.url}/api/")
    good, gone, other = found.roots
    assert (good.title, good.problem) == ("Lab root", None)
    assert [(item.id, item.title, item.can_read) for item in good.collections] == [(NAME, "Lab", True)]
    assert "404" in (gone.problem or "")
    assert other.url == elsewhere
    assert "another origin" in (other.problem or "")


def test_an_api_root_can_be_asked_directly(world: World) -> None:
    world.lab.collections.clear()
    found = discover(f"{world.server.url}/api/", http=world.http())
    assert [(root.url, root.collections) for root in found.roots] == [(f"{world.server.url}/api/", ())]
