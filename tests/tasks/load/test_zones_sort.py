from __future__ import annotations

import gzip
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intel.errors import OversizedError, ReadError, UnavailableError
from intel.zone_plain import MAX_HOSTS, Delegations
from tasks.load.zones_compare import Difference, differences
from tasks.load.zones_file import Bounds, LineWriter, Unpacked, read_blocks
from tasks.load.zones_sort import Sorter

NAMES = st.text("ab-.0_", min_size=1, max_size=4).map(str.encode)
HOSTS = st.lists(st.sampled_from([b"ns1.test", b"ns2.test", b"ns3.test"]), min_size=1, max_size=2)


def joined(hosts: list[bytes]) -> bytes:
    return b" ".join(sorted(set(hosts)))


def zone(count: int) -> dict[bytes, bytes]:
    return {b"n%05d" % number: b"ns%d.test" % (number % 7) for number in range(count)}


def sort(folder: Path, pieces: list[dict[bytes, bytes]], *, window: int = 10, max_runs: int = 32) -> Sorter:
    sorter = Sorter(folder / "zone", window=window, max_runs=max_runs)
    for piece in pieces:
        sorter.add(Delegations(list(piece), list(piece.values())))
    sorter.finish()
    return sorter


def lines(path: Path) -> list[bytes]:
    return [line for block in read_blocks(path) for line in block]


def expected(pieces: list[dict[bytes, bytes]]) -> list[bytes]:
    whole: dict[bytes, bytes] = {}
    for piece in pieces:
        for name, hosts in piece.items():
            whole[name] = joined(whole[name].split() + hosts.split()) if name in whole else hosts
    return [b"%b\t%b" % (name, whole[name]) for name in sorted(whole)]


def in_pieces(delegations: dict[bytes, bytes], size: int = 15) -> list[dict[bytes, bytes]]:
    items = list(delegations.items())
    return [dict(items[start : start + size]) for start in range(0, len(items), size)]


def test_a_sorted_zone_takes_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sorter, "_late", lambda *_: pytest.fail("a sorted zone comes late nowhere"))
    sorter = sort(tmp_path, in_pieces(zone(1000)))
    assert lines(tmp_path / "zone") == expected([zone(1000)])
    assert sorter.names == 1000
    assert sorter.sha256 == hashlib.sha256((tmp_path / "zone").read_bytes()).digest()
    assert [path.name for path in tmp_path.iterdir()] == ["zone"]


def test_a_zone_that_is_shuffled_a_little_takes_no_other_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sorter, "_late", lambda *_: pytest.fail("the window is wide enough"))
    random = Random(1)
    shuffled = sorted(zone(1000).items(), key=lambda one: int(one[0][1:]) + random.uniform(0, 8))
    sort(tmp_path, in_pieces(dict(shuffled)))
    assert lines(tmp_path / "zone") == expected([zone(1000)])


@pytest.mark.parametrize("max_runs", [2, 32])
def test_a_zone_in_no_order_is_sorted_all_the_same(tmp_path: Path, max_runs: int) -> None:
    items = list(zone(2000).items())
    Random(2).shuffle(items)
    sorter = sort(tmp_path, in_pieces(dict(items)), max_runs=max_runs)
    assert lines(tmp_path / "zone") == expected([zone(2000)])
    assert sorter.names == 2000
    assert [path.name for path in tmp_path.iterdir()] == ["zone"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.dictionaries(NAMES, HOSTS.map(joined), max_size=6), max_size=12), st.integers(1, 4))
def test_names_that_come_apart_have_all_their_servers(pieces: list[dict[bytes, bytes]], window: int) -> None:
    with TemporaryDirectory() as folder:
        sort(Path(folder), pieces, window=window, max_runs=2)
        assert lines(Path(folder, "zone")) == expected(pieces)


def test_an_abandoned_sort_leaves_nothing(tmp_path: Path) -> None:
    sorter = Sorter(tmp_path / "zone", window=5)
    for piece in reversed(in_pieces(zone(200))):
        sorter.add(Delegations(list(piece), list(piece.values())))
    sorter.abandon()
    assert list(tmp_path.iterdir()) == []


