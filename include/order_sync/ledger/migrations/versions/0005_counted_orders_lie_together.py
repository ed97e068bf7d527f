"""Orders whose ids differ in their last three characters alone lie together."""

from alembic import op
from sqlalchemy import text

from include.order_sync.staging.partition_hash import partition_hash

revision = "0005"
down_revision = "0004"

IDS_AT_ONCE = 100_000


def upgrade() -> None:
    """Give each order the hash that order_hash.py now gives it, and write `attempts` anew by batch.

    That takes as much disk again, and a minute or two for ten million attempts.

    The column gets another name: a load of the release before, which may wait for its lock with the schema checked,
    would look for its orders where they no longer lie, and send them again. So it fails; one that is running ends
    first.
    """
    op.execute(
        """
        select pg_advisory_xact_lock(hashtextextended('order_sync ' || name, 0)) from destinations order by name;
        lock table quarantine, attempts in access exclusive mode;
        alter table quarantine rename order_hash to order_place;
        alter table attempts rename order_hash to order_place;
        alter view settled_attempts rename order_hash to order_place;
        alter view order_states rename order_hash to order_place;
        alter view orders_in_doubt rename order_hash to order_place;
        create temporary table hashes (order_id text collate "C", order_hash integer not null) on commit drop;
        """
    )
    connection = op.get_bind()
    ids = connection.execute(
        text("select order_id from attempts union select order_id from quarantine where order_id is not null"),
        execution_options={"stream_results": True},
    ).scalars()
    for some in ids.partitions(IDS_AT_ONCE):
        connection.execute(
            text("insert into hashes select * from unnest(cast(:ids as text[]), cast(:hashes as integer[]))"),
            {"ids": list(some), "hashes": [partition_hash(order_id) for order_id in some]},
        )
    op.execute(
        """
        analyze hashes;
        update quarantine q set order_place = h.order_hash from hashes h where h.order_id = q.order_id;

        create temporary table attempts_before on commit drop as table attempts;
        truncate attempts;
        alter table attempts drop constraint attempts_pkey;
        drop index attempts_batch;
        insert into attempts
        select a.batch_id, a.destination_id, h.order_hash, a.order_id, a.status_changed_at, a.updated_at, a.rank,
               a.code, a.payload_hash, a.held_if_in_doubt
        from attempts_before a join hashes h using (order_id) order by a.batch_id;
        alter table attempts add primary key (destination_id, order_place, order_id, batch_id);
        create index attempts_batch on attempts using brin (batch_id);  -- made here, it knows what is there
        analyze attempts;
        """
    )


def downgrade() -> None:
    """There is no way back: a release of before would not find its orders."""
    raise NotImplementedError("Restore the ledger's database from a backup to go back to schema 0004.")
