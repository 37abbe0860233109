"""Benchmark `whois`: our reading of real WHOIS replies beside python-whois' and asyncwhois'.

In: `registration/whois` of the real data (`_whois_corpus.py` says whose replies they are and what is known of them).
Each reply is read by the three in turn, each as text decoded by us and with the same domain; the peers in processes of
their own, ended after 0.5 s of CPU, ours with its own cap. A value counts as

- right: a date on the golden's day (in UTC or as written), the same set of name servers, the same text case-folded;
  for ours, a text that stands beside a state (a redaction's wording, a proxy's name) counts like a value, for the
  peers and the golden know no states;
- wrong: anything else that was said; missing: nothing was said; besides: said where the golden is silent.

Of python-whois a lone flat e-mail counts as the registrant's. likexian's dates written 03/02/2020 are read in the order
that another date of the same reply shows, where likexian guessed another ("mended").

Outcomes: a peer that raises "not found" says available, any other error is a failure, and a quota's error would count
as throttled. `false_available` are refusals and records that are called available.

Servers whose name's SHA-256 begins with 8 to f were kept aside while the reader was written. `LAPSEWATCH_BENCH_HALF`
(`develop`) leaves them out, and then every difference is listed.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from intel.errors import ConfigError
from intel.registration import DateField, Field, FieldState, Outcome, Registration
from intel.registration_words import read_words
from intel.settings import CHECKOUT
from lab.bench._whois_corpus import DATES, FIELDS, TEXTS, Case, Golden, cases, same
from lab.bench.result import Result, Table
from tasks.normalize.registration_dates import date_field
from tasks.normalize.whois import LIBRARY, LINES, decoded, read_whois
from tasks.normalize.whois_worker import LibraryReading, WhoisWorker

READERS: Final = ("ours", "python_whois", "asyncwhois")
CPU_SECONDS: Final = 0.5
_CHILD: Final = Path(__file__).with_name("_whois_child.py")
_ZONE: Final = re.compile(r" {0,2}\(?(?:[A-Z]{3,4}|(?:UTC|GMT)?[+-]\d{1,2}:?\d{0,2})\)?$")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What a reader made of a reply, in the corpus' words: a day may be known in several forms."""

    outcome: str
    values: Mapping[str, frozenset[Golden]]
    cpu: float


@dataclass(kw_only=True)
class Tally:
    """How one reader fared on one half: (field, verdict) -> count, and (expected, outcome) -> count."""

    fields: Counter[tuple[str, str]] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    slowest: float = 0.0
    differing: list[tuple[str, str, str, str]] = field(default_factory=list)

    def share(self, names: Iterable[str]) -> float:
        """Right answers among all that have a golden value, from 0 to 1."""
        right = sum(self.fields[name, "right"] for name in names)
        return right / max(1, sum(self.of(name) for name in names))

    def of(self, name: str) -> int:
        """Golden values of a field."""
        return sum(self.fields[name, verdict] for verdict in ("right", "wrong", "missing"))


def run() -> Result:
    """Read every reply three times. Raises ConfigError where the data or a peer is missing."""
    root = Path(os.environ.get("LAPSEWATCH_DATA") or CHECKOUT.parent / "shared" / "data") / "registration" / "whois"
    if not root.is_dir():
        raise ConfigError(f"couldn't run the benchmark whois: there is no data in {root}; set LAPSEWATCH_DATA")
    developing = os.environ.get("LAPSEWATCH_BENCH_HALF") == "develop"
    corpus = [case for case in cases(root) if not (developing and case.aside)]
    tallies = {(reader, aside): Tally() for reader in READERS for aside in (False, True)}
    with WhoisWorker() as worker, _peer("python_whois") as library, _peer("asyncwhois") as other:
        mine = Ours(worker)
        for reader, read in (
            ("ours", mine),
            ("python_whois", _Peer(library)),
            ("asyncwhois", _Peer(other)),
        ):
            for case in corpus:
                count(tallies[reader, case.aside], case, read(case))
    halves = [(False, "develop"), *([] if developing else [(True, "kept aside")])]
    tables = [table for aside, title in halves for table in _half(corpus, tallies, aside, title)]
    tables.append(_winners(mine.won))
    if developing:
        tables.append(_differences(tallies["ours", False]))
    return Result(tables=tuple(tables), figures=_figures(corpus, tallies))


class Ours:
    """Our reader with python-whois in its worker, as enrichment uses it."""

    def __init__(self, worker: WhoisWorker) -> None:
        self._worker = worker
        self.won: Counter[tuple[str, str]] = Counter()
        self._words = read_words((CHECKOUT / "configs" / "registration.yaml").read_bytes())

    def __call__(self, case: Case) -> Reading:
        """One reply; likexian's come without their server's name."""
        body = case.path.read_bytes()
        before = _cpu(self._worker)
        found = read_whois(
            body,
            self._words,
            domain=case.domain,
            server=case.server if "." in case.server else "",
            library=self._worker.read,
        )
        after = _cpu(self._worker)
        # A child that was killed took its CPU time with it: it had used what it was allowed.
        spent = after[0] - before[0] + (after[1] - before[1] if after[2] == before[2] else 0.25)
        self.won.update(_readers(found))
        text = decoded(body, server=case.server, domain=case.domain)
        return Reading(outcome=_OUTCOMES.get(found.outcome, str(found.outcome)), values=_ours(found, text), cpu=spent)


