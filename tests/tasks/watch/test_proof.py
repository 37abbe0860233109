from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import httpx
import msgspec
import pytest

from db import documents, runs
from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel.config.sources import Source
from intel.config.watches import WatchedItem
from intel.ct import SignedTreeHead, logged_entry, read_digitally_signed
from intel.ct_proof import read_inclusion_proof
from intel.ct_static import read_data_tile
from intel.facts import RawDocument
from intel.match.certificates import By, Hit
from intel.merkle import leaf_hash, verify_inclusion
from intel.tiles import inclusion
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog, Protocol
from lab.server import serve
from tasks.normalize.ct_facts import Hits, read, write
from tasks.watch.proof import Place, proof_tiles, prove
from tests.tasks.watch.world import World, day

AUTHORITY = Authority()


def source(name: str) -> Source:
    return Source.model_validate(
        {
            "name": name, "title": name, "transport": "ct", "format": "ct", "location": "https://log.example/",
            "semantics": "stream", "cadence": "continuous", "reliability": "A", "tlp": "TLP:CLEAR",
            "licence": {"name": "public", "commercial_use": True, "redistribution": True}, "enabled": True,
        }
    )  # fmt: skip


def commit(world: World, store: Path, log: CtLog, kept: Sequence[int], *hits: Hit, url: str, name: str) -> None:
    """Bring entries of a log into the warehouse, as the follower of logs does."""
    head = log.tree_head()
    entries = []
    for index in kept:
        entry = log.entry(index)
        if log.protocol == "static":
            logged = read_data_tile(entry.tile_leaf, index)[0]
        else:
            logged = logged_entry(index, entry.leaf_input, entry.extra_data)
        entries.append(logged)
    body = write(
        Hits(
            log=url, first=0, next=log.size, head=head, entries=tuple(entries), matches=(hits,) * len(entries),
            protocol=log.protocol,
        )
    )  # fmt: skip
    digest = documents.put(store, body)
    with world.engine.begin() as connection:
        number = runs.ensure_source(
            connection, name=name, title=name, reliability="A", tlp=0, snapshot=False, redistribution=True,
            commercial_use=True,
        )  # fmt: skip
        run = runs.begin(connection, number)
        document_id = runs.new_document(
            connection, source_id=number, run_id=run, location=f"{url}#entries", sha256=digest, size=len(body),
            as_of=day(0), fetched_at=day(0),
        )  # fmt: skip
        document = RawDocument(document_id=document_id, location="", body=body, as_of=day(0))
        with Staging(driver(connection), run_id=run, source=name, tlp=0) as staging:
            staging.add(document, read(document, source(name)))
        load(connection, Batch(source=name, source_id=number, run_id=run, facts=staging.facts, rejects=staging.rejects))


def filled(protocol: Protocol, order: Order, at: int, size: int, *, precert: bool = False) -> CtLog:
    """A log that holds an order's certificate at an index."""
    log = CtLog(protocol=protocol, seed=f"log {protocol}")
    for number in range(size):
        if number == at and precert:
            log.append(AUTHORITY.precertificate(order), issuer_key_hash=AUTHORITY.key_hash)
        else:
            log.append_raw(b"\0\0" + number.to_bytes(8, "big")) if number != at else log.append(
                AUTHORITY.final(order, [b"sct"]), chain=[AUTHORITY.certificate]
            )
    return log


def only_finding(world: World) -> int:
    [(found,)] = world.execute("SELECT id FROM finding WHERE status = 'open' AND rule = 'certificate-name'")
    return int(str(found))


def check(place: Place, log: CtLog) -> None:
    """What the place says leads from the leaf's hash to the root that the log signed."""
    assert place.tree_size is not None
    leaf, root = bytes.fromhex(place.leaf_hash), bytes.fromhex(place.root)
    assert leaf == leaf_hash(log.entry(place.index).leaf_input)
    answers = {url: httpx.get(url) for url in place.requests}
    assert {answer.status_code for answer in answers.values()} == {200}
    if log.protocol == "static":
        held = {url.removeprefix(f"{place.url.rstrip('/')}/"): answer.content for url, answer in answers.items()}
        used = set()

        def tile(one: object) -> list[bytes]:
            path = one.path  # type: ignore[attr-defined]  # a tile of hashes
            used.add(path)
            return [held[path][at : at + 32] for at in range(0, len(held[path]), 32)]

        path = inclusion(tile, place.index, place.tree_size)
        [data, *hashes] = held
        assert data.startswith("tile/data/")
        assert used <= set(hashes)
    else:
        [answer] = answers.values()
        index, path = read_inclusion_proof(answer.content)  # type: ignore[assignment]  # as long
        assert index == place.index
    verify_inclusion(leaf, place.index, place.tree_size, path, root)
    signature = read_digitally_signed(bytes.fromhex(place.signature))
    assert place.signed_at is not None
    at = round(place.signed_at.timestamp() * 1000)
    SignedTreeHead(tree_size=place.tree_size, timestamp=at, root_hash=root, signature=signature).verify(log.key_der)


