-- In one delivery; a later one may bring the state anew, with a purchase that came late.
select customer_id, event_timestamp, created_timestamp
from {{ ref('customer_events') }}
group by customer_id, event_timestamp, created_timestamp
having count(*) > 1
