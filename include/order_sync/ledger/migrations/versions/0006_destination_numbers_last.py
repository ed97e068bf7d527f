"""Destinations are numbered by integers, and the hash of an order's id has one name everywhere."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Widen `destination_id` from smallint to integer, and rename two columns.

    Each load used up a number of `destinations`, so that after 32,767 loads of all destinations together every load
    failed. The table of attempts is written anew: that takes as much disk again, and a minute or two for ten million.

    order_place becomes partition_hash and sealed_row encrypted_row, as in the code. A load of an earlier release that
    waits for its lock during the upgrade fails on these names; it does not send.
    """
    op.execute(
        """
        select pg_advisory_xact_lock(hashtextextended('order_sync ' || name, 0)) from destinations order by name;
        lock table quarantine, batches, attempts in access exclusive mode;
        drop view orders_in_doubt, order_states, settled_attempts;

        alter table batches drop constraint batches_destination_id_fkey;
        alter table destinations alter id type integer;
        alter table batches alter destination_id type integer;
        alter table attempts alter destination_id type integer;
        alter table batches add foreign key (destination_id) references destinations;

        alter table attempts rename order_place to partition_hash;
        alter table quarantine rename order_place to partition_hash;
        alter table quarantine rename sealed_row to encrypted_row;

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

        analyze attempts;
        """
    )


def downgrade() -> None:
    """There is no way back: an earlier release would use the numbers up."""
    raise NotImplementedError("Restore the ledger's database from a backup to go back to schema 0005.")
