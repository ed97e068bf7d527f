"""A row keeps the run that first rejected it, files that no run reads are listed, and reasons have their codes."""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Create them, and tell them in the views.

    quarantine.first_run: the run that put the row in; null while `run`, which saw it last, is the same.

    files_taken_time: the page lists the files that were taken last.

    files_not_read: the files that the last scheduled run of a destination found and did not read, as the run says why.

    reason_codes: the codes of this release, which each upgrade writes anew, so that views have a code beside a text.
    """
    op.execute(
        """
        alter table quarantine add if not exists first_run text;
        create index if not exists quarantine_first_run
            on quarantine (destination, split_part(coalesce(first_run, run), ' ', 2));

        create index if not exists files_taken_time on files_taken (destination, taken_at);

        create table files_not_read (
            destination text not null,
            path text not null,
            belongs_at timestamptz,
            reason text not null,
            seen_at timestamptz not null default now(),
            primary key (destination, path)
        );

        create table if not exists reason_codes (
            pattern text primary key,  -- of like
            code text not null
        );

        create view files_not_read_v1 as
        select destination, path, belongs_at, reason, seen_at from files_not_read;

        create or replace view rejections_v1 as
        select id as entry, destination, order_id, reasons, origin, line, status_changed_at,
            nullif(updated_at, 'epoch') as updated_at, split_part(run, ' ', 2) as run, first_seen_at, last_seen_at,
            times_seen, resolved_at, resolution, note, partition_hash,
            split_part(coalesce(first_run, run), ' ', 2) as first_run,
            array(
                select (
                    select code from reason_codes
                    where each.reason like pattern or split_part(each.reason, ' (', 1) like pattern
                    order by each.reason like pattern desc, code limit 1)
                from unnest(reasons) with ordinality as each (reason, number) order by each.number
            ) as codes
        from quarantine;

        create or replace view reasons_v1 as
        select destination, reason, entries, (
            select code from reason_codes
            where reason like pattern or split_part(reason, ' (', 1) like pattern
            order by reason like pattern desc, code limit 1) as code
        from open_entries where entries > 0;

        create or replace view order_history_v1 as
        select d.name as destination, a.order_id, a.partition_hash, coalesce(b.concluded_at, b.begun_at) as happened_at,
            case when b.outcome = 'answered' and r.order_id is not null then 'rejected'
                 when b.outcome = 'answered' then 'accepted'
                 when b.outcome = 'not_taken' then 'not taken'
                 when b.outcome = 'in_doubt' and a.held_if_in_doubt then 'held'
                 when b.outcome = 'in_doubt' then 'in doubt'
                 when b.outcome is not null then b.outcome
                 when b.begun_at is not null then 'under way'
                 else 'waiting' end as event,
            a.status_changed_at, nullif(a.updated_at, 'epoch') as updated_at, a.code,
            coalesce(r.reason, b.reason) as reason, null as place, split_part(b.run, ' ', 2) as run, b.try,
            a.batch_id, null::bigint as entry
        from attempts a
        join batches b on b.id = a.batch_id
        join destinations d on d.id = a.destination_id
        left join rejections r on r.batch_id = a.batch_id and r.order_id = a.order_id
        union all
        select destination, order_id, partition_hash, first_seen_at, 'quarantined', status_changed_at,
            nullif(updated_at, 'epoch'), null, array_to_string(reasons, '; '),
            origin || coalesce(':' || line, ''), split_part(coalesce(first_run, run), ' ', 2), null, null, id
        from quarantine where order_id is not null
        union all
        select destination, order_id, partition_hash, last_seen_at, 'quarantined again', status_changed_at,
            nullif(updated_at, 'epoch'), null, array_to_string(reasons, '; '),
            origin || coalesce(':' || line, ''), split_part(run, ' ', 2), null, null, id
        from quarantine where order_id is not null and first_run is not null
        union all
        select destination, order_id, partition_hash, resolved_at, 'left the quarantine', status_changed_at,
            nullif(updated_at, 'epoch'), null, resolution || coalesce(': ' || note, ''),
            origin || coalesce(':' || line, ''), null, null, null, id
        from quarantine where order_id is not null and resolved_at is not null
        union all
        select d.name, c.order_id, a.partition_hash, c.decided_at, 'decided to ' || c.decision, a.status_changed_at,
            nullif(a.updated_at, 'epoch'), a.code, 'by ' || c.decided_by, null, null, null, c.batch_id, null
        from decisions c
        join batches b on b.id = c.batch_id
        join destinations d on d.id = b.destination_id
        join attempts a on a.destination_id = b.destination_id and a.batch_id = c.batch_id and a.order_id = c.order_id
        """
    )


def downgrade() -> None:
    """Drop the list of files. The views may stay as they are, and so what they read stays too."""
    op.execute("drop view files_not_read_v1; drop table files_not_read")
