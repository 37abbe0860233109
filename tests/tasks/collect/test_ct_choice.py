from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from db.ct_logs import Log
from intel.config.ct import CtConfig, read_ct
from intel.config.sources import Source
from intel.settings import CHECKOUT
from tasks.collect.ct_choice import choose, list_problem
from tests.ct_lists import MADE, key_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def log(name: str, **values: Any) -> Log:
    row: dict[str, Any] = {
        "log_id": name.encode(),
        "name": name,
        "description": f"Heron '{name}' log",
        "operator": "Heron Trust",
        "protocol": "rfc6962",
        "url": f"https://ct.heron.test/{name}/",
        "submission_url": "",
        "key": key_of(name),
        "mmd": 60,
        "state": "usable",
        "not_after_start": datetime(2026, 1, 1, tzinfo=UTC),
        "not_after_end": datetime(2026, 7, 1, tzinfo=UTC),
        "final_head": None,
        "listed": True,
        "first_listed": MADE,
        "last_listed": MADE,
    }
    return Log(**(row | values))


def chosen(logs: list[Log], *choices: dict[str, Any], **more: Any) -> list[Source]:
    return choose(CtConfig.model_validate({"follow": choices}), logs, NOW, **more)


def names(logs: list[Log], *choices: dict[str, Any]) -> list[str]:
    return [source.name for source in chosen(logs, *choices)]


LOGS = [
    log("otter", operator="Otter Ltd"),
    log("fisher"),
    log("reed", protocol="static"),
    log("new", state="qualified"),
    log("pending", state="pending"),
    log("old", state="retired"),
    log("gone", listed=False),
    log("past", not_after_start=datetime(2025, 1, 1, tzinfo=UTC), not_after_end=datetime(2026, 1, 1, tzinfo=UTC)),
    log("next", not_after_start=datetime(2026, 7, 1, tzinfo=UTC), not_after_end=datetime(2027, 1, 1, tzinfo=UTC)),
    log("whole", not_after_start=None, not_after_end=None),
]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, ["otter", "fisher", "reed", "new", "next", "whole"]),
        ({"states": ["usable"], "shards": "current"}, ["otter", "fisher", "reed", "whole"]),
        ({"states": ["usable", "retired", "pending"], "shards": "all"},
         ["otter", "fisher", "reed", "pending", "old", "past", "next", "whole"]),
        ({"operators": ["heron*"], "shards": "current", "states": ["usable"]}, ["fisher", "reed", "whole"]),
        ({"logs": ["*'FISHER'*", "*whole*"]}, ["fisher", "whole"]),
        ({"protocols": ["static"]}, ["reed"]),
        ({"most": 2}, ["otter", "fisher"]),
        ({"operators": ["nobody"]}, []),
    ],
)  # fmt: skip
def test_a_choice(choice: dict[str, Any], expected: list[str]) -> None:
    assert names(LOGS, choice) == expected


def test_nothing_is_chosen_where_nothing_is_said() -> None:
    assert names(LOGS) == []


def test_the_first_choice_that_fits_says_where_to_begin() -> None:
    sources = chosen(LOGS, {"logs": ["*reed*"], "start": 12}, {"operators": ["Heron Trust"], "start": "start"})
    assert {source.name: source.options.follow for source in sources} == {
        "fisher": "start", "reed": "12", "new": "start", "next": "start", "whole": "start",
    }  # fmt: skip


def test_logs_that_serve_tiles_as_well() -> None:
    sources = chosen(LOGS, {"hybrid": ["*otter*", "*reed*"]})
    protocols = {source.name: source.options.protocol for source in sources}
    assert protocols == dict.fromkeys(protocols, "rfc6962") | {"otter": "hybrid", "reed": "static"}
    assert names(LOGS, {"protocols": ["hybrid"], "hybrid": ["*otter*"]}) == ["otter"]
    # What the row says is what an earlier configuration said.
    assert chosen([log("fisher", protocol="hybrid")], {})[0].options.protocol == "rfc6962"


def test_placeholders_are_no_logs() -> None:
    hosts = ("ct.example.com", "example.net", "log.example", "ct.invalid", "EXAMPLE.ORG.")
    logs = [log(f"log-{number}", url=f"https://{host}/") for number, host in enumerate(hosts)]
    assert names([*logs, log("fisher", url="https://ct.example.com.test/")], {"shards": "all"}) == ["fisher"]


def test_a_log_with_an_entry_of_its_own_is_left_to_it() -> None:
    sources = chosen(LOGS, {"protocols": ["static"]})
    assert chosen(LOGS, {"protocols": ["static"]}, but_not={sources[0].options.log_key}) == []


def test_what_a_chosen_log_is_as_a_source() -> None:
    (source,) = chosen([log("reed", protocol="static", submission_url="https://submit.heron.test/")], {})
    assert (source.name, source.title) == ("reed", "Heron 'reed' log (Heron Trust)")
    assert (source.transport, source.semantics, source.cadence) == ("ct", "stream", "continuous")
    assert (source.enabled, source.reliability, source.tlp) == (True, "A", "TLP:CLEAR")
    assert source.options.submission_url == "https://submit.heron.test/"
    assert source.row()["redistribution"]


def test_the_configuration_that_comes_along_follows_one_tiled_log_once_there_is_a_key() -> None:
    config = read_ct(CHECKOUT / "configs")
    assert list_problem(config) == (
        "log_list.key of ct.yaml is empty: a list from the network is read only where its signature can be checked"
    )
    with_key = config.model_copy(update={"log_list": config.log_list.model_copy(update={"key": "AAAA"})})
    assert list_problem(with_key) == ""
    owner = "Let's Encrypt"
    logs = [log("a", operator=owner), *(log(name, operator=owner, protocol="static") for name in "bcd"), log("e")]
    (source,) = choose(config, logs, NOW)
    assert (source.name, source.options.follow, source.options.protocol) == ("b", "head", "static")
