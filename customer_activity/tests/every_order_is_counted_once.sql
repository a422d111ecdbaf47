-- The last state of each day in reach is that day's orders, less its refunds, of the hours that are
-- over.
with last_delivery as (
    select max(created_timestamp) at time zone 'UTC' as delivered_at
    from {{ ref('customer_events') }}
),

first_whole_day as (
    -- The first delivery brought all there was; later ones have delivered the days in reach.
    select date_trunc('day', delivered_at - {{ reach() }}) + interval '1 day' as begins
    from last_delivery
),

days as (
    select
        customer_id,
        cast(event_timestamp at time zone 'UTC' as date) as day,
        orders,
        order_value,
        row_number() over (
            partition by customer_id, cast(event_timestamp at time zone 'UTC' as date)
            order by event_timestamp desc
        ) as nth
    from {{ latest_states(ref('customer_events')) }} as latest
),

payments as (
    select customer_id, ordered_at as paid_at, 1 as orders, order_value as paid
    from {{ ref('orders') }}
    union all
    select customer_id, refunded_at, 0, -refund_value
    from {{ ref('refunds') }}
    where netted
),

made as (
    select
        customer_id,
        cast(paid_at as date) as day,
        sum(orders) as orders,
        sum(paid) as order_value
    from payments
    where date_trunc('hour', paid_at) + interval '1 hour' <= {{ present() }}
    group by customer_id, cast(paid_at as date)
)

select
    coalesce(counted.customer_id, made.customer_id) as customer_id,
    coalesce(counted.day, made.day) as day,
    counted.orders,
    made.orders as orders_made,
    counted.order_value,
    made.order_value as order_value_made
from (select * from days where nth = 1) as counted
full join made on made.customer_id = counted.customer_id and made.day = counted.day
cross join first_whole_day
where coalesce(counted.day, made.day) >= first_whole_day.begins
    and (
        counted.orders is distinct from made.orders
        or counted.order_value is distinct from made.order_value
    )
