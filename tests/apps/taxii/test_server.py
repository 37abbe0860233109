from __future__ import annotations

import asyncio
import base64
import threading
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from sqlalchemy import text, update
from taxii2client.v21 import ApiRoot, Collection, as_pages
from taxii2client.v21 import Server as ClientServer

from apps.taxii.errors import MEDIA_TYPE
from apps.taxii.queries import open_pool
from db import publishing
from db.models import Collection as CollectionRow
from db.models import Finding
from db.partners import deactivate_partner
from db.publishing_records import Version
from tests import factories
from tests.apps.taxii.conftest import COMMUNITY, PARTNERS, Server

ROOT = "/api/collections/community/"


def append(server: Server, count: int, *, stix_type: str = "indicator", size: int = 1) -> list[str]:
    """Publish plain objects, `size` in each transaction, as db/publishing.py does."""
    made: list[str] = []
    for start in range(0, count, size):
        with server.engine.begin() as connection:
            publishing.lock_collection(connection, COMMUNITY.id)
            ids = [f"{stix_type}--{uuid.uuid4()}" for _ in range(min(size, count - start))]
            publishing.append(
                connection,
                COMMUNITY.id,
                [
                    Version(
                        stix_id=one,
                        type=stix_type,
                        tlp=0,
                        version=factories.NOON,
                        content=uuid.uuid4(),
                        body=f'{{"type":"{stix_type}","id":"{one}"}}',
                    )
                    for one in ids
                ],
            )
            made += ids
    return made


