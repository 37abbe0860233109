"""Generated histories and rules, to hold a rule's SQL against its matcher: both must give the same answer.

Values and times come from small sets, so that conditions are met, meet one another's edges and fall just short. Facts
come from two streams, which say things again and take them back, and from snapshots of a third source. Everything
follows from a seed. Invented names only.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy import Connection, Engine, text

from db import runs
from db.load import Batch, load
from db.rows import driver
from db.staging import Staging
from intel import rules
from intel.entities import Entity, Kind, digest, entity, literal
from intel.facts import Fact, RawDocument
from intel.rules import Rule

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
AS_OF: Final = START + timedelta(days=11)
"""Until when absences have been waited for: some are not over by then."""
WATCH: Final = "generated"
_WORDS: Final = ("login", "mail", "harbour", "tower", "pay", "update")
_SUFFIXES: Final = ("example", "test", "co.uk")
_REGISTRARS: Final = ("Example Registrar", "Second Registrar", "iana:9999")
_SETS: Final = ("a.example.net b.example.net", "c.example.org d.example.org", "a.example.net c.example.org")
_ADDRESSES: Final = ("192.0.2.1", "192.0.2.2", "198.51.100.7", "203.0.113.9", "2001:db8::1", "2001:db8:1::1")
_EMAILS: Final = ("one@mail.example.net", "two@mail.example.net", "three@example.org", "four@example.com")
_PEOPLE: Final = ("An Owner", "Example Ltd")
_TIMES: Final = (
    "2026-01-02", "2026-01-02T08:30:00Z", "2026-01-05T23:59:59.5+00:00", "2025-12-01T09:00:00Z", "2024-02-29",
    "2025-02-29", "soon", "2026-01-08T11:00:00",
)  # fmt: skip
_STEP: Final = timedelta(hours=12)


def day(half_days: int) -> datetime:
    """A time on the grid that all facts are on."""
    return START + half_days * _STEP


class Loads(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one load: by a stream, or a snapshot as of a time."""

    source: str
    as_of: datetime
    snapshot: bool
    facts: list[Fact]


def subjects(count: int, seed: int) -> list[Entity]:
    """The subjects of so many histories: four domains of five, and certificates."""
    made = random.Random(seed)
    found = []
    for number in range(count):
        if number % 5 == 4:
            found.append(entity(Kind.CERTIFICATE, f"{number:064x}"))
            continue
        label = made.choice(("", "x-", "1")) + made.choice(_WORDS) + made.choice(("", "-", "2")) + f"-n{number:x}"
        host = "www." if made.random() < 0.1 else ""
        found.append(entity(Kind.DOMAIN, f"{host}{label}.{made.choice(_SUFFIXES)}"))
    return found


def histories(about: Sequence[Entity], seed: int) -> list[Loads]:
    """What is stated of subjects, in the order in which it is loaded."""
    made = random.Random(seed + 1)
    domains = [one for one in about if one.kind == Kind.DOMAIN]
    streams: dict[str, list[Fact]] = {"stream-one": [], "stream-two": []}
    snapshots: dict[int, list[Fact]] = {4: [], 9: [], 15: []}
    for place in _ADDRESSES:
        streams["stream-one"] += _of_address(made, place)
    for subject in about:
        said = _of_domain(made, subject) if subject.kind == Kind.DOMAIN else _of_certificate(made, subject, domains)
        for fact in said:
            if made.random() < 0.3:
                for at in sorted(made.sample(sorted(snapshots), made.randint(1, 3))):
                    snapshots[at].append(msgspec.structs.replace(fact, event_time=_maybe(made, at)))
                continue
            stream = streams[made.choice(("stream-one", "stream-one", "stream-two"))]
            at = made.randint(0, 20)
            stream.append(msgspec.structs.replace(fact, event_time=day(at)))
            while made.random() < 0.3:
                at = made.randint(0, 20)
                stream.append(msgspec.structs.replace(fact, event_time=day(at), ends=made.random() < 0.4))
    return [
        *(Loads(source=name, as_of=day(20), snapshot=False, facts=facts) for name, facts in streams.items()),
        *(Loads(source="snapshots", as_of=day(at), snapshot=True, facts=facts) for at, facts in snapshots.items()),
    ]


def _maybe(made: random.Random, at: int) -> datetime | None:
    return day(made.randint(0, at)) if made.random() < 0.3 else None


