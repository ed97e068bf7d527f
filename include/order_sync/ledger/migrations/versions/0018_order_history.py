"""What happened to an order, as one view: the first of those that people and their reports may rest on."""

from alembic import op

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    """Create the view.

    order_history_v1: one row for each thing that happened to an order, with the columns of docs/read-model.md. A view
    keeps its columns and their meaning for ever; one that must change gets the next number beside it.
    """
    op.execute(
        """
        create index quarantine_of_order on quarantine (order_id, destination);

        create view order_history_v1 as
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
            origin || coalesce(':' || line, ''), split_part(run, ' ', 2), null, null, id
        from quarantine where order_id is not null
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
    """Drop the view and its index."""
    op.execute("drop view order_history_v1; drop index quarantine_of_order")
