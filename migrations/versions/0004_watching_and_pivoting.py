"""watching and pivoting

Lock and statement timeouts are set in env.py. Must work with the release before: no dropped or renamed column that
the previous release reads, no new column that it does not fill without a default.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('population',
    sa.Column('name', sa.Text(), nullable=False, comment='Its name: zone:example, new-domains, certificates'),
    sa.Column('title', sa.Text(), nullable=False, comment='What it is and where it comes from, in a sentence'),
    sa.Column('total', sa.BigInteger(), nullable=False, comment='How many things were counted'),
    sa.Column('traits', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False, comment='For how many of them each trait is known, by the name of the trait'),
    sa.Column('partial', sa.Boolean(), server_default='false', nullable=False, comment='Only chosen values were counted: one that is missing may be common'),
    sa.Column('as_of', sa.DateTime(timezone=True), nullable=False, comment='The time that it speaks of (event time)'),
    sa.Column('counted_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was counted (recorded time)'),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_population')),
    comment='A reference population, in which it was counted how common values are'
    )
    op.create_table('lead',
    sa.Column('incident_id', sa.BigInteger(), nullable=False, comment='The incident'),
    sa.Column('entity_id', sa.BigInteger(), nullable=False, comment='What it led to'),
    sa.Column('bits', sa.Float(), nullable=False, comment='Evidence for the same hand, in bits, as of the last pivot'),
    sa.Column('families', postgresql.ARRAY(sa.Text()), nullable=False, comment='Families of evidence that speak for it'),
    sa.Column('depth', sa.SmallInteger(), nullable=False, comment='Steps from what was reported'),
    sa.Column('evidence', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='The evidence, strongest first: intel.evidence.Evidence'),
    sa.Column('found_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was first led to (recorded time)'),
    sa.Column('changed_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When its evidence changed last (recorded time)'),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_lead_entity_id_entity')),
    sa.ForeignKeyConstraint(['incident_id'], ['incident.id'], name=op.f('fk_lead_incident_id_incident')),
    sa.PrimaryKeyConstraint('incident_id', 'entity_id', name=op.f('pk_lead')),
    comment='What an investigation led to, how strongly, and by which evidence: inferred, not stated'
    )
    op.create_index('ix_lead_entity_id', 'lead', ['entity_id'], unique=False)
    op.create_table('reference_sample',
    sa.Column('entity_id', sa.BigInteger(), nullable=False, comment='The domain'),
    sa.Column('chosen_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was chosen (recorded time)'),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_reference_sample_entity_id_entity')),
    sa.PrimaryKeyConstraint('entity_id', name=op.f('pk_reference_sample')),
    comment='New domains that chance chose to be looked up: a reference population'
    )
    op.create_table('prevalence',
    sa.Column('population', sa.Text(), nullable=False, comment='The population'),
    sa.Column('trait', sa.Text(), nullable=False, comment='What has it: a predicate, or intel.traits.Name'),
    sa.Column('digest', sa.Uuid(), nullable=False, comment='Digest of the value, as in entity.digest'),
    sa.Column('count', sa.BigInteger(), nullable=False, comment='Things of the population that have it'),
    sa.ForeignKeyConstraint(['population'], ['population.name'], name=op.f('fk_prevalence_population_population'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('population', 'trait', 'digest', name=op.f('pk_prevalence')),
    comment='How common a value is in a reference population; values that one thing alone has may be left out'
    )
    op.create_index('ix_prevalence_digest', 'prevalence', ['digest'], unique=False)
    op.create_table('watch_rule',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('watch_id', sa.BigInteger(), nullable=False, comment='The watch'),
    sa.Column('name', sa.Text(), nullable=False, comment='What people call it; the rule of its findings'),
    sa.Column('definition', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='The rule: intel.rules, as written in its file'),
    sa.Column('digest', sa.Uuid(), nullable=False, comment='Digest of the definition: another one is looked backwards for anew'),
    sa.Column('origin', sa.Text(), nullable=False, comment='Where it was made: file, command or pattern'),
    sa.Column('active', sa.Boolean(), server_default='true', nullable=False, comment='Whether it is evaluated'),
    sa.Column('swept', sa.Uuid(), nullable=True, comment='Digest of the definition that history was judged with'),
    sa.Column('added_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was added or changed (recorded time)'),
    sa.ForeignKeyConstraint(['watch_id'], ['watch.id'], name=op.f('fk_watch_rule_watch_id_watch'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_watch_rule')),
    sa.UniqueConstraint('watch_id', 'name', name=op.f('uq_watch_rule_watch_id_name')),
    comment='A rule that a watch brings along; built-in rules stand in tasks.watch.rules'
    )
    op.create_table('registration_pattern',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('watch_id', sa.BigInteger(), nullable=False, comment='Watch whose known domains it was learned from'),
    sa.Column('key', sa.Uuid(), nullable=False, comment='Digest of its traits: the same combination is the same pattern'),
    sa.Column('traits', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='Its traits: [name, value], sorted'),
    sa.Column('known', sa.Integer(), nullable=False, comment='Known domains that it was learned from'),
    sa.Column('support', sa.Integer(), nullable=False, comment='Of them, those that have all its traits'),
    sa.Column('per_million', sa.Float(), nullable=False, comment='Expected false positives per million new domains'),
    sa.Column('population', sa.Text(), nullable=False, comment='Population that this was estimated in, and its size'),
    sa.Column('examples', postgresql.JSONB(astext_type=sa.Text()), nullable=False, comment='Known domains that it rests on'),
    sa.Column('lookbacks', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False, comment='Others in the warehouse with it'),
    sa.Column('status', sa.Text(), server_default='proposed', nullable=False, comment='proposed, accepted, refused or superseded'),
    sa.Column('reason', sa.Text(), server_default='', nullable=False, comment='Why it was decided so'),
    sa.Column('decided_by', sa.Text(), server_default='', nullable=False, comment="The operating system's account"),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True, comment='When it was decided (recorded time)'),
    sa.Column('rule_id', sa.BigInteger(), nullable=True, comment='The rule that it became'),
    sa.Column('proposed_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was first proposed (recorded time)'),
    sa.Column('learned_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When its figures were learned last (recorded time)'),
    sa.ForeignKeyConstraint(['rule_id'], ['watch_rule.id'], name=op.f('fk_registration_pattern_rule_id_watch_rule'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['watch_id'], ['watch.id'], name=op.f('fk_registration_pattern_watch_id_watch'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_registration_pattern')),
    sa.UniqueConstraint('watch_id', 'key', name=op.f('uq_registration_pattern_watch_id_key')),
    comment="Traits that an actor\'s domains have in common and few others have, and what was decided"
    )
    op.create_table('delivery',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('channel', sa.Text(), nullable=False, comment='Name of the channel in configs/notify.yaml'),
    sa.Column('key', sa.Text(), nullable=False, comment='What makes it the same message: finding:7:2, digest:2026-11-24'),
    sa.Column('finding_id', sa.BigInteger(), nullable=True, comment='The finding; null: a digest'),
    sa.Column('watch_id', sa.BigInteger(), nullable=True, comment='Its watch'),
    sa.Column('kind', sa.Text(), nullable=False, comment='new, reopened or digest'),
    sa.Column('day', sa.Date(), nullable=False, comment='The UTC day whose budget it counts against'),
    sa.Column('digest_id', sa.BigInteger(), nullable=True, comment='The digest that said it in its place'),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True, comment='When to send it; null: waits for the digest, or given up'),
    sa.Column('claimed_until', sa.DateTime(timezone=True), nullable=True, comment='A sender is at it until then, or has died'),
    sa.Column('attempts', sa.Integer(), server_default='0', nullable=False, comment='Times that sending failed'),
    sa.Column('error', sa.Text(), server_default='', nullable=False, comment='Why it failed last, without secrets'),
    sa.Column('sent_at', sa.DateTime(timezone=True), nullable=True, comment='When it was sent (recorded time)'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was put here (recorded time)'),
    sa.ForeignKeyConstraint(['digest_id'], ['delivery.id'], name=op.f('fk_delivery_digest_id_delivery'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['finding_id'], ['finding.id'], name=op.f('fk_delivery_finding_id_finding'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['watch_id'], ['watch.id'], name=op.f('fk_delivery_watch_id_watch'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_delivery')),
    sa.UniqueConstraint('channel', 'key', name=op.f('uq_delivery_channel_key')),
    comment='The outbox: what is said to whom about findings, once'
    )
    op.create_index('ix_delivery_due_at', 'delivery', ['due_at'], unique=False, postgresql_where='sent_at IS NULL AND due_at IS NOT NULL')
    op.create_table('finding_event',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('finding_id', sa.BigInteger(), nullable=False, comment='The finding'),
    sa.Column('status', sa.Text(), nullable=False, comment='What it became: open, acknowledged, confirmed, dismissed, reopened'),
    sa.Column('reason', sa.Text(), server_default='', nullable=False, comment='Why'),
    sa.Column('who', sa.Text(), server_default='', nullable=False, comment="The operating system's account; empty: Lapsewatch"),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When (recorded time)'),
    sa.ForeignKeyConstraint(['finding_id'], ['finding.id'], name=op.f('fk_finding_event_finding_id_finding'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_finding_event')),
    comment="Each change of a finding's status: who, when and why; append-only"
    )
    op.create_index('ix_finding_event_finding_id', 'finding_event', ['finding_id'], unique=False)
    op.create_table('suppression',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False, comment='Identity'),
    sa.Column('watch_id', sa.BigInteger(), nullable=True, comment='Only for this watch; null: for all'),
    sa.Column('rule', sa.Text(), server_default='', nullable=False, comment='Only for this rule; empty: for all'),
    sa.Column('entity_id', sa.BigInteger(), nullable=False, comment='What findings must touch'),
    sa.Column('takes', sa.SmallInteger(), nullable=False, comment='What it takes from their severity'),
    sa.Column('reason', sa.Text(), nullable=False, comment='Why, as said with the dismissal'),
    sa.Column('finding_id', sa.BigInteger(), nullable=True, comment='The dismissed finding that taught it'),
    sa.Column('active', sa.Boolean(), server_default='true', nullable=False, comment='Whether it is applied'),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False, comment='When it was learned (recorded time)'),
    sa.ForeignKeyConstraint(['entity_id'], ['entity.id'], name=op.f('fk_suppression_entity_id_entity')),
    sa.ForeignKeyConstraint(['finding_id'], ['finding.id'], name=op.f('fk_suppression_finding_id_finding'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['watch_id'], ['watch.id'], name=op.f('fk_suppression_watch_id_watch'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_suppression')),
    comment='What dismissals taught: what findings like these are lowered by, never dropped'
    )
    op.create_index('ix_suppression_entity_id', 'suppression', ['entity_id'], unique=False)
    op.add_column('finding', sa.Column('watch_rule_id', sa.BigInteger(), nullable=True, comment="The watch's own rule that matched, if any"))
    op.add_column('finding', sa.Column('evidence_at', sa.DateTime(timezone=True), nullable=True, comment='When it last gained a new fact that reopens what was closed (recorded time)'))
    op.create_index('ix_entity_local_part', 'entity', [sa.literal_column("split_part(value, '@', 1)")], unique=False, postgresql_where="kind = 'email'")
    op.create_foreign_key(op.f('fk_finding_watch_rule_id_watch_rule'), 'finding', 'watch_rule', ['watch_rule_id'], ['id'], ondelete='SET NULL')


def downgrade() -> None:
    op.drop_index('ix_entity_local_part', table_name='entity', postgresql_where="kind = 'email'")
    op.drop_constraint(op.f('fk_finding_watch_rule_id_watch_rule'), 'finding', type_='foreignkey')
    op.drop_column('finding', 'evidence_at')
    op.drop_column('finding', 'watch_rule_id')
    op.drop_index('ix_suppression_entity_id', table_name='suppression')
    op.drop_table('suppression')
    op.drop_index('ix_finding_event_finding_id', table_name='finding_event')
    op.drop_table('finding_event')
    op.drop_index('ix_delivery_due_at', table_name='delivery', postgresql_where='sent_at IS NULL AND due_at IS NOT NULL')
    op.drop_table('delivery')
    op.drop_table('registration_pattern')
    op.drop_table('watch_rule')
    op.drop_index('ix_prevalence_digest', table_name='prevalence')
    op.drop_table('prevalence')
    op.drop_index('ix_lead_entity_id', table_name='lead')
    op.drop_table('lead')
    op.drop_table('reference_sample')
    op.drop_table('population')