def _of_address(made: random.Random, place: str) -> Iterator[Fact]:
    subject = entity(Kind.IP, place)
    network = entity(Kind.NETWORK, place + ("/48" if ":" in place else "/24"))
    if made.random() < 0.5:
        yield Fact(subject=subject, predicate="part-of", object=entity(Kind.AS, "64500"), event_time=day(3))
    yield Fact(subject=subject, predicate="part-of", object=network, event_time=day(made.randint(0, 20)))
    yield Fact(subject=network, predicate="part-of", object=entity(Kind.AS, made.choice(("64500", "64501"))))


def _of_domain(made: random.Random, subject: Entity) -> Iterator[Fact]:
    def some(most: int) -> range:
        return range(made.randint(0, most))

    for _ in some(2):
        yield Fact(
            subject=subject,
            predicate="registered-through",
            object=entity(Kind.REGISTRAR, made.choice(_REGISTRARS)),
            state=made.choice(("value", "value", "value", "unparsed")),
        )
    for _ in some(3):
        yield Fact(
            subject=subject,
            predicate="uses-name-servers",
            object=entity(Kind.NAME_SERVER_SET, made.choice(_SETS)),
            qualifiers=made.choice(((), (("tier", "registry"),))),
        )
    for _ in some(2):
        host = made.choice(("a.example.net", "ns.b.example.org", "c.example.org"))
        yield Fact(subject=subject, predicate="uses-name-server", object=entity(Kind.NAME_SERVER, host))
    for _ in some(2):
        yield Fact(
            subject=subject,
            predicate="resolves-to",
            object=entity(Kind.IP, made.choice(_ADDRESSES)),
            qualifiers=made.choice(((), (("type", "A"),))),
        )
    for _ in some(5):
        yield _registrant(made, subject)
    for _ in some(2):
        yield Fact(subject=subject, predicate="created", object=literal(Kind.TIME, made.choice(_TIMES)))
    for _ in some(1):
        yield Fact(subject=subject, predicate="listed", object=literal(Kind.LABEL, made.choice(("c2", "phishing"))))


def _registrant(made: random.Random, subject: Entity) -> Fact:
    field = made.choice(("email", "name"))
    state = made.choice(("value", "value", "redacted", "proxy", "absent"))
    said: Entity | None = None
    if state == "value" or made.random() < 0.3:
        said = entity(Kind.EMAIL, made.choice(_EMAILS)) if field == "email" else None
        said = said or entity(Kind.REGISTRANT, made.choice(_PEOPLE))
    qualifiers = [("role", made.choice(("registrant", "registrant", "technical"))), ("field", field)]
    if made.random() < 0.1:
        qualifiers.append(("tier", "registrar"))
    return Fact(
        subject=subject,
        predicate="registered-by",
        object=said,
        state=state,
        qualifiers=tuple(qualifiers),
        personal=True,
    )


def _of_certificate(made: random.Random, subject: Entity, domains: Sequence[Entity]) -> Iterator[Fact]:
    if not domains:
        return
    # Names that stand near one another in the list, and few keys: certificates that share both.
    first = made.randrange(len(domains)) // 8 * 8
    for _ in range(made.randint(1, 3)):
        yield Fact(
            subject=subject, predicate="names", object=domains[min(first + made.randint(0, 2), len(domains) - 1)]
        )
    key = entity(Kind.PUBLIC_KEY, f"{first // 8 * 3 + made.randint(0, 1):064x}")
    yield Fact(subject=subject, predicate="has-key", object=key)
    if made.random() < 0.8:
        yield Fact(subject=subject, predicate="valid-from", object=literal(Kind.TIME, made.choice(_TIMES)))
    issuer = literal(Kind.TEXT, made.choice(("CN=Example CA", "CN=Other CA,O=Example")))
    yield Fact(subject=subject, predicate="issued-by", object=issuer)


def load_all(engine: Engine, loads: Iterable[Loads]) -> list[int]:
    """Load histories as sources are loaded: staged, then moved in one transaction each. The ids of their batches."""
    return [batch for each in loads if (batch := _load(engine, each)) is not None]


