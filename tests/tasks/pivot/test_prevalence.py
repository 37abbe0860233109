from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from db import documents
from db.engine import open_engine
from db.prevalence import populations, prevalence
from db.prevalence_sources import sample_size
from intel.config.lookups import Lookups
from intel.config.prevalence import Counting
from intel.entities import Kind, digest, entity, literal
from intel.errors import ReadError
from intel.evidence import Prevalence
from intel.facts import Predicate
from intel.settings import settings
from intel.traits import Name, Trait, trait_digest
from tasks.pivot.newer_lists import take_newer_lists
from tasks.pivot.prevalence_certificates import count_certificates
from tasks.pivot.prevalence_given import take_counts
from tasks.pivot.prevalence_names import REASON, choose_sample, count_new_domains, count_sample
from tasks.pivot.prevalence_tally import Tally, let_go
from tasks.pivot.prevalence_zones import Sets, count_zones
from tests import archives, factories
from tests.tasks.load.zones_world import zone_folder

COUNTING = Counting(least=1)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """A warehouse with a home of its own."""
    monkeypatch.setenv("LAPSEWATCH_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    made = open_engine(database_url)
    yield made
    made.dispose()
    monkeypatch.undo()
    settings.cache_clear()


def _asked(engine: Engine, trait: str, value: bytes) -> Prevalence | None:
    with engine.connect() as connection:
        return prevalence(connection, [(trait, value)]).get((trait, value))


def _of(engine: Engine, name: Name, value: str) -> tuple[int, int] | None:
    found = _asked(engine, name, trait_digest(Trait(name.value, value)))
    return None if found is None else (found.count, found.total)


def _seen(engine: Engine, names: dict[str, datetime], channel: str = "list", tlp: int = 0) -> None:
    with engine.begin() as connection:
        source_id = factories.source(connection, f"names-{channel}-{tlp}", tlp=tlp)
        connection.execute(
            text("INSERT INTO seen_domain (name, channel, first_seen, source_id) VALUES (:name, :channel, :at, :id)"),
            [{"name": name, "channel": channel, "at": at, "id": source_id} for name, at in names.items()],
        )


def test_a_zone_is_counted_by_sets_hosts_and_providers_and_once(engine: Engine, tmp_path: Path) -> None:
    pair = "ns1.dns.test ns2.dns.test"
    zone = zone_folder(engine, tmp_path / "zone")
    zone.put({"a": pair, "b": pair, "c": "ns1.dns.test ns9.other.test", "d": "ns1.d.example"})
    zone.run()
    [part] = count_zones(engine, COUNTING).parts
    assert (part.population, part.total) == ("zone:example", 4)
    assert _of(engine, Name.NAME_SERVERS, pair) == (2, 4)
    assert _of(engine, Name.NAME_SERVER_PROVIDER, "dns.test") == (2, 4)
    assert _of(engine, Name.NAME_SERVER_PROVIDER, "dns.test other.test") == (1, 4)
    assert _of(engine, Name.NAME_SERVERS, "ns1.never.test ns2.never.test") == (0, 4)
    host = _asked(engine, Predicate.USES_NAME_SERVER, entity(Kind.NAME_SERVER, "ns1.dns.test").digest)
    assert host is not None
    assert (host.count, host.population) == (3, "zone:example")
    assert count_zones(engine, COUNTING).parts == ()
    zone.put(dict.fromkeys("abc", "ns1.other.test"))
    zone.run()
    assert [one.total for one in count_zones(engine, COUNTING).parts] == [3]
    assert _of(engine, Name.NAME_SERVERS, pair) == (0, 3)


def test_a_zone_that_cannot_be_read_keeps_its_old_figures_and_spares_the_others(engine: Engine, tmp_path: Path) -> None:
    zone = zone_folder(engine, tmp_path / "zone")
    zone.put({"a": "ns1.dns.test"})
    zone.run()
    count_zones(engine, COUNTING)
    zone.put({"a": "ns1.dns.test", "b": "ns1.dns.test"})
    zone.run()
    for path in zone.place.glob("*.gz"):
        path.write_bytes(path.read_bytes()[:-9])
    done = count_zones(engine, COUNTING)
    assert done.parts == ()
    assert ["its old figures stand" in one for one in done.problems] == [True]
    assert _of(engine, Name.NAME_SERVERS, "ns1.dns.test") == (1, 1)


def test_new_domains_are_counted_by_suffix_shape_and_words(engine: Engine) -> None:
    recent = NOW - timedelta(days=1)
    _seen(engine, dict.fromkeys(["login-a.test", "login-b.test", "other.example"], recent))
    _seen(engine, {"login-a.test": recent}, channel="zone")
    _seen(engine, {"old.test": NOW - timedelta(days=90)}, channel="zone")
    _seen(engine, {"www-login.test": recent}, channel="ct")
    [part] = count_new_domains(engine, COUNTING, NOW).parts
    assert part.total == 3
    assert _of(engine, Name.SUFFIX, "test") == (2, 3)
    assert _of(engine, Name.WORD, "login") == (2, 3)
    assert _of(engine, Name.WORD, "nobodys") == (0, 3)
    assert _of(engine, Name.SHAPE, "6-8 hyphens") == (2, 3)
    assert count_new_domains(engine, Counting(days=0.01), NOW).parts == ()
    assert _of(engine, Name.SUFFIX, "test") == (2, 3)


def test_of_many_new_domains_a_part_is_counted(engine: Engine) -> None:
    _seen(engine, {f"name{number}.test": NOW - timedelta(days=1) for number in range(2_000)})
    [part] = count_new_domains(engine, Counting(most_names=200), NOW).parts
    assert 100 < part.total < 300


def test_chance_chooses_within_its_number_and_what_is_answered_is_counted(engine: Engine) -> None:
    lately, lookups = NOW - timedelta(hours=2), Lookups()
    _seen(engine, {f"name{number}.test": lately for number in range(30)})
    _seen(engine, {f"secret{number}.test": lately for number in range(30)}, tlp=4)
    _seen(engine, {f"early{number}.test": NOW - timedelta(days=3) for number in range(30)}, channel="zone")
    assert choose_sample(engine, Counting(sample_per_day=0), lookups, NOW) == 0
    assert choose_sample(engine, Counting(sample_per_day=5), lookups, NOW) == 5
    assert choose_sample(engine, Counting(sample_per_day=5), lookups, NOW) == 0
    with engine.connect() as connection:
        rows = connection.execute(
            text("""SELECT e.id, e.value, l.priority, l.reason, l.reach FROM reference_sample r
                JOIN entity e ON e.id = r.entity_id JOIN lookup l ON l.entity_id = e.id ORDER BY e.id""")
        ).all()
        assert sample_size(connection) == {"chosen": 5, "answered": 0}
    assert {row.value[:4] for row in rows} == {"name"}
    assert {(row.priority, row.reason, row.reach) for row in rows} == {(4, REASON, lookups.reach.feed.label)}
    assert count_sample(engine, COUNTING).parts == ()
    with engine.begin() as connection:
        source_id = factories.source(connection, "rdap")
        for number, row in enumerate(rows[:3]):
            connection.execute(text("UPDATE lookup SET asked_at = now() WHERE entity_id = :id"), {"id": row.id})
            through = factories.entity(connection, Kind.REGISTRAR, "iana:64500" if number else "Rare Registrar")
            factories.fact(
                connection, row.id, source_id=source_id, predicate=Predicate.REGISTERED_THROUGH, object_id=through
            )
    [part] = count_sample(engine, COUNTING).parts
    assert part.total == 3
    assert _of(engine, Name.REGISTRAR, "iana:64500") == (2, 3)
    assert _of(engine, Name.MAIL_PROVIDER, "mail.test") is None


def test_certificates_are_counted_once_by_issuer_and_key(engine: Engine) -> None:
    pytest.importorskip("duckdb")
    shared = archives.sha("shared key")
    entries = [archives.entry(number, f"n{number}.example") for number in range(6)]
    entries += [
        archives.entry(number, "s.example", key=shared, tbs=archives.sha(f"tbs {number // 2}"), issuer="CN=Other CA")
        for number in range(6, 10)
    ]
    archives.keep(engine, settings().home, entries)
    [part] = count_certificates(engine, Counting(days=10_000), NOW).parts
    # The last four entries are two certificates, each with its precertificate.
    assert part.total == 8
    issuer = literal(Kind.TEXT, "CN=Lab Issuing 1,O=Lab Authority").digest
    for trait in (Name.ISSUER, Predicate.ISSUED_BY):
        found = _asked(engine, trait, issuer)
        assert found is not None
        assert (found.count, found.total) == (6, 8)
    key = _asked(engine, Predicate.HAS_KEY, digest(Kind.PUBLIC_KEY, f"sha256:{shared.hex()}"))
    assert key is not None
    assert key.count == 2
    alone = _asked(engine, Name.KEY, digest(Kind.PUBLIC_KEY, f"sha256:{archives.sha('key lab-log 1').hex()}"))
    assert alone is not None
    assert alone.count == 0
    assert count_certificates(engine, Counting(days=0.1), NOW).parts == ()


GOOD = "trait,value,count,total\nname-servers,NS2.dns.test ns1.dns.test,5,1000\nemail,a@mail.test,2,1000\n"


def test_counts_given_by_hand_are_taken_and_taken_back_by_the_next(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("\ufeff" + GOOD + "uses-name-server,ns1.dns.test,7,1000\n\n", encoding="utf-8")
    given_ = take_counts(engine, path, name="world", as_of=NOW)
    assert (given_.part.values, given_.rejected) == (3, 0)
    assert _of(engine, Name.NAME_SERVERS, "ns1.dns.test ns2.dns.test") == (5, 1000)
    assert _of(engine, Name.EMAIL, "b@mail.test") is None
    path.write_text('value,trait,total,count\na@mail.test,email,10,3\n"NameCheap, Inc.",registrar,10,4\n')
    take_counts(engine, path, name="world", as_of=NOW)
    assert _of(engine, Name.EMAIL, "a@mail.test") == (3, 10)
    assert _of(engine, Name.REGISTRAR, "iana:1068") == (4, 10)
    assert _of(engine, Name.NAME_SERVERS, "ns1.dns.test ns2.dns.test") is None


WRONG_ROWS = [
    "email,a@mail.test,3,2",
    "email,a@mail.test,-1,2",
    "email,a@mail.test,1,0",
    "email,a@mail.test,1.5,2",
    "email,a@mail.test,\u0663,4",
    "email,a@mail.test,1,99999999999999999999",
    "email,,1,1000",
    "email,a@mail.test,1",
    "email,b@mail.test,1,999",
    "nothing,a@mail.test,1,1000",
    "uses-name-server,no name at all,1,1000",
    f"email,{'a' * 9000}@mail.test,1,1000",
]


def test_rows_that_are_wrong_cost_themselves_and_tell_nobodys_data(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text(GOOD + "\n".join(WRONG_ROWS) + "\n", encoding="utf-8")
    given_ = take_counts(engine, path, name="world", as_of=NOW)
    assert (given_.part.values, given_.rejected) == (2, len(WRONG_ROWS))
    assert [one.partition(":")[0] for one in given_.reasons] == [f"line {number + 4}" for number in range(12)]
    assert not any("mail.test" in one for one in given_.reasons)


def test_a_file_that_is_wrong_changes_nothing(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    header = GOOD.partition("\n")[0].encode()
    for body in (b"", b"a,b\n1,2\n", header, b"\xff\xfe\x00", header + b'\n"x', header + b"\nemail,x,1,0\n"):
        path.write_bytes(body)
        with pytest.raises(ReadError):
            take_counts(engine, path, name="world", as_of=NOW)
    with pytest.raises(ReadError):
        take_counts(engine, tmp_path / "missing.csv", name="world", as_of=NOW)
    with engine.connect() as connection:
        assert populations(connection) == []


def test_a_collected_list_takes_the_place_of_an_older_one(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs = tmp_path / "configs"
    (configs / "sources").mkdir(parents=True)
    entry = {
        "name": "lists", "title": "Lists", "transport": "folder", "format": "warninglist", "location": "x",
        "semantics": "stream", "cadence": "weekly", "reliability": "B", "tlp": "clear", "enabled": True,
        "licence": {"name": "CC0", "commercial_use": True, "redistribution": True},
    }  # fmt: skip
    (configs / "sources" / "lists.yaml").write_text(json.dumps({"sources": [entry]}))
    monkeypatch.setenv("LAPSEWATCH_CONFIGS", str(configs))
    settings.cache_clear()
    record = {"type": "hostname", "version": 20261120, "matching_attributes": ["domain"], "list": ["s.example"]}
    bodies = {
        "lists/own/list.json": json.dumps(record),
        "lists/cloudflare.json": json.dumps(record),  # a single line in the place of many
        "lists/late.json": json.dumps(record | {"version": 20991231}),
        "lists/broken.json": "{",
    }
    with engine.begin() as connection:
        source_id = factories.source(connection, "lists")
        run_id = factories.run(connection, source_id)
        for location, body in bodies.items():
            kept = documents.put(settings().document_store, body.encode())
            factories.document(connection, source_id, run_id, location=location, sha256=kept, loaded=True)
    done = take_newer_lists(engine)
    assert [one.population for one in done.parts] == ["list own"]
    assert len(done.problems) == 3
    assert json.loads((settings().home / "hubs" / "own.json").read_text()) == record
    assert take_newer_lists(engine).parts == ()


@examples(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from("abcdefghij")), st.integers(1, 5))
def test_what_is_kept_is_never_counted_too_high_and_is_all_where_there_is_room(values: str, most: int) -> None:
    tally = Tally(most)
    for value in values:
        tally.add([Trait("word", value)])
    true = Counter(values)
    found = {value: count for value in true for name, digest_, count in _rows(tally) if digest_ == _word(value)}
    assert len(found) <= most
    assert all(count <= true[value] for value, count in found.items())
    if len(true) <= most:
        assert found == true
    assert (tally.total, tally.known["word"]) == (len(values), len(values))
    counts = Counter(values)
    gone = let_go(counts, most)
    assert counts + gone == true
    assert min(counts.values(), default=9**9) >= max(gone.values(), default=0)


def _rows(tally: Tally) -> list[tuple[str, bytes, int]]:
    return list(tally.rows(1))


def _word(value: str) -> bytes:
    return trait_digest(Trait("word", value))


def test_sets_that_are_let_go_still_count_for_their_hosts() -> None:
    sets = Sets(2)
    for number in range(40):
        sets.add([f"n{number}.example\tns1.dns.test ns{number}.own.test".encode()])
    sets.add([b"a.example\tns1.dns.test ns2.dns.test", b"b.example\tns1.dns.test ns2.dns.test"])
    rows = {(trait, value): count for trait, value, count in sets.rows(1)}
    assert rows[Predicate.USES_NAME_SERVER.value, entity(Kind.NAME_SERVER, "ns1.dns.test").digest] == 42
    assert rows[Name.NAME_SERVERS.value, entity(Kind.NAME_SERVER_SET, "ns1.dns.test ns2.dns.test").digest] == 2
    assert sum(trait == Name.NAME_SERVERS for trait, _ in rows) == 2
