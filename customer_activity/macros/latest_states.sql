{# What was delivered last of each customer and instant. #}
{% macro latest_states(events) -%}
    (
        select customer_id, event_timestamp, orders, order_value, sessions
        from (
            select *, row_number() over (
                partition by customer_id, event_timestamp order by created_timestamp desc
            ) as nth
            from {{ events }}
        ) as deliveries
        where nth = 1
    )
{%- endmacro %}
