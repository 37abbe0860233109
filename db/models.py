"""The warehouse: its tables, each with its comment, in the words of docs/architecture.md.

`fact`, `fact_history` and `link` have no foreign keys: a key check is a query per row, and they take tens of thousands
of rows a second, written by one module (`db/load.py`). `lapsewatch db check` proves that they point to what exists.

Column comments say whether a time is event time (when it was so) or recorded time (when we wrote it down).
All times are `timestamptz`, UTC.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Computed,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INET, JSONB, TSTZMULTIRANGE
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The root of the models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads this as a class attribute
        datetime: DateTime(timezone=True),
        int: BigInteger,
        str: Text,
        UUID: Uuid(native_uuid=True),
        bytes: LargeBinary,
    }


def _id(comment: str) -> Mapped[int]:
    return mapped_column(Identity(always=True), primary_key=True, comment=comment)


def _recorded(comment: str) -> Mapped[datetime]:
    return mapped_column(server_default=func.clock_timestamp(), comment=f"{comment} (recorded time)")


class Source(Base):
    """Where documents come from."""

    __tablename__ = "source"
    __table_args__ = ({"comment": "Where documents come from, as its entry in configs/ said at its last run"},)

    id: Mapped[int] = _id("Identity")
    name: Mapped[str] = mapped_column(unique=True, comment="Its name in configs/sources/")
    title: Mapped[str] = mapped_column(comment="What people call it")
    reliability: Mapped[str] = mapped_column(comment="Admiralty code, A (completely reliable) to F (cannot be judged)")
    tlp: Mapped[int] = mapped_column(SmallInteger, comment="Default TLP 2.0: 0 CLEAR to 4 RED")
    snapshot: Mapped[bool] = mapped_column(comment="True: each time it states all it knows; false: a stream that adds")
    redistribution: Mapped[bool] = mapped_column(comment="Whether partners may have what rests on it alone")
    commercial_use: Mapped[bool] = mapped_column(comment="Whether its licence allows commercial use")
    created_at: Mapped[datetime] = _recorded("When it was first used")


class Run(Base):
    """One collection from one source."""

    __tablename__ = "run"
    __table_args__ = (
        Index("ix_run_source_id_started_at", "source_id", "started_at"),
        {"comment": "One collection from one source: what it brought and how it ended"},
    )

    id: Mapped[int] = _id("Identity")
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"), comment="The source")
    flow_run: Mapped[str] = mapped_column(server_default="", comment="Prefect's flow run id, empty outside a flow")
    started_at: Mapped[datetime] = _recorded("When it started")
    finished_at: Mapped[datetime | None] = mapped_column(comment="When it ended (recorded time)")
    outcome: Mapped[str] = mapped_column(
        server_default="running", comment="running, ok, unchanged, partial, failed, interrupted or withdrawn"
    )
    error: Mapped[str] = mapped_column(server_default="", comment="What could not be done, to what, why, what is next")
    documents: Mapped[int] = mapped_column(server_default="0", comment="Documents that brought something new")
    facts: Mapped[int] = mapped_column(server_default="0", comment="Facts that they state")
    facts_new: Mapped[int] = mapped_column(server_default="0", comment="Facts stated for the first time")
    facts_ended: Mapped[int] = mapped_column(server_default="0", comment="Facts that ended")
    rejects: Mapped[int] = mapped_column(server_default="0", comment="Records refused, each with a reason in reject")
    bytes: Mapped[int] = mapped_column(server_default="0", comment="Bytes received, decoded")


class Cursor(Base):
    """How far a source, log or monitor has been read."""

    __tablename__ = "cursor"
    __table_args__ = (
        {"comment": "How far something has been read; written only in the transaction that writes what was read"},
    )

    name: Mapped[str] = mapped_column(primary_key=True, comment="Of what: source:NAME, ct:LOG, publish:COLLECTION")
    value: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="The position, in the words of its owner")
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), comment="The run that moved it last")
    updated_at: Mapped[datetime] = _recorded("When it moved last")


class CtLog(Base):
    """A Certificate Transparency log that a log list names."""

    __tablename__ = "ct_log"
    __table_args__ = ({"comment": "A Certificate Transparency log that a log list names or named"},)

    log_id: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of its key (RFC 6962 3.2)")
    name: Mapped[str] = mapped_column(unique=True, comment="Its source's name; stays when the list renames it")
    description: Mapped[str] = mapped_column(comment="What the list calls it")
    operator: Mapped[str] = mapped_column(comment="Who runs it")
    protocol: Mapped[str] = mapped_column(comment="How it is read: rfc6962, static or hybrid")
    url: Mapped[str] = mapped_column(comment="Where it is read: URL, or monitoring prefix of a static log")
    submission_url: Mapped[str] = mapped_column(server_default="", comment="Submission prefix of a static log")
    key: Mapped[bytes] = mapped_column(comment="Its public key, SPKI in DER")
    mmd: Mapped[int] = mapped_column(Integer, comment="Maximum merge delay, seconds")
    state: Mapped[str] = mapped_column(comment="pending, qualified, usable, readonly, retired or rejected")
    not_after_start: Mapped[datetime | None] = mapped_column(
        comment="Takes certificates that end from then (event time)"
    )
    not_after_end: Mapped[datetime | None] = mapped_column(comment="and before then (event time)")
    final_head: Mapped[dict[str, Any] | None] = mapped_column(
        JSONB, comment="Final tree head of a log that is readonly"
    )
    listed: Mapped[bool] = mapped_column(comment="Whether the newest list names it")
    first_listed: Mapped[datetime] = _recorded("When a list first named it")
    last_listed: Mapped[datetime] = _recorded("When a list named it last")


class ArchiveSegment(Base):
    """A run of verified log entries in the archive."""

    __tablename__ = "archive_segment"
    __table_args__ = (
        Index("ix_archive_segment_source_id", "source_id", "first", postgresql_where="retired_at IS NULL"),
        {"comment": "The archive's manifest: a Parquet file of verified log entries is in the archive once its row is"},
    )

    id: Mapped[int] = _id("Identity")
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"), comment="The log's source")
    run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"), comment="The run that wrote it; null: compacted")
    first: Mapped[int] = mapped_column(comment="Index of its first entry in the log")
    next: Mapped[int] = mapped_column(comment="Index behind its last entry")
    time_min: Mapped[datetime] = mapped_column(comment="Earliest timestamp of an entry (event time)")
    time_max: Mapped[datetime] = mapped_column(comment="Latest timestamp of an entry (event time)")
    level: Mapped[int] = mapped_column(SmallInteger, comment="0: as followed; 1: compacted, with an index of names")
    path: Mapped[str] = mapped_column(comment="Its file of entries, below the archive's folder")
    names_path: Mapped[str] = mapped_column(server_default="", comment="Its index of names; empty at level 0")
    bytes: Mapped[int] = mapped_column(comment="Bytes of its files")
    judged_at: Mapped[datetime] = mapped_column(
        comment="Watches of that moment or later were matched against it (recorded time)"
    )
    retired_at: Mapped[datetime | None] = mapped_column(
        comment="When it was replaced or dropped; its files go after a while (recorded time)"
    )
    created_at: Mapped[datetime] = _recorded("When it was committed")


class HuntTerm(Base):
    """One thing that the watches look for in certificates, as the archive's hunter last saw it."""

    __tablename__ = "hunt_term"
    __table_args__ = (
        {"comment": "What the watches look for in certificates, and since when the archive's hunter knows"},
    )

    digest: Mapped[UUID] = mapped_column(primary_key=True, comment="First 128 bits of SHA-256 over kind, NUL, value")
    kind: Mapped[str] = mapped_column(comment="The set it is in: intel.match.certificates.WatchSet")
    value: Mapped[str] = mapped_column(comment="The watched thing; digests in hexadecimal")
    added_at: Mapped[datetime] = _recorded("When the hunter first saw it: older segments are hunted for it")


