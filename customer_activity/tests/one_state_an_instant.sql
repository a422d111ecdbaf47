select customer_id, event_timestamp
from {{ ref('customer_events') }}
group by customer_id, event_timestamp
having count(*) > 1
