"""The slow and plain readings that the fast ones are held against.

Octets in; AssertionError out where two readings of them differ, or where one says what nothing may say.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

from intel.ct import EntryType, LoggedEntry, checked_precertificate
from intel.ct_answer import Answer, read_answer
from intel.errors import ReadError
from intel.match.certificates import Hit, WatchSet
from intel.match.entries import Judged
from intel.merkle import HASH_SIZE
from intel.x509 import CertificateView, read_certificate, read_tbs, tbs_without_scts_sha256
from intel.x509_fast import FastView

SAME = ("names", "ip_addresses", "issuer", "issuer_der", "subject", "serial_hex", "spki_sha256")


def seconds(moment: datetime | None) -> int | None:
    """A time as the fast reader has it."""
    return None if moment is None else int(moment.timestamp())


def agree(fast: FastView, view: CertificateView, octets: bytes) -> None:
    """Where the fast reader answers, it says what the lenient one says of the same octets."""
    for field in SAME:
        assert getattr(fast, field) == getattr(view, field), field
    assert fast.joined_names == "\n".join(view.names)
    assert (fast.not_before, fast.not_after) == (seconds(view.not_before), seconds(view.not_after))
    assert fast.joined_sha256() == tbs_without_scts_sha256(octets)


def in_bounds(view: CertificateView) -> None:
    """What the lenient reader never says, whatever it reads."""
    texts = (*view.names, *view.emails, *view.uris, *view.ip_addresses, view.subject, view.issuer)
    assert not any("\0" in text for text in texts)
    "".join(texts).encode()  # no half of a surrogate pair
    assert len(view.names) <= 65_536
    assert len(view.subject) <= 1024
    assert len(view.issuer) <= 1024
    assert len(view.faults) <= 32


def judged_slowly(answer: Answer, watch: WatchSet) -> tuple[bytes, bytes, dict[int, set[Hit]], list[int]]:
    """Leaf hashes, keys, hits of what the certificates say, and unreadable entries: by records, one after another.

    Hits in raw octets are not among them. Raises ReadError as `judge` does.
    """
    hashes = keys = b""
    hits: dict[int, set[Hit]] = {}
    unreadable = []
    for logged in read_answer(answer):
        hashes += logged.leaf_hash
        view = CertificateView()
        if logged.entry is not None:
            precert = logged.entry.entry_type is EntryType.PRECERT
            try:
                view = read_tbs(logged.entry.signed) if precert else read_certificate(logged.entry.signed)
            except ReadError:
                pass
            else:
                in_bounds(view)
            found = watch.match(view, _digests(logged, precert=precert))
            if found:
                hits[logged.index] = set(found)
        if view.spki_sha256 is None:
            unreadable.append(logged.index)
        keys += view.spki_sha256 or bytes(HASH_SIZE)
    return hashes, keys, hits, unreadable


def _digests(logged: LoggedEntry, *, precert: bool) -> list[bytes]:
    assert logged.entry is not None
    digests = [hashlib.sha256(logged.entry.signed).digest()]
    try:
        if precert:
            digests.append(hashlib.sha256(checked_precertificate(logged)).digest())
        else:
            digests.append(tbs_without_scts_sha256(logged.entry.signed))
    except ReadError:
        pass
    return digests


def same_judgement(judged: Judged, answer: Answer, watch: WatchSet) -> None:
    """`judge` says what `judged_slowly` says, and of raw octets at most more; its columns fit together."""
    hashes, keys, hits, unreadable = judged_slowly(answer, watch)
    assert judged.leaf_hashes == hashes
    assert judged.keys == keys
    assert judged.unreadable == unreadable
    assert len(hashes) == HASH_SIZE * (judged.next - judged.first)
    by_index = {index: set(found) for index, found in judged.hits}
    assert all(found <= by_index.get(index, set()) for index, found in hits.items())
    extra = {hit for index, found in by_index.items() for hit in found - hits.get(index, set())}
    assert all("raw bytes" in hit.why for hit in extra)
    if judged.columns is None:
        return
    columns = judged.columns
    lists = [getattr(columns, field) for field in columns.__struct_fields__]
    assert len({len(column) for column in lists}) == 1
    assert all(judged.first <= index < judged.next for index in columns.index)
    for index, leaf, key in zip(columns.index, columns.leaf_hash, columns.key, strict=True):
        at = HASH_SIZE * (index - judged.first)
        assert hashes[at : at + HASH_SIZE] == leaf
        assert keys[at : at + HASH_SIZE] == (key or bytes(HASH_SIZE))
    assert all(0 <= moment < 1 << 63 for moment in columns.timestamp)
