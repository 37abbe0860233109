from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from db import archive_hunt
from db.archive_compact import compact
from db.archive_duckdb import connect
from db.archive_hunt import Wanted, ask
from db.archive_store import open_store
from intel.config.ct import Archive
from intel.errors import ConfigError
from tests.archives import NOON, ON, entry, found, indexed, keep, row, sha, written

ENTRIES = [
    entry(0, "heron.example", "www.heron.example"),
    entry(1, "a.b.heron.example"),
    entry(2, "*.heron.example"),
    entry(3, "heron.example.test", "myheron.example", "heron-example.test"),
    entry(4, "login.egret.test", issuer="CN=Other CA,O=Elsewhere"),
    entry(5, "egret.test", key=sha("heron's key")),
    entry(6, "w*.heron.example", addresses=("192.0.2.7",)),
    entry(7, "login-bank7.shop.test", "login-bank.shop.test", fingerprint=sha("seven"), tbs=sha("tbs of seven")),
]


@pytest.fixture(params=["as followed", "compacted"])
def archive(request: pytest.FixtureRequest, engine: Engine, home: Path) -> Any:
    """Asks an archive of `ENTRIES`: the indexes that it answers."""
    keep(engine, home, ENTRIES, size=3)
    if request.param == "compacted":
        assert compact(engine, ON, home, target=len(ENTRIES)).made == 1

    def ask(**wanted: Any) -> list[int]:
        return [one.index for one in found(engine, home, **wanted)]

    return ask


QUESTIONS: list[tuple[dict[str, Any], list[int]]] = [
    ({"name": "heron.example"}, [0]),
    ({"name": "www.heron.example"}, [0, 2, 6]),  # wildcards cover it
    ({"name": "a.b.heron.example"}, [1]),
    ({"name": "other.example"}, []),
    ({"tree": "heron.example"}, [0, 1, 2, 6]),
    ({"tree": "b.heron.example"}, [1]),
    ({"tree": "test"}, [3, 4, 5, 7]),
    ({"suffix": "heron.example"}, [0, 1, 2, 3, 6]),
    ({"suffix": ".test"}, [3, 4, 5, 7]),
    ({"suffix": "xample"}, [0, 1, 2, 3, 6]),
    ({"regex": "^heron"}, [0, 3]),
    ({"regex": "heron$"}, []),
    ({"regex": r"bank\d*\.shop"}, [7]),
    ({"regex": r"^login-bank\d\.shop\.test$"}, [7]),
    ({"regex": r"\Aegret"}, [5]),
    ({"regex": r"example\z"}, [0, 1, 2, 3, 6]),
    ({"regex": "(?i)HERON.*EXAMPLE$"}, [0, 1, 2, 3, 6]),
    ({"regex": "(?-m)^egret"}, [5]),
    ({"regex": "(?s)www.*egret"}, []),
    ({"regex": "[^x]myheron"}, []),  # the line feed in front of it is not its
    ({"regex": "test|egret"}, [3, 4, 5, 7]),
    ({"key": sha("heron's key")}, [5]),
    ({"key": sha("no key")}, []),
    ({"certificate": sha("seven")}, [7]),
    ({"certificate": sha("tbs of seven")}, [7]),
    ({"tbs": sha("tbs of seven")}, [7]),
    ({"tbs": sha("seven")}, []),
    ({"issuer": "elsewhere"}, [4]),
    ({"issuer": "lab ISSUING"}, [0, 1, 2, 3, 5, 6, 7]),
    ({"issuer": "elsewhere", "tree": "heron.example"}, []),
    ({"since": NOON + timedelta(seconds=6)}, [6, 7]),
    ({"until": NOON + timedelta(seconds=2)}, [0, 1]),
    ({"since": NOON + timedelta(seconds=1), "until": NOON + timedelta(seconds=3), "tree": "heron.example"}, [1, 2]),
    ({"logs": ("lab-log",), "name": "egret.test"}, [5]),
    ({"logs": ("other-log",), "name": "egret.test"}, []),
    ({}, list(range(8))),
    ({"limit": 3}, [5, 6, 7]),
    ({"tree": "heron.example", "limit": 2}, [2, 6]),
]


def test_each_question_has_its_answer_from_both_kinds_of_segments(archive: Any) -> None:
    for wanted, indexes in QUESTIONS:
        assert archive(**wanted) == indexes, wanted


def test_an_answer_says_how_far_it_is_and_that_there_may_be_more(engine: Engine, home: Path) -> None:
    keep(engine, home, ENTRIES, size=3)
    keep(engine, home, [entry(0, "egret.test", log="other-log")])
    answers = list(archive_hunt.hunt(engine, ON, home, Wanted(limit=2)))
    assert sum(len(answer.found) for answer in answers) == 2
    assert answers[-1].more
    assert {answer.total for answer in answers} == {9}
    whole = list(archive_hunt.hunt(engine, ON, home, Wanted()))
    assert sum(answer.entries for answer in whole) == 9
    assert not any(answer.more for answer in whole)


