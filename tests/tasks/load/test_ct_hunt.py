from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from sqlalchemy import text

from db import documents, runs
from db.archive_compact import compact
from db.archive_manifest import held
from intel.config.sources import Source
from intel.errors import BusyError
from intel.facts import RawDocument
from intel.settings import settings
from lab.certificates import Authority, Order, key_from_seed, spki_der
from tasks.load import ct_hunt
from tasks.load.ct_hunt import hunt, record
from tasks.normalize.formats import read_document
from tests.archives import NOON, ON, entry, found, keep, sha

AUTHORITY = Authority()
HERON = key_from_seed("grey heron's server")
CHECKOUT = Path(__file__).parents[3]

FACTS = """
SELECT s.value, f.predicate, o.kind, o.value, f.state, f.qualifiers::text, f.tlp,
    (SELECT array_agg(h.event_time ORDER BY h.event_time)::text FROM fact_history h WHERE h.fact_id = f.id)
FROM fact f JOIN entity s ON s.id = f.subject_id JOIN entity o ON o.id = f.object_id JOIN source x ON x.id = f.source_id
WHERE x.name = '{}' ORDER BY 1, 2, 4, 6
"""


@pytest.fixture
def archived(following: Any, tmp_path: Path) -> Any:
    """A lab log that is followed into an archive."""
    (tmp_path / "configs" / "ct.yaml").write_text("readers: 0\narchive: {enabled: true}\n")
    entry_of_log = following.source().model_dump(mode="json")
    (tmp_path / "configs" / "sources" / "logs.yaml").write_text(yaml.safe_dump({"sources": [entry_of_log]}))
    return following


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def order(*names: str, key: Any = None) -> Order:
    return Order(names=names, key=key or key_from_seed(names[0]))


def both_forms(log: Any, *names: str, key: Any = None) -> None:
    """A precertificate, and the certificate that came of it."""
    wanted = order(*names, key=key)
    sct = log.append(AUTHORITY.precertificate(wanted), issuer_key_hash=AUTHORITY.key_hash)
    log.append(AUTHORITY.final(wanted, [sct]), chain=[AUTHORITY.certificate])


def facts(following: Any, source: str = "lab-log") -> list[tuple[Any, ...]]:
    return [tuple(str(value).replace(source, "LOG") for value in row) for row in following.rows(FACTS.format(source))]


def named(following: Any) -> set[str]:
    found_names: set[str] = following.named()
    return found_names


ITEMS = (
    ("scope", "", "evil.example"),
    ("entity", "domain", "www.shared.example"),
    ("network", "", "192.0.2.0/28"),
    ("entity", "pattern", "lookalike:heronbank.example"),
    ("entity", "pattern", "keyword:parcelpost"),
    ("entity", "pattern", "issuer:*lab authority*stork*"),
    ("entity", "certificate", f"sha256:{hashlib.sha256(AUTHORITY.issue(order('plain.example'))).hexdigest()}"),
)


def story(log: Any) -> None:
    both_forms(log, "evil.example", "login.evil.example", key=HERON)
    both_forms(log, "harmless.example")
    both_forms(log, "*.shared.example", "shared.example")
    both_forms(log, "addressed.example", "192.0.2.7")
    both_forms(log, "heronbamk.example")
    both_forms(log, "track-parcelpost.example")
    log.append(AUTHORITY.issue(order("plain.example")), chain=[AUTHORITY.certificate])
    stork = Authority("Lab Authority Stork")
    log.append(stork.issue(order("by-stork.example")), chain=[stork.certificate])
    both_forms(log, "mixed.example", "c2.evil.example", "not a name.example")


