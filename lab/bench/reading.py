"""`reading`: how many entries of a log one core reads, hashes and matches, and where the time goes.

No network and no disk. The entries are those of the big log (`lab/certificates_bulk.py`): 256 in an answer, in both
formats, none twice. What is timed is `judge`, in processor time of this process: the median of some rounds over all
answers. `LAPSEWATCH_BENCH_ENTRIES` changes how many entries there are. With the real data (LAPSEWATCH_DATA) it also
says how many names other readers find in the corpora of odd certificates that ours misses.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from cryptography import x509

from intel.ct import EntryType, TimestampedEntry, vector24, write_leaf
from intel.ct_answer import Answer, AnswerFormat
from intel.ct_frames import read_leaf_frame, read_raw_entries
from intel.ct_static import TILE_WIDTH, read_tile_leaves
from intel.errors import ConfigError, ReadError
from intel.match.certificates import WatchSet
from intel.match.entries import judge
from intel.settings import settings
from intel.x509 import read_certificate, read_tbs
from intel.x509_fast import FastView, read_fast_certificate, read_fast_tbs
from lab.bench._ct_lists import everything, only_domains, special
from lab.bench._reading_corpora import compare
from lab.bench._reading_watch import watch_set
from lab.bench.result import Result, Table
from lab.certificates_bulk import Made, made

ENTRIES: Final = int(os.environ.get("LAPSEWATCH_BENCH_ENTRIES", "16384"))
ROUNDS: Final = 5
FEW: Final = 5
MANY: Final = 100_000

Answers = Sequence[Answer]


def run() -> Result:
    """Make the answers, judge them in each way, and take the loop apart."""
    if ENTRIES < TILE_WIDTH or ENTRIES % TILE_WIDTH:
        raise ConfigError(f"couldn't measure reading: LAPSEWATCH_BENCH_ENTRIES is no multiple of {TILE_WIDTH}")
    entries = list(made(0, ENTRIES, special=special))
    tiles, answers = list(_tiles(entries)), list(_json(entries))
    few = watch_set(only_domains(FEW)).prepare()
    began = time.process_time()
    many = watch_set(everything(MANY)).prepare()
    built = time.process_time() - began
    rates, figures = _rates(tiles, answers, few, many)
    tables = [rates, _steps(tiles, answers, few, many), _readers(entries)]
    corpora = settings().data / "certificates"
    if corpora.is_dir():
        table, missed = compare(settings().data)
        tables.append(table)
        figures["names_missed"] = missed
    figures["watch_set_s"] = round(built, 1)
    return Result(tables=tuple(tables), figures=figures)


def _tiles(entries: Sequence[Made]) -> Iterator[Answer]:
    for first in range(0, len(entries), TILE_WIDTH):
        body = b"".join(_tile_leaf(one) for one in entries[first : first + TILE_WIDTH])
        yield Answer(format=AnswerFormat.TILE, begins=first, first=first, next=first + TILE_WIDTH, body=body)


def _json(entries: Sequence[Made]) -> Iterator[Answer]:
    for first in range(0, len(entries), TILE_WIDTH):
        body = b",".join(_json_entry(one) for one in entries[first : first + TILE_WIDTH])
        yield Answer(
            format=AnswerFormat.ENTRIES,
            begins=first,
            first=first,
            next=first + TILE_WIDTH,
            body=b'{"entries":[%b]}' % body,
        )


def _entry(one: Made) -> TimestampedEntry:
    return TimestampedEntry(
        timestamp=one.timestamp,
        entry_type=EntryType.PRECERT if one.precertificate else EntryType.X509,
        signed=one.signed,
        issuer_key_hash=one.issuer.key_hash if one.precertificate else b"",
        extensions=b"\x00\x00\x05" + one.number.to_bytes(5, "big"),
    )


def _own(one: Made) -> bytes:
    return vector24(one.precertificate) if one.precertificate else b""


def _tile_leaf(one: Made) -> bytes:
    return _entry(one).to_bytes() + _own(one) + one.issuer.fingerprints


def _json_entry(one: Made) -> bytes:
    leaf, extra = write_leaf(_entry(one)), _own(one) + one.issuer.chain_octets
    return b'{"leaf_input":"%b","extra_data":"%b"}' % (base64.b64encode(leaf), base64.b64encode(extra))


def _microseconds(call: Callable[[Answer], object], answers: Answers) -> float:
    """Processor time for an entry: the median of some rounds."""
    took = []
    gc.collect()
    for _ in range(ROUNDS):
        began = time.process_time()
        for answer in answers:
            call(answer)
        took.append(time.process_time() - began)
    return statistics.median(took) / (len(answers) * TILE_WIDTH) * 1e6


def _rates(
    tiles: Answers, answers: Answers, few: WatchSet, many: WatchSet
) -> tuple[Table, dict[str, int | float | str]]:
    rows = []
    figures: dict[str, int | float | str] = {}
    for what, asked in (("tile", tiles), ("get-entries", answers)):
        octets = sum(len(answer.body) for answer in asked) / (len(asked) * TILE_WIDTH)
        for items, watch in ((FEW, few), (MANY, many)):
            for archive in (False, True):
                spent = _microseconds(partial(judge, watch=watch, archive=archive), asked)
                kept = "yes" if archive else "no"
                listed = f"{items:,} domains" if items == FEW else f"{items:,} in each of 11 lists"
                rows.append((what, listed, kept, round(octets), round(spent, 1), round(1e6 / spent)))
                name = f"{what.replace('-', '_')}_{'5' if items == FEW else '100k'}{'_archive' if archive else ''}"
                figures[f"entries_per_s_{name}"] = round(1e6 / spent)
    return (
        Table(
            title=f"judge: {ENTRIES:,} entries, one core",
            columns=("answer", "watched", "columns", "octets an entry", "µs an entry", "entries/s"),
            rows=tuple(rows),
        ),
        figures,
    )


def _steps(tiles: Answers, answers: Answers, few: WatchSet, many: WatchSet) -> Table:
    """What each step of the loop costs alone, on entries that are there already."""
    views = [[view for _, view in _views(answer)] for answer in tiles]
    at = {answer.first: number for number, answer in enumerate(tiles)}

    def each(call: Callable[[FastView], object]) -> Callable[[Answer], object]:
        return lambda answer: [call(view) for view in views[at[answer.first]]]

    steps: list[tuple[str, Callable[[Answer], object], Answers]] = [
        ("find the entries of a tile", lambda answer: read_tile_leaves(answer.body, answer.begins), tiles),
        ("decode the JSON of get-entries", lambda answer: read_raw_entries(answer.body, answer.begins), answers),
        ("find the entry in each leaf_input", _json_frames(answers), answers),
        ("leaf hash", _leaf_hashes, tiles),
        ("walk: names, key hash", lambda answer: list(_views(answer)), tiles),
        ("issuer's text, validity", each(lambda view: (view.issuer, view.not_before, view.not_after)), tiles),
        ("SHA-256 of the TBSCertificate without SCTs", each(FastView.joined_sha256), tiles),
        ("a precertificate's own SHA-256 (tile)", _own_hashes, tiles),
        (f"match {FEW} domains", each(few.match), tiles),
        (f"match {MANY:,} in each list", each(many.match), tiles),
    ]
    return Table(
        title="Steps, each alone (the walk includes finding the entries)",
        columns=("step", "µs an entry"),
        rows=tuple((what, round(_microseconds(call, asked), 2)) for what, call, asked in steps),
    )


def _views(answer: Answer) -> Iterator[tuple[int, FastView]]:
    for leaf in read_tile_leaves(answer.body, answer.begins):
        frame = leaf.entry
        read = read_fast_tbs if frame.entry_type else read_fast_certificate
        view = read(answer.body, frame.signed_at, frame.signed_end)
        if view is None:
            raise ReadError("couldn't measure reading: an entry of the lab is not plain; nothing is measured")
        yield frame.entry_type, view


def _json_frames(answers: Answers) -> Callable[[Answer], object]:
    leaves = {answer.first: [raw.leaf_input for raw in read_raw_entries(answer.body, 0)] for answer in answers}
    return lambda answer: [read_leaf_frame(leaf) for leaf in leaves[answer.first]]


def _leaf_hashes(answer: Answer) -> None:
    for leaf in read_tile_leaves(answer.body, answer.begins):
        hashlib.sha256(b"\x00\x00\x00" + answer.body[leaf.start : leaf.entry.end]).digest()


def _own_hashes(answer: Answer) -> None:
    for leaf in read_tile_leaves(answer.body, answer.begins):
        if leaf.entry.entry_type:
            hashlib.sha256(answer.body[leaf.precertificate_at : leaf.precertificate_end]).digest()


def _readers(entries: Sequence[Made]) -> Table:
    """The same final certificates, read by others."""
    finals = [one.signed for one in entries if not one.precertificate][:2048]
    leaves = [one.signed for one in entries if one.precertificate][:2048]

    def by_cryptography(der: bytes) -> object:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = hashlib.sha256(certificate.tbs_certificate_bytes).digest()
        return names.get_values_for_type(x509.DNSName), certificate.subject, certificate.serial_number, key

    readers: list[tuple[str, Callable[[bytes], object], Sequence[bytes]]] = [
        ("fast walk, certificate", lambda der: read_fast_certificate(der, 0, len(der)), finals),
        ("fast walk, bare TBSCertificate", lambda der: read_fast_tbs(der, 0, len(der)), leaves),
        ("lenient walk, certificate", read_certificate, finals),
        ("lenient walk, bare TBSCertificate", read_tbs, leaves),
        ("cryptography, certificate: names, subject, serial, one SHA-256", by_cryptography, finals),
    ]
    rows = []
    for what, read, ders in readers:
        took = []
        for _ in range(ROUNDS):
            began = time.process_time()
            for der in ders:
                read(der)
            took.append(time.process_time() - began)
        spent = statistics.median(took) / len(ders) * 1e6
        rows.append((what, round(spent, 1), round(1e6 / spent)))
    return Table(title="Readers of a certificate", columns=("reader", "µs", "certificates/s"), rows=tuple(rows))
