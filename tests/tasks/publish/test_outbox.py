from __future__ import annotations

import io
import itertools
import logging
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, text

from db import outbox
from db.engine import open_engine
from intel.config.notify import Channel, Notify
from intel.errors import ConfigError
from intel.settings import CHECKOUT
from lab.receivers import Receiver, free_port, mail_server, syslog_server, web_hook
from tasks.publish import outbox_send
from tasks.publish.outbox import ATTEMPTS, BACKOFF, Sent, _settle, enqueue, send_due
from tasks.publish.outbox_address import address
from tasks.publish.outbox_send import Attempt, Outcome, open_channel, send
from tasks.publish.outbox_text import clean, of_test
from tasks.watch.review import set_status
from tests import factories

SECRET: Final = "hunter2secret"
_NUMBERS: Final = itertools.count(1)
NIGHT: Final = datetime(2026, 3, 2, 3, tzinfo=UTC)
MORNING: Final = NIGHT + timedelta(hours=6)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    opened = open_engine(database_url, pooled=True)
    yield opened
    opened.dispose()


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with web_hook() as running:
        yield running


def soc(**values: Any) -> Notify:
    said = {"name": "soc", "url_from": "SOC", "tlp_ceiling": "TLP:AMBER"} | values
    return Notify(channels=(Channel(**said),))


def to(receiver: Receiver) -> Callable[[Channel], str]:
    return lambda _: f"json://user:{SECRET}@127.0.0.1:{receiver.port}/{SECRET}"


def new(engine: Engine, value: str = "login.example", **values: Any) -> int:
    with engine.begin() as connection:
        return made(connection, value, **values)


def made(connection: Connection, value: str, **values: Any) -> int:
    said = {"severity": 70, "title": f"{value} was listed", "found_at": func.clock_timestamp()} | values
    return factories.found(connection, value=value, **said)


def put(engine: Engine, notify: Notify, now: datetime = NIGHT) -> Any:
    with engine.begin() as connection:
        return enqueue(connection, notify, now=now)


