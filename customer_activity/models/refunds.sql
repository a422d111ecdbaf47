-- A refund is taken off what the customer spent earlier that UTC day, where that covers all of it.
-- It is known one payment after the other, as what an earlier refund took off is gone.
with recursive refunded_days as (
    select distinct customer_id, cast(paid_at as date) as day
    from {{ ref('baskets') }}
    where paid < 0
),

payments as (
    select baskets.*, refunded_days.day, row_number() over (
        partition by baskets.customer_id, refunded_days.day
        -- In one instant what comes in is there before what goes back.
        order by baskets.paid_at, baskets.paid < 0, baskets.basket_id, baskets.store_id
    ) as nth
    from {{ ref('baskets') }} as baskets
    inner join refunded_days
        on refunded_days.customer_id = baskets.customer_id
        and refunded_days.day = cast(baskets.paid_at as date)
),

balances as (
    select
        payments.*,
        paid >= 0 as netted,
        case when paid >= 0 then paid else 0 end as balance
    from payments
    where nth = 1
    union all
    select
        payments.*,
        balances.balance + payments.paid >= 0,
        case
            when balances.balance + payments.paid >= 0 then balances.balance + payments.paid
            else balances.balance
        end
    from balances
    inner join payments
        on payments.customer_id = balances.customer_id
        and payments.day = balances.day
        and payments.nth = balances.nth + 1
)

select
    customer_id,
    store_id,
    basket_id as refund_id,
    paid_at as refunded_at,
    -paid as refund_value,
    netted
from balances
where paid < 0
