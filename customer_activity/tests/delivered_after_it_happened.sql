select *
from {{ ref('customer_events') }}
where created_timestamp <= event_timestamp
