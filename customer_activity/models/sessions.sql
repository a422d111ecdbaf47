-- The shop records no visits. A session is a run of one customer's orders at one store with less
-- than 30 minutes from one to the next; like every daily count it starts anew at midnight UTC.
with visits as (
    select
        *,
        lag(ordered_at) over (
            partition by customer_id, store_id, cast(ordered_at as date)
            order by ordered_at, order_id
        ) as previous
    from {{ ref('orders') }}
)

select customer_id, store_id, order_id as first_order_id, ordered_at as started_at
from visits
where coalesce(ordered_at - previous >= interval '30 minutes', true)