@pytest.mark.parametrize("compacted", [False, True])
def test_hunted_entries_state_the_facts_that_followed_ones_state(
    archived: Any, home: Path, monkeypatch: pytest.MonkeyPatch, compacted: bool
) -> None:
    story(archived.log)
    archived.run()
    assert facts(archived) == []
    archived.watch(*ITEMS)
    live = replace(archived, name="live-log")
    live.run()
    if compacted:
        with archived.engine.begin() as connection:  # what the second follower archived is not what is compared
            connection.execute(text("DELETE FROM archive_segment a USING source s WHERE s.id = a.source_id"
                                    " AND s.name = 'live-log'"))  # fmt: skip
        with monkeypatch.context() as patched:
            patched.setattr("db.archive_compact.MANY", 1)
            assert compact(archived.engine, ON, home, target=archived.log.size).made == 1
    done = hunt(archived.engine)
    assert done.hits > 0
    assert done.batches
    hunted, followed = set(facts(archived)), set(facts(live, "live-log"))
    # The archive has no SHA-1 and no precertificate's own fingerprint; it has every other fact, and no more: of a
    # certificate without SCTs it cannot know that no precertificate leads to it.
    lacking = {row[1] for row in followed - hunted}
    assert lacking <= {"same-as"}
    assert {row[1] for row in hunted - followed} <= {"same-as"}
    assert len(hunted - followed) <= 2
    assert {row[1] for row in hunted} >= {"logged-in", "has-key", "names", "matches", "same-as", "valid-until"}


def test_hunting_again_and_following_afterwards_double_nothing(archived: Any) -> None:
    story(archived.log)
    archived.run()
    archived.watch(*ITEMS)
    first = hunt(archived.engine)
    before = facts(archived)
    assert hunt(archived.engine).segments == 0
    with archived.engine.begin() as connection:
        connection.execute(text("UPDATE archive_segment SET judged_at = '2020-01-01'"))
    again = hunt(archived.engine)
    assert again.hits > 0
    assert first.batches
    assert again.batches == ()
    assert facts(archived) == before


def test_a_reused_key_is_found_that_was_logged_before_anybody_knew_it(archived: Any) -> None:
    archived.log.append(AUTHORITY.issue(order("quiet.example", key=HERON)))
    archived.log.append(AUTHORITY.issue(order("bystander.example")))
    archived.run()
    archived.watch(("scope", "", "evil.example"))
    archived.log.append(AUTHORITY.issue(order("evil.example", key=HERON)))
    archived.run()
    assert named(archived) == {"evil.example"}
    hunt(archived.engine)
    assert named(archived) == {"evil.example", "quiet.example"}


def test_a_reused_key_is_found_in_another_log(archived: Any, home: Path) -> None:
    digest = hashlib.sha256(spki_der(HERON)).digest()
    keep(archived.engine, home, [entry(4, "quiet.example", log="old-log", key=digest), entry(5, log="old-log")])
    archived.watch(("scope", "", "evil.example"))
    hunt(archived.engine)
    assert named(archived) == set()
    archived.log.append(AUTHORITY.issue(order("evil.example", key=HERON)))
    archived.run()
    hunt(archived.engine)
    assert named(archived) == {"evil.example", "quiet.example"}
    assert archived.rows("SELECT s.name FROM fact f JOIN source s ON s.id = f.source_id WHERE f.predicate = 'names'"
                         " ORDER BY 1") == [("lab-log",), ("old-log",)]  # fmt: skip


def test_a_key_that_the_hunt_itself_finds_is_hunted_for_at_once(archived: Any, home: Path) -> None:
    keep(archived.engine, home, [entry(at, f"quiet-{at}.example", log="a", key=sha("k")) for at in range(3)])
    keep(archived.engine, home, [entry(9, "evil.example", log="b", key=sha("k"))])
    archived.watch(("scope", "", "evil.example"))
    done = hunt(archived.engine)
    assert named(archived) == {"evil.example", "quiet-0.example", "quiet-1.example", "quiet-2.example"}
    assert (done.hits, done.more) == (5, False)  # the one that taught it is met by its key as well


def test_only_what_is_new_is_hunted_for_in_what_does_not_know_it(archived: Any, home: Path) -> None:
    keep(archived.engine, home, [entry(0, "evil.example", log="a")])
    archived.watch(("scope", "", "evil.example"))
    hunt(archived.engine)
    keep(archived.engine, home, [entry(0, "worse.example", log="b")])
    archived.watch(("scope", "", "worse.example"))
    done = hunt(archived.engine)
    assert named(archived) == {"evil.example", "worse.example"}
    assert done.hits == 2  # worse.example, and then its key
    # A segment that a follower matched with watches of later on is left alone.
    keep(archived.engine, home, [entry(0, "evil.example", log="c")])
    assert hunt(archived.engine).segments == 0


