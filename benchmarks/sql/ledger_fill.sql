-- The ledger after years: each of these orders was sent and accepted once.
with destination as (
    insert into destinations (name) values (:destination) returning id
),
batch as (
    insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome)
    select id, 'years ago', 1, :count, now(), now(), 'answered' from destination
    returning id, destination_id
),
past_orders as (
    select 'ORD-' || lpad(number::text, 9, '0') as order_id
    from generate_series(cast(:first as integer), cast(:first as integer) + :count - 1) as number
)
insert into attempts (batch_id, destination_id, partition_hash, order_id, status_changed_at, updated_at, rank, code,
                      payload_hash, held_if_in_doubt)
select b.id, b.destination_id,
       -- The hash of partition_hash.py, for ids that end in three digits or more.
       ((head >> 10 << 10)
        + (head + 100 * ascii(right(order_id, 3)) + 10 * ascii(right(order_id, 2)) + ascii(right(order_id, 1))) % 1024
        - 2147483648)::integer,
       order_id,
       timestamptz '2026-11-01 00:00+00', timestamptz '2026-11-01 00:00+00', 0, '1', 0, false
from past_orders, batch b, crc32(convert_to(left(order_id, -3), 'UTF8')) as head
order by 3, 4
