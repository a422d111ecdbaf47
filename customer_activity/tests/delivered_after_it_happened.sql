select *
from {{ ref('customer_events') }}
where created_timestamp <= event_timestamp
    or created_timestamp > event_timestamp + interval '1 hour'
