{# How far back of the last delivery a purchase may lie and still be delivered: far longer than any
   that counts. Older states may be missing because retention or an erasure took them. #}
{% macro reach() -%}
    interval '7 days'
{%- endmacro %}