class Document(Base):
    """The raw bytes as received."""

    __tablename__ = "document"
    __table_args__ = (
        Index("ix_document_source_id_location", "source_id", "location", "id"),
        Index("ix_document_sha256", "sha256"),
        Index("ix_document_run_id", "run_id"),
        {"comment": "A document as received; its bytes lie in the document store under their SHA-256"},
    )

    id: Mapped[int] = _id("Identity")
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"), comment="The source")
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), comment="The run that brought it")
    location: Mapped[str] = mapped_column(comment="URL or path that it was read from")
    sha256: Mapped[bytes] = mapped_column(comment="SHA-256 of the decoded bytes")
    size: Mapped[int] = mapped_column(comment="Bytes, decoded")
    media_type: Mapped[str] = mapped_column(server_default="", comment="Media type as declared, empty where none was")
    etag: Mapped[str] = mapped_column(server_default="", comment="HTTP entity tag, for the next conditional request")
    last_modified: Mapped[str] = mapped_column(server_default="", comment="HTTP Last-Modified, as sent")
    as_of: Mapped[datetime] = mapped_column(comment="The time that it speaks of (event time)")
    fetched_at: Mapped[datetime] = mapped_column(comment="When it was received (recorded time)")
    loaded: Mapped[bool] = mapped_column(server_default="false", comment="Whether its facts were committed")


class Reject(Base):
    """A record that could not be made a fact."""

    __tablename__ = "reject"
    __table_args__ = (
        Index("ix_reject_run_id", "run_id"),
        Index("ix_reject_document_id", "document_id"),
        {"comment": "A record that was not made a fact: where it stood and why"},
    )

    id: Mapped[int] = _id("Identity")
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), comment="The run that read it")
    document_id: Mapped[int] = mapped_column(ForeignKey("document.id"), comment="The document that it stands in")
    locator: Mapped[str] = mapped_column(comment="Where in the document: line, JSON pointer, UUID")
    reason: Mapped[str] = mapped_column(comment="Why it was refused")
    excerpt: Mapped[str] = mapped_column(comment="The beginning of it, at most 200 characters")


class Batch(Base):
    """Facts that were committed together."""

    __tablename__ = "batch"
    __table_args__ = (
        Index("ix_batch_run_id", "run_id"),
        {"comment": "Facts committed together: the unit of work of the monitors, which never ask for fact.id > n"},
    )

    id: Mapped[int] = _id("Identity")
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), comment="The run that loaded it")
    facts_new: Mapped[int] = mapped_column(comment="Facts in it")
    created_at: Mapped[datetime] = _recorded("When it was committed")


class Entity(Base):
    """Something that can be pointed at, or a typed literal."""

    __tablename__ = "entity"
    __table_args__ = (
        UniqueConstraint("digest"),
        Index("ix_entity_scope", "scope", postgresql_where="scope <> ''"),
        Index("ix_entity_address", "address", postgresql_where="address IS NOT NULL"),
        Index("ix_entity_local_part", text("split_part(value, '@', 1)"), postgresql_where="kind = 'email'"),
        {"comment": "Something that can be pointed at, in its one canonical form, or a typed literal"},
    )

    id: Mapped[int] = _id("Identity")
    digest: Mapped[UUID] = mapped_column(comment="First 128 bits of SHA-256 over kind, NUL, value")
    kind: Mapped[str] = mapped_column(comment="What it is: intel.entities.Kind")
    value: Mapped[str] = mapped_column(comment="Its canonical form")
    scope: Mapped[str] = mapped_column(server_default="", comment="Registrable domain that it stands on, or empty")
    address: Mapped[str | None] = mapped_column(INET, comment="IP address or network that it stands on")


