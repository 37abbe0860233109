"""Servers that misbehave, asked as Lapsewatch asks: every question ends, in time, with an outcome that is right."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from db.entities import ensure_entities
from db.lookup_queue import Priority, want
from intel.entities import Kind, entity
from intel.errors import CollectError, ReadError, RefusedError, UnreachableError
from intel.registration import FieldState, Outcome
from intel.registration_words import read_words
from lab.registration_records import DAY_ONE, Registry, history, register
from lab.registries import Plan, registries
from lab.registries_faults import COMMON, FORBIDDEN, RDAP, WHOIS, redirect_to, refer_to, unaccepted
from tasks.collect import rdap as rdap_client
from tasks.collect.fetched import utc_now
from tasks.collect.http import HttpLimits, NetworkPolicy, open_client
from tasks.collect.whois import WhoisLimits
from tasks.enrich.look_up import look_up
from tasks.normalize.rdap import read_rdap
from tasks.normalize.whois import read_whois
from tasks.normalize.whois_worker import WhoisWorker
from tests.asking import follow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from intel.registration import Registration
    from lab.registries import Registries
    from lab.registries_faults import Fault
    from tests.homes import Home

WORDS = read_words((Path(__file__).parents[3] / "configs" / "registration.yaml").read_bytes())
NAME: Final = "lapse.example"
QUICK: Final = HttpLimits(max_bytes=1 << 20, max_seconds=1.5, read_seconds=1.0, connect_seconds=1.0, max_redirects=3)
QUICK_WHOIS: Final = WhoisLimits(hop_seconds=1.5, connect_seconds=1.0)
SLACK: Final = 1.5
"""Seconds that a question may take beyond its deadline, on a machine that others use too."""

FAILED: Final = {Outcome.TIMEOUT, Outcome.MALFORMED}
KNOWN: Final = {Outcome.REGISTERED}
READ: Final = {Outcome.REGISTERED, Outcome.MALFORMED}
EXPECTED: Final[dict[str, set[str]]] = {
    "cut": FAILED | KNOWN,
    "cut quietly": FAILED | KNOWN,
    "wrong media type": KNOWN,
    "redirect to itself": {"refused"},
    "a long number": READ,
    "a huge exponent": READ,
    "many entities": READ,
    "a long string": READ,
    **dict.fromkeys(WHOIS, KNOWN),
    "UTF-16": READ,
    "NULs": READ,
}
"""What may come of a fault; of all others, that there was no answer that says anything."""

_connected: list[tuple[str, int]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.connect" and isinstance(arguments[1], tuple):
        _connected.append(arguments[1][:2])


sys.addaudithook(_audit)


@pytest.fixture
def connected() -> list[tuple[str, int]]:
    """Every address that this process has tried to reach since."""
    _connected.clear()
    return _connected


@pytest.fixture(scope="module")
def net() -> Iterator[Registries]:
    registry = Registry(versions={NAME: history((DAY_ONE, register()))})
    with registries([Plan(name="lab", registry=registry, suffixes=("example",), thin=False)]) as made:
        yield made


@pytest.fixture(scope="module")
def client(net: Registries) -> Iterator[httpx.Client]:
    with open_client(NetworkPolicy(allow=net.allow), user_agent="lapsewatch-test", limits=QUICK) as made:
        yield made


@pytest.fixture(scope="module")
def worker() -> Iterator[WhoisWorker]:
    with WhoisWorker() as made:
        yield made


def ended(error: Exception) -> str:
    """How a question without an answer ends, as `tasks.enrich.answers` has it."""
    if isinstance(error, RefusedError):
        return "refused"
    return Outcome.TIMEOUT if isinstance(error, UnreachableError) else Outcome.MALFORMED


def over_rdap(net: Registries, client: httpx.Client, fault: Fault) -> tuple[str, Registration | None]:
    site = net.sites["rdap lab"]
    site.fault = fault
    try:
        answer = rdap_client.fetch_answer(client, f"{site.url}/domain/{NAME}", limits=QUICK)
    except (CollectError, ReadError) as error:
        return ended(error), None
    finally:
        site.fault = None
    read = read_rdap(answer.body, answer.status, WORDS, domain=NAME)
    return read.outcome, read


def over_whois(net: Registries, worker: WhoisWorker, fault: Fault) -> tuple[str, Registration | None]:
    site = net.sites["whois lab"]
    site.fault = fault
    try:
        answer = follow(site.where[0], NAME, port=site.where[1], allow=net.allow, limits=QUICK_WHOIS)
    except (CollectError, ReadError) as error:
        return ended(error), None
    finally:
        site.fault = None
    hop = answer.hops[0]
    read = read_whois(hop.body, WORDS, domain=NAME, cut=hop.cut, library=worker.read)
    return read.outcome, read


@pytest.mark.parametrize("name", [*COMMON, *RDAP])
def test_an_rdap_server_that_misbehaves_ends_in_time(
    net: Registries, client: httpx.Client, connected: list[tuple[str, int]], name: str
) -> None:
    began, cpu = time.monotonic(), time.process_time()
    outcome, _ = over_rdap(net, client, (COMMON | RDAP)[name])
    assert outcome in EXPECTED.get(name, FAILED)
    assert time.monotonic() - began < QUICK.max_seconds + SLACK
    # The lab's side is in this process too, and sends as fast as it can.
    assert time.process_time() - cpu < QUICK.max_seconds + SLACK
    assert set(connected) <= net.allow


@pytest.mark.parametrize("name", [*COMMON, *WHOIS])
def test_a_whois_server_that_misbehaves_ends_in_time(
    net: Registries, worker: WhoisWorker, connected: list[tuple[str, int]], name: str
) -> None:
    began = time.monotonic()
    outcome, _ = over_whois(net, worker, (COMMON | WHOIS)[name])
    assert outcome in EXPECTED.get(name, FAILED)
    assert time.monotonic() - began < QUICK_WHOIS.hop_seconds + SLACK
    assert set(connected) <= net.allow


@pytest.mark.parametrize("name", ["KOI8-R", "Shift-JIS", "Latin-1", "invalid bytes", "escape sequences"])
def test_a_record_in_an_encoding_that_nobody_names_keeps_its_other_fields(
    net: Registries, worker: WhoisWorker, name: str
) -> None:
    _, read = over_whois(net, worker, WHOIS[name])
    assert read is not None
    assert read.created.at == DAY_ONE
    assert read.registrant.email.value == "ada@registrant.example"
    assert read.name_servers == ("ns1.hosting.example", "ns2.hosting.example")
    assert read.registrant.name.state in {FieldState.VALUE, FieldState.UNPARSED}


@pytest.mark.parametrize("host", FORBIDDEN)
def test_a_redirect_into_private_ranges_is_refused(
    net: Registries, client: httpx.Client, connected: list[tuple[str, int]], host: str
) -> None:
    assert over_rdap(net, client, redirect_to(f"http://{host}:8080/domain/{NAME}"))[0] == "refused"
    assert over_rdap(net, client, redirect_to(f"https://{host}/domain/{NAME}"))[0] == "refused"
    assert set(connected) <= net.allow


@pytest.mark.parametrize("location", ["file:///etc/hostname", "gopher://10.0.0.1/", "//10.0.0.1/x", "http:", "\\\\x"])
def test_a_redirect_to_what_is_no_web_address_is_refused(
    net: Registries, client: httpx.Client, connected: list[tuple[str, int]], location: str
) -> None:
    assert over_rdap(net, client, redirect_to(location))[0] in {"refused", *FAILED}
    assert set(connected) <= net.allow


@pytest.mark.parametrize("host", [*FORBIDDEN, "127.0.0.1:22", "10.0.0.1:43", "localhost:1"])
def test_a_whois_referral_into_private_ranges_is_refused_and_the_registrys_word_kept(
    net: Registries, connected: list[tuple[str, int]], host: str
) -> None:
    site = net.sites["whois lab"]
    site.fault = refer_to(host)
    try:
        answer = follow(site.where[0], NAME, port=site.where[1], allow=net.allow)
    finally:
        site.fault = None
    assert len(answer.hops) == 1
    assert read_whois(answer.hops[0].body, WORDS, domain=NAME).outcome is Outcome.REGISTERED
    assert set(connected) <= net.allow


@pytest.mark.parametrize("host", FORBIDDEN)
def test_an_rdap_link_into_private_ranges_is_refused(
    net: Registries, client: httpx.Client, connected: list[tuple[str, int]], host: str
) -> None:
    outcome, read = over_rdap(net, client, refer_to(host))
    assert (outcome, read is not None) == (Outcome.REGISTERED, True)
    with pytest.raises(RefusedError):
        rdap_client.fetch_answer(client, f"http://{host}/domain/{NAME}", limits=QUICK)
    assert set(connected) <= net.allow


@pytest.mark.parametrize("full", [False, True])
def test_a_port_at_which_nobody_accepts_ends_in_time(full: bool) -> None:
    with (
        unaccepted(full=full) as where,
        open_client(NetworkPolicy(allow=frozenset({where})), user_agent="lapsewatch-test", limits=QUICK) as client,
    ):
        began = time.monotonic()
        with pytest.raises(UnreachableError):
            rdap_client.fetch_answer(client, f"http://{where[0]}:{where[1]}/domain/{NAME}", limits=QUICK)
        with pytest.raises(UnreachableError):
            follow(where[0], NAME, port=where[1], allow=frozenset({where}), limits=QUICK_WHOIS)
        assert time.monotonic() - began < QUICK.max_seconds + QUICK_WHOIS.hop_seconds + 2 * SLACK


def through_the_queue(
    home: Home,
    names: list[str],
    *,
    seconds: float,
    now: datetime | None = None,
    clock: Callable[[], datetime] = utc_now,
    **lookups: Any,
) -> None:
    """Want to know of all of them, at the reach of what an analyst watches, and look up until nothing is due."""
    home.lookups(**{"rdap_servers": {}, "whois_servers": {}, "workers": 64, **lookups})
    entities = [entity(Kind.DOMAIN, name) for name in names]
    with home.engine.begin() as connection:
        ids = ensure_entities(connection, entities)
        want(
            connection, list(ids.values()), priority=Priority.NEW_DOMAIN, reason="new domain", reach="registrar",
            due_at=now or datetime.now(UTC),
        )  # fmt: skip
    look_up(home.engine, seconds=seconds, clock=clock)


def outcomes(home: Home) -> dict[str, str]:
    rows = home.rows("SELECT e.value, l.outcome FROM lookup l JOIN entity e ON e.id = l.entity_id")
    return {row.value: row.outcome for row in rows}


def each(faults: dict[str, Fault], protocol: str) -> tuple[list[Plan], dict[str, str]]:
    """A registry for each fault, with one name: (plans, name of the domain -> name of the fault)."""
    names = {f"{protocol}-{number}.example": fault for number, fault in enumerate(faults)}
    plans = [
        Plan(
            name=name,
            registry=Registry(versions={name: history((DAY_ONE, register()))}),
            suffixes=(name,),
            rdap=protocol == "rdap",
            whois=protocol == "whois",
            thin=False,
        )
        for name in names
    ]
    return plans, names


REFERRALS: Final = {f"referral to {host}": refer_to(host) for host in FORBIDDEN}
REDIRECTS: Final = {f"redirect to {host}": redirect_to(f"http://{host}/domain/x.example") for host in FORBIDDEN}


@pytest.mark.slow
def test_faults_through_the_queue_end_in_time_and_cost_nobody_else_anything(
    home: Home, connected: list[tuple[str, int]]
) -> None:
    over_rdap = COMMON | RDAP | REDIRECTS | REFERRALS
    over_whois = COMMON | WHOIS | REFERRALS
    rdap_plans, rdap_names = each(over_rdap, "rdap")
    whois_plans, whois_names = each(over_whois, "whois")
    with registries([*rdap_plans, *whois_plans]) as net:
        for name, fault in rdap_names.items():
            net.sites[f"rdap {name}"].fault = over_rdap[fault]
        for name, fault in whois_names.items():
            net.sites[f"whois {name}"].fault = over_whois[fault]
        home.allow(*net.allow)
        servers = {
            "rdap_servers": {name: net.sites[f"rdap {name}"].url for name in rdap_names},
            "whois_servers": {name: net.sites[f"whois {name}"].key for name in whois_names},
        }
        began = time.monotonic()
        through_the_queue(home, [*rdap_names, *whois_names], seconds=120, bootstrap=net.bootstrap, **servers)
        took = time.monotonic() - began
        ended = outcomes(home)
        asked = [(one.site, one.about) for one in net.queries if "example" in one.about]
    wrong = {}
    for name, fault in (rdap_names | whois_names).items():
        right = EXPECTED.get(fault, FAILED)
        right = KNOWN if fault in REFERRALS else {"refused"} if fault in REDIRECTS else right
        if ended[name] not in right:
            wrong[name] = (fault, ended[name])
    assert wrong == {}
    assert took < 75
    assert set(connected) <= net.allow | home.internet.allow
    # A redirect to itself is followed a few times; nothing else is asked twice.
    loops = {name for name, fault in rdap_names.items() if fault == "redirect to itself"}
    twice = [one for one in asked if asked.count(one) > 1 and one[1].removeprefix("domain/") not in loops]
    assert twice == []


ENDED: Final = """
SELECT e.value FROM fact f JOIN entity e ON e.id = f.subject_id
WHERE f.state = 'value' AND (
    SELECT h.ended FROM fact_history h WHERE h.fact_id = f.id ORDER BY h.event_time DESC, h.ended DESC LIMIT 1)
