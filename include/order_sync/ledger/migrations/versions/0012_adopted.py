"""An attempt may be adopted: nothing was sent, and the service counts as having it."""

from alembic import op

revision = "0012"
down_revision = "0008"


def upgrade() -> None:
    """Allow the outcome `adopted`; the view keeps its columns, so that its rights stay."""
    op.execute(
        """
        alter table batches
            drop constraint batches_outcome_check,
            add constraint batches_outcome_check
                check (outcome in ('answered', 'not_taken', 'in_doubt', 'unchanged', 'adopted'));

        create or replace view settled_attempts as
        select a.*, b.concluded_at,
            case when b.outcome = 'answered' and r.order_id is not null then 'rejected'
                 when b.outcome in ('answered', 'unchanged', 'adopted') or d.decision = 'accept' then 'accepted'
                 when d.decision = 'resend' or not a.held_if_in_doubt then 'in_doubt'
                 else 'held' end as verdict
        from attempts a
        join batches b on b.id = a.batch_id and b.outcome <> 'not_taken'
        left join rejections r on r.batch_id = a.batch_id and r.order_id = a.order_id
        left join decisions d on d.batch_id = a.batch_id and d.order_id = a.order_id;
        """
    )


def downgrade() -> None:
    """There is no way back: an earlier release would send what was adopted."""
    raise NotImplementedError("Restore the ledger's database from a backup to go back to the schema before 0012.")