def walk(server: Server, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = server.objects(**query).json()
        found += page.get("objects", [])
        if not page.get("more"):
            return found
        assert page["objects"], "a page that says more has objects"
        query = query | {"next": page["next"]}


def is_error(response: httpx.Response, status: int) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == MEDIA_TYPE
    assert response.headers["cache-control"] == "private, no-cache"
    body = response.json()
    assert body["title"]
    assert body["http_status"] == str(status)


# Discovery and paging, with the client that partners use


def test_taxii2_client_discovers_the_server_and_pages_through_all_of_it(server: Server) -> None:
    server.publish(*(f"n{number}.example" for number in range(12)))
    client = ClientServer(f"{server.url}/taxii2/", user="anything", password=server.key)
    assert client.title == "Harbour"
    assert client.contact == "a@b.example"
    root = client.default
    assert isinstance(root, ApiRoot)
    assert root.versions == [MEDIA_TYPE]
    collections = root.collections
    assert [(one.title, one.can_read, one.can_write) for one in collections] == [("Community", True, False)]
    collection = Collection(f"{server.url}/api/collections/{collections[0].id}/", user="anything", password=server.key)
    whole = collection.get_objects()["objects"]
    pages = [page["objects"] for page in as_pages(collection.get_objects, per_request=7)]
    assert [one["id"] for page in pages for one in page] == [one["id"] for one in whole]
    assert {len(page) for page in pages[:-1]} == {7}
    assert len({one["id"] for one in whole}) == len(whole)
    assert sum(one["type"] == "indicator" for one in whole) == 12
    listed = [one for page in as_pages(collection.get_manifest, per_request=7) for one in page["objects"]]
    assert [one["id"] for one in listed] == [one["id"] for one in whole]
    indicator = next(one for one in whole if one["type"] == "indicator")
    assert collection.get_object(indicator["id"])["objects"] == [indicator]
    assert collection.object_versions(indicator["id"])["versions"] == [indicator["modified"]]
    only = collection.get_objects(type=["indicator", "note"])["objects"]
    assert {one["type"] for one in only} == {"indicator", "note"}


def test_what_refers_to_others_comes_after_them_across_pages(server: Server) -> None:
    server.publish("a.example", "b.example")
    seen: set[str] = set()
    for one in walk(server, limit=1):
        seen.add(one["id"])
        refs = [one[name] for name in one if name.endswith("_ref")] + [
            ref for name in one if name.endswith("_refs") for ref in one[name]
        ]
        assert set(refs) <= seen, one


def test_collections_are_only_those_of_the_partner(server: Server) -> None:
    both = server.get("/api/collections/", key=server.wide_key).json()["collections"]
    assert [(one["alias"], one["id"]) for one in both] == [
        ("community", str(COMMUNITY.id)),
        ("partners", str(PARTNERS.id)),
    ]
    assert "description" not in both[1]
    assert server.get("/api/collections/", key=server.bare_key).json() == {}


def test_a_collection_is_found_by_id_and_by_alias(server: Server) -> None:
    by_alias = server.get(ROOT).json()
    assert by_alias == server.get(f"/api/collections/{COMMUNITY.id}/").json()
    assert by_alias == server.get(f"/api/collections/{str(COMMUNITY.id).upper()}/").json()
    assert by_alias["id"] == str(COMMUNITY.id)


def test_nothing_tells_a_hidden_collection_from_one_that_is_not_there(server: Server) -> None:
    append(server, 1)
    below = ["", "manifest/", "objects/", "objects/indicator--x/", "objects/indicator--x/versions/", "objects/?limit=0"]
    for rest in below:
        answers = [
            server.get(f"/api/collections/{name}/{rest}")
            for name in ("partners", str(PARTNERS.id), "nowhere", str(uuid.uuid4()), "%00", "a" * 3000)
        ]
        for one in answers:
            is_error(one, 404)
        assert len({one.content for one in answers}) == 1


# Authorisation


def basic(password: str, scheme: str = "Basic") -> dict[str, str]:
    return {"Authorization": f"{scheme} " + base64.b64encode(f"user:{password}".encode()).decode()}


def test_the_key_is_taken_in_every_form(server: Server) -> None:
    key = server.key
    for headers in (
        basic(key),
        basic(key, "basic"),
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer  {key}"},
        {"Authorization": f"Token {key}"},
        {"x-api-key": key},
        basic("wrong") | {"x-api-key": key},
    ):
        assert httpx.get(f"{server.url}/taxii2/", headers=headers).status_code == 200, headers


NO_KEY = [
    {},
    {"Authorization": ""},
    {"Authorization": "Basic"},
    {"Authorization": "Basic !!!"},
    {"Authorization": "Basic " + base64.b64encode(b"\xff\xfe").decode()},
    {"Authorization": "Basic " + base64.b64encode(b"no colon").decode()},
    {"Authorization": "Basic " + base64.b64encode(b"user:").decode()},
    {"Authorization": "Bearer " + "x" * 5000},
    {"Authorization": "Digest abc"},
    {"x-api-key": "wrong"},
    basic("wrong"),
]


def test_without_a_key_there_is_nothing(server: Server) -> None:
    answers = [
        httpx.get(server.url + path, headers=headers)
        for path in ("/taxii2/", "/api/", "/api/collections/", ROOT, "/api/collections/nowhere/objects/?limit=0")
        for headers in NO_KEY
    ]
    for one in answers:
        is_error(one, 401)
        assert one.headers["www-authenticate"].startswith("Basic realm=")
    assert len({one.content for one in answers}) == 1


def test_a_deactivated_partner_is_out_with_the_next_request(server: Server) -> None:
    assert server.objects().status_code == 200
    with server.engine.begin() as connection:
        deactivate_partner(connection, "Pier CERT")
    is_error(server.objects(), 401)


def test_authorisation_is_checked_on_every_page(server: Server) -> None:
    append(server, 3, size=3)
    token = server.objects(limit=1).json()["next"]
    with server.engine.begin() as connection:
        connection.execute(text("UPDATE partner SET collections = '{}'"))
    is_error(server.objects(next=token), 404)


def test_a_ceiling_that_was_lowered_hides_what_is_above_it(server: Server) -> None:
    server.publish("green.example", tlp=1)
    indicator = next(one for one in walk(server) if one["type"] == "indicator")
    with server.engine.begin() as connection:
        connection.execute(update(CollectionRow).values(tlp_ceiling=0))
    assert {one["type"] for one in walk(server)} == {"marking-definition", "identity"}
    is_error(server.get(f"{ROOT}objects/{indicator['id']}/"), 404)
    is_error(server.get(f"{ROOT}objects/{indicator['id']}/versions/"), 404)


def test_what_was_dismissed_is_served_to_nobody_in_any_version(server: Server) -> None:
    server.publish("secret.example", "other.example")
    listed = server.objects(**{"match[type]": "domain-name"}).json()["objects"]
    [subject] = [one["id"] for one in listed if one["value"] == "secret.example"]
    with server.engine.begin() as connection:
        secret = connection.execute(text("SELECT id FROM entity WHERE value = 'secret.example'")).scalar_one()
        connection.execute(update(Finding).where(Finding.subject_id == secret).values(status="dismissed"))
    server.publish()
    for version in ("last", "first", "all"):
        said = server.objects(**{"match[version]": version}).text
        assert "secret.example" not in said
        assert subject not in said
        assert "other.example" in said
        assert '"revoked":true' in said
    assert subject not in server.get(ROOT + "manifest/").text
    assert server.get(f"{ROOT}objects/{subject}/").status_code == 404


def test_the_server_s_connections_only_read(database_url: str) -> None:
    async def write() -> None:
        async with await open_pool(database_url, size=1) as pool:
            await pool.execute("DELETE FROM partner")

    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        asyncio.run(write())


def test_health_needs_no_key_and_tells_nothing(server: Server) -> None:
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}


