-- A newer change, to `sent`, of orders that JustClick gets as `paid`. It must not overtake the first change.
insert into bench_orders
select order_id, customer_id, 'shipped', updated_at + interval '10 minutes', created_at, total_cost, currency, email,
       phone, first_name, last_name
from bench_orders
where status in ('new', 'paid', 'processing') and updated_at < timestamptz '2026-11-20 00:50+00'
