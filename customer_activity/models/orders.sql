-- A basket is an order, unless more money went back than came in: then it is a refund.
select customer_id, store_id, basket_id as order_id, paid_at as ordered_at, paid as order_value
from {{ ref('baskets') }}
where paid >= 0 or paid is null