class Fact(Base):
    """An immutable statement."""

    __tablename__ = "fact"
    __table_args__ = (
        UniqueConstraint("key"),
        Index("ix_fact_subject_id_predicate_object_id", "subject_id", "predicate", "object_id"),
        Index("ix_fact_object_id", "object_id", postgresql_where="object_id IS NOT NULL"),
        Index("ix_fact_batch_id", "batch_id"),
        Index("ix_fact_standing", "source_id", postgresql_where="standing"),
        {"comment": "An immutable statement of one source; when it was said is in fact_history"},
    )

    id: Mapped[int] = _id("Identity")
    key: Mapped[UUID] = mapped_column(comment="128 bits of SHA-256 over what it says and who says it")
    source_id: Mapped[int] = mapped_column(comment="Who says so")
    subject_id: Mapped[int] = mapped_column(comment="What it speaks of")
    predicate: Mapped[str] = mapped_column(comment="What it says: intel.facts.Predicate")
    object_id: Mapped[int | None] = mapped_column(comment="Entity or literal that it names")
    state: Mapped[str] = mapped_column(
        server_default="value", comment="value, redacted, placeholder, proxy, absent or unparsed"
    )
    qualifiers: Mapped[dict[str, Any] | None] = mapped_column(JSONB, comment="What else belongs to its identity")
    reference: Mapped[str] = mapped_column(server_default="", comment="Upstream reference: a report, post or event")
    tlp: Mapped[int] = mapped_column(SmallInteger, comment="TLP 2.0, 0 to 4; the strictest ever stated")
    confidence: Mapped[int | None] = mapped_column(SmallInteger, comment="0 to 100, as stated")
    personal: Mapped[bool] = mapped_column(server_default="false", comment="Whether it names a person")
    standing: Mapped[bool | None] = mapped_column(
        Boolean, comment="Snapshot sources: whether still stated; null for streams, false once ended"
    )
    document_id: Mapped[int | None] = mapped_column(comment="First document that states it")
    locator: Mapped[str] = mapped_column(server_default="", comment="Where in that document")
    batch_id: Mapped[int] = mapped_column(comment="Batch that committed it")


class FactHistory(Base):
    """When a fact was stated, and when it ended."""

    __tablename__ = "fact_history"
    __table_args__ = (
        Index("ix_fact_history_batch_id", "batch_id"),
        {"comment": "When a fact was stated and when it ended; append-only, so every past view can be rebuilt"},
    )

    fact_id: Mapped[int] = mapped_column(primary_key=True, comment="The fact")
    event_time: Mapped[datetime] = mapped_column(primary_key=True, comment="When it was so, or no longer (event time)")
    ended: Mapped[bool] = mapped_column(primary_key=True, comment="False: stated then; true: no longer stated then")
    last_seen: Mapped[datetime | None] = mapped_column(comment="At an end: when it was last stated (event time)")
    batch_id: Mapped[int] = mapped_column(comment="Batch that committed it, and by it the run")
    recorded_at: Mapped[datetime] = _recorded("When it was written down")


class Link(Base):
    """The merged view of the facts about one (subject, predicate, object)."""

    __tablename__ = "link"
    __table_args__ = (
        Index("ix_link_object_id", "object_id", "predicate"),
        {"comment": "Merged view of the facts about one subject, predicate, object; derived, can be rebuilt"},
    )

    subject_id: Mapped[int] = mapped_column(primary_key=True, comment="What it speaks of")
    predicate: Mapped[str] = mapped_column(primary_key=True, comment="What it says")
    object_id: Mapped[int] = mapped_column(primary_key=True, comment="What it names")
    seen: Mapped[Any] = mapped_column(
        TSTZMULTIRANGE, comment="When it was so (event time): points of streams, spans of snapshots, joined"
    )
    sources: Mapped[int] = mapped_column(Integer, comment="Sources that say so")
    facts: Mapped[int] = mapped_column(Integer, comment="Facts that say so")


class Watch(Base):
    """What an analyst wants to know about."""

    __tablename__ = "watch"
    __table_args__ = ({"comment": "What an analyst wants to know about, tied to an actor or an incident"},)

    id: Mapped[int] = _id("Identity")
    name: Mapped[str] = mapped_column(unique=True, comment="What people call it")
    actor_id: Mapped[int | None] = mapped_column(ForeignKey("entity.id"), comment="The actor that it is about")
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incident.id"), comment="The incident that it is from")
    origin: Mapped[str] = mapped_column(comment="Where it was made: file, command or incident")
    rules: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Rules in force, by name: tasks.watch.rules")
    active: Mapped[bool] = mapped_column(server_default="true", comment="Whether it is evaluated")
    follows_actor: Mapped[bool] = mapped_column(
        server_default="false", comment="Whether what sources claim of the actor is watched without being listed"
    )
    reason: Mapped[str] = mapped_column(server_default="", comment="Why it was made")
    created_at: Mapped[datetime] = _recorded("When it was made")


