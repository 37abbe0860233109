"""Domains and models in, findings of rule `alike` out: what is registered as a watch's known domains are.

A model is what is known of one actor's habits, and above how many bits a domain is shown. What a finding rests on are
the facts of the traits that speak for it (new), and those of the known domains that have most of them too (known).
The tables are those of a monitor's transaction (db/watching_match.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from db import alike, finding_queue, finding_suppressions, ownership, watching_expected, watching_store
from db.profiles import profiles
from db.registrars import known_registrars
from intel.config.registrars import read_registrars
from intel.entities import Kind, entity
from intel.errors import ReadError
from intel.evidence import Weighed
from intel.facts import Predicate
from intel.patterns.rank import Ranker
from intel.registrars import Registrars
from intel.settings import settings
from intel.traits import Name, Profile, Trait, provider, providers, traits
from tasks.pivot.hubs import annotate
from tasks.watch import queue_suppress, store
from tasks.watch.describe import Description, restated, shown
from tasks.watch.lapse_words import EVIDENCE
from tasks.watch.rules import BY_NAME

_STRONGEST: Final = 3
"""Known domains whose facts a finding shows."""
_ANNOTATED: Final = 5
_WEAKEST: Final = 25
"""What is taken from the severity of one that just reaches the threshold; two less for each bit above."""
_LONGEST_TITLE: Final = 600
_WORDS: Final = {
    Name.SHAPE.value: "name shape",
    Name.WORD.value: "word in the name",
    Name.HOUR.value: "hour",
    Name.NETWORK.value: "network",
    "taken-by": "who took it",
}


@dataclass(frozen=True, kw_only=True)
class Model:
    """What is known of an actor: the profiles of a watch's known domains by their ids, and their habits.

    `limit` is the operating point in bits.
    """

    watch_id: int
    watch: str
    known: Mapping[int, Profile]
    ranker: Ranker
    limit: float


@dataclass(frozen=True, kw_only=True)
class _Hit:
    """A domain that reaches the threshold of a model; its traits that speak for it, the strongest first."""

    model: Model
    domain_id: int
    profile: Profile
    said: Weighed

    @property
    def traits(self) -> dict[Trait, float]:
        return {Trait(one.evidence.trait, one.evidence.what): one.counts for one in self.said.pieces if one.counts > 0}

    @property
    def novelty(self) -> str:
        return f"{alike.RULE} {self.domain_id}"


def judge(connection: Connection, models: Sequence[Model], domain_ids: Sequence[int]) -> int:
    """Score domains for each model; write what reaches its threshold, withdraw what does not any more.

    Returns how many findings are new.
    """
    if not models or not domain_ids:
        return 0
    connection.execute(text(finding_suppressions.LOCK_SHARED))
    connection.execute(text(ownership.LOCK_SHARED))
    named = alike.names(connection, domain_ids)
    listed = [(one, traits(one)) for one in profiles(connection, domain_ids)]
    hits: list[_Hit] = []
    for model in models:
        found = [
            _Hit(model=model, domain_id=named[one.domain], profile=one, said=said)
            for one, held in listed
            if named[one.domain] not in model.known and (said := model.ranker.score(one, held)).bits >= model.limit
        ]
        hits += _unknown(connection, model, found)
    said_of, book = _facts(connection, hits)
    hits = [hit for hit in hits if said_of.get(hit.domain_id)]
    new = _write(connection, hits, said_of, book) if hits else 0
    for model in models:
        kept = [hit.domain_id for hit in hits if hit.model is model]
        values = {
            "rule": alike.RULE,
            "watch_id": model.watch_id,
            "ids": [*domain_ids],
            "kept": kept,
            "reason": "what is known now no longer says so",
        }
        connection.execute(text(alike.WITHDRAW), values)
    return new


def _unknown(connection: Connection, model: Model, found: Sequence[_Hit]) -> list[_Hit]:
    """Those that are neither known already nor our own."""
    if not found:
        return []
    ids = [hit.domain_id for hit in found]
    out = {
        *alike.ids(connection, alike.KNOWN, watch=model.watch_id, ids=ids),
        *alike.ids(connection, alike.EXPECTED, watch_id=model.watch_id, ids=ids),
    }
    return [hit for hit in found if hit.domain_id not in out]


def _facts(connection: Connection, hits: Sequence[_Hit]) -> tuple[dict[int, list[Any]], Registrars]:
    """The facts of what was found and of the known domains that are most like it, and what registrars are called."""
    wanted = {hit.domain_id for hit in hits}
    for hit in hits:
        wanted.update(_strongest(hit))
    said = alike.facts_of(connection, wanted) if wanted else {}
    called = {row.value for rows in said.values() for row in rows if row.predicate == Predicate.REGISTERED_THROUGH}
    return said, known_registrars(connection, called, read_registrars(settings().configs).by_number)


def _strongest(hit: _Hit) -> list[int]:
    """The known domains that share most of what speaks for it; the newest of equals."""
    weights = hit.traits

    def order(item: tuple[int, Profile]) -> tuple[float, float, str]:
        one = item[1]
        shared = sum(weights.get(trait, 0.0) for trait in traits(one))
        return -shared, -(one.created.timestamp() if one.created else 0.0), one.domain

    return [domain_id for domain_id, _ in sorted(hit.model.known.items(), key=order)[:_STRONGEST]]


def _write(connection: Connection, hits: Sequence[_Hit], said_of: Mapping[int, list[Any]], book: Registrars) -> int:
    connection.exec_driver_sql("TRUNCATE watch_found, watch_match, watch_new")
    found, matched, told = [], [], []
    descriptions: dict[tuple[int, UUID], Description] = {}
    for hit in hits:
        mine = _rests_on(said_of[hit.domain_id], hit.traits, book)
        known = [
            row.fact_id
            for one in _strongest(hit)
            for row in _rests_on(said_of.get(one, ()), hit.traits, book, created=False)
        ]
        at = _since(mine)
        key = UUID(bytes=_novelty(hit))
        said = describe_alike(hit.model, hit.profile, hit.said, mine)
        descriptions[hit.model.watch_id, key] = said
        found.append((alike.RULE, hit.model.watch_id, key, hit.domain_id, at))
        row = (hit.model.watch_id, alike.RULE, key, said.lapse, said.title, said.severity, said.annotations_json)
        told.append(row)
        pairs = [(row.fact_id, None) for row in mine] + [(mine[0].fact_id, fact_id) for fact_id in known]
        matched += [(alike.RULE, hit.model.watch_id, hit.domain_id, hit.novelty, at, *pair) for pair in pairs]
    alike.copy(connection, "watch_found", "rule, watch_id, novelty, subject_id, event_time", found)
    columns = "rule, watch_id, subject_id, novelty, event_time, fact_id, known_id"
    alike.copy(connection, "watch_match", columns, matched)
    alike.copy(connection, "watch_new", "watch_id, rule, novelty, lapse, title, severity, annotations", told)
    connection.exec_driver_sql("ANALYZE watch_found, watch_match, watch_new")
    new = sum(connection.execute(text(alike.INSERT)).scalars())
    # Before the evidence is written: what is new to a finding shows by what it has.
    connection.execute(text(finding_queue.REOPEN))
    connection.execute(text(watching_store.INSERT_EVIDENCE))
    connection.execute(text(alike.DROP))
    _restate(connection, descriptions)
    store.say_ends(connection)
    queue_suppress.of_found(connection)
    return int(new)


def _restate(connection: Connection, descriptions: Mapping[tuple[int, UUID], Description]) -> None:
    """How strong it is may have changed; what else is said of a finding stays."""
    changed = []
    for row in connection.execute(text(alike.FOUND)).all():
        now, severity = restated(alike.RULE, row.annotations, descriptions[row.watch_id, row.novelty])
        if now != row.annotations:
            said = msgspec.json.encode(now).decode()
            changed.append({"id": row.id, "annotations": said, "severity": severity})
    if changed:
        connection.execute(text(watching_expected.ANNOTATE), changed)


def _novelty(hit: _Hit) -> bytes:
    """As db/watching_store.py makes it of what is new."""
    return hashlib.sha256(hit.novelty.encode()).digest()[:16]


def _since(mine: Sequence[Any]) -> datetime:
    """When the last kind of what speaks for it was first stated (event time)."""
    first: dict[str, datetime] = {}
    for row in mine:
        first[row.predicate] = min(row.first, first.get(row.predicate, row.first))
    return max(first.values())


def describe_alike(model: Model, profile: Profile, said: Weighed, rests_on: Iterable[Any] = ()) -> Description:
    """How it reads and what it is worth. No value is named; lists lower, they drop nothing."""
    kinds = list(dict.fromkeys(one.evidence.trait for one in said.pieces if one.counts > 0))
    words = ", ".join(_WORDS.get(kind, kind.replace("-", " ")) for kind in kinds)
    title = (
        f"{shown(Kind.DOMAIN, profile.domain)} was registered as the domains of {model.watch} are: {words}"
        f" ({said.bits:.0f} bits)"
    )
    takes = max(0, _WEAKEST - int(2 * (said.bits - model.limit)))
    why = f"{said.bits:.1f} bits speak for it, and {model.limit:.1f} are asked for"
    notes: list[dict[str, Any]] = [
        {"about": EVIDENCE, "list": "", "hub": "strength", "takes": takes, "why": why},
        *_noted("subject", Kind.DOMAIN, profile.domain),
    ]
    others = {(row.kind, row.value): None for row in rests_on if row.kind not in (Kind.TIME, Kind.CERTIFICATE)}
    for kind, value in list(others)[:_ANNOTATED]:
        notes += _noted("other", kind, value)
    most = max(int(one["takes"]) for one in notes)
    rule = BY_NAME[alike.RULE]
    return Description(
        title=title[:_LONGEST_TITLE],
        lapse=rule.lapse,
        severity=max(0, rule.severity - most),
        annotations=tuple(notes),
    )


def _noted(about: str, kind: str, value: str) -> list[dict[str, Any]]:
    try:
        return [{"about": about, **msgspec.to_builtins(one)} for one in annotate(entity(kind, value))]
    except ReadError:
        return []


def _rests_on(
    rows: Sequence[Any], wanted: Mapping[Trait, float], book: Registrars, *, created: bool = True
) -> list[Any]:
    """The facts of one domain that show these traits; with `created`, and where none does, what says that it is."""
    values: dict[str, set[str]] = {}
    for trait in wanted:
        values.setdefault(trait.name, set()).add(trait.value)
    found = [row for row in rows if _shows(row, values, book) or (created and row.predicate == Predicate.CREATED)]
    return found or (list(rows[:1]) if created else [])


def _shows(row: Any, values: Mapping[str, set[str]], book: Registrars) -> bool:
    def any_of(name: Name, value: Callable[[], str]) -> bool:
        return name in values and value() in values[name]

    value: str = row.value
    match row.predicate:
        case Predicate.REGISTERED_THROUGH:
            return any_of(Name.REGISTRAR, lambda: book.identity(value))
        case Predicate.REGISTERED_BY if row.role in ("", "registrant"):
            return (
                any_of(Name.EMAIL, lambda: value)
                or any_of(Name.REGISTRANT, lambda: value)
                or (row.kind == Kind.EMAIL and any_of(Name.MAIL_PROVIDER, lambda: provider(value)))
            )
        case Predicate.USES_NAME_SERVERS:
            hosts = value.split()
            return any_of(Name.NAME_SERVERS, lambda: " ".join(sorted(hosts))) or any_of(
                Name.NAME_SERVER_PROVIDER, lambda: providers(hosts)
            )
        case Predicate.USES_MAIL_HOST:
            return any(provider(value) in one.split() for one in values.get(Name.MAIL_HOSTS, ()))
        case Predicate.HAS_SOA_CONTACT:
            return any_of(Name.SOA_CONTACT, lambda: value)
        case Predicate.RESOLVES_TO:
            return any_of(Name.ADDRESS, lambda: value) or Name.NETWORK in values
        case Predicate.NAMES:
            return any_of(Name.CERTIFICATE, lambda: value) or bool({Name.ISSUER, Name.KEY} & set(values))
    return False
