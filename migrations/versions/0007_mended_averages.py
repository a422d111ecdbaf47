"""Let a refresh mend the last bits of an average, and change nothing else of what was served.

Averages were once rounded twice. The pipeline may still change no row of the change log: it asks
this function, which is the owner's, and which no other value passes.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

FUNCTION = """
CREATE FUNCTION data_warehouse.mend_average(customer bigint, stamp timestamptz, mended float8)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE data_warehouse.customer_features_offline SET avg_order_value_30d = mended
    WHERE customer_id = customer AND event_timestamp = stamp
      AND abs(avg_order_value_30d - mended) <= 1e-15 * abs(avg_order_value_30d);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the average served at % differs by more than its last bits', stamp;
    END IF;
    RETURN true;
END $$;
REVOKE ALL ON FUNCTION data_warehouse.mend_average FROM PUBLIC;
GRANT EXECUTE ON FUNCTION data_warehouse.mend_average TO feature_store_pipeline;
"""


def upgrade() -> None:
    """A function, and who may ask it."""
    op.execute(FUNCTION)


def downgrade() -> None:
    """What was mended stays."""
    op.execute("DROP FUNCTION data_warehouse.mend_average")