class WatchItem(Base):
    """One thing that a watch looks for."""

    __tablename__ = "watch_item"
    __table_args__ = (
        UniqueConstraint("watch_id", "match", "digest"),
        Index("ix_watch_item_match_digest", "match", "digest"),
        Index("ix_watch_item_network", "network", postgresql_where="network IS NOT NULL"),
        {"comment": "One thing that a watch looks for"},
    )

    id: Mapped[int] = _id("Identity")
    watch_id: Mapped[int] = mapped_column(ForeignKey("watch.id", ondelete="CASCADE"), comment="The watch")
    match: Mapped[str] = mapped_column(
        comment="How it matches: entity, scope (registrable domain), subtree, network; expected, ours: known ones"
    )
    kind: Mapped[str] = mapped_column(server_default="", comment="Kind of entity, for match = entity")
    value: Mapped[str] = mapped_column(comment="Canonical value, registrable domain, name or network")
    # PostgreSQL computes it, so that no writer can forget it; not with sha256(), whose convert_to() is not immutable.
    digest: Mapped[UUID] = mapped_column(
        Computed("md5(kind || ' ' || value)::uuid", persisted=True),
        comment="MD5 of kind, space and value, for the indexes: values are longer than an index entry may be",
    )
    network: Mapped[str | None] = mapped_column(INET, comment="The network, for match = network")
    since: Mapped[datetime | None] = mapped_column(comment="Known to belong from then on (event time)")
    added_at: Mapped[datetime] = _recorded("When it was added")
    swept: Mapped[list[str]] = mapped_column(
        ARRAY(Text), server_default="{}", comment="Monitors that have looked backwards over the warehouse for it"
    )


class Judgement(Base):
    """A batch that a monitor has looked at."""

    __tablename__ = "judgement"
    __table_args__ = ({"comment": "A batch that a monitor has looked at; without a row it still has to"},)

    batch_id: Mapped[int] = mapped_column(ForeignKey("batch.id"), primary_key=True, comment="The batch")
    monitor: Mapped[str] = mapped_column(primary_key=True, comment="registrations or certificates")
    items: Mapped[int] = mapped_column(comment="Version of the watch set: the newest watch_item.id it knew")
    judged_at: Mapped[datetime] = _recorded("When it was judged")


class Finding(Base):
    """One match of a watch."""

    __tablename__ = "finding"
    __table_args__ = (
        UniqueConstraint("watch_id", "rule", "novelty"),
        Index("ix_finding_subject_id", "subject_id"),
        Index("ix_finding_status", "status", "id"),
        {"comment": "One match, unique per watch, rule and what is new"},
    )

    id: Mapped[int] = _id("Identity")
    watch_id: Mapped[int] = mapped_column(ForeignKey("watch.id"), comment="The watch that matched")
    rule: Mapped[str] = mapped_column(comment="The rule that matched: tasks.watch.rules")
    subject_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), comment="What was found")
    item_id: Mapped[int | None] = mapped_column(
        ForeignKey("watch_item.id", ondelete="SET NULL"), comment="What it matched"
    )
    novelty: Mapped[UUID] = mapped_column(comment="Digest of what is new; depends on no batch and no order")
    lapse: Mapped[bool] = mapped_column(server_default="false", comment="Whether it is a mistake of the actor's")
    title: Mapped[str] = mapped_column(comment="What it says, in a sentence")
    severity: Mapped[int] = mapped_column(SmallInteger, comment="0 to 100: how soon to look, annotations counted in")
    annotations: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, server_default="[]", comment="Known-good lists and hubs that it touches, and what they take away"
    )
    status: Mapped[str] = mapped_column(
        server_default="open", comment="open, acknowledged, confirmed, dismissed or withdrawn"
    )
    status_reason: Mapped[str] = mapped_column(server_default="", comment="Why it has that status")
    event_time: Mapped[datetime | None] = mapped_column(comment="When it was first so (event time)")
    found_at: Mapped[datetime] = _recorded("When it was found")
    changed_at: Mapped[datetime] = _recorded("When its status or annotations changed last")
    watch_rule_id: Mapped[int | None] = mapped_column(
        ForeignKey("watch_rule.id", ondelete="SET NULL"),
        comment="The watch's own rule that matched, if any",
    )
    evidence_at: Mapped[datetime | None] = mapped_column(
        comment="When it last gained a new fact that reopens what was closed (recorded time)"
    )


class FindingFact(Base):
    """A fact that a finding rests on."""

    __tablename__ = "finding_fact"
    __table_args__ = (
        Index("ix_finding_fact_fact_id", "fact_id"),
        {"comment": "The facts that a finding rests on"},
    )

    finding_id: Mapped[int] = mapped_column(
        ForeignKey("finding.id", ondelete="CASCADE"), primary_key=True, comment="The finding"
    )
    fact_id: Mapped[int] = mapped_column(ForeignKey("fact.id"), primary_key=True, comment="The fact")
    role: Mapped[str] = mapped_column(server_default="new", comment="new: what is new; known: what it matches")


class Incident(Base):
    """Something that happened to us or to somebody we help."""

    __tablename__ = "incident"
    __table_args__ = ({"comment": "Something that happened, with what is known of it; flows take its id only"},)

    id: Mapped[int] = _id("Identity")
    title: Mapped[str] = mapped_column(comment="What people call it")
    key: Mapped[UUID] = mapped_column(unique=True, comment="Digest of its indicators: the same again is the same one")
    publish: Mapped[bool] = mapped_column(server_default="false", comment="Whether its findings may be published")
    tlp: Mapped[int] = mapped_column(
        SmallInteger, server_default="2", comment="TLP 2.0 of what it is about, 0 to 4: no finding of it is laxer"
    )
    status: Mapped[str] = mapped_column(server_default="new", comment="new, investigating, reported or failed")
    report: Mapped[str] = mapped_column(server_default="", comment="The report, Markdown")
    created_at: Mapped[datetime] = _recorded("When it was reported")
    reported_at: Mapped[datetime | None] = mapped_column(comment="When the report was written (recorded time)")


