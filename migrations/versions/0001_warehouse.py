"""The warehouse of contract §4 and §8, and the roles that work in it.

Each role is a group: give it to the login of a job (`GRANT feature_store_pipeline TO ...`). No
login and no password is made here.
"""

from alembic import op

revision = "0001"
down_revision = None

# The producer's rules (keys present, amounts not negative, no event twice) are the table's own, so
# that whoever writes is refused at once. A null or unreadable amount is one row's fault: it comes
# in and is quarantined, and the amount has no scale here so that it can.
TABLES = """
CREATE TABLE data_warehouse.customer_events (
    customer_id bigint NOT NULL,
    event_timestamp timestamptz NOT NULL,
    created_timestamp timestamptz NOT NULL CHECK (isfinite(created_timestamp)),
    orders bigint CHECK (orders >= 0),
    order_value numeric CHECK (order_value >= 0),
    sessions bigint CHECK (sessions >= 0),
    PRIMARY KEY (customer_id, event_timestamp, created_timestamp)
);
CREATE INDEX ON data_warehouse.customer_events (created_timestamp);
CREATE INDEX ON data_warehouse.customer_events (event_timestamp);

CREATE TABLE data_warehouse.customer_features_offline (
    customer_id bigint NOT NULL,
    event_timestamp timestamptz NOT NULL,
    avg_order_value_30d double precision NOT NULL,
    orders_30d bigint NOT NULL,
    sessions_30d bigint NOT NULL,
    distinct_order_days_30d bigint NOT NULL,
    PRIMARY KEY (customer_id, event_timestamp)
);
CREATE INDEX ON data_warehouse.customer_features_offline (event_timestamp);

CREATE TABLE data_warehouse.customer_events_quarantine (
    customer_id bigint NOT NULL,
    event_timestamp timestamptz NOT NULL,
    created_timestamp timestamptz NOT NULL,
    orders bigint,
    order_value numeric,
    sessions bigint,
    reason text NOT NULL,
    PRIMARY KEY (customer_id, event_timestamp, created_timestamp)
);

CREATE TABLE data_warehouse.customer_features_refreshes (
    refresh bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    as_of timestamptz NOT NULL,
    lookback_window interval NOT NULL,
    allowed_lateness interval NOT NULL,
    aggregation text NOT NULL,
    ingested bigint NOT NULL,
    kept bigint NOT NULL,
    superseded bigint NOT NULL,
    quarantined bigint NOT NULL,
    history_rows bigint NOT NULL
);
COMMENT ON TABLE data_warehouse.customer_features_refreshes IS
    'Up to when the change log stands, of which events, and how it was made.';

CREATE SCHEMA feature_registry;
"""

ROLES = ("feature_store_pipeline", "feature_store_training", "feature_store_registry")

# Roles belong to the whole server, where another database may have made them.
ROLE = """
DO $$ BEGIN
    CREATE ROLE {role} NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$
"""

# What was served is never taken back: nobody may change a row of the change log or delete one.
RIGHTS = """
GRANT USAGE ON SCHEMA data_warehouse TO feature_store_pipeline, feature_store_training;
GRANT SELECT, INSERT ON
    data_warehouse.customer_events,
    data_warehouse.customer_features_offline,
    data_warehouse.customer_features_refreshes
    TO feature_store_pipeline;
GRANT SELECT, INSERT, DELETE ON data_warehouse.customer_events_quarantine TO feature_store_pipeline;
GRANT SELECT ON data_warehouse.customer_features_offline TO feature_store_training;
GRANT USAGE, CREATE ON SCHEMA feature_registry TO feature_store_registry;
"""


def upgrade() -> None:
    """Schemas, tables, roles and rights."""
    op.execute(TABLES)
    for role in ROLES:
        op.execute(ROLE.format(role=role))
    op.execute(RIGHTS)


def downgrade() -> None:
    """There is nothing below it: the tables hold the history that models were trained on."""
    raise NotImplementedError("the warehouse's history is not taken back: restore a backup instead")