def test_a_segment_that_is_committed_late_with_old_watches_is_hunted(archived: Any, home: Path) -> None:
    """A follower loads the watches, a watch comes and is hunted for, and only then the follower commits."""
    with archived.engine.connect() as connection:
        loaded_at = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    archived.watch(("scope", "", "evil.example"))
    assert hunt(archived.engine).segments == 0
    keep(archived.engine, home, [entry(0, "evil.example")], judged_at=loaded_at)
    assert hunt(archived.engine).hits > 0
    assert named(archived) == {"evil.example"}


def test_where_nothing_is_new_no_run_is_made(archived: Any, home: Path) -> None:
    keep(archived.engine, home, [entry(0, "evil.example")])
    hunt(archived.engine)
    assert archived.rows("SELECT count(*) FROM run") == [(0,)]


def test_what_could_not_be_done_in_time_is_done_the_next_time(archived: Any, home: Path) -> None:
    keep(archived.engine, home, [entry(at, "evil.example") for at in range(4)], size=1)
    archived.watch(("scope", "", "evil.example"))
    first = hunt(archived.engine, max_seconds=0)
    assert (first.segments, first.more) == (0, True)
    assert not hunt(archived.engine).more
    assert archived.rows("SELECT count(*) FROM fact WHERE predicate = 'logged-in'") == [(4,)]


def test_a_damaged_segment_is_a_warning_and_spares_the_others(archived: Any, home: Path) -> None:
    keep(archived.engine, home, [entry(0, "evil.example", log="a")])
    keep(archived.engine, home, [entry(0, "evil.example", log="b")])
    (path,) = (home / "archive" / "log=a").rglob("*.parquet")
    path.write_bytes(b"PAR1")
    archived.watch(("scope", "", "evil.example"))
    done = hunt(archived.engine)
    assert len(done.problems) == 1
    assert archived.rows(
        "SELECT s.name FROM fact f JOIN source s ON s.id = f.source_id WHERE f.predicate = 'names'"
    ) == [("b",)]
    ((outcome, error),) = archived.outcomes()
    assert outcome == "partial"
    assert "couldn't read entries 0 to 1 of a in the archive" in error