def states(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {row["state"]: row["deliveries"] for row in outbox.counts(connection)}


def errors(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return [row["error"] for row in outbox.listed(connection)]


def reopen(engine: Engine, finding: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "WITH opened AS (UPDATE finding SET status = 'open', evidence_at = clock_timestamp() WHERE id = :id)"
                " INSERT INTO finding_event (finding_id, status, reason) VALUES (:id, 'reopened', 'new evidence')"
            ),
            {"id": finding},
        )


def test_what_is_new_is_sent_once_and_an_update_is_not_new(engine: Engine, hook: Receiver) -> None:
    old = new(engine, "old.example")
    put(engine, soc())
    finding = new(engine, "a.login.example", title="a.login.example leads to 203.0.113.9, see http://x.example/")
    assert put(engine, soc()).at_once == 1
    assert put(engine, soc()).at_once == 0
    assert send_due(engine, soc(), to(hook)) == Sent(sent=1)
    assert send_due(engine, soc(), to(hook)) == Sent()
    with engine.begin() as connection:
        connection.execute(text("UPDATE finding SET title = 'another', severity = 99 WHERE id = :id"), {"id": finding})
        set_status(connection, [finding, old], "dismissed", "ours", who="ann")
        set_status(connection, [finding, old], "open", who="ann")
    assert put(engine, soc()).at_once == 0
    [told] = hook.took
    assert told["title"] == (
        "[TLP:CLEAR] Finding: a[.]login[.]example leads to 203[.]0[.]113[.]9, see hxxp[://]x[.]example/"
    )
    assert f"lapsewatch why {finding}" in told["message"]
    reopen(engine, finding)
    assert put(engine, soc()).at_once == 1
    assert send_due(engine, soc(), to(hook)).sent == 1
    assert hook.took[1]["title"].startswith("[TLP:CLEAR] Reopened: another")
    assert states(engine) == {"sent": 2}


def test_what_is_beyond_the_budget_or_worth_less_stands_in_one_digest_a_day(engine: Engine, hook: Receiver) -> None:
    notify = soc(budget=2, minimum_severity=60, digest_from=30)
    put(engine, notify)
    for number in range(4):
        new(engine, f"n{number}.example", severity=60 + number)
    new(engine, "minor.example", severity=40)
    new(engine, "nothing.example", severity=10)
    new(engine, "lapse.example", severity=10, lapse=True)
    new(engine, "red.example", tlp=4)
    done = put(engine, notify)
    assert (done.at_once, done.held, done.digests) == (2, 4, 0)
    assert send_due(engine, notify, to(hook)).sent == 2
    # The best came first.
    assert [one["title"].rpartition(" was")[0][-12:] for one in hook.took] == ["n3[.]example", "n2[.]example"]
    with engine.begin() as connection:
        closed = connection.execute(text("SELECT id FROM finding WHERE title LIKE 'n0%'")).scalar_one()
        set_status(connection, closed, "dismissed", "ours")
    assert put(engine, notify, MORNING).digests == 1
    assert put(engine, notify, MORNING).digests == 0
    assert send_due(engine, notify, to(hook)).sent == 1
    digest = hook.took[2]
    assert digest["title"] == "[TLP:CLEAR] Digest: 3 findings"
    assert "n1[.]example" in digest["message"]
    assert "lapse: lapse[.]example" in digest["message"]
    assert "1 more waited" in digest["message"]
    assert "red" not in str(hook.took)
    assert "nothing" not in str(hook.took)
    assert put(engine, notify, MORNING + timedelta(days=1)).digests == 0
    assert states(engine) == {"sent": 3, "in a digest": 4}


def test_what_was_closed_or_became_stricter_is_dropped(engine: Engine, hook: Receiver) -> None:
    put(engine, soc())
    closed, stricter = new(engine, "closed.example"), new(engine, "stricter.example")
    put(engine, soc())
    with engine.begin() as connection:
        set_status(connection, closed, "dismissed", "ours")
        connection.execute(
            text("UPDATE fact SET tlp = 4 WHERE id IN (SELECT fact_id FROM finding_fact WHERE finding_id = :id)"),
            {"id": stricter},
        )
    assert send_due(engine, soc(), to(hook)) == Sent(dropped=2)
    assert states(engine) == {"dropped": 2}
    assert hook.took == []


def test_what_was_withdrawn_before_it_was_said_and_is_stated_again_is_said(engine: Engine, hook: Receiver) -> None:
    put(engine, soc())
    both = [new(engine, "back.example"), new(engine, "minor.example", severity=40)]
    assert put(engine, soc()).held == 1

    def become(status: str) -> None:
        with engine.begin() as connection:
            values = {"status": status, "ids": both}
            connection.execute(text("UPDATE finding SET status = :status WHERE id = ANY(:ids)"), values)

    become("withdrawn")
    assert send_due(engine, soc(), to(hook)) == Sent(dropped=1)
    assert put(engine, soc(), MORNING).digests == 0
    become("open")
    assert put(engine, soc(), MORNING).digests == 1
    assert send_due(engine, soc(), to(hook)).sent == 2
    become("withdrawn")
    become("open")
    assert put(engine, soc(), MORNING + timedelta(days=1)).at_once == 0
    assert send_due(engine, soc(), to(hook)) == Sent()
    assert len(hook.took) == 2


@pytest.mark.parametrize(("status", "outcome"), [(302, Outcome.DOUBTED), (307, Outcome.REFUSED)])
def test_a_redirection_is_no_receipt(hook: Receiver, status: int, outcome: Outcome) -> None:
    with web_hook() as elsewhere:
        hook.does, hook.location = [status], f"http://127.0.0.1:{elsewhere.port}/login"
        channel = open_channel("soc", f"json://127.0.0.1:{hook.port}/?redirect=yes")
        assert send(channel, of_test("soc")).outcome is outcome
        assert (len(hook.took), elsewhere.took) == (1, [])


def test_a_finding_that_commits_late_is_not_missed(engine: Engine) -> None:
    new(engine, "old.example")  # with watch and source, for which the two would wait
    put(engine, soc())
    with engine.connect() as late, late.begin():
        finding = made(late, "late.example")
        new(engine, "early.example")
        assert put(engine, soc()).at_once == 1
    assert put(engine, soc()).at_once == 1
    with engine.connect() as connection:
        assert next(row["finding"] for row in outbox.listed(connection)) == finding


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that reaches the root logger, where whoever runs it writes its logs."""
    root, taken = logging.getLogger(), io.StringIO()
    handler, before = logging.StreamHandler(taken), root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield taken
    root.removeHandler(handler)
    root.setLevel(before)


def test_failures_are_tried_again_later_and_given_up_and_no_secret_is_kept(
    engine: Engine, hook: Receiver, logged: io.StringIO
) -> None:
    hook.does = [503]
    put(engine, soc())
    new(engine)
    put(engine, soc())
    for attempt in range(ATTEMPTS):
        assert send_due(engine, soc(), to(hook)) == Sent(failed=1)
        with engine.begin() as connection:
            [row] = outbox.listed(connection)
            wait = row["due_at"] and row["due_at"] - datetime.now(UTC)
            assert (row["attempts"], row["state"]) == (
                attempt + 1,
                "waiting" if attempt + 1 < ATTEMPTS else "given up",
            )
            if wait is not None:
                assert abs(wait.total_seconds() - BACKOFF[attempt]) < 30
            connection.execute(text("UPDATE delivery SET due_at = clock_timestamp() WHERE due_at IS NOT NULL"))
    assert send_due(engine, soc(), to(hook)) == Sent()
    assert errors(engine) == ["couldn't send: the service answered with status 503"]
    with engine.begin() as connection:
        assert len(outbox.retry(connection, [row["delivery"] for row in outbox.listed(connection)])) == 1
    hook.does = ["take"]
    assert send_due(engine, soc(), to(hook)).sent == 1
    assert SECRET not in logged.getvalue()


def test_what_may_have_arrived_is_in_doubt_and_not_sent_again(
    engine: Engine, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_send, "TIMEOUT", 0.3)
    hook.does = ["drop", "hang", 504, "take"]
    put(engine, soc())
    for number in range(3):
        new(engine, f"n{number}.example")
    put(engine, soc())
    assert send_due(engine, soc(), to(hook)) == Sent(doubted=3)
    assert send_due(engine, soc(), to(hook)) == Sent()
    assert len(hook.took) == 3
    assert all(one.endswith("it may or may not have arrived, and is not sent again") for one in errors(engine))
    assert states(engine) == {"in doubt": 3}


@pytest.mark.slow
def test_a_sender_that_is_killed_after_sending_leaves_a_doubt(
    engine: Engine, hook: Receiver, database_url: str
) -> None:
    hook.does = ["hang"]
    put(engine, soc())
    new(engine)
    new(engine, "second.example")
    put(engine, soc())
    program = (
        "import sys\n"
        "from db.engine import open_engine\n"
        "from tests.tasks.publish.test_outbox import soc, send_due\n"
        "send_due(open_engine(sys.argv[1]), soc(), lambda _: sys.argv[2], claim_seconds=0.2)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program, database_url, f"json://127.0.0.1:{hook.port}/"],
        cwd=CHECKOUT,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
    )
    try:
        assert hook.arrived.acquire(timeout=60)
        assert set(states(engine)) <= {"sending", "in doubt", "waiting"}
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    hook.does = ["take"]
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_sleep(0.25)"))
    assert send_due(engine, soc(), to(hook)) == Sent(sent=1, doubted=1)
    assert states(engine) == {"sent": 1, "in doubt": 1}
    assert len(hook.took) == 2


def test_two_senders_share_the_work(engine: Engine, hook: Receiver) -> None:
    put(engine, soc())
    new(engine, "one.example")
    new(engine, "two.example")
    put(engine, soc())
    with engine.connect() as first, engine.connect() as second:
        taken = [outbox.claim(one, ["soc"], 60) for one in (first, second, second)]
        assert [one is None for one in taken] == [False, False, True]
        assert taken[0] is not None
        assert taken[1] is not None
        assert taken[0].id != taken[1].id


def test_mail_arrives_and_what_a_mail_server_says_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_send, "TIMEOUT", 0.3)
    with mail_server() as mail:
        mail.does = ["take", 550, 554, "drop", "hang"]
        where = f"mailto://127.0.0.1:{mail.port}/?from=lapsewatch@soc.example&to=duty@soc.example"
        service = open_channel("soc", where)
        service.request_rate_per_sec = 0
        outcomes = [send(service, of_test("soc")).outcome for _ in range(5)]
    assert outcomes == [Outcome.SENT, Outcome.REFUSED, Outcome.REFUSED, Outcome.DOUBTED, Outcome.DOUBTED]
    assert "Subject: Test of a channel" in mail.took[0]
    assert "says nothing about any finding" in mail.took[0].replace("=\r\n", "")
    closed = open_channel("soc", f"mailto://127.0.0.1:{free_port()}/?from=a@soc.example&to=b@soc.example")
    assert send(closed, of_test("soc")).outcome is Outcome.REFUSED


def test_syslog_gets_one_line() -> None:
    with syslog_server() as log:
        service = open_channel("soc", f"rsyslog://127.0.0.1:{log.port}/")
        assert send(service, of_test("soc")) == Attempt(outcome=Outcome.SENT)
        assert log.arrived.acquire(timeout=5)
    assert "Test of a channel" in log.took[0]
    assert "\n" not in log.took[0].strip()


def test_chat_gets_it_as_its_service_wants_it(hook: Receiver) -> None:
    hook.does = ["take", 500]
    service = open_channel("soc", f"mmost://127.0.0.1:{hook.port}/{'t' * 26}")
    service.request_rate_per_sec = 0
    assert [send(service, of_test("soc")).outcome for _ in range(2)] == [Outcome.SENT, Outcome.DOUBTED]
    assert "Test of a channel" in hook.took[0]["text"]


def test_statuses_and_closed_ports_are_told_apart(hook: Receiver) -> None:
    for status, outcome in (
        (400, Outcome.REFUSED),
        (429, Outcome.REFUSED),
        (500, Outcome.DOUBTED),
        (502, Outcome.DOUBTED),
    ):
        hook.does = [status]
        assert send(open_channel("soc", f"json://127.0.0.1:{hook.port}/"), of_test("soc")).outcome is outcome
    closed = send(open_channel("soc", f"json://127.0.0.1:{free_port()}/{SECRET}"), of_test("soc"))
    assert closed == Attempt(outcome=Outcome.REFUSED, why="ConnectionError")


def test_a_channel_that_cannot_be_used_keeps_what_it_has(
    engine: Engine, hook: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(engine, soc())
    new(engine)
    put(engine, soc())
    monkeypatch.delenv("SOC", raising=False)
    [problem] = send_due(engine, soc(), address).problems
    assert "environment variable SOC has no address" in problem
    for wrong in (f"nothing://{SECRET}", SECRET, f"json://{SECRET}:x:y"):
        monkeypatch.setenv("SOC", wrong)
        done = send_due(engine, soc(), address)
        assert (done.sent, SECRET in repr(done)) == (0, False)
    assert states(engine) == {"waiting": 1}
    monkeypatch.setenv("SOC", to(hook)(soc().channels[0]))
    assert send_due(engine, soc(), address).sent == 1


def test_channels_are_checked() -> None:
    for wrong in ({"url_from": "https://hook.example/"}, {"url_block": "a"}, {"tlp_ceiling": "pink"}, {"name": "A b"}):
        with pytest.raises(ValueError, match=r"url|TLP|name"):
            soc(**wrong)
    with pytest.raises(ValueError, match="same name"):
        Notify(channels=soc().channels * 2)
    with pytest.raises(ConfigError, match="Secret block"):
        address(Channel(name="soc", url_block="soc"))
    assert address(Channel(name="soc", url_block="soc"), block=lambda name: f"json://{name}") == "json://soc"


@given(st.text(max_size=300))
def test_others_words_are_sent_as_one_harmless_line(words: str) -> None:
    said = clean(words, 100)
    assert len(said) <= 100
    assert said.isprintable()
    assert not set("<>`\n") & set(said)
    assert "://" not in said
    assert "@" not in said.replace("[@]", "")


def test_indicators_are_defanged() -> None:
    assert clean("evil.example (2001:db8::7) at https://a.example/x.php?to=john%40b.example j***@b.example", 200) == (
        "evil[.]example (2001[:]db8[:][:]7) at hxxps[://]a[.]example/x[.]php?to=j***%40b[.]example j***[@]b[.]example"
    )


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("new"), st.integers(0, 1), st.integers(0, 100), st.booleans()),
        st.tuples(st.sampled_from(("reopen", "dismiss", "update")), st.integers(0, 9)),
        st.tuples(st.just("enqueue"), st.integers(0, 12)),
        st.tuples(st.just("send"), st.sampled_from(("sent", "refused", "doubted", "killed"))),
    ),
    min_size=5,
    max_size=30,
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(EVENTS)
def test_no_order_of_events_sends_a_key_twice_or_spends_more_than_the_budget(
    engine: Engine, events: list[tuple[Any, ...]]
) -> None:
    number = next(_NUMBERS)
    notify = soc(name=f"soc-{number}", budget=2, digest_from=10)
    name, now, findings, left = notify.channels[0].name, NIGHT, [], Counter[str]()
    put(engine, notify)
    for event, *said in events:
        if event == "new":
            watch, severity, lapse = said
            with engine.begin() as connection:
                watch_id = factories.watch(connection, f"watch {number} {watch}")
                value = f"n{len(findings)}.x{number}.example"
                findings.append(made(connection, value, watch_id=watch_id, severity=severity, lapse=lapse))
        elif event == "enqueue":
            now += timedelta(hours=said[0])
            put(engine, notify, now)
        elif event == "send":
            with engine.begin() as connection:
                outbox.settle_died(connection)
                claimed = outbox.claim(connection, [name], -1)
            if claimed is None:
                continue
            if said[0] != "refused":
                left[claimed.key] += 1
            if said[0] != "killed":
                with engine.begin() as connection:
                    _settle(connection, claimed, Attempt(outcome=Outcome(said[0])))
                    connection.execute(text("UPDATE delivery SET due_at = clock_timestamp() WHERE due_at > now()"))
        elif findings:
            finding = findings[said[0] % len(findings)]
            if event == "reopen":
                reopen(engine, finding)
            else:
                with engine.begin() as connection:
                    if event == "dismiss":
                        set_status(connection, finding, "dismissed", "ours", who="ann")
                    connection.execute(text("UPDATE finding SET severity = 80 WHERE id = :id"), {"id": finding})
    assert all(times == 1 for times in left.values())
    with engine.connect() as connection:
        at_once = connection.execute(
            text(
                "SELECT watch_id, day, count(*) FROM delivery WHERE channel = :name AND finding_id IS NOT NULL"
                " AND (due_at IS NOT NULL OR sent_at IS NOT NULL OR claimed_until IS NOT NULL OR error <> '')"
                " GROUP BY 1, 2"
            ),
            {"name": name},
        ).all()
    assert all(row.count <= 2 for row in at_once)
