-- What a customer took home and brought back in one go, paid in one instant. Of whoever was erased
-- nothing is delivered again: the job that runs this names a table of those whom the tills still hold.
select
    household_id as customer_id,
    store_id,
    basket_id,
    min(transaction_timestamp) as paid_at,
    sum(cast(sales_value as decimal(18, 2))) as paid
from {{ source('raw', 'purchases') }}
{% if var('erased', none) -%}
where household_id not in (select customer_id from {{ var('erased') }})
{% endif -%}
group by household_id, store_id, basket_id
