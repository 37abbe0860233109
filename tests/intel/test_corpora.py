"""No name is missed that another reader finds: cryptography, asn1crypto, OpenSSL."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lab.bench._reading_corpora import certificates, missed
from lab.bench._reading_peers import peers
from tests.handmade import MALFORMED

PEERS = peers()
ALTERED = {"cryptography": 1500, "asn1crypto": 1000, "openssl": 60}


@pytest.mark.skipif(len(PEERS) < 3, reason=f"only {', '.join(PEERS)} at hand: asn1crypto or openssl is not installed")
def test_all_peers_are_at_hand() -> None:
    assert set(PEERS) == set(ALTERED)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", MALFORMED)
def test_no_name_of_a_malformed_certificate_is_missed(peer: str, case: str) -> None:
    assert missed(PEERS[peer], MALFORMED[case]) == set()


@pytest.mark.data
@pytest.mark.parametrize("peer", PEERS)
def test_no_name_of_certificates_made_to_break_readers_is_missed(data_dir: Path, peer: str) -> None:
    compared = 0
    for number, (_, der) in enumerate(certificates(data_dir)):
        # OpenSSL is a process for each certificate; `make bench NAME=reading` compares them all.
        if peer == "openssl" and number % 12:
            continue
        assert missed(PEERS[peer], der) == set()
        compared += 1
    assert compared > 50


@pytest.mark.data
@pytest.mark.parametrize("peer", PEERS)
def test_no_name_is_missed_once_octets_were_altered(data_dir: Path, peer: str) -> None:
    originals = [der for _, der in certificates(data_dir)]
    chance = random.Random(f"altered for {peer}")
    for _ in range(ALTERED[peer]):
        altered = bytearray(chance.choice(originals))
        at = chance.randrange(len(altered))
        altered[at : at + chance.randrange(2)] = chance.choice(
            (b"", b"\x00", b"\x30", b"\x80", b"\x24", b"\x82", b"\xff")
        )
        assert missed(PEERS[peer], bytes(altered)) == set(), altered.hex()