class IncidentItem(Base):
    """An indicator of an incident, as given."""

    __tablename__ = "incident_item"
    __table_args__ = (
        UniqueConstraint("incident_id", "text"),
        Index("ix_incident_item_entity_id", "entity_id"),
        {"comment": "An indicator of an incident, as given and as read"},
    )

    id: Mapped[int] = _id("Identity")
    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), comment="The incident")
    text: Mapped[str] = mapped_column(comment="As given")
    entity_id: Mapped[int | None] = mapped_column(ForeignKey("entity.id"), comment="As read; null where it was not")
    reason: Mapped[str] = mapped_column(server_default="", comment="Why it could not be read")


class Query(Base):
    """A question that left the machine."""

    __tablename__ = "query"
    __table_args__ = (
        Index("ix_query_entity_id", "entity_id", "asked_at"),
        Index("ix_query_document_id", "document_id", postgresql_where="document_id IS NOT NULL"),
        Index("ix_query_reason", "reason"),
        {"comment": "Every question that left the machine: what was asked, of whom, why, and how it ended"},
    )

    id: Mapped[int] = _id("Identity")
    asked_at: Mapped[datetime] = _recorded("When it was asked")
    protocol: Mapped[str] = mapped_column(comment="rdap, whois, ...")
    server: Mapped[str] = mapped_column(comment="Who was asked")
    reach: Mapped[str] = mapped_column(comment="registry, registrar, third party or actor")
    entity_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), comment="What was asked about")
    reason: Mapped[str] = mapped_column(comment="What asked, and why: watch, finding or incident, with its id")
    outcome: Mapped[str] = mapped_column(
        comment="How it ended: intel.registration.Outcome, or asked (no answer yet), referred or refused"
    )
    document_id: Mapped[int | None] = mapped_column(ForeignKey("document.id"), comment="The answer")
    location: Mapped[str] = mapped_column(server_default="", comment="What was asked for, as a URL")
    answered_at: Mapped[datetime | None] = mapped_column(comment="When the answer was kept (recorded time)")
    sha256: Mapped[bytes | None] = mapped_column(comment="SHA-256 of the answer in the document store, loaded or not")
    status: Mapped[int | None] = mapped_column(SmallInteger, comment="HTTP status of the answer")
    cut: Mapped[str] = mapped_column(server_default="", comment="Why the answer is not whole: size, time or reset")


class LookupServer(Base):
    """A server that answers questions about registration: how fast it may be asked, and how it has answered."""

    __tablename__ = "lookup_server"
    __table_args__ = (
        {"comment": "A server that answers look-ups: its pace, its breaker and its budget, shared by all who ask"},
    )

    server: Mapped[str] = mapped_column(primary_key=True, comment="Host, or host:port where the port is another")
    next_at: Mapped[datetime] = mapped_column(comment="When the bucket is full again: questions are spaced by it")
    not_before: Mapped[datetime | None] = mapped_column(comment="It asked for patience until then, or its breaker did")
    failures: Mapped[int] = mapped_column(Integer, server_default="0", comment="Failures since its last answer")
    slowed: Mapped[float] = mapped_column(
        Float, server_default="1", comment="How many times slower it is asked than allowed, since it throttled"
    )
    day: Mapped[date] = mapped_column(comment="The UTC day that `asked` counts")
    asked: Mapped[int] = mapped_column(Integer, server_default="0", comment="Questions on that day")
    throttled: Mapped[int] = mapped_column(Integer, server_default="0", comment="Of them told to slow down")
    last_asked: Mapped[datetime | None] = mapped_column(comment="When it was asked last (recorded time)")
    last_outcome: Mapped[str] = mapped_column(server_default="", comment="How that ended")


class WhoisServer(Base):
    """Who answers WHOIS for a suffix, as the root server said."""

    __tablename__ = "whois_server"
    __table_args__ = ({"comment": "Who answers WHOIS for a top-level domain, as IANA's server said"},)

    suffix: Mapped[str] = mapped_column(primary_key=True, comment="The top-level domain")
    server: Mapped[str] = mapped_column(comment="Host, or host:port; empty: it has none")
    learned_at: Mapped[datetime] = _recorded("When it said so")


class Lookup(Base):
    """What is wanted to be known of one thing's registration, and when it is asked next."""

    __tablename__ = "lookup"
    __table_args__ = (
        Index("ix_lookup_due", "priority", "due_at", postgresql_where="due_at IS NOT NULL"),
        {"comment": "Queue and timetable of look-ups: one row for each thing, so that none is asked about twice"},
    )

    entity_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), primary_key=True, comment="What is asked about")
    priority: Mapped[int] = mapped_column(SmallInteger, comment="0 before 1 before ...: db.lookup_queue.Priority")
    due_at: Mapped[datetime | None] = mapped_column(comment="When to ask; null: not wanted at present")
    reason: Mapped[str] = mapped_column(comment="What wants it: incident 7, watch, finding, new domain")
    reach: Mapped[str] = mapped_column(comment="How far its questions may go: intel.config.lookups.Reach")
    wanted_at: Mapped[datetime] = _recorded("When it was wanted first, or again")
    claimed_until: Mapped[datetime | None] = mapped_column(comment="A worker is at it until then, or has died")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0", comment="Times that it said nothing, in a row")
    outcome: Mapped[str] = mapped_column(server_default="", comment="How the last look-up ended")
    asked_at: Mapped[datetime | None] = mapped_column(comment="When it was last answered (recorded time)")
    changed_at: Mapped[datetime | None] = mapped_column(comment="When an answer last differed (recorded time)")
    every: Mapped[float | None] = mapped_column(Float, comment="Days until it is refreshed, as often as it changes")


