-- What a customer took home and brought back in one go, paid in one instant.
select
    household_id as customer_id,
    store_id,
    basket_id,
    min(transaction_timestamp) as paid_at,
    sum(cast(sales_value as decimal(18, 2))) as paid
from {{ source('raw', 'purchases') }}
group by household_id, store_id, basket_id
