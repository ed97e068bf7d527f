"""An attempt remembers the source's row, so that another row of the very same times can be told from it."""

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add `source_hash` to attempts, without writing the table anew; 0 of the attempts that are there says nothing.

    A view keeps the columns that its table had when it was made, so all three are made anew.
    """
    op.execute(
        """
        select pg_advisory_xact_lock(hashtextextended('order_sync ' || name, 0)) from destinations order by name;
        drop view orders_in_doubt, order_states, settled_attempts;

        alter table attempts add source_hash bigint not null default 0;

        create view settled_attempts as
        select a.*, b.concluded_at,
            case when b.outcome = 'answered' and r.order_id is not null then 'rejected'
                 when b.outcome in ('answered', 'unchanged') or d.decision = 'accept' then 'accepted'
                 when d.decision = 'resend' or not a.held_if_in_doubt then 'in_doubt'
                 else 'held' end as verdict
        from attempts a
        join batches b on b.id = a.batch_id and b.outcome <> 'not_taken'
        left join rejections r on r.batch_id = a.batch_id and r.order_id = a.order_id
        left join decisions d on d.batch_id = a.batch_id and d.order_id = a.order_id;

        create view order_states as
        select distinct on (destination_id, partition_hash, order_id) * from settled_attempts
        order by destination_id, partition_hash, order_id,
            status_changed_at desc, updated_at desc, rank desc, batch_id desc;

        create view orders_in_doubt as
        select s.destination_id, s.partition_hash, s.order_id, s.code, s.batch_id, s.verdict = 'held' as held
        from batches b
        join settled_attempts s on s.batch_id = b.id and s.verdict in ('held', 'in_doubt')
        where b.outcome = 'in_doubt' and not exists (
            select from settled_attempts later
            where later.destination_id = s.destination_id and later.partition_hash = s.partition_hash
              and later.order_id = s.order_id
              and (later.status_changed_at, later.updated_at, later.rank, later.batch_id)
                  > (s.status_changed_at, s.updated_at, s.rank, s.batch_id));
        """
    )


def downgrade() -> None:
    """There is no way back: an earlier release would take another row of the same times for unchanged."""
    raise NotImplementedError("Restore the ledger's database from a backup to go back to schema 0007.")