class SeenDomain(Base):
    """When a channel first showed a registrable domain."""

    __tablename__ = "seen_domain"
    __table_args__ = (
        Index("ix_seen_domain_first_seen", "first_seen", postgresql_using="brin"),
        {"comment": "When each channel of new domains first showed a registrable domain"},
    )

    name: Mapped[str] = mapped_column(primary_key=True, comment="Registrable domain, canonical")
    channel: Mapped[str] = mapped_column(primary_key=True, comment="list, zone or ct")
    first_seen: Mapped[datetime] = mapped_column(comment="When it was first shown (event time)")
    source_id: Mapped[int] = mapped_column(SmallInteger, comment="Source that showed it first")
    score: Mapped[float | None] = mapped_column(Float, comment="How much its name resembles known bad ones")


class ZoneSnapshot(Base):
    """A zone as it was on one day: names and their name servers, sorted, in a file."""

    __tablename__ = "zone_snapshot"
    __table_args__ = (
        UniqueConstraint("zone", "as_of"),
        {"comment": "A zone file as it was at one time, sorted, kept to compare the next with"},
    )

    id: Mapped[int] = _id("Identity")
    source_id: Mapped[int] = mapped_column(ForeignKey("source.id"), comment="The zone's source")
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), comment="The run that took it")
    zone: Mapped[str] = mapped_column(comment="The zone's name")
    serial: Mapped[int | None] = mapped_column(comment="Serial number of its SOA record")
    as_of: Mapped[datetime] = mapped_column(comment="When it was so (event time)")
    path: Mapped[str] = mapped_column(comment="Its sorted file, below the folder of zones; empty once removed")
    sha256: Mapped[bytes] = mapped_column(comment="SHA-256 of the sorted file")
    names: Mapped[int] = mapped_column(comment="Delegated names in it")
    added: Mapped[int | None] = mapped_column(comment="Names that the one before lacked; null: there was none")
    removed: Mapped[int | None] = mapped_column(comment="Names of the one before that it lacks")
    changed: Mapped[int | None] = mapped_column(comment="Names whose name servers differ")


class OwnershipEnd(Base):
    """A moment from which a domain is no longer whose it was."""

    __tablename__ = "ownership_end"
    __table_args__ = (
        {"comment": "When a domain ceased to be whose it was; what it does later says nothing of who had it before"},
    )

    entity_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), primary_key=True, comment="The domain")
    ended_at: Mapped[datetime] = mapped_column(primary_key=True, comment="From then on (event time)")
    reason: Mapped[str] = mapped_column(primary_key=True, comment="re-registered, expired, seized or sinkholed")
    fact_id: Mapped[int] = mapped_column(comment="The fact that shows it")
    recorded_at: Mapped[datetime] = _recorded("When it was concluded")


class Population(Base):
    """A reference population: many things of one kind, chosen for another reason than that they interest us."""

    __tablename__ = "population"
    __table_args__ = ({"comment": "A reference population, in which it was counted how common values are"},)

    name: Mapped[str] = mapped_column(primary_key=True, comment="Its name: zone:example, new-domains, certificates")
    title: Mapped[str] = mapped_column(comment="What it is and where it comes from, in a sentence")
    total: Mapped[int] = mapped_column(comment="How many things were counted")
    traits: Mapped[dict[str, int]] = mapped_column(
        JSONB, server_default="{}", comment="For how many of them each trait is known, by the name of the trait"
    )
    partial: Mapped[bool] = mapped_column(
        server_default="false", comment="Only chosen values were counted: one that is missing may be common"
    )
    as_of: Mapped[datetime] = mapped_column(comment="The time that it speaks of (event time)")
    counted_at: Mapped[datetime] = _recorded("When it was counted")


class Prevalence(Base):
    """How many things of a reference population have a value."""

    __tablename__ = "prevalence"
    __table_args__ = (
        Index("ix_prevalence_digest", "digest"),
        {"comment": "How common a value is in a reference population; values that one thing alone has may be left out"},
    )

    population: Mapped[str] = mapped_column(
        ForeignKey("population.name", ondelete="CASCADE"), primary_key=True, comment="The population"
    )
    trait: Mapped[str] = mapped_column(primary_key=True, comment="What has it: a predicate, or intel.traits.Name")
    digest: Mapped[UUID] = mapped_column(primary_key=True, comment="Digest of the value, as in entity.digest")
    count: Mapped[int] = mapped_column(comment="Things of the population that have it")


class ReferenceSample(Base):
    """A new domain that chance chose to be looked up, for what registrations are like that do not interest us."""

    __tablename__ = "reference_sample"
    __table_args__ = ({"comment": "New domains that chance chose to be looked up: a reference population"},)

    entity_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), primary_key=True, comment="The domain")
    chosen_at: Mapped[datetime] = _recorded("When it was chosen")


class WatchRule(Base):
    """A rule that a watch brings along, as its file or an analyst wrote it."""

    __tablename__ = "watch_rule"
    __table_args__ = (
        UniqueConstraint("watch_id", "name"),
        {"comment": "A rule that a watch brings along; built-in rules stand in tasks.watch.rules"},
    )

    id: Mapped[int] = _id("Identity")
    watch_id: Mapped[int] = mapped_column(ForeignKey("watch.id", ondelete="CASCADE"), comment="The watch")
    name: Mapped[str] = mapped_column(comment="What people call it; the rule of its findings")
    definition: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="The rule: intel.rules, as written in its file")
    digest: Mapped[UUID] = mapped_column(comment="Digest of the definition: another one is looked backwards for anew")
    origin: Mapped[str] = mapped_column(comment="Where it was made: file, command or pattern")
    active: Mapped[bool] = mapped_column(server_default="true", comment="Whether it is evaluated")
    swept: Mapped[UUID | None] = mapped_column(comment="Digest of the definition that history was judged with")
    added_at: Mapped[datetime] = _recorded("When it was added or changed")


