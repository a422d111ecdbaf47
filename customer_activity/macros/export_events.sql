{# The embedded profile reads parquet: `scripts/refresh.py --events` takes this file. #}
{% macro export_events() -%}
    {% if target.type == 'duckdb' -%}
        copy (
            select * from {{ this }} order by created_timestamp, customer_id, event_timestamp
        ) to '{{ env_var("CUSTOMER_ACTIVITY_EVENTS", "made/customer_events.parquet") }}'
        (format parquet)
    {%- endif %}
{%- endmacro %}