_OUTCOMES: Final = {Outcome.NOT_FOUND: "available"}


def _dates(found: Registration) -> dict[str, DateField]:
    return {"created": found.created, "updated": found.updated, "expires": found.expires}


def _texts(found: Registration) -> dict[str, Field]:
    return {
        "registrar": found.registrar,
        "organisation": found.registrant.organisation,
        "name": found.registrant.name,
        "email": found.registrant.email,
    }


def _readers(found: Registration) -> list[tuple[str, str]]:
    """The field and its reader of all that is not absent."""
    fields: dict[str, DateField | Field] = {**_dates(found), **_texts(found)}
    said = [(name, one.reader) for name, one in fields.items() if one.state is not FieldState.ABSENT]
    return [*said, *([("name_servers", found.name_servers_reader)] if found.name_servers else [])]


def _ours(found: Registration, text: str) -> dict[str, frozenset[Golden]]:
    values: dict[str, frozenset[Golden]] = {}
    for name, one in _dates(found).items():
        if one.at is not None:
            values[name] = frozenset({one.at.date().isoformat(), _written(text, one)})
    for name, field_ in _texts(found).items():
        if said := field_.value or field_.text:
            values[name] = frozenset({same(said)})
    if found.name_servers:
        values["name_servers"] = frozenset({frozenset(found.name_servers)})
    return values


def _written(text: str, one: DateField) -> str:
    """The day of a date as it stands in the reply, whatever its offset makes of it in UTC."""
    assert one.at is not None
    start, _, end = one.where.partition("-")
    read = date_field(_ZONE.sub("", text[int(start) : int(end)]), where="", reader="") if end else one
    return (read.at or one.at).date().isoformat()


class _Peer:
    """A peer in its child."""

    def __init__(self, worker: WhoisWorker) -> None:
        self._worker = worker

    def __call__(self, case: Case) -> Reading:
        """One reply."""
        found = self._worker.read(case.domain, decoded(case.path.read_bytes()))
        return Reading(outcome=_peers_outcome(found), values=_peers(found.fields), cpu=0.0)


def _peer(name: str) -> WhoisWorker:
    made = WhoisWorker(cpu_seconds=CPU_SECONDS, wall_seconds=5.0, command=(str(_CHILD), name))
    if made.read("a.test", "Domain Name: a.test\n").status == "killed":
        made.close()
        raise ConfigError(f"couldn't run the benchmark whois: {name} is not installed; it is in the extra `bench`")
    return made


def _peers_outcome(found: LibraryReading) -> str:
    if found.status == "not_found":
        return "available"
    if found.status == "ok":
        return "registered" if found.fields else "nothing"
    return "throttled" if "Quota" in found.detail else found.status


def _peers(fields: Mapping[str, tuple[tuple[str, str], ...]]) -> dict[str, frozenset[Golden]]:
    values: dict[str, frozenset[Golden]] = {}
    for name, found in fields.items():
        if name in DATES:
            # Several dates: the first is what it means, as its own documentation has it.
            days = [day for kind, text in found[:1] if kind == "t" for day in _days(text)]
            values[name] = frozenset(days or ["unread"])
        elif name == "name_servers":
            hosts = {same(line.split()[0]) for _, text in found for line in text.splitlines() if line.split()}
            values[name] = frozenset({frozenset(hosts)})
        elif said := same(found[0][1]):
            values[name] = frozenset({said})
    return values


def _days(text: str) -> list[str]:
    at = datetime.fromisoformat(text)
    return [at.date().isoformat(), *([at.astimezone(UTC).date().isoformat()] if at.tzinfo else [])]


def count(tally: Tally, case: Case, read: Reading) -> None:
    """Add what one reader made of one reply."""
    tally.outcomes[case.expected, read.outcome] += 1
    tally.slowest = max(tally.slowest, read.cpu)
    name = "/".join(case.path.parts[-3:])
    if case.expected not in (read.outcome, "other"):
        tally.differing.append((name, "outcome", case.expected, read.outcome))
    if not case.golden:
        return
    for one in FIELDS:
        golden, said = case.golden.get(one), read.values.get(one)
        if golden is None:
            verdict = "besides" if said else ""
        else:
            verdict = "missing" if not said else "right" if golden in said else "wrong"
        if verdict:
            tally.fields[one, verdict] += 1
        if verdict in ("wrong", "missing", "besides"):
            tally.differing.append((name, f"{one} {verdict}", _shown(golden), _shown(*(said or ()))))


