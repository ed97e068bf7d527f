-- A ledger whose orders were sent a thousand at a time, each once, to one destination.
insert into destinations (name) values ('page_0');

insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome)
select d.id, 'order_sync_page_0 scheduled__' || number || ' a b', 1, 1000, now(), now(), 'answered'
from destinations d, generate_series(0, cast(:orders as integer) / 1000) number where d.name = 'page_0';

insert into attempts (batch_id, destination_id, partition_hash, order_id, status_changed_at, updated_at, rank, code,
                      payload_hash, held_if_in_doubt)
select first_batch.id + number / 1000, first_batch.destination_id,
       -- The hash of partition_hash.py, for ids that end in three digits or more.
       ((head >> 10 << 10)
        + (head + 100 * ascii(right(order_id, 3)) + 10 * ascii(right(order_id, 2)) + ascii(right(order_id, 1))) % 1024
        - 2147483648)::integer,
       order_id, timestamptz '2026-11-01 00:00+00', timestamptz '2026-11-01 00:00+00', 0, '1', 0, false
from generate_series(0, cast(:orders as integer) - 1) number
cross join (select min(id) as id, destination_id from batches group by 2) first_batch
cross join lateral (select 'ORD-' || lpad(number::text, 9, '0') as order_id) named
cross join lateral crc32(convert_to(left(order_id, -3), 'UTF8')) as head;
