"""registration

Lock and statement timeouts are set in env.py. Must work with the release before: no dropped or renamed column that
the previous release reads, no new column that it does not fill without a default.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('lookup_server',
    sa.Column('server', sa.Text(), nullable=False, comment='Host, or host:port where the port is another'),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=False, comment='When the bucket is full again: questions are spaced by it'),
    sa.Column('not_before', sa.DateTime(timezone=True), nullable=True, comment='It asked for patience until then, or its breaker did'),
    sa.Column('failures', sa.Integer(), server_default='0', nullable=False, comment='Failures since its last answer'),
    sa.Column('slowed', sa.Float(), server_default='1', nullable=False, comment='How many times slower it is asked than allowed, since it throttled'),
    sa.Column('day', sa.Date(), nullable=False, comment='The UTC day that `asked` counts'),
    sa.Column('asked', sa.Integer(), server_default='0', nullable=False, comment='Questions on that day'),
    sa.Column('throttled', sa.Integer(), server_default='0', nullable=False, comment='Of them told to slow down'),
    sa.Column('last_asked', sa.DateTime(timezone=True), nullable=True, comment='When it was asked last (recorded time)'),
    sa.Column('last_outcome', sa.Text(), server_default='', nullable=False, comment='How that ended'),
    sa.PrimaryKeyConstraint('server', name=op.f('pk_lookup_server')),
    comment='A server that answers look-ups: its pace, its breaker and its budget, shared by all who ask'
    )
    op.create_table('seen_domain',
    sa.Column('name', sa.Text(), nullable=False, comment='Registrable domain, canonical'),
    sa.Column('channel', sa.Text(), nullable=False, comment='list, zone or ct'),
    sa.Column('first_seen', sa.DateTime(timezone=True), nullable=False, comment='When it was first shown (event time)'),
    sa.Column('source_id', sa.SmallInteger(), nullable=False, comment='Source that showed it first'),
    sa.Column('score', sa.Float(), nullable=True, comment='How much its name resembles known bad ones'),
    sa.PrimaryKeyConstraint('name', 'channel', name=op.f('pk_seen_domain')),
    comment='When each channel of new domains first showed a registrable domain'
    )
    op.create_index('ix_seen_domain_first_seen', 'seen_domain', ['first_seen'], unique=False, postgresql_using='brin')
    op.create_table('lookup',
    sa.Column('entity_id', sa.BigInteger(), nullable=False, comment='What is asked about'),
    sa.Column('priority', sa.SmallInteger(), nullable=False, comment='0 before 1 before ...: db.lookup_queue.Priority'),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True, comment='When to ask; null: not wanted at present'),
    sa.Column('reason', sa.Text(), nullable=False, comment='What wants it: incident 7, watch, finding, new domain'),
    sa.Column('reach', sa.Text(), nullable=False, comment='How far its questions may go: intel.config.lookups.Reach'),
    sa.Column('wanted_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was wanted first, or again (recorded time)'),
    sa.Column('claimed_until', sa.DateTime(timezone=True), nullable=True, comment='A worker is at it until then, or has died'),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False, comment='Times that it said nothing, in a row'),
    sa.Column('outcome', sa.Text(), server_default='', nullable=False, comment='How the last look-up ended'),
    sa.Column('asked_at', sa.DateTime(timezone=True), nullable=True, comment='When it was last answered (recorded time)'),
    sa.Column('changed_at', sa.DateTime(timezone=True), nullable=True, comment='When an answer last differed (recorded time)'),
    sa.Column('every', sa.Float(), nullable=True, comment='Days until it is refreshed, as often as it changes'),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_lookup_entity_id_entity')),
    sa.PrimaryKeyConstraint('entity_id', name=op.f('pk_lookup')),
    comment='Queue and timetable of look-ups: one row for each thing, so that none is asked about twice'
    )
    op.create_index('ix_lookup_due', 'lookup', ['priority', 'due_at'], unique=False, postgresql_where='due_at IS NOT NULL')
    op.create_table('ownership_end',
    sa.Column('entity_id', sa.BigInteger(), nullable=False, comment='The domain'),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=False, comment='From then on (event time)'),
    sa.Column('reason', sa.Text(), nullable=False, comment='re-registered, expired, seized or sinkholed'),
    sa.Column('fact_id', sa.BigInteger(), nullable=False, comment='The fact that shows it'),
    sa.Column('recorded_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was concluded (recorded time)'),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_ownership_end_entity_id_entity')),
    sa.PrimaryKeyConstraint('entity_id', 'ended_at', 'reason', name=op.f('pk_ownership_end')),
    comment='When a domain ceased to be whose it was; what it does later says nothing of who had it before'
    )
    op.create_table('zone_snapshot',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('source_id', sa.BigInteger(), nullable=False, comment="The zone's source"),
    sa.Column('run_id', sa.BigInteger(), nullable=False, comment='The run that took it'),
    sa.Column('zone', sa.Text(), nullable=False, comment="The zone's name"),
    sa.Column('serial', sa.BigInteger(), nullable=True, comment='Serial number of its SOA record'),
    sa.Column('as_of', sa.DateTime(timezone=True), nullable=False, comment='When it was so (event time)'),
    sa.Column('path', sa.Text(), nullable=False, comment='Its sorted file, below the folder of zones; empty once removed'),
    sa.Column('sha256', sa.LargeBinary(), nullable=False, comment='SHA-256 of the sorted file'),
    sa.Column('names', sa.BigInteger(), nullable=False, comment='Delegated names in it'),
    sa.Column('added', sa.BigInteger(), nullable=True, comment='Names that the one before lacked; null: there was none'),
    sa.Column('removed', sa.BigInteger(), nullable=True, comment='Names of the one before that it lacks'),
    sa.Column('changed', sa.BigInteger(), nullable=True, comment='Names whose name servers differ'),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_zone_snapshot_run_id_run')),
    sa.ForeignKeyConstraint(['source_id'], ['source.id'], name=op.f('fk_zone_snapshot_source_id_source')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_zone_snapshot')),
    sa.UniqueConstraint('zone', 'as_of', name=op.f('uq_zone_snapshot_zone_as_of')),
    comment='A zone file as it was at one time, sorted, kept to compare the next with'
    )
    op.add_column('query', sa.Column('location', sa.Text(), server_default='', nullable=False, comment='What was asked for, as a URL'))
    op.add_column('query', sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True, comment='When the answer was kept (recorded time)'))
    op.add_column('query', sa.Column('sha256', sa.LargeBinary(), nullable=True, comment='SHA-256 of the answer in the document store, loaded or not'))
    op.add_column('query', sa.Column('status', sa.SmallInteger(), nullable=True, comment='HTTP status of the answer'))
    op.add_column('query', sa.Column('cut', sa.Text(), server_default='', nullable=False, comment='Why the answer is not whole: size, time or reset'))
    op.create_table('whois_server',
    sa.Column('suffix', sa.Text(), nullable=False, comment='The top-level domain'),
    sa.Column('server', sa.Text(), nullable=False, comment='Host, or host:port; empty: it has none'),
    sa.Column('learned_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it said so (recorded time)'),
    sa.PrimaryKeyConstraint('suffix', name=op.f('pk_whois_server')),
    comment="Who answers WHOIS for a top-level domain, as IANA's server said"
    )
    op.create_index('ix_query_document_id', 'query', ['document_id'], unique=False, postgresql_where='document_id IS NOT NULL')
    op.create_index('ix_query_reason', 'query', ['reason'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_query_reason', table_name='query')
    op.drop_index('ix_query_document_id', table_name='query', postgresql_where='document_id IS NOT NULL')
    op.drop_table('whois_server')
    for column in ('location', 'answered_at', 'sha256', 'status', 'cut'):
        op.drop_column('query', column)
    op.drop_table('zone_snapshot')
    op.drop_table('ownership_end')
    op.drop_index('ix_lookup_due', table_name='lookup', postgresql_where='due_at IS NOT NULL')
    op.drop_table('lookup')
    op.drop_index('ix_seen_domain_first_seen', table_name='seen_domain', postgresql_using='brin')
    op.drop_table('seen_domain')
    op.drop_table('lookup_server')
