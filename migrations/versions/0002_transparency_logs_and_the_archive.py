"""transparency logs and the archive

Lock and statement timeouts are set in env.py. Must work with the release before: no dropped or renamed column that
the previous release reads, no new column that it does not fill without a default.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('ct_log',
    sa.Column('log_id', sa.LargeBinary(), nullable=False, comment='SHA-256 of its key (RFC 6962 3.2)'),
    sa.Column('name', sa.Text(), nullable=False, comment="Its source's name; stays when the list renames it"),
    sa.Column('description', sa.Text(), nullable=False, comment='What the list calls it'),
    sa.Column('operator', sa.Text(), nullable=False, comment='Who runs it'),
    sa.Column('protocol', sa.Text(), nullable=False, comment='How it is read: rfc6962, static or hybrid'),
    sa.Column('url', sa.Text(), nullable=False, comment='Where it is read: URL, or monitoring prefix of a static log'),
    sa.Column('submission_url', sa.Text(), server_default='', nullable=False, comment='Submission prefix of a static log'),
    sa.Column('key', sa.LargeBinary(), nullable=False, comment='Its public key, SPKI in DER'),
    sa.Column('mmd', sa.Integer(), nullable=False, comment='Maximum merge delay, seconds'),
    sa.Column('state', sa.Text(), nullable=False, comment='pending, qualified, usable, readonly, retired or rejected'),
    sa.Column('not_after_start', sa.DateTime(timezone=True), nullable=True, comment='Takes certificates that end from then (event time)'),
    sa.Column('not_after_end', sa.DateTime(timezone=True), nullable=True, comment='and before then (event time)'),
    sa.Column('final_head', postgresql.JSONB(astext_type=sa.Text()), nullable=True, comment='Final tree head of a log that is readonly'),
    sa.Column('listed', sa.Boolean(), nullable=False, comment='Whether the newest list names it'),
    sa.Column('first_listed', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When a list first named it (recorded time)'),
    sa.Column('last_listed', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When a list named it last (recorded time)'),
    sa.PrimaryKeyConstraint('log_id', name=op.f('pk_ct_log')),
    sa.UniqueConstraint('name', name=op.f('uq_ct_log_name')),
    comment='A Certificate Transparency log that a log list names or named'
    )
    op.create_table('hunt_term',
    sa.Column('digest', sa.Uuid(), nullable=False, comment='First 128 bits of SHA-256 over kind, NUL, value'),
    sa.Column('kind', sa.Text(), nullable=False, comment='The set it is in: intel.match.certificates.WatchSet'),
    sa.Column('value', sa.Text(), nullable=False, comment='The watched thing; digests in hexadecimal'),
    sa.Column('added_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When the hunter first saw it: older segments are hunted for it (recorded time)'),
    sa.PrimaryKeyConstraint('digest', name=op.f('pk_hunt_term')),
    comment="What the watches look for in certificates, and since when the archive's hunter knows"
    )
    op.create_table('archive_segment',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('source_id', sa.BigInteger(), nullable=False, comment="The log's source"),
    sa.Column('run_id', sa.BigInteger(), nullable=True, comment='The run that wrote it; null: compacted'),
    sa.Column('first', sa.BigInteger(), nullable=False, comment='Index of its first entry in the log'),
    sa.Column('next', sa.BigInteger(), nullable=False, comment='Index behind its last entry'),
    sa.Column('time_min', sa.DateTime(timezone=True), nullable=False, comment='Earliest timestamp of an entry (event time)'),
    sa.Column('time_max', sa.DateTime(timezone=True), nullable=False, comment='Latest timestamp of an entry (event time)'),
    sa.Column('level', sa.SmallInteger(), nullable=False, comment='0: as followed; 1: compacted, with an index of names'),
    sa.Column('path', sa.Text(), nullable=False, comment="Its file of entries, below the archive's folder"),
    sa.Column('names_path', sa.Text(), server_default='', nullable=False, comment='Its index of names; empty at level 0'),
    sa.Column('bytes', sa.BigInteger(), nullable=False, comment='Bytes of its files'),
    sa.Column('judged_at', sa.DateTime(timezone=True), nullable=False, comment='Watches of that moment or later were matched against it (recorded time)'),
    sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True, comment='When it was replaced or dropped; its files go after a while (recorded time)'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was committed (recorded time)'),
    sa.ForeignKeyConstraint(['run_id'], ['run.id'], name=op.f('fk_archive_segment_run_id_run')),
    sa.ForeignKeyConstraint(['source_id'], ['source.id'], name=op.f('fk_archive_segment_source_id_source')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_archive_segment')),
    comment="The archive's manifest: a Parquet file of verified log entries is in the archive once its row is"
    )
    op.create_index('ix_archive_segment_source_id', 'archive_segment', ['source_id', 'first'], unique=False, postgresql_where='retired_at IS NULL')
    op.alter_column('watch_item', 'match', existing_type=sa.Text(), existing_nullable=False,
    comment='How it matches: entity, scope (registrable domain), subtree, network; expected, ours: known ones',
    existing_comment='How it matches: entity, scope (registrable domain), subtree or network')


def downgrade() -> None:
    op.alter_column('watch_item', 'match', existing_type=sa.Text(), existing_nullable=False,
    comment='How it matches: entity, scope (registrable domain), subtree or network',
    existing_comment='How it matches: entity, scope (registrable domain), subtree, network; expected, ours: known ones')
    op.drop_index('ix_archive_segment_source_id', table_name='archive_segment', postgresql_where='retired_at IS NULL')
    op.drop_table('archive_segment')
    op.drop_table('hunt_term')
    op.drop_table('ct_log')
