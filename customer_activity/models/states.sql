-- The day's activity so far, per customer and UTC day: one state after each instant in which
-- something happened, of all purchases that are known by now.
with activity as (
    select customer_id, ordered_at as happened_at, 1 as orders, order_value, 0 as sessions
    from {{ ref('orders') }}
    union all
    select customer_id, started_at, 0, 0, 1
    from {{ ref('sessions') }}
    union all
    select customer_id, refunded_at, 0, -refund_value, 0
    from {{ ref('refunds') }}
    where netted
),

instants as (
    select
        customer_id,
        happened_at,
        sum(orders) as orders,
        sum(order_value) as order_value,
        sum(sessions) as sessions
    from activity
    group by customer_id, happened_at
)

select
    cast(customer_id as bigint) as customer_id,
    happened_at,
    date_trunc('hour', happened_at) + interval '1 hour' as hour_is_over_at,
    cast(sum(orders) over day_so_far as bigint) as orders,
    cast(sum(order_value) over day_so_far as decimal(18, 2)) as order_value,
    cast(sum(sessions) over day_so_far as bigint) as sessions
from instants
window day_so_far as (
    partition by customer_id, cast(happened_at as date) order by happened_at
)
