"""Who may take the change log back from a time that has not come: those who may delete of it."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """A right."""
    op.execute(
        "GRANT SELECT, INSERT ON data_warehouse.customer_features_refreshes "
        "TO feature_store_retention"
    )


def downgrade() -> None:
    """It is taken away again."""
    op.execute(
        "REVOKE SELECT, INSERT ON data_warehouse.customer_features_refreshes "
        "FROM feature_store_retention"
    )
