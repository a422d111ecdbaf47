-- Refunds that the customer's day does not cover: of what was bought on another day, mostly. They
-- are in no event, for no day's order_value may fall below zero.
select customer_id, store_id, refund_id, refunded_at, refund_value
from {{ ref('refunds') }}
where not netted
