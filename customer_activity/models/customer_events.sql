-- The day's activity so far, per customer and UTC day: one state after each instant in which
-- something happened. `created_timestamp` is the next full hour, when the hourly run delivers it.
{{ config(
    materialized='incremental',
    incremental_strategy='append',
    full_refresh=false,
    schema='data_warehouse',
    post_hook="{{ export_events() }}",
) }}

with activity as (
    select customer_id, ordered_at as happened_at, 1 as orders, order_value, 0 as sessions
    from {{ ref('orders') }}
    union all
    select customer_id, started_at, 0, 0, 1
    from {{ ref('sessions') }}
),

instants as (
    select
        customer_id,
        happened_at,
        date_trunc('hour', happened_at) + interval '1 hour' as delivered_at,
        sum(orders) as orders,
        sum(order_value) as order_value,
        sum(sessions) as sessions
    from activity
    group by customer_id, happened_at
),

states as (
    select
        customer_id,
        happened_at,
        delivered_at,
        sum(orders) over day_so_far as orders,
        sum(order_value) over day_so_far as order_value,
        sum(sessions) over day_so_far as sessions
    from instants
    window day_so_far as (
        partition by customer_id, cast(happened_at as date) order by happened_at
    )
)

select
    cast(customer_id as bigint) as customer_id,
    happened_at at time zone 'UTC' as event_timestamp,
    delivered_at at time zone 'UTC' as created_timestamp,
    cast(orders as bigint) as orders,
    cast(order_value as decimal(18, 2)) as order_value,
    cast(sessions as bigint) as sessions
from states
-- An hour is delivered once it is over, and once.
where delivered_at <= {{ present() }}
{% if is_incremental() %}
    and delivered_at > coalesce(
        (select max(created_timestamp) at time zone 'UTC' from {{ this }}),
        timestamp '0001-01-01'
    )
{% endif %}
order by created_timestamp, customer_id, event_timestamp