def _shown(*values: Golden | None) -> str:
    parts = [" ".join(sorted(value)) if isinstance(value, frozenset) else value or "" for value in values]
    return " | ".join(sorted(parts))[:200]


def _cpu(worker: WhoisWorker) -> tuple[float, float, int | None]:
    """Seconds of CPU: of this process, of the worker's child, and the child's id."""
    pid = worker.pid
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return time.process_time(), (int(fields[11]) + int(fields[12])) / _TICKS, pid
    except (OSError, IndexError):
        return time.process_time(), 0.0, pid


def _half(corpus: list[Case], tallies: Mapping[tuple[str, bool], Tally], aside: bool, title: str) -> list[Table]:
    mine = [case for case in corpus if case.aside == aside]
    mended = sum(case.mended for case in mine)
    rows: list[tuple[str | int | float, ...]] = []
    for name in FIELDS:
        row: list[str | int | float] = [name, tallies["ours", aside].of(name)]
        for reader in READERS:
            one = tallies[reader, aside]
            counts = " / ".join(str(one.fields[name, verdict]) for verdict in ("right", "wrong", "missing"))
            row += [f"{counts} (+{one.fields[name, 'besides']})", round(100 * one.share((name,)), 1)]
        rows.append(tuple(row))
    fields = Table(
        title=f"{title}: {sum(bool(case.golden) for case in mine)} replies with values, {mended} dates mended; "
        "right / wrong / missing (+ besides), and right of n",
        columns=("field", "n", *(column for reader in READERS for column in (reader, "%"))),
        rows=tuple(rows),
    )
    return [fields, _outcome_table(mine, tallies, aside, title)]


def _outcome_table(mine: list[Case], tallies: Mapping[tuple[str, bool], Tally], aside: bool, title: str) -> Table:
    rows: list[tuple[str | int | float, ...]] = []
    for expected, count in sorted(Counter(case.expected for case in mine).items()):
        said = [
            ", ".join(
                f"{outcome} {number}"
                for (wanted, outcome), number in tallies[reader, aside].outcomes.most_common()
                if wanted == expected
            )
            for reader in READERS
        ]
        rows.append((expected, count, *said))
    slowest = round(tallies["ours", aside].slowest, 2)
    return Table(
        title=f"{title}: outcomes of {len(mine)} replies; ours took at most {slowest} s of CPU for one",
        columns=("expected", "n", *READERS),
        rows=tuple(rows),
    )


def _winners(won: Counter[tuple[str, str]]) -> Table:
    return Table(
        title="Whose reading stands in ours, of all replies: the library's where both read the same or it read alone",
        columns=("field", "python-whois", "our lines"),
        rows=tuple((name, won[name, LIBRARY], won[name, LINES]) for name in FIELDS),
    )


def _differences(tally: Tally) -> Table:
    return Table(
        title="Where ours differs", columns=("reply", "what", "golden", "ours"), rows=tuple(sorted(tally.differing))
    )


def _figures(corpus: list[Case], tallies: Mapping[tuple[str, bool], Tally]) -> dict[str, Any]:
    whole = {reader: _joined(tallies[reader, False], tallies[reader, True]) for reader in READERS}
    aside = {reader: tallies[reader, True] for reader in READERS}

    def recognised(tally: Tally, expected: str, *outcomes: str) -> float:
        among = sum(count for (wanted, _), count in tally.outcomes.items() if wanted == expected)
        return round(sum(tally.outcomes[expected, outcome] for outcome in outcomes) / max(1, among), 4)

    def shares(of: Mapping[str, Tally]) -> dict[str, dict[str, float]]:
        return {name: {reader: round(of[reader].share((name,)), 4) for reader in READERS} for name in FIELDS}

    def summary(of: Mapping[str, Tally]) -> dict[str, Any]:
        ours = of["ours"]
        return {
            **shares(of),
            "dates": {reader: round(of[reader].share(DATES), 4) for reader in READERS},
            "texts": {reader: round(of[reader].share(TEXTS), 4) for reader in READERS},
            "throttled_recognised": recognised(ours, "throttled", "throttled"),
            "refused_recognised": recognised(ours, "blocked", "throttled", "blocked"),
            "available_recognised": recognised(ours, "available", "available"),
            "false_available": false_available(ours),
            "slowest_cpu_s": round(ours.slowest, 3),
        }

    return {"replies": len(corpus), **summary(whole), "kept_aside": summary(aside)}


def false_available(tally: Tally) -> int:
    """Refusals and records that are called available."""
    return sum(
        count
        for (expected, outcome), count in tally.outcomes.items()
        if outcome == "available" and expected in {"throttled", "blocked", "registered"}
    )


def _joined(one: Tally, other: Tally) -> Tally:
    return Tally(
        fields=one.fields + other.fields,
        outcomes=one.outcomes + other.outcomes,
        slowest=max(one.slowest, other.slowest),
    )