# Forms


ACCEPTED = [
    ("application/taxii+json;version=2.1", 200),
    ("application/taxii+json; version=2.1", 200),
    ("application/taxii+json", 200),
    ('APPLICATION/TAXII+JSON ; VERSION="2.1"', 200),
    ("text/html, application/taxii+json;q=0.5", 200),
    ("application/*", 200),
    ("*/*", 200),
    ("", 200),
    ("application/taxii+json;version=2.0", 406),
    ("application/vnd.oasis.taxii+json; version=2.0", 406),
    ("application/taxii+json;q=0, */*", 406),
    ("application/json", 406),
    ("text/html", 406),
    ("application/taxii+json;q=x", 406),
    (";;;,,,", 406),
]


def test_accept_is_read_as_the_standard_says(server: Server) -> None:
    for accept, status in ACCEPTED:
        response = server.get("/taxii2/", headers={"Accept": accept})
        assert response.status_code == status, accept
        assert response.headers["content-type"] == MEDIA_TYPE
        if status != 200:
            is_error(response, status)


def test_a_missing_slash_is_mended_and_the_method_kept(server: Server) -> None:
    for path in ("/taxii2", "/api", "/api/collections", "/api/collections/community/objects"):
        for method in ("GET", "POST", "DELETE"):
            response = httpx.request(method, f"{server.url}{path}?limit=1&next=a%2Bb")
            is_error(response, 308)
            assert response.headers["location"] == f"{path}/?limit=1&next=a%2Bb"
    assert httpx.get(f"{server.url}//elsewhere.example").status_code == 404


def test_what_is_not_here(server: Server) -> None:
    for path in ("/", "/nowhere/", "/api/nowhere/", "/taxii2/x/", f"/api/status/{uuid.uuid4()}/", "/api/objects/"):
        is_error(server.get(path), 404)


def test_adding_and_deleting_are_refused(server: Server) -> None:
    made = append(server, 1)
    auth = {"Authorization": f"Bearer {server.key}", "Content-Type": MEDIA_TYPE}
    body = b'{"objects":[]}'
    is_error(httpx.post(f"{server.url}{ROOT}objects/", headers=auth, content=body), 403)
    is_error(httpx.delete(f"{server.url}{ROOT}objects/{made[0]}/", headers=auth), 403)
    hidden = f"{server.url}/api/collections/partners/objects/"
    is_error(httpx.post(hidden, headers=auth, content=body), 404)
    is_error(httpx.delete(f"{hidden}{made[0]}/", headers=auth), 404)
    is_error(httpx.post(f"{server.url}{ROOT}objects/", content=body), 401)
    wrong = httpx.put(f"{server.url}{ROOT}objects/", headers=auth, content=body)
    is_error(wrong, 405)
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert httpx.head(f"{server.url}{ROOT}objects/", headers=auth).status_code == 200
    assert len(walk(server)) == 1


MALFORMED = [
    "limit=0",
    "limit=-1",
    "limit=x",
    "limit=1.5",
    "limit=%D9%A1",
    "limit=" + "9" * 30,
    "added_after=yesterday",
    "added_after=2026-13-01T00:00:00Z",
    "added_after=2026-01-01",
    "added_after=2026-01-01T00:00:00",
    "added_after=2026-01-01T00:00:00.1234567Z",
    "added_after=0001-01-01T00:00:00%2B23:00",
    "next=x",
    "next=%C3%A9",
    "next=" + "A" * 400,
    "match%5Bversion%5D=newest",
    "match%5Bversion%5D=all,last",
    "match%5Bspec_version%5D=new",
    "match%5Btype%5D=a%00b",
    "match%5Bid%5D=" + ",".join(f"a--{number}" for number in range(300)),
    "match%5Btype%5D=" + "a" * 13000,
    "unknown=" + "a" * 33000,
]