def _load(engine: Engine, loads: Loads) -> int | None:
    with engine.begin() as connection:
        source_id = runs.ensure_source(
            connection,
            name=loads.source,
            title=loads.source,
            reliability="B",
            tlp=0,
            snapshot=loads.snapshot,
            redistribution=True,
            commercial_use=True,
        )
        run_id = runs.begin(connection, source_id)
        document_id = runs.new_document(
            connection,
            source_id=source_id,
            run_id=run_id,
            location=f"https://{loads.source}.example/list",
            sha256=bytes(32),
            size=1,
            as_of=loads.as_of,
            fetched_at=loads.as_of,
        )
    with engine.connect() as connection:
        raw = driver(connection)
        raw.autocommit = True
        with Staging(raw, run_id=run_id, source=loads.source, tlp=0) as staging:
            document = RawDocument(document_id=document_id, location="", body=b"", as_of=loads.as_of)
            staging.add(document, loads.facts)
        raw.autocommit = False
    batch = Batch(
        source=loads.source,
        source_id=source_id,
        run_id=run_id,
        snapshot=loads.snapshot,
        documents=(document_id,),
        facts=staging.facts,
        as_of=loads.as_of,
        max_shrink=1.0,
    )
    with engine.begin() as connection:
        return load(connection, batch).batch_id


def prepare(connection: Connection) -> int:
    """A watch with items among the generated values, and a population that counted some of them. The watch's id."""
    watch_id = connection.execute(
        text(
            "INSERT INTO watch (name, origin, rules) VALUES (:name, 'command', '{}')"
            " ON CONFLICT (name) DO UPDATE SET origin = 'command' RETURNING id"
        ),
        {"name": WATCH},
    ).scalar_one()
    items = (
        ("entity", "name-server-set", _SETS[0], None),
        ("entity", "email", _EMAILS[0], None),
        ("entity", "domain", "a.example.net", None),
        ("scope", "", "example.org", None),
        ("subtree", "", "mail.example.net", None),
        ("network", "", "198.51.100.0/24", "198.51.100.0/24"),
    )
    for match, kind, value, network in items:
        connection.execute(
            text(
                "INSERT INTO watch_item (watch_id, match, kind, value, network)"
                " VALUES (:watch_id, :match, :kind, :value, :network) ON CONFLICT DO NOTHING"
            ),
            {"watch_id": watch_id, "match": match, "kind": kind, "value": value, "network": network},
        )
    for name, total, traits in (
        ("small", 1_000, '{"registrar": 1000, "email": 1000, "name-servers": 1000}'),
        ("large", 1_000_000, '{"name-servers": 1000000}'),
    ):
        connection.execute(
            text(
                "INSERT INTO population (name, title, total, traits, as_of)"
                " VALUES (:name, :name, :total, CAST(:traits AS jsonb), now()) ON CONFLICT DO NOTHING"
            ),
            {"name": name, "total": total, "traits": traits},
        )
    counted = (
        ("large", "name-servers", Kind.NAME_SERVER_SET, _SETS[0], 5),
        ("large", "name-servers", Kind.NAME_SERVER_SET, _SETS[1], 5_000),
        ("small", "registrar", Kind.REGISTRAR, _REGISTRARS[0], 1),
        ("small", "email", Kind.EMAIL, _EMAILS[0], 900),
    )
    for population, trait, kind, value, count in counted:
        connection.execute(
            text(
                "INSERT INTO prevalence (population, trait, digest, count)"
                " VALUES (:population, :trait, :digest, :count) ON CONFLICT DO NOTHING"
            ),
            {"population": population, "trait": trait, "digest": UUID(bytes=digest(kind, value)), "count": count},
        )
    return int(watch_id)


def made_rules(seed: int, combined: int) -> list[Rule]:
    """A rule of each condition alone, and so many of several conditions at once."""
    made = random.Random(seed + 2)
    found = [_rule(f"alone-{number}", [one]) for number, one in enumerate(TIMED)]
    found += [
        _rule(f"with-{number}", [{"created": {"after": "2024-01-01"}}, one]) for number, one in enumerate(TIMELESS)
    ]
    for number, burst in enumerate(BURSTS):
        found.append(_rule(f"burst-{number}", [{"registered-through": {"is": list(_REGISTRARS[:2])}}, burst]))
    found += [_rule(f"certificate-{number}", [one], about="certificate") for number, one in enumerate(OF_CERTIFICATES)]
    for number in range(combined):
        conditions = [made.choice(TIMED) for _ in range(made.randint(2, 3))]
        conditions += [made.choice(TIMELESS)] if made.random() < 0.4 else []
        conditions += [made.choice(BURSTS)] if made.random() < 0.3 else []
        more: dict[str, Any] = {}
        if made.random() < 0.6:
            more["over"] = made.choice(("12 hours", "2 days", "5 days"))
        if made.random() < 0.2 and any("uses-name-servers" in one for one in conditions):
            more["rare"] = "6 per million"
        found.append(_rule(f"combined-{number}", conditions, **more))
    return found