def test_a_merge_in_the_middle_of_a_hunt_loses_nothing(
    archived: Any, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(archived.engine, home, [entry(at, f"n{at}.evil.example") for at in range(4)], size=1)
    archived.watch(("scope", "", "evil.example"))
    matches, merged = ct_hunt.matches, []

    def merge_first(*args: Any) -> Any:
        if not merged:
            merged.append(compact(archived.engine, ON, home, target=4).made)
        return matches(*args)

    monkeypatch.setattr(ct_hunt, "matches", merge_first)
    hunt(archived.engine)
    assert merged == [1]
    assert archived.rows("SELECT count(*) FROM fact WHERE predicate = 'logged-in'") == [(4,)]
    with archived.engine.connect() as connection:
        newest = connection.execute(text("SELECT max(added_at) FROM hunt_term")).scalar_one()
        assert held(connection, judged_before=newest) == []


def test_two_do_not_hunt_at_once_and_a_follower_is_not_disturbed(archived: Any, home: Path) -> None:
    keep(archived.engine, home, [entry(0, "evil.example")])
    archived.watch(("scope", "", "evil.example"))
    with runs.exclusive(archived.engine, "source:lab-log"):
        assert hunt(archived.engine).hits > 0
    keep(archived.engine, home, [entry(1, "worse.example")])
    archived.watch(("scope", "", "worse.example"))
    with runs.exclusive(archived.engine, "source:ct-archive"), pytest.raises(BusyError):
        hunt(archived.engine)


def test_the_document_can_be_read_again_and_says_under_which_head_it_stands(archived: Any) -> None:
    story(archived.log)
    archived.run()
    archived.watch(*ITEMS)
    hunt(archived.engine)
    sha256, media_type, location, count = archived.rows(
        "SELECT d.sha256, d.media_type, d.location, (SELECT count(*) FROM fact) FROM document d"
        " WHERE d.media_type LIKE '%archived%' ORDER BY d.id LIMIT 1"
    )[0]
    body = documents.get(settings().document_store, bytes(sha256))
    said = json.loads(body)
    assert said["sth"]["tree_size"] == archived.log.size
    assert said["log"] == f"{archived.served.url}/"
    document = RawDocument(document_id=1, location=location, body=body, media_type=media_type, as_of=NOON)
    again = list(read_document(document, archived.source()))
    assert len(again) >= count / 2
    assert location.startswith("archive:lab-log#entries=")


def test_what_a_person_records_becomes_facts_with_the_reason(archived: Any, home: Path) -> None:
    keep(archived.engine, home, [entry(0, "odd.example"), entry(1, "parcelpost.example")])
    archived.watch(("entity", "pattern", "keyword:parcelpost"))
    done = record(archived.engine, found(archived.engine, home), "a tip of a partner's")
    assert (done.hits, len(done.batches)) == (2, 1)
    assert named(archived) == {"odd.example", "parcelpost.example"}
    assert archived.rows(
        "SELECT o.value FROM fact f JOIN entity o ON o.id = f.object_id WHERE f.predicate = 'matches'"
    ) == [("keyword:parcelpost",)]
    ((sha256,),) = archived.rows("SELECT sha256 FROM document")
    assert json.loads(documents.get(settings().document_store, bytes(sha256)))["reason"] == "a tip of a partner's"


# --- killed anywhere


@contextmanager
def dying(archived: Any) -> Iterator[Any]:
    """A child that compacts, hunts and tidies, and dies at a call into the project."""
    command = [sys.executable, str(Path(__file__).with_name("hunt_and_die.py"))]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        given, answers = process.stdin, process.stdout

        def die(at: int) -> tuple[int, int]:
            given.write(f"{at}\n")
            given.flush()
            status, calls = answers.readline().split()
            return int(status), int(calls)

        yield die
        given.close()


@pytest.mark.slow
def test_killed_anywhere_no_entry_is_lost_or_doubled(archived: Any, home: Path) -> None:
    entries = [entry(at, f"n{at}.evil.example" if at % 5 == 1 else f"parcel-{at}.example") for at in range(40)]

    def begin() -> None:
        with archived.engine.begin() as connection:
            connection.execute(text(FORGET))
        shutil.rmtree(home / "archive", ignore_errors=True)
        keep(archived.engine, home, entries, size=4)
        archived.watch(("scope", "", "evil.example"))

    random, kills = Random(20261124), 0
    with dying(archived) as die:
        begin()
        status, calls = die(-1)
        assert status == 0
        expected = facts(archived)
        assert expected
        while kills < 10:
            begin()
            status, most = -signal.SIGKILL, calls
            while status == -signal.SIGKILL:
                status, _ = die(-1 if kills >= 10 else random.randrange(1, most))
                if status == -signal.SIGKILL:
                    kills += 1
                    let_go(archived)
                # What is left takes fewer calls; a kill that comes too late is none.
                most = max(2, most * 3 // 4)
            assert status == 0
            assert facts(archived) == expected
            assert found(archived.engine, home, limit=1000) == entries


FORGET = (
    "TRUNCATE fact, fact_history, link, entity, finding_fact, finding, judgement, batch, reject, document, run,"
    " archive_segment, hunt_term, watch_item, watch, cursor CASCADE"
)


def let_go(archived: Any) -> None:
    """Wait until the locks of the dead process are gone."""
    for name in ("source:ct-archive", "archive:compact", "archive:tidy"):
        for _ in range(100):
            try:
                with runs.exclusive(archived.engine, name):
                    break
            except BusyError:
                continue


def test_the_pseudo_source_of_hunts_is_a_source() -> None:
    assert isinstance(ct_hunt.ARCHIVE, Source)
    assert ct_hunt.ARCHIVE.name == "ct-archive"
