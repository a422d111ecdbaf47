-- Later states of a day hold the earlier ones.
select *
from (
    select
        customer_id, event_timestamp, orders, order_value, sessions,
        lag(orders) over day_so_far as orders_before,
        lag(order_value) over day_so_far as order_value_before,
        lag(sessions) over day_so_far as sessions_before
    from {{ ref('customer_events') }}
    window day_so_far as (
        partition by customer_id, cast(event_timestamp at time zone 'UTC' as date)
        order by event_timestamp
    )
) as states
where orders < orders_before or order_value < order_value_before or sessions < sessions_before
    or sessions > orders