def test_the_newest_are_found_first(engine: Engine, home: Path) -> None:
    for log, day in (("old-log", 0), ("new-log", 2), ("middle-log", 1)):
        at = int((NOON + timedelta(days=day)).timestamp() * 1000)
        keep(engine, home, [entry(0, "a.example", log=log, timestamp=at)])
    answers = list(archive_hunt.hunt(engine, ON, home, Wanted(limit=2)))
    assert [one.log for answer in answers for one in answer.found] == ["new-log", "middle-log"]


@pytest.mark.parametrize("regex", ["(", "a(?=b)", r"(a)\1", "a{1001}{1001}", "["])
def test_a_wrong_regular_expression_is_said_to_be_one(engine: Engine, home: Path, regex: str) -> None:
    keep(engine, home, ENTRIES)
    with pytest.raises(ConfigError, match="couldn't hunt for a regular expression"):
        found(engine, home, regex=regex)


def test_a_regular_expression_that_would_never_end_elsewhere_ends(engine: Engine, home: Path) -> None:
    keep(engine, home, [entry(0, "a" * 200 + ".example")])
    assert found(engine, home, regex="^(a+)+$") == []


def test_an_archive_that_is_off_and_empty_says_so(engine: Engine, home: Path) -> None:
    with pytest.raises(ConfigError, match="the archive is switched off and holds nothing"):
        found(engine, home, archive=Archive(enabled=False), name="a.example")
    assert found(engine, home, name="a.example") == []  # on, and nothing in it yet
    keep(engine, home, ENTRIES)
    assert len(found(engine, home, archive=Archive(enabled=False), name="egret.test")) == 1


def test_a_damaged_file_costs_its_part_alone(engine: Engine, home: Path) -> None:
    keep(engine, home, ENTRIES[:4])
    compact(engine, ON, home, target=4)
    keep(engine, home, ENTRIES[4:])
    with engine.connect() as connection:
        path = connection.execute(text("SELECT path FROM archive_segment WHERE first = 4")).scalar_one()
    (home / "archive" / path).write_bytes(b"PAR1 and nothing else")
    answers = list(archive_hunt.hunt(engine, ON, home, Wanted(tree="heron.example")))
    assert sorted(one.index for answer in answers for one in answer.found) == [0, 1, 2]
    assert [answer.problem.partition(":")[0] for answer in answers if answer.problem] == [
        "couldn't read entries 4 to 8 of lab-log in the archive"
    ]


def test_a_digest_that_begins_alike_is_another(engine: Engine, home: Path) -> None:
    twin = sha("twin")[:8] + sha("other")[8:]
    keep(engine, home, [entry(0, key=sha("twin"), tbs=sha("twin")), entry(1, key=twin, fingerprint=twin)])
    assert [one.index for one in found(engine, home, key=twin)] == [1]
    assert [one.index for one in found(engine, home, tbs=sha("twin"))] == [0]
    assert [one.index for one in found(engine, home, certificate=twin)] == [1]


def test_what_a_person_types_stays_a_value(archive: Any) -> None:
    for text_ in ("'; DROP TABLE x; --", "%", "$name", "\\", "\x00", "ü"):
        assert archive(suffix=text_) == []
        assert archive(issuer=text_) == []


LABEL = st.sampled_from(["a", "b", "ab", "b-a", "example", "test"])
ANY_LABEL = LABEL | st.sampled_from(["*", "a*", "?", "x" * 120])
NAME = st.lists(LABEL, min_size=1, max_size=4).map(".".join)
ANY_NAME = st.lists(ANY_LABEL, min_size=1, max_size=5).map(".".join)


def answers(name: str, kind: str, wanted: str) -> bool:
    """Whether a name answers, by the plain definition."""
    if kind == "tree":
        return name == wanted or name.endswith("." + wanted)
    if kind == "suffix":
        return name.endswith(wanted)
    star = max(name.rfind("*"), name.rfind("?"))
    covered = name[star:].partition(".")[2] if star >= 0 else ""
    return name == wanted or (bool(covered) and wanted.partition(".")[2] == covered)


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    st.lists(st.lists(ANY_NAME, max_size=4), min_size=1, max_size=12),
    st.lists(st.tuples(st.sampled_from(["name", "tree", "suffix"]), NAME), min_size=1, max_size=5),
)
def test_an_index_and_a_scan_answer_alike(home: Path, named: list[list[str]], questions: list[tuple[str, str]]) -> None:
    entries = [entry(at, *names) for at, names in enumerate(named)]
    segment = written(home, entries, together=5)
    store = open_store(ON, home)
    with connect(store) as duckdb:
        for part in ([row(segment)], [indexed(home, segment)]):
            for kind, name in questions:
                asked = ask(duckdb, store, part, Wanted(**{kind: name}), limit=100)
                expected = [at for at, names in enumerate(named) if any(answers(one, kind, name) for one in names)]
                assert [one.index for one in asked] == expected, (kind, name, part[0].names_path)
