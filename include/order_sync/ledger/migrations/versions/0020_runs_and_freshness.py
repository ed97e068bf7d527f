"""What each run has done is recorded once, so that reports need not count attempts."""

from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    """Create the tables.

    run_records: one row for each try of a run that has ended. Its counts are what this try added to the run's, so that
    sums over any time are right, and a run that is cleared erases nothing.

    freshness: how far each destination is, kept up to date by the runs.

    open_entries: how many entries of the quarantine are open for each reason. Triggers keep it: counting a million
    entries takes seconds, because their encrypted rows lie beside them.
    """
    op.execute(
        """
        create table run_records (
            id bigint generated always as identity primary key,
            destination text not null,
            run text not null,
            try integer not null,
            kind text not null,  -- what the run was to do, if not to deliver
            begun_by text not null check (begun_by in ('schedule', 'person', 'backfill')),
            window_start timestamptz,
            window_end timestamptz,
            recorded_at timestamptz not null default now(),
            is_complete boolean not null,  -- each order has its outcome
            is_plan boolean not null,  -- nothing was to be sent or remembered
            rows bigint not null,
            superseded bigint not null,
            skipped bigint not null,
            orders bigint not null,
            accepted bigint not null,
            adopted bigint not null,
            rejected bigint not null,
            unchanged bigint not null,
            stale bigint not null,
            held bigint not null,
            not_sent bigint not null,
            not_for_provider bigint not null,
            requests bigint not null,
            delays integer[] not null  -- accepted orders by the time since their change: run_records.py
        );
        create index run_records_run on run_records (destination, split_part(run, ' ', 2));
        create index run_records_time on run_records (recorded_at);

        create table freshness (
            destination text primary key,
            read_at timestamptz,  -- the end of the last run that has read all of its window
            read_up_to timestamptz,
            open_gaps integer not null default 0,
            gap_start timestamptz,  -- of the first gap
            gap_end timestamptz,
            newest_read timestamptz,  -- the newest change that the source has shown
            newest_accepted timestamptz,  -- the newest change that the service has accepted
            accepted_at timestamptz
        );

        create table open_entries (
            destination text not null,
            reason text not null,
            entries bigint not null,
            primary key (destination, reason)
        );
        insert into open_entries
        select destination, reason, count(*) from quarantine, unnest(reasons) reason
        where resolved_at is null group by 1, 2;

        create function count_open_entries() returns trigger language plpgsql as $$
        begin
            if tg_op = 'INSERT' then
                insert into open_entries as o
                select destination, reason, count(*) from new_rows, unnest(reasons) reason
                where resolved_at is null group by 1, 2 order by 1, 2
                on conflict (destination, reason) do update set entries = o.entries + excluded.entries;
            elsif tg_op = 'UPDATE' then
                insert into open_entries as o
                select destination, reason, sum(change) from (
                    select destination, unnest(reasons) as reason, 1 as change from new_rows where resolved_at is null
                    union all
                    select destination, unnest(reasons), -1 from old_rows where resolved_at is null
                ) changes
                group by 1, 2 having sum(change) <> 0 order by 1, 2
                on conflict (destination, reason) do update set entries = o.entries + excluded.entries;
            else
                insert into open_entries as o
                select destination, reason, -count(*) from old_rows, unnest(reasons) reason
                where resolved_at is null group by 1, 2 order by 1, 2
                on conflict (destination, reason) do update set entries = o.entries + excluded.entries;
            end if;
            return null;
        end
        $$;
        create trigger count_added after insert on quarantine
            referencing new table as new_rows for each statement execute function count_open_entries();
        create trigger count_changed after update on quarantine
            referencing old table as old_rows new table as new_rows
            for each statement execute function count_open_entries();
        create trigger count_removed after delete on quarantine
            referencing old table as old_rows for each statement execute function count_open_entries();

        -- Entries by their run, by their file, and by a reason. An encrypted row is never read for them.
        create index quarantine_run on quarantine (destination, split_part(run, ' ', 2));
        create index quarantine_origin on quarantine (destination, (origin collate "C"));
        create index quarantine_reasons on quarantine using gin (reasons) where resolved_at is null;
        create index files_taken_unusable on files_taken (destination, taken_at)
            where content_hash like 'unusable %' or content_hash = '';
        """
    )


def downgrade() -> None:
    """Drop them: an earlier release records no runs."""
    op.execute(
        """
        drop trigger count_added on quarantine;
        drop trigger count_changed on quarantine;
        drop trigger count_removed on quarantine;
        drop function count_open_entries();
        drop index quarantine_run, quarantine_origin, quarantine_reasons, files_taken_unusable;
        drop table run_records, freshness, open_entries
        """
    )
