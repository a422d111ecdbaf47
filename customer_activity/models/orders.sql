-- A basket is an order, paid in one instant.
select
    household_id as customer_id,
    store_id,
    basket_id as order_id,
    min(transaction_timestamp) as ordered_at,
    sum(cast(sales_value as decimal(18, 2))) as order_value
from {{ source('raw', 'purchases') }}
group by household_id, store_id, basket_id
