-- Later states of a day hold the earlier ones; money goes down by a refund alone, and never below
-- zero.
with states as (
    select
        *,
        lag(orders) over day_so_far as orders_before,
        lag(order_value) over day_so_far as order_value_before,
        lag(sessions) over day_so_far as sessions_before
    from {{ latest_states(ref('customer_events')) }} as latest
    window day_so_far as (
        partition by customer_id, cast(event_timestamp at time zone 'UTC' as date)
        order by event_timestamp
    )
)

select *
from states
where orders < orders_before or sessions < sessions_before or sessions > orders
    or order_value < 0
    or (
        order_value < order_value_before
        and not exists (
            select 1 from {{ ref('refunds') }} as refunds
            where refunds.netted
                and refunds.customer_id = states.customer_id
                and refunds.refunded_at = states.event_timestamp at time zone 'UTC'
        )
    )
