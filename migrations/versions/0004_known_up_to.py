"""How far the change log is known, for those who read it: beyond that there is no answer yet.

A reader of the log may not read what refreshes leave on record, and need not.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

VIEW = """
CREATE VIEW data_warehouse.customer_features_offline_known_up_to AS
    SELECT as_of FROM data_warehouse.customer_features_refreshes ORDER BY refresh DESC LIMIT 1;
COMMENT ON VIEW data_warehouse.customer_features_offline_known_up_to IS
    'What had arrived by then is in the change log (contract §3); no later time is answered.';
GRANT SELECT ON data_warehouse.customer_features_offline_known_up_to
    TO feature_store_pipeline, feature_store_training, feature_store_judge, feature_store_retention;
"""


def upgrade() -> None:
    """A view, and who may read it."""
    op.execute(VIEW)


def downgrade() -> None:
    """What is known is told by the refreshes on record as before."""
    op.execute("DROP VIEW data_warehouse.customer_features_offline_known_up_to")
