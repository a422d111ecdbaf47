-- The last state of each day, added up, is every order of the hours that are over.
with days as (
    select customer_id, orders, order_value, row_number() over (
        partition by customer_id, cast(event_timestamp at time zone 'UTC' as date)
        order by event_timestamp desc
    ) as nth
    from {{ ref('customer_events') }}
)

select counted.orders, counted.order_value, made.orders as made, made.order_value as made_value
from (select sum(orders) as orders, sum(order_value) as order_value from days where nth = 1) as counted
cross join (
    select count(*) as orders, sum(order_value) as order_value
    from {{ ref('orders') }}
    where date_trunc('hour', ordered_at) + interval '1 hour' <= {{ present() }}
) as made
where counted.orders <> made.orders or counted.order_value <> made.order_value
