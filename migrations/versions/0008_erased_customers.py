"""The list of erased customers, beside the tables that they left: one for the jobs of every host.

Each is a keyed digest, which without its key tells nothing, and `made_with` tells by which key.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

TABLE = """
CREATE TABLE data_warehouse.erased_customers (
    digest text PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
    made_with text NOT NULL CHECK (made_with ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE data_warehouse.erased_customers IS
    'Who was erased (contract §9), and comes back with no delivery; digests, no identifiers.';
"""

# Nobody is taken off it but by the owner. The pipeline adds those whom a file of before lists.
RIGHTS = """
GRANT SELECT ON data_warehouse.erased_customers
    TO feature_store_pipeline, feature_store_judge, feature_store_retention;
GRANT INSERT ON data_warehouse.erased_customers
    TO feature_store_pipeline, feature_store_retention;
"""


def upgrade() -> None:
    """A table, and who may read it and add to it."""
    op.execute(TABLE)
    op.execute(RIGHTS)


def downgrade() -> None:
    """Whoever is on the list would come back."""
    raise NotImplementedError("erased customers would come back: restore a backup instead")
