"""Where the upstream dbt project keeps its views of raw purchases; what it delivers is a table.

Whoever delivers the events works as the pipeline, which may add to that table and change no row.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

SCHEMA = """
CREATE SCHEMA customer_activity;
COMMENT ON SCHEMA customer_activity IS 'The views of the dbt project customer_activity.';
GRANT USAGE, CREATE ON SCHEMA customer_activity TO feature_store_pipeline;
"""


def upgrade() -> None:
    """A schema, and who works in it."""
    op.execute(SCHEMA)


def downgrade() -> None:
    """The next run of dbt makes its views anew, where it may."""
    op.execute("DROP SCHEMA customer_activity CASCADE")