def _rule(name: str, when: list[dict[str, Any]], **more: Any) -> Rule:
    return rules.read_rule({"name": name, "when": when, "say": "{subject} is one", **more})


TIMED: Final[tuple[dict[str, Any], ...]] = (
    {"registrar": "Example Registrar"},
    {"registered-through": {"matches": "*registrar", "state": ["value", "unparsed"]}},
    {"uses-name-servers": {"below": "example.net"}},
    {"uses-name-servers": {"is": _SETS[2], "rarer-than": "4000 per million"}},
    {"uses-name-servers": {"rarer-than": "10 per million"}},
    {"uses-name-server": {"below": ["b.example.org", "a.example.net"]}},
    {"uses-name-server": {"watched": True}},
    {"resolves-to": {"in": ["192.0.2.0/24", "2001:db8::/48"]}},
    {"resolves-to": {"type": "A", "watched": False}},
    {"resolves-to": {"where": {"part-of": "198.51.100.0/24"}}},
    {"network": "AS64500"},
    {"mail-provider": "mail.example.net"},
    {"registered-by": {"is": ["one@mail.example.net", "An Owner"], "role": "registrant"}},
    {"registered-by": {"state": ["redacted", "proxy"], "field": "email"}},
    {"registered-by": {"kind": "email", "rarer-than": "950000 per million"}},
    {"registered-by": {"watched": True}},
    {"named-by": {"where": {"issued-by": {"matches": "*,o=ex?mple"}}}},
    {"key": f"{1:064x}"},
    {"created": {"within": "3 days"}},
    {"created": {"hour": [8, 11]}},
    {"created": {"after": "2025-12-01", "before": "2026-01-05"}},
    {"changed": {"uses-name-servers": {}}},
    {"changed": {"uses-name-servers": {"from": {"below": "example.net"}, "to": {"is": _SETS[1]}}}},
    {"changed": {"registered-through": {"to": {"is": "Second Registrar"}}}},
    {"hidden": "registered-by"},
    {"hidden": {"registered-by": {"role": "registrant", "field": "email"}}},
    {"exposed": "registered-by"},
    {
        "absent": {
            "after": {"registrar": "Example Registrar"},
            "without": {"resolves-to": {"in": "192.0.2.0/24"}},
            "within": "3 days",
        }
    },
    {"any": [{"listed": "c2"}, {"resolves-to": {"is": "203.0.113.9"}}, {"changed": {"uses-name-servers": {}}}]},
)  # fmt: skip
"""Conditions of every kind that have a time."""

TIMELESS: Final[tuple[dict[str, Any], ...]] = (
    {"suffix": ["test", "co.uk"]},
    {"label": {"words": ["login", "pay"], "length": [5, 12]}},
    {"label": {"shape": ["9-12 digits hyphens", "6-8 hyphens"]}},
    {"label": {"matches": "x-*-n??", "digits": False}},
    {"label": {"hyphens": True, "digits": True}},
    {"subject": {"matches": "www.*"}},
    {"subject": {"below": ["example", "co.uk"]}},
    {"not": {"resolves-to": {"in": "192.0.2.0/24"}}},
    {"not": {"any": [{"suffix": ["test"]}, {"label": {"words": ["tower"]}}]}},
    {"any": [{"suffix": ["test"]}, {"not": {"listed": "c2"}}]},
)
"""Conditions of every kind that have none."""

BURSTS: Final[tuple[dict[str, Any], ...]] = (
    {"burst": {"at-least": 3, "within": "12 hours"}},
    {"burst": {"at-least": 4, "within": "1 day", "sharing": ["uses-name-servers"]}},
    {"burst": {"at-least": 3, "within": "2 days", "sharing": ["uses-name-servers", "resolves-to"]}},
    {"burst": {"at-least": 5, "within": "3 days", "sharing": ["resolves-to"], "by": "created"}},
)

OF_CERTIFICATES: Final[tuple[dict[str, Any], ...]] = (
    {"renewed": "same-key"},
    {"has-key": {"where": {"key-of": {"where": {"issued-by": "CN=Example CA"}}}}},
    {"names": {"below": "test", "where": {"registered-through": "Second Registrar"}}},
    {"valid-from": {"before": "2026-01-03"}},
)