class RegistrationPattern(Base):
    """A combination of traits that an actor's domains have in common, proposed and decided on."""

    __tablename__ = "registration_pattern"
    __table_args__ = (
        UniqueConstraint("watch_id", "key"),
        {"comment": "Traits that an actor's domains have in common and few others have, and what was decided"},
    )

    id: Mapped[int] = _id("Identity")
    watch_id: Mapped[int] = mapped_column(
        ForeignKey("watch.id", ondelete="CASCADE"), comment="Watch whose known domains it was learned from"
    )
    key: Mapped[UUID] = mapped_column(comment="Digest of its traits: the same combination is the same pattern")
    traits: Mapped[list[Any]] = mapped_column(JSONB, comment="Its traits: [name, value], sorted")
    known: Mapped[int] = mapped_column(Integer, comment="Known domains that it was learned from")
    support: Mapped[int] = mapped_column(Integer, comment="Of them, those that have all its traits")
    per_million: Mapped[float] = mapped_column(Float, comment="Expected false positives per million new domains")
    population: Mapped[str] = mapped_column(comment="Population that this was estimated in, and its size")
    examples: Mapped[list[Any]] = mapped_column(JSONB, comment="Known domains that it rests on")
    lookbacks: Mapped[list[Any]] = mapped_column(JSONB, server_default="[]", comment="Others in the warehouse with it")
    status: Mapped[str] = mapped_column(server_default="proposed", comment="proposed, accepted, refused or superseded")
    reason: Mapped[str] = mapped_column(server_default="", comment="Why it was decided so")
    decided_by: Mapped[str] = mapped_column(server_default="", comment="The operating system's account")
    decided_at: Mapped[datetime | None] = mapped_column(comment="When it was decided (recorded time)")
    rule_id: Mapped[int | None] = mapped_column(
        ForeignKey("watch_rule.id", ondelete="SET NULL"), comment="The rule that it became"
    )
    proposed_at: Mapped[datetime] = _recorded("When it was first proposed")
    learned_at: Mapped[datetime] = _recorded("When its figures were learned last")


class Lead(Base):
    """Something that an investigation led to."""

    __tablename__ = "lead"
    __table_args__ = (
        Index("ix_lead_entity_id", "entity_id"),
        {"comment": "What an investigation led to, how strongly, and by which evidence: inferred, not stated"},
    )

    incident_id: Mapped[int] = mapped_column(ForeignKey("incident.id"), primary_key=True, comment="The incident")
    entity_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), primary_key=True, comment="What it led to")
    bits: Mapped[float] = mapped_column(Float, comment="Evidence for the same hand, in bits, as of the last pivot")
    families: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Families of evidence that speak for it")
    depth: Mapped[int] = mapped_column(SmallInteger, comment="Steps from what was reported")
    evidence: Mapped[list[Any]] = mapped_column(JSONB, comment="The evidence, strongest first: intel.evidence.Evidence")
    found_at: Mapped[datetime] = _recorded("When it was first led to")
    changed_at: Mapped[datetime] = _recorded("When its evidence changed last")


class FindingEvent(Base):
    """What became of a finding: each change of its status."""

    __tablename__ = "finding_event"
    __table_args__ = (
        Index("ix_finding_event_finding_id", "finding_id"),
        {"comment": "Each change of a finding's status: who, when and why; append-only"},
    )

    id: Mapped[int] = _id("Identity")
    finding_id: Mapped[int] = mapped_column(ForeignKey("finding.id", ondelete="CASCADE"), comment="The finding")
    status: Mapped[str] = mapped_column(comment="What it became: open, acknowledged, confirmed, dismissed, reopened")
    reason: Mapped[str] = mapped_column(server_default="", comment="Why")
    who: Mapped[str] = mapped_column(server_default="", comment="The operating system's account; empty: Lapsewatch")
    at: Mapped[datetime] = _recorded("When")


class Suppression(Base):
    """What a dismissal taught: findings like it are worth less from then on."""

    __tablename__ = "suppression"
    __table_args__ = (
        Index("ix_suppression_entity_id", "entity_id"),
        {"comment": "What dismissals taught: what findings like these are lowered by, never dropped"},
    )

    id: Mapped[int] = _id("Identity")
    watch_id: Mapped[int | None] = mapped_column(
        ForeignKey("watch.id", ondelete="CASCADE"), comment="Only for this watch; null: for all"
    )
    rule: Mapped[str] = mapped_column(server_default="", comment="Only for this rule; empty: for all")
    entity_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), comment="What findings must touch")
    takes: Mapped[int] = mapped_column(SmallInteger, comment="What it takes from their severity")
    reason: Mapped[str] = mapped_column(comment="Why, as said with the dismissal")
    finding_id: Mapped[int | None] = mapped_column(
        ForeignKey("finding.id", ondelete="SET NULL"), comment="The dismissed finding that taught it"
    )
    active: Mapped[bool] = mapped_column(server_default="true", comment="Whether it is applied")
    created_at: Mapped[datetime] = _recorded("When it was learned")


