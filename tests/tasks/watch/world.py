"""A warehouse to watch in: facts come in through staging and load, findings are read as what they say."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from db import runs
from db.engine import open_engine
from db.load import Batch, Loaded, load
from db.rows import driver
from db.staging import Staging
from intel.config.watches import WatchedItem
from intel.entities import Kind, entity, guess, literal
from intel.facts import Fact, RawDocument
from tasks.watch import certificates, registrations
from tasks.watch.items import add_watch

DAY_0 = datetime(2026, 1, 1, 12, tzinfo=UTC)


class World:
    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = open_engine(url, pooled=True)

    def load(self, *facts: Fact, source: str = "feed", snapshot: bool = False, as_of: datetime = DAY_0) -> Loaded:
        return self.load_all(facts, source=source, snapshot=snapshot, as_of=as_of)

    def load_all(
        self, facts: Iterable[Fact], *, source: str = "feed", snapshot: bool = False, as_of: datetime = DAY_0
    ) -> Loaded:
        with self.engine.begin() as connection:
            source_id = runs.ensure_source(
                connection,
                name=source,
                title=source,
                reliability="B",
                tlp=1,
                snapshot=snapshot,
                redistribution=True,
                commercial_use=True,
            )
            run_id = runs.begin(connection, source_id)
            document_id = runs.new_document(
                connection,
                source_id=source_id,
                run_id=run_id,
                location=f"https://{source}.example/list",
                sha256=b"\0" * 32,
                size=1,
                as_of=as_of,
                fetched_at=as_of,
            )
        with self.engine.connect() as connection:
            raw = driver(connection)
            raw.autocommit = True
            with Staging(raw, run_id=run_id, source=source, tlp=1) as staging:
                document = RawDocument(document_id=document_id, location="", body=b"", as_of=as_of)
                staging.add(document, facts)
            raw.autocommit = False
        batch = Batch(
            source=source,
            source_id=source_id,
            run_id=run_id,
            snapshot=snapshot,
            documents=(document_id,),
            facts=staging.facts,
            as_of=as_of,
            max_shrink=1.0,
        )
        with self.engine.begin() as connection:
            return load(connection, batch)

    def watch(self, name: str = "watch", *items: WatchedItem, **options: object) -> int:
        with self.engine.begin() as connection:
            return add_watch(connection, name, items, **options)

    def monitor(self) -> int:
        return registrations.monitor(self.engine).findings + certificates.monitor(self.engine).findings

    def found(self, *, status: str = "open") -> set[tuple[str, str, str]]:
        with self.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT w.name, n.rule, e.value FROM finding n JOIN watch w ON w.id = n.watch_id"
                    " JOIN entity e ON e.id = n.subject_id WHERE n.status = :status"
                ),
                {"status": status},
            ).all()
        return {tuple(row) for row in rows}

    def everything(self) -> set[tuple[object, ...]]:
        with self.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT w.name, n.rule, e.value, n.novelty, n.status, n.severity, n.event_time, n.lapse,"
                    " n.annotations::text,"
                    " (SELECT array_agg(f.key ORDER BY f.key) FROM finding_fact ff JOIN fact f ON f.id = ff.fact_id"
                    "  WHERE ff.finding_id = n.id AND ff.role = 'new')"
                    " FROM finding n JOIN watch w ON w.id = n.watch_id JOIN entity e ON e.id = n.subject_id"
                    " WHERE n.status <> 'withdrawn'"
                )
            ).all()
        return {tuple(tuple(part) if isinstance(part, list) else part for part in row) for row in rows}

    def execute(self, statement: str, **values: object) -> list[tuple[object, ...]]:
        with self.engine.begin() as connection:
            result = connection.execute(text(statement), values)
            return [tuple(row) for row in result.all()] if result.returns_rows else []


def day(number: int) -> datetime:
    return DAY_0 + timedelta(days=number)


class Say:
    """Facts, told in a line each. `on` is the day of the event."""

    @staticmethod
    def listed(value: str, on: int = 0, label: str = "c2") -> Fact:
        return Fact(subject=guess(value), predicate="listed", object=literal(Kind.LABEL, label), event_time=day(on))

    @staticmethod
    def claim(value: str, actor: str, on: int = 0, reference: str = "") -> Fact:
        return Fact(
            subject=guess(value),
            predicate="attributed-to",
            object=entity(Kind.ACTOR, actor),
            event_time=day(on),
            reference=reference,
        )

    @staticmethod
    def alias(actor: str, name: str) -> Fact:
        return Fact(subject=entity(Kind.ACTOR, actor), predicate="alias", object=literal(Kind.LABEL, name))

    @staticmethod
    def resolves(name: str, address: str, on: int = 0) -> Fact:
        return Fact(
            subject=entity(Kind.DOMAIN, name), predicate="resolves-to", object=guess(address), event_time=day(on)
        )

    @staticmethod
    def created(name: str, at: str, on: int = 0) -> Fact:
        return Fact(
            subject=entity(Kind.DOMAIN, name), predicate="created", object=literal(Kind.TIME, at), event_time=day(on)
        )

    @staticmethod
    def registrant(name: str, value: str, on: int = 0, kind: str = Kind.EMAIL, role: str = "registrant") -> Fact:
        return Fact(
            subject=entity(Kind.DOMAIN, name),
            predicate="registered-by",
            object=entity(kind, value),
            event_time=day(on),
            qualifiers=(("role", role),),
            personal=True,
        )

    @staticmethod
    def name_server(name: str, server: str, on: int = 0) -> Fact:
        return Fact(
            subject=entity(Kind.DOMAIN, name),
            predicate="uses-name-server",
            object=entity(Kind.NAME_SERVER, server),
            event_time=day(on),
        )

    @staticmethod
    def name_servers(name: str, servers: str, on: int = 0) -> Fact:
        return Fact(
            subject=entity(Kind.DOMAIN, name),
            predicate="uses-name-servers",
            object=entity(Kind.NAME_SERVER_SET, servers),
            event_time=day(on),
        )

    @staticmethod
    def certificate(number: int, *names: str, key: int | None = None, on: int = 0) -> list[Fact]:
        subject = entity(Kind.CERTIFICATE, f"{number:064x}")
        facts = [Fact(subject=subject, predicate="names", object=guess(name), event_time=day(on)) for name in names]
        if key is not None:
            said = entity(Kind.PUBLIC_KEY, f"{key:064x}")
            facts.append(Fact(subject=subject, predicate="has-key", object=said, event_time=day(on)))
        return facts

    @staticmethod
    def same(number: int, other: int, on: int = 0) -> Fact:
        """That two certificates are forms of one, as a log states it of a fingerprint and the value of its leaf."""
        return Fact(
            subject=entity(Kind.CERTIFICATE, f"{number:064x}"),
            predicate="same-as",
            object=entity(Kind.CERTIFICATE, f"{other:064x}"),
            event_time=day(on),
        )

    @staticmethod
    def matches(number: int, said: str, name: str = "", why: str = "", *, on: int = 0, state: str = "value") -> Fact:
        """That a certificate matches a pattern (`lookalike:...`), or a name that a wildcard covers or octets hold."""
        return Fact(
            subject=entity(Kind.CERTIFICATE, f"{number:064x}"),
            predicate="matches",
            object=literal(Kind.PATTERN, said) if ":" in said else guess(said),
            state=state,
            qualifiers=(("name", name or said), ("why", why)),
            event_time=day(on),
        )

    @staticmethod
    def logged(number: int, index: int, on: int = 0, log: str = "log", **more: str) -> Fact:
        return Fact(
            subject=entity(Kind.CERTIFICATE, f"{number:064x}"),
            predicate="logged-in",
            object=literal(Kind.TEXT, log),
            qualifiers=(("index", str(index)), ("leaf-hash", f"{index:064x}"), *more.items()),
            event_time=day(on),
        )

    @staticmethod
    def presents(value: str, number: int, on: int = 0) -> Fact:
        return Fact(
            subject=guess(value),
            predicate="presents",
            object=entity(Kind.CERTIFICATE, f"{number:064x}"),
            event_time=day(on),
        )
