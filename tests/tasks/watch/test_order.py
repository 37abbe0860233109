from __future__ import annotations

import random
import signal
import subprocess
import sys
import time

import pytest
from sqlalchemy import text

from db.engine import open_engine
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity
from intel.facts import Fact
from intel.settings import CHECKOUT
from tests.tasks.watch.world import Say, World, day


def _facts(say: type[Say], chooser: random.Random) -> list[Fact]:
    names = [f"{host}.{domain}.example" for host in "abc" for domain in ("evil", "bad", "good")]
    addresses = ["192.0.2.1", "192.0.2.2", "198.51.100.1"]
    facts = []
    for _ in range(60):
        on = chooser.randrange(8)
        name, address = chooser.choice(names), chooser.choice(addresses)
        facts.append(
            chooser.choice(
                [
                    lambda n=name, o=on: say.listed(n, on=o),
                    lambda n=name, o=on: say.claim(n, chooser.choice(["lab:one", "lab:two"]), on=o),
                    lambda a=address, o=on: say.claim(f"{a}:443", "lab:one", on=o),
                    lambda a=address, o=on: say.listed(a, on=o),
                    lambda n=name, a=address, o=on: say.resolves(n, a, on=o),
                    lambda n=name, o=on: say.registrant(n, chooser.choice(["x@m.example", "y@m.example"]), on=o),
                    lambda n=name, o=on: say.created(n, f"2026-01-0{1 + o}", on=o),
                ]
            )()
        )
    for number in range(1, 7):
        picked = chooser.sample(names, chooser.randrange(1, 3))
        key = chooser.randrange(3)
        facts += say.certificate(number, *picked, key=key, on=chooser.randrange(8))
        if number % 2:
            # The final certificate of what was logged as a precertificate.
            facts += say.certificate(number + 10, *picked, key=key, on=chooser.randrange(8))
            facts += [say.same(number + 10, number, chooser.randrange(8)), say.same(number + 20, number)]
        facts += _of_log(say, chooser, chooser.choice([number, number + 10]))
    return facts


def _of_log(say: type[Say], chooser: random.Random, number: int) -> list[Fact]:
    """What else a log says of a certificate: where it is, what it matches, its SHA-1; and who presents it."""
    patterns = ["lookalike:evil.example", "keyword:evil", "issuer:*evil*", f"serial:{'ab' * 32}/0{number % 4}"]
    raw = chooser.choice(["www.evil.example", "keyword:evil"])
    by_sha1 = entity(Kind.CERTIFICATE, f"{number:040x}")
    subject = entity(Kind.CERTIFICATE, f"{number:064x}")
    wrong = {"chain": "wrong"} if chooser.random() < 0.3 else {}
    return [
        say.logged(number, number, on=chooser.randrange(8), **wrong),
        say.logged(number, number, on=chooser.randrange(8), log="other-log"),
        *(say.matches(number, one, "evi1.example", on=chooser.randrange(8)) for one in chooser.sample(patterns, 2)),
        say.matches(number, "a.evil.example", "*.evil.example", on=chooser.randrange(8)),
        say.matches(number, raw, raw, on=chooser.randrange(8), state="unparsed"),
        Fact(subject=subject, predicate="same-as", object=by_sha1, event_time=day(chooser.randrange(8))),
        say.presents(f"198.51.100.{chooser.randrange(3)}:443", number, on=chooser.randrange(8)),
    ]


def _watches(world: World) -> None:
    world.watch("one", actor="lab:one", follow_actor=True)
    world.watch("two", WatchedItem(network="192.0.2.0/24"), actor="lab:two", follow_actor=True)
    world.watch("three", WatchedItem(domain="a.evil.example"), WatchedItem(domain="bad.example", since="2026-01-04"))
    patterns = [WatchedItem(lookalike="evil.example"), WatchedItem(keyword="evil", since="2026-01-03")]
    world.watch(
        "four", *patterns, WatchedItem(issuer="*evil*"), WatchedItem(domain="a.evil.example"), expected=[f"{2:064x}"]
    )
    known = [WatchedItem(certificate=f"{1:064x}"), WatchedItem(tbs=f"{12:064x}"), WatchedItem(key=f"{1:064x}")]
    world.watch("five", *known, WatchedItem(certificate=f"{3:040x}"), WatchedItem(serial=f"{'ab' * 32}/02"))
    world.watch("six", WatchedItem(domain="evil.example"), expected=[f"{1:064x}", f"{4:064x}", f"{13:064x}"])