"""


UNFINISHED: Final = {name: COMMON[name] for name in ("cut", "cut quietly", "close", "endless", "reset")}


def test_an_answer_that_is_not_whole_ends_nothing_that_it_did_not_come_to(home: Home) -> None:
    rdap_plans, rdap_names = each(UNFINISHED, "rdap")
    whois_plans, whois_names = each(UNFINISHED, "whois")
    names = rdap_names | whois_names
    with registries([*rdap_plans, *whois_plans]) as net:
        home.allow(*net.allow)
        servers = {
            "rdap_servers": {name: net.sites[f"rdap {name}"].url for name in rdap_names},
            "whois_servers": {name: net.sites[f"whois {name}"].key for name in whois_names},
        }
        through_the_queue(home, list(names), seconds=20, bootstrap=net.bootstrap, **servers)
        assert set(outcomes(home).values()) == {"registered"}
        for name, fault in names.items():
            net.sites[f"{'rdap' if name in rdap_names else 'whois'} {name}"].fault = UNFINISHED[fault]
        later = datetime.now(UTC) + timedelta(days=3)
        through_the_queue(
            home, list(names), seconds=20, bootstrap=net.bootstrap, now=later, clock=lambda: later, **servers
        )
        assert [sum(name in one.about for one in net.queries) for name in names] == [2] * len(names)
    assert home.rows("SELECT 1 FROM fact WHERE qualifiers->>'field' = 'email' AND state = 'value'")
    assert {(names[row.value], row.value[:4]) for row in home.rows(ENDED)} == set()