def blocks(delegations: dict[bytes, bytes], size: int) -> Iterator[list[bytes]]:
    every = expected([delegations])
    for start in range(0, len(every), size):
        yield every[start : start + size]


@settings(max_examples=80, deadline=None)
@given(
    st.dictionaries(NAMES, HOSTS.map(joined), max_size=20),
    st.dictionaries(NAMES, HOSTS.map(joined), max_size=20),
    st.integers(1, 7),
    st.integers(1, 7),
)
def test_what_differs_is_found_wherever_blocks_end(
    old: dict[bytes, bytes], new: dict[bytes, bytes], first: int, second: int
) -> None:
    found = list(differences(blocks(old, first), blocks(new, second)))
    assert found == [
        Difference(name, old.get(name, b""), new.get(name, b""))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]


def test_a_file_is_written_and_read_back(tmp_path: Path) -> None:
    writer = LineWriter(tmp_path / "file")
    for block in blocks(zone(5000), 700):
        writer.write(block)
    digest = writer.finish()
    assert writer.lines == 5000
    assert lines(tmp_path / "file") == expected([zone(5000)])
    with Unpacked(tmp_path / "file") as pieces:
        assert b"".join(pieces) == gzip.decompress((tmp_path / "file").read_bytes())
    assert (pieces.sha256, pieces.bytes) == (digest, (tmp_path / "file").stat().st_size)


@pytest.mark.parametrize("cut", [1, 9, 5000])
def test_a_file_that_is_cut_short_is_no_file(tmp_path: Path, cut: int) -> None:
    packed = gzip.compress(b"".join(b"%d\tns1.test\n" % Random(number).randrange(10**9) for number in range(5000)))
    (tmp_path / "file").write_bytes(packed[:-cut])
    with pytest.raises(ReadError, match="cut short"), Unpacked(tmp_path / "file") as pieces:
        list(pieces)


def test_a_damaged_file_is_no_file(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(bytes(Random(1).randbytes(100_000))))
    packed[50_000] ^= 0xFF
    (tmp_path / "file").write_bytes(packed)
    with pytest.raises(ReadError, match="couldn't unpack"), Unpacked(tmp_path / "file") as pieces:
        list(pieces)
    with pytest.raises(ReadError, match="No such file"), Unpacked(tmp_path / "gone") as pieces:
        list(pieces)


def test_members_and_padding_are_read_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n") + bytes(100))
    with Unpacked(tmp_path / "file") as pieces:
        assert b"".join(pieces) == b"one\ntwo\n"


def test_a_file_that_swells_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(bytes(100 << 20)))
    with (
        pytest.raises(OversizedError, match="expands"),
        Unpacked(tmp_path / "file", Bounds(bytes=1 << 40, expansion=50)) as pieces,
    ):
        sum(map(len, pieces))
    with (
        pytest.raises(OversizedError, match="more than 1000 bytes"),
        Unpacked(tmp_path / "file", Bounds(bytes=1000, expansion=1e9)) as pieces,
    ):
        sum(map(len, pieces))


def test_a_reader_that_leaves_early_leaves_no_thread(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(bytes(50 << 20)))
    with Unpacked(tmp_path / "file", step=1 << 16) as pieces:
        next(iter(pieces))
    assert not pieces._thread.is_alive()


def test_a_disk_that_does_not_take_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    writer = LineWriter(tmp_path / "there")
    with pytest.raises(UnavailableError, match="couldn't write there: Is a directory"):
        writer.finish()
    with pytest.raises(UnavailableError, match="couldn't write there: Is a directory"):
        writer.write([b"b\tns1.test"])
    writer.abandon()


def test_a_name_with_any_number_of_servers_costs_little_and_keeps_the_first(tmp_path: Path) -> None:
    servers = [b"ns%06d.host.test" % number for number in range(30_000)]
    Random(20261124).shuffle(servers)
    began = time.process_time()
    sorter = sort(tmp_path, [{b"parcel": server} for server in servers], window=5_000)
    assert time.process_time() - began < 3
    assert lines(tmp_path / "zone") == [b"parcel\t" + b" ".join(sorted(servers)[:MAX_HOSTS])]
    assert sorter.names == 1
