from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.server import serve

if TYPE_CHECKING:
    from starlette.requests import Request

    from tests.apps.cli.conftest import Lapsewatch

PERSON = {
    "handle": "ADA1",
    "roles": ["administrative"],
    "vcardArray": ["vcard", [["fn", {}, "text", "Ada Invented"], ["email", {}, "text", "ada@hosting.example"]]],
}
HOLDER = {
    "handle": "ORG-IH1-RIPE",
    "roles": ["registrant"],
    "vcardArray": ["vcard", [["fn", {}, "text", "Invented Hosting"], ["kind", {}, "text", "org"]]],
    "remarks": [{"title": "EMAIL REDACTED FOR PRIVACY"}],
}
ANSWERS: dict[str, Any] = {
    "ip/203.0.113.9": {
        "objectClassName": "ip network",
        "startAddress": "203.0.113.0",
        "endAddress": "203.0.113.255",
        "name": "INVENTED-NET",
        "remarks": [{"description": ["Ada's boats"]}],
        "events": [{"eventAction": "registration", "eventDate": "2020-01-01T00:00:00Z"}],
        "entities": [HOLDER, PERSON],
    },
    "autnum/64500": {"objectClassName": "autnum", "startAutnum": 64500, "endAutnum": 64500, "name": "INVENTED-AS"},
    "autnum/64501": {
        "objectClassName": "autnum",
        "startAutnum": 64501,
        "endAutnum": 64501,
        "name": "HOSTILE\x1b[2J\x9b31m\u202e-AS\ncountry: forged",
        "status": ["active\x1b]0;title\x07"],
        "entities": [{**HOLDER, "roles": ["registrant", "\x1b[31m"], "handle": "ORG\x1b[31m-RIPE"}],
    },
    "nameserver/ns1.a.example": {
        "objectClassName": "nameserver",
        "ldhName": "ns1.a.example",
        "ipAddresses": {"v4": ["203.0.113.53"]},
    },
    "entity/ADA1-RIPE": {"objectClassName": "entity", **PERSON, "handle": "ADA1-RIPE"},
}


@pytest.fixture
def asking(lapsewatch: Lapsewatch) -> Iterator[Lapsewatch]:
    def answer(request: Request) -> Response:
        found = ANSWERS.get(request.path_params["path"])
        return JSONResponse(found) if found else JSONResponse({"errorCode": 404, "title": "Not Found"}, 404)

    with serve(Starlette(routes=[Route("/{path:path}", answer)])) as served:
        servers = dict.fromkeys(("203.0.113.0/24", "as64496-as64511", "example", "-ripe"), served.url)
        manners = {"default": {"per_minute": 60_000, "burst": 100}}
        (lapsewatch.configs / "lookups.yaml").write_text(yaml.safe_dump({"rdap_servers": servers, "manners": manners}))
        (lapsewatch.configs / "network.yaml").write_text(
            yaml.safe_dump({"allow": [f"{served.address[0]}:{served.address[1]}"]})
        )
        yield lapsewatch


def flat(text: str) -> str:
    return " ".join(text.split())


def test_an_address_is_asked_about_and_people_are_masked(asking: Lapsewatch) -> None:
    said = asking("lookup", "203.0.113[.]9")
    assert said.widest <= 80
    text = flat(said.stdout)
    for part in (
        "ip 203.0.113.9",
        "registered an ip network record",
        "networks: 203.0.113.0/24",
        "name: INVENTED-NET",
        "description: A***",
        "created: 2020-01-01 00:00",
        "registrant (org) organisation: Invented Hosting email: (redacted) handle: O***",
        "administrative name: A*** email: a***@hosting.example",
        "--unmask REASON",
        "`lapsewatch show 203.0.113.9`",
    ):
        assert part in text, part
    assert "Ada" not in text
    assert asking.rows("SELECT reason, outcome FROM query") == [("asked by hand", "registered")]
    assert asking.rows("SELECT count(*) FROM disclosure") == [(0,)]
    again = flat(asking("lookup", "203.0.113.9").stdout)
    assert "used again" in again
    assert "used again" not in asking("lookup", "203.0.113.9", "--again").stdout


def test_what_a_terminal_would_act_on_is_not_printed(asking: Lapsewatch) -> None:
    shown = asking("lookup", "AS64501", "--unmask", "incident 7").stdout
    assert "HOSTILE" in shown
    assert [mark for mark in shown if not mark.isprintable() and mark != "\n"] == []
    assert not any(line.strip().startswith("country: forged") for line in shown.splitlines())
    assert "\x1b" not in asking("show", "as:64501").stdout


def test_a_reason_shows_people_and_is_written_down(asking: Lapsewatch) -> None:
    text = flat(asking("lookup", "203.0.113.9", "--unmask", "incident 7").stdout)
    assert "name: Ada Invented email: ada@hosting.example" in text
    assert "description: Ada's boats" in text
    assert asking.rows("SELECT reason FROM disclosure") == [("incident 7",)]


def test_the_answer_as_json_is_masked_too(asking: Lapsewatch) -> None:
    found = asking("lookup", "203.0.113.9", "--json").json
    assert found["record"]["networks"] == ["203.0.113.0/24"]
    assert found["record"]["contacts"][0]["organisation"] == "Invented Hosting"
    assert found["lookups"][0]["outcome"] == "registered"
    assert "Ada Invented" not in str(found)
    assert "Ada Invented" in str(asking("lookup", "203.0.113.9", "--json", "--unmask", "incident 7").json)


def test_systems_name_servers_and_handles_are_asked_about(asking: Lapsewatch) -> None:
    assert "name: INVENTED-AS" in asking("lookup", "as64500").stdout
    assert "addresses: 203.0.113.53" in asking("lookup", "name-server:ns1.a.example").stdout
    handle = flat(asking("lookup", "handle:ADA1-RIPE").stdout)
    assert "handle A***" in handle
    assert "administrative name: A***" in handle
    assert "ADA1" not in handle


def test_what_is_not_there_is_an_answer(asking: Lapsewatch) -> None:
    assert "not_found" in asking("lookup", "203.0.113.77").stdout


def test_what_nobody_is_asked_about_needs_a_look(asking: Lapsewatch) -> None:
    said = flat(asking("lookup", "198.51.100.1", code=1).stdout)
    assert "nobody: unsupported" in said
    assert "no registry gives it out" in said
    assert asking.rows("SELECT count(*) FROM query") == [(0,)]


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("www.a.example", "lapsewatch registration a.example --ask"),
        ("https://a.example/x", "kind url"),
        ("network:x", "couldn't read a network"),
        ("", "empty"),
    ],
)
def test_what_is_asked_elsewhere_or_nowhere_is_said(asking: Lapsewatch, value: str, hint: str) -> None:
    assert hint in asking("lookup", value, code=2).stderr.replace("\n", "")
