"""Who judges, who lets go of what retention and erasure say, and from when on the log is whole.

Each role is a group, as those before it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

TABLES = """
CREATE TABLE data_warehouse.customer_features_offline_kept_from (
    begins timestamptz PRIMARY KEY
);
COMMENT ON TABLE data_warehouse.customer_features_offline_kept_from IS
    'Where the change log begins since its last retention (contract §9): the newest row counts.';

CREATE SCHEMA feature_probes;
COMMENT ON SCHEMA feature_probes IS 'What a judgement lends the join; nothing lasts here.';
"""

ROLES = ("feature_store_judge", "feature_store_retention")

ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""

# The change log is append-only to every job but the one whose office it is to let go of it.
RIGHTS = """
GRANT USAGE ON SCHEMA data_warehouse TO feature_store_judge, feature_store_retention;
GRANT SELECT ON data_warehouse.customer_features_offline_kept_from
    TO feature_store_pipeline, feature_store_training;
GRANT SELECT ON ALL TABLES IN SCHEMA data_warehouse TO feature_store_judge;
GRANT USAGE, CREATE ON SCHEMA feature_probes TO feature_store_judge;
GRANT SELECT, DELETE ON
    data_warehouse.customer_events,
    data_warehouse.customer_events_quarantine
    TO feature_store_retention;
GRANT SELECT, INSERT, DELETE ON
    data_warehouse.customer_features_offline,
    data_warehouse.customer_features_offline_kept_from
    TO feature_store_retention;
"""


def upgrade() -> None:
    """A table, a schema, roles and their rights."""
    op.execute(TABLES)
    for role in ROLES:
        op.execute(ROLE.format(role=role))
    op.execute(RIGHTS)


def downgrade() -> None:
    """What was let go of does not come back."""
    raise NotImplementedError(
        "what retention let go of is not taken back: restore a backup instead"
    )
