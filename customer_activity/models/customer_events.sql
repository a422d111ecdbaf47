-- The states of customers' days as they were delivered, hour by hour. A purchase that came late
-- makes the later states of its day others: they are delivered again, and what was stays as it was.
-- `created_timestamp` is when that was: of the first delivery, which brings all that there is, the
-- end of each hour; of every later one its own instant, after everything delivered before.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    schema='data_warehouse',
    post_hook="{{ export_events() }}",
) }}

with last_delivery as (
    {% if is_incremental() -%}
    select max(created_timestamp) at time zone 'UTC' as delivered_at from {{ this }}
    {%- else -%}
    select cast(null as timestamp) as delivered_at
    {%- endif %}
),

in_reach as (
    select
        states.customer_id,
        states.happened_at at time zone 'UTC' as event_timestamp,
        case
            when last_delivery.delivered_at is null then states.hour_is_over_at
            else greatest({{ present() }}, last_delivery.delivered_at + interval '1 microsecond')
        end at time zone 'UTC' as created_timestamp,
        states.orders,
        states.order_value,
        states.sessions
    from {{ ref('states') }} as states
    cross join last_delivery
    -- An hour is delivered once it is over.
    where states.hour_is_over_at <= {{ present() }}
        and (
            last_delivery.delivered_at is null
            or states.happened_at > last_delivery.delivered_at - {{ reach() }}
        )
)

select customer_id, event_timestamp, created_timestamp, orders, order_value, sessions
from in_reach
{% if is_incremental() -%}
where not exists (
    select 1 from {{ latest_states(this) }} as delivered
    where delivered.customer_id = in_reach.customer_id
        and delivered.event_timestamp = in_reach.event_timestamp
        and delivered.orders = in_reach.orders
        and delivered.order_value = in_reach.order_value
        and delivered.sessions = in_reach.sessions
)
{% endif -%}
order by created_timestamp, customer_id, event_timestamp
