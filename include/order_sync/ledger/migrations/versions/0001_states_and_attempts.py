"""States, batches, attempts and rejections."""

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables.

    order_states: for each destination and order the highest version ever attempted (its two times and its rank among
    rows of the same times), what became of that attempt, and the code and payload hash that the service has or may
    have taken last. Rows are updated in place, so pages keep room for that.

    batches, attempts: append-only but for a batch's outcome. Attempts are written before the request: a batch without
    an outcome whose sender has gone is in doubt. No payload and no credentials.
    """
    op.execute(
        """
        create table order_states (
            destination text not null,
            order_id text not null,
            status_changed_at timestamptz not null,
            updated_at timestamptz not null,
            rank integer not null,
            verdict text not null check (verdict in ('accepted', 'rejected', 'in_doubt', 'held')),
            code text,
            payload_hash bytea,
            attempted_hash bytea not null,
            run text not null,
            batch_id bigint not null,
            primary key (destination, order_id)
        ) with (fillfactor = 80);
        create index order_states_held on order_states (destination) where verdict = 'held';

        create table batches (
            id bigint generated always as identity primary key,
            destination text not null,
            run text not null,
            try integer not null,
            intended_at timestamptz not null default now(),
            concluded_at timestamptz,
            outcome text check (outcome in ('answered', 'not_taken', 'in_doubt')),
            reason text
        );
        create index batches_open on batches (destination) where outcome is null;
        create index batches_run on batches (destination, run);

        create table attempts (
            batch_id bigint not null references batches (id),
            order_id text not null,
            status_changed_at timestamptz not null,
            updated_at timestamptz not null,
            rank integer not null,
            code text not null,
            payload_hash bytea not null,
            held_if_in_doubt boolean not null,
            primary key (batch_id, order_id)
        );
        create index attempts_order on attempts (order_id);

        create table rejections (
            batch_id bigint not null,
            order_id text not null,
            reason text not null,
            primary key (batch_id, order_id),
            foreign key (batch_id, order_id) references attempts (batch_id, order_id)
        );
        """
    )


def downgrade() -> None:
    """Drop the tables, and with them all that they remember."""
    op.execute("drop table rejections, attempts, batches, order_states")
