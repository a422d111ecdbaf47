"""The columns of `customer_events`, which is all of it that is read to make features."""

KEYS = ("customer_id", "event_timestamp", "created_timestamp")
COUNTS = ("orders", "sessions")
AMOUNTS = (*COUNTS, "order_value")
COLUMNS = (*KEYS, *AMOUNTS)
