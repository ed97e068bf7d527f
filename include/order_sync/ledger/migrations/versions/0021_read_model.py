"""The read model: views for people and their reports, with the columns of docs/read-model.md."""

from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Create the views. A view keeps its columns and their meaning; one that must change gets the next number.

    The limits of run_records.delays are those of run_records.py, in minutes; the last bucket has none.
    """
    op.execute(
        """
        create view order_state_v1 as
        select d.name as destination, s.order_id, s.partition_hash,
            case s.verdict when 'in_doubt' then 'in doubt' else s.verdict end as state, s.concluded_at as since,
            s.status_changed_at, nullif(s.updated_at, 'epoch') as updated_at, s.code,
            split_part(b.run, ' ', 2) as run, b.try, s.batch_id
        from order_states s
        join destinations d on d.id = s.destination_id
        join batches b on b.id = s.batch_id;

        create view held_v1 as
        select d.name as destination, o.order_id, o.partition_hash, o.code, o.batch_id, b.concluded_at as since,
            b.reason, split_part(b.run, ' ', 2) as run
        from orders_in_doubt o
        join destinations d on d.id = o.destination_id
        join batches b on b.id = o.batch_id
        where o.held;

        create view rejections_v1 as
        select id as entry, destination, order_id, reasons, origin, line, status_changed_at,
            nullif(updated_at, 'epoch') as updated_at, split_part(run, ' ', 2) as run, first_seen_at, last_seen_at,
            times_seen, resolved_at, resolution, note
        from quarantine;

        create view reasons_v1 as
        select destination, reason, entries from open_entries where entries > 0;

        create view runs_v1 as
        select destination, split_part(run, ' ', 1) as dag, split_part(run, ' ', 2) as run, try, kind, begun_by,
            window_start, window_end, recorded_at, is_complete, is_plan, rows, superseded, skipped, orders, accepted,
            adopted, rejected, unchanged, stale, held, not_sent, not_for_provider, requests
        from run_records;

        create view files_v1 as
        select destination, path, modified_at, size, taken_at, rows, skipped,
            (content_hash like 'unusable %' or content_hash = '') as is_unusable, split_part(run, ' ', 2) as run
        from files_taken;

        create view freshness_v1 as
        with delays as (
            select destination, bucket, sum(delayed) as orders
            from run_records, unnest(delays) with ordinality as delay (delayed, bucket)
            where recorded_at > now() - interval '24 hours' and begun_by = 'schedule' and not is_plan
            group by 1, 2
        ), shares as (
            select destination, bucket, sum(orders) over (partition by destination order by bucket)
                / nullif(sum(orders) over (partition by destination), 0) as share
            from delays
        ), at_most as (
            select destination,
                min(bucket) filter (where share >= 0.5) as p50, min(bucket) filter (where share >= 0.95) as p95
            from shares group by 1
        ), limits as (
            select '{1,2,5,10,15,20,30,45,60,90,120,180,360,720,1440,2880}'::integer[] as minutes
        )
        select f.destination, f.read_at, f.read_up_to, f.open_gaps, f.gap_start, f.gap_end, f.newest_read,
            f.newest_accepted, f.accepted_at,
            make_interval(mins => minutes[a.p50]) as half_within, make_interval(mins => minutes[a.p95]) as most_within
        from freshness f cross join limits left join at_most a using (destination);
        """
    )


def downgrade() -> None:
    """Drop the views."""
    op.execute("drop view order_state_v1, held_v1, rejections_v1, reasons_v1, runs_v1, files_v1, freshness_v1")
