"""From a watch over what a log answers to findings: the matcher, the facts and the monitor together."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode

import pytest

from db.watched import load_watch_set
from intel.config.watches import WatchedItem
from intel.ct import EntryType, TimestampedEntry, write_leaf
from intel.ct_answer import Answer, AnswerFormat, read_answer
from intel.match.entries import judge
from intel.x509 import tbs_without_scts_sha256
from lab.certificates import Authority, Order, key_from_seed
from lab.ct import CtLog, Protocol
from tasks.normalize.ct_facts import facts
from tests.tasks.watch.world import World

AUTHORITY, OTHER = Authority("Quay Trust"), Authority("Other Authority")
HERON = key_from_seed("heron")


def answer(log: CtLog) -> Answer:
    entries = [log.entry(at) for at in range(log.size)]
    if log.protocol == "static":
        body, kind = b"".join(entry.tile_leaf for entry in entries), AnswerFormat.TILE
    else:
        said = [{"leaf_input": b64encode(one.leaf_input).decode(), "extra_data": b64encode(one.extra_data).decode()}
                for one in entries]  # fmt: skip
        body, kind = json.dumps({"entries": said}).encode(), AnswerFormat.ENTRIES
    return Answer(format=kind, begins=0, first=0, next=log.size, body=body)


def follow(world: World, log: CtLog) -> None:
    """Judge what the log holds, bring the hits into the warehouse, and let the monitors look."""
    with world.engine.connect() as connection:
        watched = load_watch_set(connection)
    asked = answer(log)
    judged = judge(asked, watched, archive=False)
    hits = dict(judged.hits)
    kept = [one for one in read_answer(asked) if one.index in hits or one.index in judged.unreadable]
    world.load_all(
        (one for logged in kept for one in facts(logged, log.origin, matches=hits.get(logged.index, ()))),
        source=log.origin,
    )
    world.monitor()


def append(log: CtLog, order: Order, *, authority: Authority = AUTHORITY) -> None:
    """Log the precertificate of an order and its final certificate, as authorities do."""
    chain = [authority.certificate]
    sct = log.append(authority.precertificate(order), issuer_key_hash=authority.key_hash, chain=chain)
    log.append(authority.final(order, [sct]), chain=chain)


def order(*names: str, seed: str = "") -> Order:
    return Order(names=names, key=key_from_seed(seed or names[0]))


@pytest.mark.parametrize("protocol", ["rfc6962", "static"])
def test_what_a_log_holds_is_found_once_whatever_its_form(world: World, protocol: Protocol) -> None:
    pem = ssl.DER_cert_to_PEM_cert(AUTHORITY.final(order("old.heron.example", seed="heron"), [b"sct"]))
    world.watch("lookalike", WatchedItem(lookalike="harbour-pilots.example"))
    world.watch("keyword", WatchedItem(keyword="pilots"))
    world.watch("issuer", WatchedItem(issuer="*CN=Quay Trust*"))
    world.watch("wildcard", WatchedItem(domain="mail.shared.example"))
    world.watch("heron", WatchedItem(pem=pem))
    world.watch("unreadable", WatchedItem(domain="evil.example"))
    logs = [CtLog(protocol=protocol, seed=seed, origin=f"{seed}.example/log") for seed in ("one", "two")]
    for log in logs:
        append(log, order("harbour-pi1ots.example", "www.harbour-pi1ots.example"), authority=OTHER)
        append(log, order("pilots.example"), authority=OTHER)
        append(log, order("quiet.example"))
        append(log, order("*.shared.example"), authority=OTHER)
        append(log, order("old.heron.example", seed="heron"))
        append(log, order("new.heron.example", seed="heron"), authority=OTHER)
        append(log, order("harmless.example"), authority=OTHER)
        broken = TimestampedEntry(timestamp=1, entry_type=EntryType.X509, signed=b"\x30\x82www.evil.example\x00")
        log.append_raw(write_leaf(broken)) if protocol == "rfc6962" else append(log, order("www.evil.example"))
        follow(world, log)
    found = sorted((watch, rule) for watch, rule, _ in world.found())
    assert found == sorted(
        [
            ("lookalike", "lookalike-name"),
            ("keyword", "keyword-name"),
            ("wildcard", "wildcard-name"),
            ("heron", "known-certificate"),
            ("heron", "reused-key"),
            ("unreadable", "unreadable-certificate" if protocol == "rfc6962" else "certificate-name"),
            *[("issuer", "certificate-pattern")] * (2 if protocol == "rfc6962" else 3),
        ]
    )
    titles = " ".join(str(row[0]) for row in world.execute("SELECT title FROM finding WHERE status = 'open'"))
    assert "harbour-pi1ots.example, which looks like harbour-pilots.example: " in titles


@pytest.mark.parametrize(
    "name", ["f*.evil.example", "*.*.evil.example", "www..evil.example", "-x.evil.example", "x" * 64 + ".evil.example"]
)
def test_a_name_that_is_none_and_stands_under_a_watched_one_is_found(world: World, name: str) -> None:
    world.watch("watch", WatchedItem(domain="evil.example"), WatchedItem(domain="a.other.example"))
    log = CtLog(origin="one.example/log")
    append(log, order("good.example", name, seed="good"))
    append(log, order(name.replace("evil", "weevil"), seed="near miss"))
    append(log, order(name.replace("evil", "a.other"), seed="below"))
    follow(world, log)
    append(log, order("second.example", seed="below"))
    follow(world, log)
    found = sorted(rule for _, rule, _ in world.found())
    assert found == ["certificate-name", "certificate-name", "mixed-certificate", "reused-key"]


def test_a_certificate_without_scts_is_one_with_its_precertificate(world: World) -> None:
    """Its SCTs may come by another way (RFC 6962 3.3)."""
    wanted = order("quiet.example")
    digest = tbs_without_scts_sha256(AUTHORITY.issue(wanted)).hex()
    world.watch("tbs", WatchedItem(tbs=digest))
    world.watch("name", WatchedItem(domain="quiet.example"))
    log = CtLog(origin="one.example/log")
    log.append(AUTHORITY.issue(wanted), chain=[AUTHORITY.certificate])
    follow(world, log)
    assert sorted(found[:2] for found in world.found()) == [("name", "certificate-name"), ("tbs", "known-certificate")]
    log.append(AUTHORITY.precertificate(wanted), issuer_key_hash=AUTHORITY.key_hash, chain=[AUTHORITY.certificate])
    follow(world, log)
    assert sorted(world.found()) == [
        ("name", "certificate-name", f"sha256:{digest}"),
        ("tbs", "known-certificate", f"sha256:{digest}"),
    ]