def _clear(world: World) -> None:
    world.execute(
        "TRUNCATE finding_fact, finding, watch_item, watch, judgement, batch, fact, fact_history, link, cursor CASCADE"
    )


def _told(
    world: World, facts: list[Fact], chooser: random.Random, splits: int, *, watches_first: bool = True
) -> set[tuple[object, ...]]:
    """What is found when the facts come in `splits` batches, in an order of their own, watched at some time."""
    _clear(world)
    shuffled = chooser.sample(facts, len(facts))
    cuts = sorted(chooser.sample(range(1, len(facts)), splits - 1))
    begin = 0 if watches_first else chooser.randrange(splits)
    for number, (start, end) in enumerate(zip([0, *cuts], [*cuts, len(facts)], strict=True)):
        if number == begin:
            _watches(world)
        world.load_all(shuffled[start:end], source="feed")
        if chooser.random() < 0.7:
            world.monitor()
    world.monitor()
    return world.everything()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.slow
def test_the_order_and_size_of_batches_do_not_matter(world: World, say: type[Say], seed: int) -> None:
    chooser = random.Random(seed)
    facts = _facts(say, chooser)
    once = _told(world, facts, chooser, 1)
    assert len({row[1] for row in once}) > 13
    for splits in (2, 9):
        assert _told(world, facts, chooser, splits, watches_first=splits != 9) == once


_MONITOR = """
import sys
from db.engine import open_engine
from tasks.watch import certificates, registrations
from tasks.watch.certificates import CERTIFICATES
from tasks.watch.monitor import watch
from tasks.watch.registrations import REGISTRATIONS
from tasks.pivot.hub_lists import lists
lists()
print("ready", flush=True)
sys.stdin.readline()
engine = open_engine(sys.argv[1])
for monitor in (REGISTRATIONS, CERTIFICATES):
    watch(engine, monitor, chunk=8)
print("done", flush=True)
"""


def _start(world: World) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _MONITOR, world.url],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_a_monitor_killed_anywhere_leaves_nothing_missed_and_nothing_doubled(world: World, say: type[Say]) -> None:
    chooser = random.Random(11)
    facts = _facts(say, chooser)

    def prepare() -> None:
        _clear(world)
        for start in range(0, len(facts), 16):
            world.load_all(facts[start : start + 16])
        _watches(world)

    prepare()
    start = time.perf_counter()
    process = _start(world)
    start = time.perf_counter()
    process.communicate("go\n", timeout=60)
    took = time.perf_counter() - start
    undisturbed = world.everything()
    assert undisturbed
    killed = 0
    for _ in range(5):
        prepare()
        process = _start(world)
        process.stdin.write("go\n")
        process.stdin.flush()
        time.sleep(chooser.uniform(0.02, 0.9) * took)
        process.send_signal(signal.SIGKILL)
        killed += "done" not in process.communicate(timeout=60)[0]
        _wait_until_gone(world)
        world.monitor()
        assert world.everything() == undisturbed
        assert world.monitor() == 0
    assert killed >= 3


def _wait_until_gone(world: World) -> None:
    """The server notices a dead client at its next message; the lock goes with the session."""
    engine = open_engine(world.url)
    for _ in range(200):
        with engine.connect() as connection:
            held = connection.execute(
                text(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database ="
                    " (SELECT oid FROM pg_database WHERE datname = current_database())"
                )
            ).scalar_one()
        if not held:
            return
        time.sleep(0.02)
    raise AssertionError("a killed monitor still holds its lock")


def test_a_watch_added_while_a_batch_is_judged_misses_nothing(world: World, say: type[Say]) -> None:
    world.watch("first", WatchedItem(domain="evil.example"))
    world.monitor()
    world.load(say.listed("a.evil.example"), say.listed("a.bad.example"))
    # The batch is judged in a transaction that began before the watch was committed.
    from tasks.watch.monitor import _judge
    from tasks.watch.registrations import REGISTRATIONS

    [(batch_id,)] = world.execute("SELECT id FROM batch")
    with world.engine.begin() as connection:
        _judge(connection, monitor=REGISTRATIONS, batch_id=batch_id)
        world.watch("second", WatchedItem(domain="bad.example"))
    world.monitor()
    assert world.found() == {("first", "same-domain", "a.evil.example"), ("second", "same-domain", "a.bad.example")}


def test_a_monitor_at_work_keeps_another_out(world: World) -> None:
    from db import runs
    from intel.errors import BusyError
    from tasks.watch import registrations

    with runs.exclusive(world.engine, "monitor:registrations"), pytest.raises(BusyError):
        registrations.monitor(world.engine)