def test_malformed_parameters_are_400(server: Server) -> None:
    for query in MALFORMED:
        for resource in ("objects/", "manifest/"):
            is_error(server.get(f"{ROOT}{resource}?{query}"), 400)


def test_empty_unknown_and_large_parameters_are_taken_lightly(server: Server) -> None:
    append(server, 2)
    for query in (
        "limit=&next=&added_after=",
        "match%5Bcolour%5D=red",
        "unknown=1",
        "limit=15000",
        "match%5Btype%5D=, ,",
    ):
        assert len(server.get(f"{ROOT}objects/?{query}").json()["objects"]) == 2, query


def test_a_page_is_never_longer_than_the_server_allows_nor_than_was_asked(server: Server) -> None:
    ids = append(server, 1001, size=1001)
    for limit in ("1000", "15000", ""):
        page = server.objects(limit=limit).json()
        assert len(page["objects"]) == 1000
        last = server.objects(limit=limit, next=page["next"]).json()
        assert [one["id"] for one in last["objects"]] == ids[1000:]
        assert last["more"] is False
        assert "next" not in last
    # A page that ends where the collection ends says so.
    assert (
        server.objects(
            limit=1, added_after=server.get(f"{ROOT}manifest/", limit=1000).json()["objects"][-1]["date_added"]
        ).json()["more"]
        is False
    )


def test_an_empty_collection_is_an_empty_envelope(server: Server) -> None:
    response = server.objects()
    assert (response.status_code, response.json()) == (200, {})
    assert "x-taxii-date-added-first" not in response.headers


def test_the_headers_say_when_the_first_and_the_last_were_added(server: Server) -> None:
    made = append(server, 3, size=3)
    listed = server.get(f"{ROOT}manifest/")
    dates = [one["date_added"] for one in listed.json()["objects"]]
    assert all(len(date) == 27 and date.endswith("000Z") for date in dates)
    assert dates == sorted(set(dates))
    for path in ("manifest/", "objects/"):
        headers = server.get(ROOT + path).headers
        assert headers["x-taxii-date-added-first"] == dates[0]
        assert headers["x-taxii-date-added-last"] == dates[-1]
    for path in (f"objects/{made[1]}/", f"objects/{made[1]}/versions/"):
        headers = server.get(ROOT + path).headers
        assert headers["x-taxii-date-added-first"] == headers["x-taxii-date-added-last"] == dates[1]


# Filters