def test_a_finding_is_proven_in_every_log_that_holds_it(world: World, tmp_path: Path) -> None:
    order = Order(names=("evil.example",), key=key_from_seed("heron"))
    logs = {"a-log": filled("rfc6962", order, 3, 9), "b-tiles": filled("static", order, 300, 700, precert=True)}
    world.watch("watch", WatchedItem(domain="evil.example"))
    with serve(logs["a-log"].app()) as first, serve(logs["b-tiles"].app()) as second:
        urls = {"a-log": f"{first.url}/", "b-tiles": f"{second.url}/"}
        for name, log in logs.items():
            at = 3 if name == "a-log" else 300
            hit = Hit(by=By.SCOPE, watched="evil.example", named="evil.example")
            commit(world, tmp_path, log, [at], hit, url=urls[name], name=name)
        world.monitor()
        with world.engine.connect() as connection:
            found = prove(connection, only_finding(world), tmp_path)
        assert [(place.log, place.index, place.url, place.protocol) for place in found] == [
            ("a-log", 3, urls["a-log"], "rfc6962"),
            ("b-tiles", 300, urls["b-tiles"], "static"),
        ]
        for place in found:
            check(place, logs[place.log])


def test_without_its_document_an_entry_keeps_its_place(world: World, tmp_path: Path) -> None:
    log = filled("rfc6962", Order(names=("evil.example",), key=key_from_seed("heron")), 3, 9)
    world.watch("watch", WatchedItem(domain="evil.example"))
    commit(world, tmp_path, log, [3], url="https://log.example/", name="log")
    world.monitor()
    with world.engine.connect() as connection:
        [place] = prove(connection, only_finding(world), tmp_path / "elsewhere")
    assert (place.log, place.index, place.tree_size, place.requests) == ("log", 3, None, ())


def test_a_finding_about_no_certificate_has_no_place_in_a_log(world: World, tmp_path: Path) -> None:
    with world.engine.connect() as connection:
        assert prove(connection, 404, tmp_path) == ()


def test_a_hash_is_asked_for_as_a_url_takes_it(world: World, tmp_path: Path) -> None:
    log = filled("hybrid", Order(names=("evil.example",), key=key_from_seed("heron")), 3, 9)
    world.watch("watch", WatchedItem(domain="evil.example"))
    commit(world, tmp_path, log, [3], url="https://log.example", name="log")
    world.monitor()
    with world.engine.connect() as connection:
        [place] = prove(connection, only_finding(world), tmp_path)
    [request] = place.requests
    asked = httpx.URL(request)
    assert asked.path == "/ct/v1/get-proof-by-hash"
    assert asked.params["tree_size"] == "9"
    assert base64.b64decode(asked.params["hash"]).hex() == place.leaf_hash


@pytest.mark.parametrize(("index", "size"), [(0, 1), (0, 256), (255, 256), (256, 257), (5, 70_000), (69_999, 70_000)])
def test_the_tiles_of_a_proof_are_those_of_its_tree(index: int, size: int) -> None:
    paths = proof_tiles(index, size)
    assert len(set(paths)) == len(paths)
    level = {path.split("/")[1] for path in paths}
    assert level <= {"data", "0", "1", "2"}
    partial = [int(path.rpartition(".p/")[2]) for path in paths if ".p/" in path]
    assert all(0 < width < 256 for width in partial)
    assert (index // 256 < size // 256) or ".p/" in paths[0] or not size % 256


def test_a_place_is_json(world: World, tmp_path: Path) -> None:
    place = Place(log="log", certificate=f"sha256:{hashlib.sha256(b'').hexdigest()}", index=1, leaf_hash="ab" * 32)
    assert msgspec.json.decode(msgspec.json.encode(place), type=Place) == place
