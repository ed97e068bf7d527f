insert into bench_orders
select 'ORD-' || lpad(number::text, 9, '0'),
       'CUST-' || number % 200000,
       (array['new', 'paid', 'processing', 'shipped', 'delivered', 'completed', 'cancelled', 'returned'])
           [1 + (number / 7) % 8],
       timestamptz '2026-11-20 00:00+00' + number % 3600 * interval '1 second',
       timestamptz '2026-11-10 00:00+00' + number % 864000 * interval '1 second',
       (number * 37 % 100000)::numeric / 100,
       'UAH',
       'customer' || number % 200000 || '@shop.example',
       '38067' || lpad((number % 10000000)::text, 7, '0'),
       'Olena' || number % 500,
       'Koval' || number % 900
from generate_series(cast(:first as integer), cast(:first as integer) + :count - 1) as number
