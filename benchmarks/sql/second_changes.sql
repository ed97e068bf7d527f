-- A newer change of orders that JustClick hears are paid: now that they are sent. It may not overtake the first.
insert into bench_orders
select order_id, customer_id, 'shipped', updated_at + interval '10 minutes', created_at, total_cost, currency, email,
       phone, first_name, last_name
from bench_orders
where status in ('new', 'paid', 'processing') and updated_at < timestamptz '2026-11-20 00:50+00'
