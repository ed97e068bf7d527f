"""An order's hash finds it in each view that has orders, without reading all of a table."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Make the views and the quarantine use the hash.

    order_state_v1: `distinct on` of all states took no hash without the destination's number.

    quarantine_of_order: it had the order's id in another collation than order_history_v1, which read all entries.
    """
    op.execute(
        """
        create or replace view order_state_v1 as
        select d.name as destination, s.order_id, s.partition_hash,
            case s.verdict when 'in_doubt' then 'in doubt' else s.verdict end as state, s.concluded_at as since,
            s.status_changed_at, nullif(s.updated_at, 'epoch') as updated_at, s.code,
            split_part(b.run, ' ', 2) as run, b.try, s.batch_id
        from settled_attempts s
        join destinations d on d.id = s.destination_id
        join batches b on b.id = s.batch_id
        where not exists (
            select from settled_attempts later
            where later.destination_id = s.destination_id and later.partition_hash = s.partition_hash
              and later.order_id = s.order_id
              and (later.status_changed_at, later.updated_at, later.rank, later.batch_id)
                  > (s.status_changed_at, s.updated_at, s.rank, s.batch_id));

        create or replace view rejections_v1 as
        select id as entry, destination, order_id, reasons, origin, line, status_changed_at,
            nullif(updated_at, 'epoch') as updated_at, split_part(run, ' ', 2) as run, first_seen_at, last_seen_at,
            times_seen, resolved_at, resolution, note, partition_hash
        from quarantine;

        drop index quarantine_of_order;
        create index quarantine_of_order on quarantine (partition_hash) where order_id is not null;
        """
    )


def downgrade() -> None:
    """Give the quarantine its index of 0018 again; the views may stay as they are."""
    op.execute(
        """
        drop index quarantine_of_order;
        create index quarantine_of_order on quarantine (order_id, destination)
        """
    )