class Delivery(Base):
    """A message about findings on its way to people: the outbox."""

    __tablename__ = "delivery"
    __table_args__ = (
        UniqueConstraint("channel", "key"),
        Index("ix_delivery_due_at", "due_at", postgresql_where="sent_at IS NULL AND due_at IS NOT NULL"),
        {"comment": "The outbox: what is said to whom about findings, once"},
    )

    id: Mapped[int] = _id("Identity")
    channel: Mapped[str] = mapped_column(comment="Name of the channel in configs/notify.yaml")
    key: Mapped[str] = mapped_column(comment="What makes it the same message: finding:7:2, digest:2026-11-24")
    finding_id: Mapped[int | None] = mapped_column(
        ForeignKey("finding.id", ondelete="CASCADE"), comment="The finding; null: a digest"
    )
    watch_id: Mapped[int | None] = mapped_column(ForeignKey("watch.id", ondelete="CASCADE"), comment="Its watch")
    kind: Mapped[str] = mapped_column(comment="new, reopened or digest")
    day: Mapped[date] = mapped_column(comment="The UTC day whose budget it counts against")
    digest_id: Mapped[int | None] = mapped_column(
        ForeignKey("delivery.id", ondelete="SET NULL"), comment="The digest that said it in its place"
    )
    due_at: Mapped[datetime | None] = mapped_column(comment="When to send it; null: waits for the digest, or given up")
    claimed_until: Mapped[datetime | None] = mapped_column(comment="A sender is at it until then, or has died")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0", comment="Times that sending failed")
    error: Mapped[str] = mapped_column(server_default="", comment="Why it failed last, without secrets")
    sent_at: Mapped[datetime | None] = mapped_column(comment="When it was sent (recorded time)")
    created_at: Mapped[datetime] = _recorded("When it was put here")


class Collection(Base):
    """A TAXII collection that partners read."""

    __tablename__ = "collection"
    __table_args__ = ({"comment": "A TAXII 2.1 collection"},)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Its TAXII id, a UUIDv4 as the standard asks")
    alias: Mapped[str] = mapped_column(unique=True, comment="Its name in paths and commands")
    title: Mapped[str] = mapped_column(comment="What people call it")
    description: Mapped[str] = mapped_column(comment="What is in it")
    tlp_ceiling: Mapped[int] = mapped_column(SmallInteger, comment="Strictest TLP that it may hold, 0 to 4")
    position: Mapped[int] = mapped_column(server_default="0", comment="Last position given out, under its row lock")
    last_added: Mapped[datetime | None] = mapped_column(comment="Last date_added given out (recorded time)")


class Publication(Base):
    """A version of a STIX object in a collection."""

    __tablename__ = "publication"
    __table_args__ = (
        UniqueConstraint("collection_id", "stix_id", "version"),
        Index("ix_publication_collection_id_date_added", "collection_id", "date_added"),
        Index("ix_publication_collection_id_type", "collection_id", "type", "position"),
        {"comment": "A version of a STIX 2.1 object in a collection, serialised once, in the order of publication"},
    )

    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collection.id"), primary_key=True, comment="Collection")
    position: Mapped[int] = mapped_column(primary_key=True, comment="Strictly increasing, in order of commit")
    stix_id: Mapped[str] = mapped_column(comment="STIX id, deterministic")
    type: Mapped[str] = mapped_column(comment="STIX type")
    version: Mapped[datetime] = mapped_column(comment="STIX modified, or created, or date_added where it has neither")
    date_added: Mapped[datetime] = mapped_column(comment="TAXII date_added, strictly increasing (recorded time)")
    tlp: Mapped[int] = mapped_column(SmallInteger, comment="TLP 2.0, 0 to 4; 5: taken back, served to nobody")
    finding_id: Mapped[int | None] = mapped_column(ForeignKey("finding.id"), comment="The finding that it says")
    content: Mapped[UUID] = mapped_column(comment="Digest of the object without its modified time")
    body: Mapped[str] = mapped_column(comment="The object as JSON, served as it is")


class Withheld(Base):
    """A finding that was not published, and why."""

    __tablename__ = "withheld"
    __table_args__ = ({"comment": "A finding that was not published to a collection, and why"},)

    collection_id: Mapped[UUID] = mapped_column(ForeignKey("collection.id"), primary_key=True, comment="Collection")
    finding_id: Mapped[int] = mapped_column(ForeignKey("finding.id"), primary_key=True, comment="The finding")
    reason: Mapped[str] = mapped_column(comment="Why it was withheld")
    decided_at: Mapped[datetime] = _recorded("When that was decided")


class Partner(Base):
    """Somebody who reads our collections."""

    __tablename__ = "partner"
    __table_args__ = ({"comment": "Somebody who reads our collections"},)

    id: Mapped[int] = _id("Identity")
    name: Mapped[str] = mapped_column(unique=True, comment="What we call them")
    key_sha256: Mapped[bytes] = mapped_column(unique=True, comment="SHA-256 of their key, which is random and long")
    collections: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid(native_uuid=True)), comment="Collections they may read")
    active: Mapped[bool] = mapped_column(server_default="true", comment="Whether the key is accepted")
    created_at: Mapped[datetime] = _recorded("When the key was made")


class Disclosure(Base):
    """Somebody looked at people's data."""

    __tablename__ = "disclosure"
    __table_args__ = ({"comment": "Each time that people's data was shown unmasked, and the reason given"},)

    id: Mapped[int] = _id("Identity")
    entity_id: Mapped[int] = mapped_column(ForeignKey("entity.id"), comment="What was looked at")
    who: Mapped[str] = mapped_column(comment="The operating system's account")
    reason: Mapped[str] = mapped_column(comment="The reason given")
    at: Mapped[datetime] = _recorded("When")
