-- customer_events -> customer_features_offline: the arrival-stamped change log.
--
-- In:  accepted_events(customer_id, event_timestamp, created_timestamp, orders, order_value,
--      sessions, day), timestamps in UTC, the day that of the contract's zone; $lookback_window
--      (INTERVAL), $as_of (TIMESTAMP, UTC).
-- Out: one row per customer and instant at which an event arrived or left the window, up to $as_of.
--
-- An event is the state of its customer's day so far. It is in force from its arrival until a
-- later state of the same day arrives or it leaves the window (T - 30 d, T], whichever is first.
-- Each state adds itself when it comes into force and takes itself away when it ends; the features
-- are the running sums of these deltas. Rows whose deltas cancel are kept: they renew the row's
-- age, so that the feature view's ttl never cuts off a customer who is still active.
WITH states AS (
    SELECT
        customer_id,
        orders,
        order_value,
        sessions,
        CASE WHEN orders > 0 THEN 1 ELSE 0 END AS order_days,
        created_timestamp AS in_force_from,
        LEAST(  -- which passes over NULL: a state may stand until it leaves the window
            event_timestamp + $lookback_window,
            -- The first to arrive of the day's later states. If that was before this one arrived,
            -- this one never counts.
            MIN(created_timestamp) OVER (
                PARTITION BY customer_id, day
                ORDER BY event_timestamp DESC, created_timestamp DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
            )
        ) AS in_force_until
    FROM accepted_events
),

deltas AS (
    SELECT customer_id, in_force_from AS instant, orders, order_value, sessions, order_days
    FROM states
    WHERE in_force_from < in_force_until
    UNION ALL
    SELECT customer_id, in_force_until AS instant, -orders, -order_value, -sessions, -order_days
    FROM states
    WHERE in_force_from < in_force_until AND in_force_until <= $as_of
),

running AS (
    SELECT
        customer_id,
        instant,
        LEAD(instant) OVER customer_so_far AS next_instant,
        SUM(orders) OVER customer_so_far AS orders,
        SUM(order_value) OVER customer_so_far AS order_value,
        SUM(sessions) OVER customer_so_far AS sessions,
        SUM(order_days) OVER customer_so_far AS order_days
    FROM deltas
    WINDOW customer_so_far AS (
        PARTITION BY customer_id ORDER BY instant
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
    )
)

SELECT
    customer_id,
    instant AS event_timestamp,
    CASE
        WHEN orders = 0 THEN 0
        ELSE NEAREST_QUOTIENT(order_value, orders)  -- feature_pipeline/change_log/quotient.py
    END AS avg_order_value_30d,
    CAST(orders AS BIGINT) AS orders_30d,
    CAST(sessions AS BIGINT) AS sessions_30d,
    CAST(order_days AS BIGINT) AS distinct_order_days_30d
FROM running
WHERE next_instant IS NULL OR next_instant > instant  -- the last delta of an instant has its sums
ORDER BY customer_id, event_timestamp
