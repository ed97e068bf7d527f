-- A ledger with a year of hourly runs of four destinations, and a full quarantine; its attempts are ledger_fill.sql's.
insert into freshness (destination, read_at, read_up_to, newest_read, newest_accepted, accepted_at)
select 'page_' || number, now(), now(), now(), now(), now() from generate_series(1, 4) number;

insert into run_records (destination, run, try, kind, begun_by, recorded_at, is_complete, is_plan, rows, superseded,
                         skipped, orders, accepted, adopted, rejected, unchanged, stale, held, not_sent,
                         not_for_provider, requests, delays, changes)
select 'page_' || number, 'order_sync_page_' || number || ' scheduled__' || hour || ' a b', 1, '', 'schedule',
    now() - make_interval(hours => hour), true, false, 1000, 0, 0, 1000, 900, 0, 10, 90, 0, 0, 0, 0, 10,
    '{0,0,0,0,100,200,300,200,100,0,0,0,0,0,0,0,0}',
    '[[null, "0", 200], [null, "1", 100], [null, "2", 50], ["0", "1", 400], ["0", "2", 100], ["1", "2", 50]]'
from generate_series(0, 365 * 24) hour, generate_series(1, 4) number;

insert into quarantine (destination, order_id, row_hash, reasons, encrypted_row, origin, line, status_changed_at, run,
                        updated_at, rank, partition_hash)
select 'page_' || number % 4 + 1, 'Q-' || number, convert_to(number::text, 'UTF8'),
    array['items: a reason of many, number ' || (number % 100)] || case when number % 7 = 0 then array['status: missing'] end,
    convert_to(repeat(md5(number::text), 32), 'UTF8'), '/drop/orders-' || number / 500 || '.csv', number % 500, now(),
    'order_sync_page_1 scheduled__' || number / 1000 || ' a b', now(), 0, number
from generate_series(1, cast(:entries as integer)) number;

insert into files_taken (destination, path, fingerprint, size, modified_at, content_hash, run, rows, skipped)
select 'page_' || number % 4 + 1, '/drop/orders-' || number || '.csv', 'f', 9, now(),
    case when number % 1000 = 0 then 'unusable 1' else 'hash' end, 'order_sync_page_1 run a b', 500, 0
from generate_series(1, cast(:entries as integer) / 50) number;

-- A thousand held orders in two batches.
insert into destinations (name) select 'page_' || number from generate_series(1, 4) number;
insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome, reason)
select id, 'order_sync_' || name || ' scheduled__1 a b', 1, 500, now(), now(), 'in_doubt', 'no answer'
from destinations where name in ('page_1', 'page_2');
insert into attempts (batch_id, destination_id, partition_hash, order_id, status_changed_at, updated_at, rank, code,
                      payload_hash, held_if_in_doubt)
select b.id, b.destination_id, number, 'H-' || number, now(), 'epoch', 0, '1', 0, true
from batches b, generate_series(1, 500) number where b.outcome = 'in_doubt';
