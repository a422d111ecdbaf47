{# The instant of the run, naive UTC: `--vars '{as_of: 2017-12-01T01:00:00}'`, or now. #}
{% macro present() -%}
    timestamp '{{ var("as_of", run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f")) }}'
{%- endmacro %}
