"""The columns of `customer_events` that are read, and of the change log the features."""

KEYS = ("customer_id", "event_timestamp", "created_timestamp")
COUNTS = ("orders", "sessions")
AMOUNTS = (*COUNTS, "order_value")
COLUMNS = (*KEYS, *AMOUNTS)
FEATURES = ("avg_order_value_30d", "orders_30d", "sessions_30d", "distinct_order_days_30d")
