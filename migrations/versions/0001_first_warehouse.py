"""first warehouse

Lock and statement timeouts are set in env.py. Must work with the release before: no dropped or renamed column that
the previous release reads, no new column that it does not fill without a default.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE SCHEMA staging")
    op.execute("COMMENT ON SCHEMA staging IS 'Facts between normalisation and load: tables per run, dropped by the load'")
    op.create_table('collection',
    sa.Column('id', sa.Uuid(), nullable=False, comment='Its TAXII id, a UUIDv4 as the standard asks'),
    sa.Column('alias', sa.Text(), nullable=False, comment='Its name in paths and commands'),
    sa.Column('title', sa.Text(), nullable=False, comment='What people call it'),
    sa.Column('description', sa.Text(), nullable=False, comment='What is in it'),
    sa.Column('tlp_ceiling', sa.SmallInteger(), nullable=False, comment='Strictest TLP that it may hold, 0 to 4'),
    sa.Column('position', sa.BigInteger(), server_default='0', nullable=False, comment='Last position given out, under its row lock'),
    sa.Column('last_added', sa.DateTime(timezone=True), nullable=True, comment='Last date_added given out (recorded time)'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_collection')),
    sa.UniqueConstraint('alias', name=op.f('uq_collection_alias')),
    comment='A TAXII 2.1 collection'
    )
    op.create_table('entity',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('digest', sa.Uuid(), nullable=False, comment='First 128 bits of SHA-256 over kind, NUL, value'),
    sa.Column('kind', sa.Text(), nullable=False, comment='What it is: intel.entities.Kind'),
    sa.Column('value', sa.Text(), nullable=False, comment='Its canonical form'),
    sa.Column('scope', sa.Text(), server_default='', nullable=False, comment='Registrable domain that it stands on, or empty'),
    sa.Column('address', postgresql.INET(), nullable=True, comment='IP address or network that it stands on'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_entity')),
    sa.UniqueConstraint('digest', name=op.f('uq_entity_digest')),
    comment='Something that can be pointed at, in its one canonical form, or a typed literal'
    )
    op.create_index('ix_entity_address', 'entity', ['address'], unique=False, postgresql_where='address IS NOT NULL')
    op.create_index('ix_entity_scope', 'entity', ['scope'], unique=False, postgresql_where="scope <> ''")
    op.create_table('fact',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('key', sa.Uuid(), nullable=False, comment='128 bits of SHA-256 over what it says and who says it'),
    sa.Column('source_id', sa.BigInteger(), nullable=False, comment='Who says so'),
    sa.Column('subject_id', sa.BigInteger(), nullable=False, comment='What it speaks of'),
    sa.Column('predicate', sa.Text(), nullable=False, comment='What it says: intel.facts.Predicate'),
    sa.Column('object_id', sa.BigInteger(), nullable=True, comment='Entity or literal that it names'),
    sa.Column('state', sa.Text(), server_default='value', nullable=False, comment='value, redacted, placeholder, proxy, absent or unparsed'),
    sa.Column('qualifiers', postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment='What else belongs to its identity'),
    sa.Column('reference', sa.Text(), server_default='', nullable=False, comment='Upstream reference: a report, post or event'),
    sa.Column('tlp', sa.SmallInteger(), nullable=False, comment='TLP 2.0, 0 to 4; the strictest ever stated'),
    sa.Column('confidence', sa.SmallInteger(), nullable=True, comment='0 to 100, as stated'),
    sa.Column('personal', sa.Boolean(), server_default='false', nullable=False, comment='Whether it names a person'),
    sa.Column('standing', sa.Boolean(), nullable=True, comment='Snapshot sources: whether still stated; null for streams, false once ended'),
    sa.Column('document_id', sa.BigInteger(), nullable=True, comment='First document that states it'),
    sa.Column('locator', sa.Text(), server_default='', nullable=False, comment='Where in that document'),
    sa.Column('batch_id', sa.BigInteger(), nullable=False, comment='Batch that committed it'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fact')),
    sa.UniqueConstraint('key', name=op.f('uq_fact_key')),
    comment='An immutable statement of one source; when it was said is in fact_history'
    )
    op.create_index('ix_fact_batch_id', 'fact', ['batch_id'], unique=False)
    op.create_index('ix_fact_object_id', 'fact', ['object_id'], unique=False, postgresql_where='object_id IS NOT NULL')
    op.create_index('ix_fact_standing', 'fact', ['source_id'], unique=False, postgresql_where='standing')
    op.create_index('ix_fact_subject_id_predicate_object_id', 'fact', ['subject_id', 'predicate', 'object_id'], unique=False)
    op.create_table('fact_history',
    sa.Column('fact_id', sa.BigInteger(), nullable=False, comment='The fact'),
    sa.Column('event_time', sa.DateTime(timezone=True), nullable=False, comment='When it was so, or no longer (event time)'),
    sa.Column('ended', sa.Boolean(), nullable=False, comment='False: stated then; true: no longer stated then'),
    sa.Column('last_seen', sa.DateTime(timezone=True), nullable=True, comment='At an end: when it was last stated (event time)'),
    sa.Column('batch_id', sa.BigInteger(), nullable=False, comment='Batch that committed it, and by it the run'),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was written down (recorded time)'),
    sa.PrimaryKeyConstraint('fact_id', 'event_time', 'ended', name=op.f('pk_fact_history')),
    comment='When a fact was stated and when it ended; append-only, so every past view can be rebuilt'
    )
    op.create_index('ix_fact_history_batch_id', 'fact_history', ['batch_id'], unique=False)
    op.create_table('incident',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('title', sa.Text(), nullable=False, comment='What people call it'),
    sa.Column('key', sa.Uuid(), nullable=False, comment='Digest of its indicators: the same again is the same one'),
    sa.Column('publish', sa.Boolean(), server_default='false', nullable=False, comment='Whether its findings may be published'),
    sa.Column('tlp', sa.SmallInteger(), server_default='2', nullable=False, comment='TLP 2.0 of what it is about, 0 to 4: no finding of it is laxer'),
    sa.Column('status', sa.Text(), server_default='new', nullable=False, comment='new, investigating, reported or failed'),
    sa.Column('report', sa.Text(), server_default='', nullable=False, comment='The report, Markdown'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was reported (recorded time)'),
    sa.Column('reported_at', sa.DateTime(timezone=True), nullable=True, comment='When the report was written (recorded time)'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_incident')),
    sa.UniqueConstraint('key', name=op.f('uq_incident_key')),
    comment='Something that happened, with what is known of it; flows take its id only'
    )
    op.create_table('link',
    sa.Column('subject_id', sa.BigInteger(), nullable=False, comment='What it speaks of'),
    sa.Column('predicate', sa.Text(), nullable=False, comment='What it says'),
    sa.Column('object_id', sa.BigInteger(), nullable=False, comment='What it names'),
    sa.Column('seen', postgresql.TSTZMULTIRANGE(), nullable=False, comment='When it was so (event time): points of streams, spans of snapshots, joined'),
    sa.Column('sources', sa.Integer(), nullable=False, comment='Sources that say so'),
    sa.Column('facts', sa.Integer(), nullable=False, comment='Facts that say so'),
    sa.PrimaryKeyConstraint('subject_id', 'predicate', 'object_id', name=op.f('pk_link')),
    comment='Merged view of the facts about one subject, predicate, object; derived, can be rebuilt'
    )
    op.create_index('ix_link_object_id', 'link', ['object_id', 'predicate'], unique=False)
    op.create_table('partner',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('name', sa.Text(), nullable=False, comment='What we call them'),
    sa.Column('key_sha256', sa.LargeBinary(), nullable=False, comment='SHA-256 of their key, which is random and long'),
    sa.Column('collections', postgresql.ARRAY(sa.Uuid()), nullable=False, comment='Collections they may read'),
    sa.Column('active', sa.Boolean(), server_default='true', nullable=False, comment='Whether the key is accepted'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When the key was made (recorded time)'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_partner')),
    sa.UniqueConstraint('key_sha256', name=op.f('uq_partner_key_sha256')),
    sa.UniqueConstraint('name', name=op.f('uq_partner_name')),
    comment='Somebody who reads our collections'
    )
    op.create_table('source',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('name', sa.Text(), nullable=False, comment='Its name in configs/sources/'),
    sa.Column('title', sa.Text(), nullable=False, comment='What people call it'),
    sa.Column('reliability', sa.Text(), nullable=False, comment='Admiralty code, A (completely reliable) to F (cannot be judged)'),
    sa.Column('tlp', sa.SmallInteger(), nullable=False, comment='Default TLP 2.0: 0 CLEAR to 4 RED'),
    sa.Column('snapshot', sa.Boolean(), nullable=False, comment='True: each time it states all it knows; false: a stream that adds'),
    sa.Column('redistribution', sa.Boolean(), nullable=False, comment='Whether partners may have what rests on it alone'),
    sa.Column('commercial_use', sa.Boolean(), nullable=False, comment='Whether its licence allows commercial use'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was first used (recorded time)'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_source')),
    sa.UniqueConstraint('name', name=op.f('uq_source_name')),
    comment='Where documents come from, as its entry in configs/ said at its last run'
    )
    op.create_table('disclosure',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('entity_id', sa.BigInteger(), nullable=False, comment='What was looked at'),
    sa.Column('who', sa.Text(), nullable=False, comment="The operating system's account"),
    sa.Column('reason', sa.Text(), nullable=False, comment='The reason given'),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When (recorded time)'),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_disclosure_entity_id_entity')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_disclosure')),
    comment="Each time that people's data was shown unmasked, and the reason given"
    )
    op.create_table('incident_item',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('incident_id', sa.BigInteger(), nullable=False, comment='The incident'),
    sa.Column('text', sa.Text(), nullable=False, comment='As given'),
    sa.Column('entity_id', sa.BigInteger(), nullable=True, comment='As read; null where it was not'),
    sa.Column('reason', sa.Text(), server_default='', nullable=False, comment='Why it could not be read'),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_incident_item_entity_id_entity')),
    sa.ForeignKeyConstraint(['incident_id'], ['incident.id'], name=op.f('fk_incident_item_incident_id_incident')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_incident_item')),
    sa.UniqueConstraint('incident_id', 'text', name=op.f('uq_incident_item_incident_id_text')),
    comment='An indicator of an incident, as given and as read'
    )
    op.create_index('ix_incident_item_entity_id', 'incident_item', ['entity_id'], unique=False)
    op.create_table('run',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('source_id', sa.BigInteger(), nullable=False, comment='The source'),
    sa.Column('flow_run', sa.Text(), server_default='', nullable=False, comment="Prefect's flow run id, empty outside a flow"),
    sa.Column('started_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it started (recorded time)'),
    sa.Column('finished_at', sa.DateTime(timezone=True), nullable=True, comment='When it ended (recorded time)'),
    sa.Column('outcome', sa.Text(), server_default='running', nullable=False, comment='running, ok, unchanged, partial, failed, interrupted or withdrawn'),
    sa.Column('error', sa.Text(), server_default='', nullable=False, comment='What could not be done, to what, why, what is next'),
    sa.Column('documents', sa.BigInteger(), server_default='0', nullable=False, comment='Documents that brought something new'),
    sa.Column('facts', sa.BigInteger(), server_default='0', nullable=False, comment='Facts that they state'),
    sa.Column('facts_new', sa.BigInteger(), server_default='0', nullable=False, comment='Facts stated for the first time'),
    sa.Column('facts_ended', sa.BigInteger(), server_default='0', nullable=False, comment='Facts that ended'),
    sa.Column('rejects', sa.BigInteger(), server_default='0', nullable=False, comment='Records refused, each with a reason in reject'),
    sa.Column('bytes', sa.BigInteger(), server_default='0', nullable=False, comment='Bytes received, decoded'),
    sa.ForeignKeyConstraint(['source_id'], ['source.id'], name=op.f('fk_run_source_id_source')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_run')),
    comment='One collection from one source: what it brought and how it ended'
    )
    op.create_index('ix_run_source_id_started_at', 'run', ['source_id', 'started_at'], unique=False)
    op.create_table('watch',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('name', sa.Text(), nullable=False, comment='What people call it'),
    sa.Column('actor_id', sa.BigInteger(), nullable=True, comment='The actor that it is about'),
    sa.Column('incident_id', sa.BigInteger(), nullable=True, comment='The incident that it is from'),
    sa.Column('origin', sa.Text(), nullable=False, comment='Where it was made: file, command or incident'),
    sa.Column('rules', postgresql.ARRAY(sa.Text()), nullable=False, comment='Rules in force, by name: tasks.watch.rules'),
    sa.Column('active', sa.Boolean(), server_default='true', nullable=False, comment='Whether it is evaluated'),
    sa.Column('follows_actor', sa.Boolean(), server_default='false', nullable=False, comment='Whether what sources claim of the actor is watched without being listed'),
    sa.Column('reason', sa.Text(), server_default='', nullable=False, comment='Why it was made'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was made (recorded time)'),
    sa.ForeignKeyConstraint(['actor_id'], ['entity.id'], name=op.f('fk_watch_actor_id_entity')),
    sa.ForeignKeyConstraint(['incident_id'], ['incident.id'], name=op.f('fk_watch_incident_id_incident')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_watch')),
    sa.UniqueConstraint('name', name=op.f('uq_watch_name')),
    comment='What an analyst wants to know about, tied to an actor or an incident'
    )
    op.create_table('batch',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('run_id', sa.BigInteger(), nullable=False, comment='The run that loaded it'),
    sa.Column('facts_new', sa.BigInteger(), nullable=False, comment='Facts in it'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was committed (recorded time)'),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_batch_run_id_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_batch')),
    comment='Facts committed together: the unit of work of the monitors, which never ask for fact.id > n'
    )
    op.create_index('ix_batch_run_id', 'batch', ['run_id'], unique=False)
    op.create_table('cursor',
    sa.Column('name', sa.Text(), nullable=False, comment='Of what: source:NAME, ct:LOG, publish:COLLECTION'),
    sa.Column('value', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='The position, in the words of its owner'),
    sa.Column('run_id', sa.BigInteger(), nullable=True, comment='The run that moved it last'),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it moved last (recorded time)'),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_cursor_run_id_run')),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_cursor')),
    comment='How far something has been read; written only in the transaction that writes what was read'
    )
    op.create_table('document',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('source_id', sa.BigInteger(), nullable=False, comment='The source'),
    sa.Column('run_id', sa.BigInteger(), nullable=False, comment='The run that brought it'),
    sa.Column('location', sa.Text(), nullable=False, comment='URL or path that it was read from'),
    sa.Column('sha256', sa.LargeBinary(), nullable=False, comment='SHA-256 of the decoded bytes'),
    sa.Column('size', sa.BigInteger(), nullable=False, comment='Bytes, decoded'),
    sa.Column('media_type', sa.Text(), server_default='', nullable=False, comment='Media type as declared, empty where none was'),
    sa.Column('etag', sa.Text(), server_default='', nullable=False, comment='HTTP entity tag, for the next conditional request'),
    sa.Column('last_modified', sa.Text(), server_default='', nullable=False, comment='HTTP Last-Modified, as sent'),
    sa.Column('as_of', sa.DateTime(timezone=True), nullable=False, comment='The time that it speaks of (event time)'),
    sa.Column('fetched_at', sa.DateTime(timezone=True), nullable=False, comment='When it was received (recorded time)'),
    sa.Column('loaded', sa.Boolean(), server_default='false', nullable=False, comment='Whether its facts were committed'),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_document_run_id_run')),
    sa.ForeignKeyConstraint(['source_id'], ['source.id'], name=op.f('fk_document_source_id_source')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_document')),
    comment='A document as received; its bytes lie in the document store under their SHA-256'
    )
    op.create_index('ix_document_run_id', 'document', ['run_id'], unique=False)
    op.create_index('ix_document_sha256', 'document', ['sha256'], unique=False)
    op.create_index('ix_document_source_id_location', 'document', ['source_id', 'location', 'id'], unique=False)
    op.create_table('watch_item',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('watch_id', sa.BigInteger(), nullable=False, comment='The watch'),
    sa.Column('match', sa.Text(), nullable=False, comment='How it matches: entity, scope (registrable domain), subtree or network'),
    sa.Column('kind', sa.Text(), server_default='', nullable=False, comment='Kind of entity, for match = entity'),
    sa.Column('value', sa.Text(), nullable=False, comment='Canonical value, registrable domain, name or network'),
    sa.Column('digest', sa.Uuid(), sa.Computed("md5(kind || ' ' || value)::uuid", persisted=True), nullable=False, comment='MD5 of kind, space and value, for the indexes: values are longer than an index entry may be'),
    sa.Column('network', postgresql.INET(), nullable=True, comment='The network, for match = network'),
    sa.Column('since', sa.DateTime(timezone=True), nullable=True, comment='Known to belong from then on (event time)'),
    sa.Column('added_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was added (recorded time)'),
    sa.Column('swept', postgresql.ARRAY(sa.Text()), server_default='{}', nullable=False, comment='Monitors that have looked backwards over the warehouse for it'),
    sa.ForeignKeyConstraint(['watch_id'], ['watch.id'], name=op.f('fk_watch_item_watch_id_watch'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_watch_item')),
    sa.UniqueConstraint('watch_id', 'match', 'digest', name=op.f('uq_watch_item_watch_id_match_digest')),
    comment='One thing that a watch looks for'
    )
    op.create_index('ix_watch_item_match_digest', 'watch_item', ['match', 'digest'], unique=False)
    op.create_index('ix_watch_item_network', 'watch_item', ['network'], unique=False, postgresql_where='network IS NOT NULL')
    op.create_table('finding',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('watch_id', sa.BigInteger(), nullable=False, comment='The watch that matched'),
    sa.Column('rule', sa.Text(), nullable=False, comment='The rule that matched: tasks.watch.rules'),
    sa.Column('subject_id', sa.BigInteger(), nullable=False, comment='What was found'),
    sa.Column('item_id', sa.BigInteger(), nullable=True, comment='What it matched'),
    sa.Column('novelty', sa.Uuid(), nullable=False, comment='Digest of what is new; depends on no batch and no order'),
    sa.Column('lapse', sa.Boolean(), server_default='false', nullable=False, comment="Whether it is a mistake of the actor's"),
    sa.Column('title', sa.Text(), nullable=False, comment='What it says, in a sentence'),
    sa.Column('severity', sa.SmallInteger(), nullable=False, comment='0 to 100: how soon to look, annotations counted in'),
    sa.Column('annotations', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False, comment='Known-good lists and hubs that it touches, and what they take away'),
    sa.Column('status', sa.Text(), server_default='open', nullable=False, comment='open, acknowledged, confirmed, dismissed or withdrawn'),
    sa.Column('status_reason', sa.Text(), server_default='', nullable=False, comment='Why it has that status'),
    sa.Column('event_time', sa.DateTime(timezone=True), nullable=True, comment='When it was first so (event time)'),
    sa.Column('found_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was found (recorded time)'),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When its status or annotations changed last (recorded time)'),
    sa.ForeignKeyConstraint(['item_id'], ['watch_item.id'], name=op.f('fk_finding_item_id_watch_item'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['subject_id'], ['entity.id'], name=op.f('fk_finding_subject_id_entity')),
    sa.ForeignKeyConstraint(['watch_id'], ['watch.id'], name=op.f('fk_finding_watch_id_watch')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_finding')),
    sa.UniqueConstraint('watch_id', 'rule', 'novelty', name=op.f('uq_finding_watch_id_rule_novelty')),
    comment='One match, unique per watch, rule and what is new'
    )
    op.create_index('ix_finding_status', 'finding', ['status', 'id'], unique=False)
    op.create_index('ix_finding_subject_id', 'finding', ['subject_id'], unique=False)
    op.create_table('judgement',
    sa.Column('batch_id', sa.BigInteger(), nullable=False, comment='The batch'),
    sa.Column('monitor', sa.Text(), nullable=False, comment='registrations or certificates'),
    sa.Column('items', sa.BigInteger(), nullable=False, comment='Version of the watch set: the newest watch_item.id it knew'),
    sa.Column('judged_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was judged (recorded time)'),
    sa.ForeignKeyConstraint(['batch_id'], ['batch.id'], name=op.f('fk_judgement_batch_id_batch')),
    sa.PrimaryKeyConstraint('batch_id', 'monitor', name=op.f('pk_judgement')),
    comment='A batch that a monitor has looked at; without a row it still has to'
    )
    op.create_table('query',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('asked_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was asked (recorded time)'),
    sa.Column('protocol', sa.Text(), nullable=False, comment='rdap, whois, ...'),
    sa.Column('server', sa.Text(), nullable=False, comment='Who was asked'),
    sa.Column('reach', sa.Text(), nullable=False, comment='registry, registrar, third party or actor'),
    sa.Column('entity_id', sa.BigInteger(), nullable=False, comment='What was asked about'),
    sa.Column('reason', sa.Text(), nullable=False, comment='What asked, and why: watch, finding or incident, with its id'),
    sa.Column('outcome', sa.Text(), nullable=False, comment='How it ended: intel.registration.Outcome, or asked (no answer yet), referred or refused'),
    sa.Column('document_id', sa.BigInteger(), nullable=True, comment='The answer'),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_query_document_id_document')),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_query_entity_id_entity')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_query')),
    comment='Every question that left the machine: what was asked, of whom, why, and how it ended'
    )
    op.create_index('ix_query_entity_id', 'query', ['entity_id', 'asked_at'], unique=False)
    op.create_table('reject',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('run_id', sa.BigInteger(), nullable=False, comment='The run that read it'),
    sa.Column('document_id', sa.BigInteger(), nullable=False, comment='The document that it stands in'),
    sa.Column('locator', sa.Text(), nullable=False, comment='Where in the document: line, JSON pointer, UUID'),
    sa.Column('reason', sa.Text(), nullable=False, comment='Why it was refused'),
    sa.Column('excerpt', sa.Text(), nullable=False, comment='The beginning of it, at most 200 characters'),
    sa.ForeignKeyConstraint(['document_id'], ['document.id'], name=op.f('fk_reject_document_id_document')),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_reject_run_id_run')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_reject')),
    comment='A record that was not made a fact: where it stood and why'
    )
    op.create_index('ix_reject_document_id', 'reject', ['document_id'], unique=False)
    op.create_index('ix_reject_run_id', 'reject', ['run_id'], unique=False)
    op.create_table('finding_fact',
    sa.Column('finding_id', sa.BigInteger(), nullable=False, comment='The finding'),
    sa.Column('fact_id', sa.BigInteger(), nullable=False, comment='The fact'),
    sa.Column('role', sa.Text(), server_default='new', nullable=False, comment='new: what is new; known: what it matches'),
    sa.ForeignKeyConstraint(['fact_id'], ['fact.id'], name=op.f('fk_finding_fact_fact_id_fact')),
    sa.ForeignKeyConstraint(['finding_id'], ['finding.id'], name=op.f('fk_finding_fact_finding_id_finding'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('finding_id', 'fact_id', name=op.f('pk_finding_fact')),
    comment='The facts that a finding rests on'
    )
    op.create_index('ix_finding_fact_fact_id', 'finding_fact', ['fact_id'], unique=False)
    op.create_table('publication',
    sa.Column('collection_id', sa.Uuid(), nullable=False, comment='Collection'),
    sa.Column('position', sa.BigInteger(), nullable=False, comment='Strictly increasing, in order of commit'),
    sa.Column('stix_id', sa.Text(), nullable=False, comment='STIX id, deterministic'),
    sa.Column('type', sa.Text(), nullable=False, comment='STIX type'),
    sa.Column('version', sa.DateTime(timezone=True), nullable=False, comment='STIX modified, or created, or date_added where it has neither'),
    sa.Column('date_added', sa.DateTime(timezone=True), nullable=False, comment='TAXII date_added, strictly increasing (recorded time)'),
    sa.Column('tlp', sa.SmallInteger(), nullable=False, comment='TLP 2.0, 0 to 4; 5: taken back, served to nobody'),
    sa.Column('finding_id', sa.BigInteger(), nullable=True, comment='The finding that it says'),
    sa.Column('content', sa.Uuid(), nullable=False, comment='Digest of the object without its modified time'),
    sa.Column('body', sa.Text(), nullable=False, comment='The object as JSON, served as it is'),
    sa.ForeignKeyConstraint(['collection_id'], ['collection.id'], name=op.f('fk_publication_collection_id_collection')),
    sa.ForeignKeyConstraint(['finding_id'], ['finding.id'], name=op.f('fk_publication_finding_id_finding')),
    sa.PrimaryKeyConstraint('collection_id', 'position', name=op.f('pk_publication')),
    sa.UniqueConstraint('collection_id', 'stix_id', 'version', name=op.f('uq_publication_collection_id_stix_id_version')),
    comment='A version of a STIX 2.1 object in a collection, serialised once, in the order of publication'
    )
    op.create_index('ix_publication_collection_id_date_added', 'publication', ['collection_id', 'date_added'], unique=False)
    op.create_index('ix_publication_collection_id_type', 'publication', ['collection_id', 'type', 'position'], unique=False)
    op.create_table('withheld',
    sa.Column('collection_id', sa.Uuid(), nullable=False, comment='Collection'),
    sa.Column('finding_id', sa.BigInteger(), nullable=False, comment='The finding'),
    sa.Column('reason', sa.Text(), nullable=False, comment='Why it was withheld'),
    sa.Column('decided_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When that was decided (recorded time)'),
    sa.ForeignKeyConstraint(['collection_id'], ['collection.id'], name=op.f('fk_withheld_collection_id_collection')),
    sa.ForeignKeyConstraint(['finding_id'], ['finding.id'], name=op.f('fk_withheld_finding_id_finding')),
    sa.PrimaryKeyConstraint('collection_id', 'finding_id', name=op.f('pk_withheld')),
    comment='A finding that was not published to a collection, and why'
    )


def downgrade() -> None:
    op.execute("DROP SCHEMA staging CASCADE")
    op.drop_table('withheld')
    op.drop_index('ix_publication_collection_id_type', table_name='publication')
    op.drop_index('ix_publication_collection_id_date_added', table_name='publication')
    op.drop_table('publication')
    op.drop_index('ix_finding_fact_fact_id', table_name='finding_fact')
    op.drop_table('finding_fact')
    op.drop_index('ix_reject_run_id', table_name='reject')
    op.drop_index('ix_reject_document_id', table_name='reject')
    op.drop_table('reject')
    op.drop_index('ix_query_entity_id', table_name='query')
    op.drop_table('query')
    op.drop_table('judgement')
    op.drop_index('ix_finding_subject_id', table_name='finding')
    op.drop_index('ix_finding_status', table_name='finding')
    op.drop_table('finding')
    op.drop_index('ix_watch_item_network', table_name='watch_item', postgresql_where='network IS NOT NULL')
    op.drop_index('ix_watch_item_match_digest', table_name='watch_item')
    op.drop_table('watch_item')
    op.drop_index('ix_document_source_id_location', table_name='document')
    op.drop_index('ix_document_sha256', table_name='document')
    op.drop_index('ix_document_run_id', table_name='document')
    op.drop_table('document')
    op.drop_table('cursor')
    op.drop_index('ix_batch_run_id', table_name='batch')
    op.drop_table('batch')
    op.drop_table('watch')
    op.drop_index('ix_run_source_id_started_at', table_name='run')
    op.drop_table('run')
    op.drop_index('ix_incident_item_entity_id', table_name='incident_item')
    op.drop_table('incident_item')
    op.drop_table('disclosure')
    op.drop_table('source')
    op.drop_table('partner')
    op.drop_index('ix_link_object_id', table_name='link')
    op.drop_table('link')
    op.drop_table('incident')
    op.drop_index('ix_fact_history_batch_id', table_name='fact_history')
    op.drop_table('fact_history')
    op.drop_index('ix_fact_subject_id_predicate_object_id', table_name='fact')
    op.drop_index('ix_fact_standing', table_name='fact', postgresql_where='standing')
    op.drop_index('ix_fact_object_id', table_name='fact', postgresql_where='object_id IS NOT NULL')
    op.drop_index('ix_fact_batch_id', table_name='fact')
    op.drop_table('fact')
    op.drop_index('ix_entity_scope', table_name='entity', postgresql_where="scope <> ''")
    op.drop_index('ix_entity_address', table_name='entity', postgresql_where='address IS NOT NULL')
    op.drop_table('entity')
    op.drop_table('collection')