def test_added_after_is_exclusive_and_read_in_every_usual_form(server: Server) -> None:
    append(server, 3, size=3)
    dates = [one["date_added"] for one in server.get(f"{ROOT}manifest/").json()["objects"]]
    moment = datetime.fromisoformat(dates[1])
    forms = [dates[1], moment.isoformat(), moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")]
    forms += [(moment + timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%S.%f+02:00"), dates[1].lower()]
    forms += [f"{dates[1][:-4]}Z"]
    for form in forms:
        assert len(server.objects(added_after=form).json()["objects"]) == 1, form
    unescaped = f"{ROOT}objects/?added_after={moment.strftime('%Y-%m-%dT%H:%M:%S.%f')}+00:00"
    assert len(server.get(unescaped).json()["objects"]) == 1
    assert len(server.objects(added_after="2020-01-01T00:00:00Z").json()["objects"]) == 3
    assert server.objects(added_after="2999-01-01T00:00:00.5Z").json() == {}


def test_match_is_and_across_fields_and_or_across_commas(server: Server) -> None:
    one, two = append(server, 2, size=2)
    (note,) = append(server, 1, stix_type="note")

    def ids(**query: str) -> list[str]:
        named = {f"match[{name}]": value for name, value in query.items()}
        return [found["id"] for found in server.objects(**named).json().get("objects", [])]

    assert ids(id=f"{two},{note}") == [two, note]
    assert ids(type="indicator") == [one, two]
    assert ids(type="note,indicator") == [one, two, note]
    assert ids(type="note", id=f"{one},{note}") == [note]
    assert ids(type="x-unknown-type") == []
    assert ids(id="nothing") == []
    assert ids(spec_version="2.1") == [one, two, note]
    assert ids(spec_version="2.0") == []
    assert ids(spec_version="2.0,2.1") == [one, two, note]
    twice = server.get(f"{ROOT}objects/?match%5Btype%5D=note&match%5Btype%5D=indicator").json()["objects"]
    assert len(twice) == 3


def test_versions_last_first_all_and_exact(server: Server) -> None:
    server.publish("a.example", "b.example")
    indicator = next(one["id"] for one in walk(server, **{"match[type]": "indicator"}))
    for day, severity in enumerate((70, 80), start=1):
        with server.engine.begin() as connection:
            connection.execute(
                update(Finding)
                .where(Finding.id == 1)
                .values(severity=severity, changed_at=factories.NOON + timedelta(days=day))
            )
        server.publish()

    def confidences(version: str | None, path: str = "objects/") -> list[int]:
        query = {"match[type]": "indicator"} if path == "objects/" else {}
        query |= {"match[version]": version} if version else {}
        return [one["confidence"] for one in server.get(ROOT + path, **query).json().get("objects", [])]

    own = f"objects/{indicator}/"
    assert confidences(None) == confidences("last") == [60, 80]
    assert confidences("first") == [60, 60]
    assert confidences("all") == [60, 60, 70, 80]
    assert confidences("first,last") == [60, 60, 80]
    assert confidences("2026-03-02T12:00:00Z") == [70]
    assert confidences("2026-03-02T12:00:00.000000Z,last") == [60, 70, 80]
    assert confidences(None, own) == [80]
    assert confidences("all", own) == [60, 70, 80]
    assert confidences("2020-01-01T00:00:00Z", own) == []
    times = server.get(f"{ROOT}{own}versions/").json()
    assert times == {
        "more": False,
        "versions": ["2026-03-01T12:00:00.000Z", "2026-03-02T12:00:00.000Z", "2026-03-03T12:00:00.000Z"],
    }
    first = server.get(f"{ROOT}{own}versions/", limit=2).json()
    assert first["more"]
    assert len(server.get(f"{ROOT}{own}versions/", next=first["next"]).json()["versions"]) == 1
    is_error(server.get(f"{ROOT}objects/indicator--{uuid.uuid4()}/"), 404)
    is_error(server.get(f"{ROOT}objects/{'a' * 5000}/"), 404)
    manifest = server.get(f"{ROOT}manifest/", **{"match[id]": indicator, "match[version]": "all"}).json()["objects"]
    assert [one["version"] for one in manifest] == times["versions"]


# Paging


def test_next_goes_on_whatever_the_client_drops_or_adds(server: Server) -> None:
    ids = append(server, 6, size=6)
    append(server, 4, stix_type="note", size=4)
    kept = {"match[type]": "indicator", "limit": 2, "added_after": "2020-01-01T00:00:00Z"}
    token = server.objects(**kept).json()["next"]
    expected = ids[2:4]
    for query in (
        kept,
        {},
        {"limit": 2},
        {"limit": "", "added_after": "", "match[type]": ""},
        {"added_after": "2026-01-01T00:00:00.000Z"},
        {"added_after": datetime.now(UTC).isoformat()},
    ):
        page = server.objects(next=token, **query).json()
        assert [one["id"] for one in page["objects"]] == expected, query
    page = server.objects(next=token, **{"match[type]": "note", "limit": 10}).json()
    assert {one["type"] for one in page["objects"]} == {"note"}


def test_long_filters_are_carried_from_page_to_page(server: Server) -> None:
    ids = append(server, 200, size=200)
    asked = {"match[id]": ",".join(ids), "match[spec_version]": "2.1", "match[version]": "last"}
    found = [one["id"] for one in walk(server, limit=120, **asked)]
    assert found == ids


def test_altered_and_foreign_tokens_are_refused(server: Server) -> None:
    append(server, 6, size=6)
    token = server.objects(limit=2).json()["next"]
    for place in range(0, len(token), 3):
        wrong = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        is_error(server.objects(next=wrong), 400)
    for wrong in (token[:-1], token + "A", token[::-1], "=" * 10, ""):
        assert server.objects(next=wrong).status_code == (400 if wrong else 200)
    is_error(server.objects(key=server.wide_key, next=token), 400)
    is_error(server.get("/api/collections/partners/objects/", key=server.wide_key, next=token), 400)
    is_error(server.get(f"{ROOT}manifest/", next=token), 400)
    assert len(server.objects(next=token).json()["objects"]) == 2


def test_a_token_outlives_the_server(server: Server, database_url: str) -> None:
    from apps.taxii.app import create_app
    from apps.taxii.resources import Description
    from lab.server import serve

    append(server, 3, size=3)
    token = server.objects(limit=1).json()["next"]
    with serve(create_app(database_url, description=Description(title="Again"))) as other:
        headers = {"Authorization": f"Bearer {server.key}"}
        page = httpx.get(f"{other.url}{ROOT}objects/", headers=headers, params={"next": token}).json()
    assert len(page["objects"]) == 1


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_others_publish(server: Server) -> None:
    before = append(server, 200, size=50)
    made: list[list[str]] = []
    threads = [threading.Thread(target=lambda: made.append(append(server, 150, size=3)), daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    collection = Collection(f"{server.url}/api/collections/{COMMUNITY.id}/", user="anything", password=server.key)
    pages = [one["id"] for page in as_pages(collection.get_objects, per_request=9) for one in page["objects"]]
    polled: list[str] = []
    cursor = ""
    while True:
        busy = any(thread.is_alive() for thread in threads)
        # A client that knows nothing but added_after.
        response = server.objects(limit=7, **({"added_after": cursor} if cursor else {}))
        polled += [one["id"] for one in response.json().get("objects", [])]
        cursor = response.headers.get("x-taxii-date-added-last", cursor)
        if not busy and not response.json().get("objects"):
            break
    for thread in threads:
        thread.join()
    everything = before + [one for some in made for one in some]
    assert len(pages) == len(set(pages))
    assert set(before) <= set(pages)
    assert len(polled) == len(set(polled))
    assert set(polled) == set(everything)
    whole = [one["id"] for one in walk(server)]
    assert whole == polled
    assert pages == whole[: len(pages)]


def test_a_page_is_read_through_an_index_wherever_it_lies(server: Server) -> None:
    with server.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO publication (collection_id, position, stix_id, type, version, date_added, tlp, content,"
                " body) SELECT :id, n, 'indicator--' || n, 'indicator', now(),"
                " '2026-01-01'::timestamptz + n * interval '1 s', 0, gen_random_uuid(),"
                " '{\"id\":\"indicator--' || n || '\"}' FROM generate_series(1, 30000) n"
            ),
            {"id": COMMUNITY.id},
        )
        connection.execute(text("ANALYZE publication"))
    deep = server.objects(limit=2, added_after="2026-01-01T08:00:00Z").json()
    assert [one["id"] for one in deep["objects"]] == ["indicator--28801", "indicator--28802"]
    with server.engine.begin() as connection:
        plan = "\n".join(
            connection.execute(
                text(
                    "EXPLAIN SELECT p.body FROM publication p WHERE p.collection_id = :id AND p.tlp <= 1"
                    " AND p.position > 0 AND p.position > coalesce((SELECT q.position FROM publication q WHERE"
                    " q.collection_id = :id AND q.date_added <= '2026-01-01 08:00Z'"
                    " ORDER BY q.date_added DESC LIMIT 1), 0)"
                    " AND (NOT EXISTS (SELECT FROM publication n WHERE n.collection_id = p.collection_id"
                    " AND n.stix_id = p.stix_id AND n.version > p.version AND n.tlp <= 1))"
                    " ORDER BY p.position LIMIT 101"
                ),
                {"id": COMMUNITY.id},
            ).scalars()
        )
    assert "Seq Scan" not in plan, plan
    assert "pk_publication" in plan, plan


def test_bodies_are_served_as_they_were_written(server: Server) -> None:
    server.publish("a.example")
    with server.engine.connect() as connection:
        written = connection.execute(
            text("SELECT body FROM publication WHERE collection_id = :id ORDER BY position"), {"id": COMMUNITY.id}
        ).scalars()
        expected = ",".join(written)
    assert server.objects().text == f'{{"more":false,"objects":[{expected}]}}'
    assert msgspec.json.decode(server.objects().content)["objects"]


def test_a_database_that_is_away_is_a_503(server: Server) -> None:
    name = server.engine.url.database
    admin = server.engine.url.set(database="postgres")
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    other = create_engine(admin, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with other.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"), {"name": name}
        )
        try:
            for _ in range(2):
                response = server.objects()
                is_error(response, 503)
                assert response.headers["retry-after"]
            is_error(httpx.get(f"{server.url}/health"), 503)
        finally:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    assert server.objects().status_code == 200
