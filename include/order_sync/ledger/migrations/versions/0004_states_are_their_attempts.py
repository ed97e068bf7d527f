"""An order's state is what its attempts come to: one row an attempt, written once."""

from alembic import op
from sqlalchemy import text

from include.order_sync.staging.partition_hash import partition_hash

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create `attempts` anew, kept by order, and turn the states into attempts of batches that say what became of them.

    destinations: a short number for each name, because attempts are many.

    attempts: append-only, the intent before the request. An order's rows lie together, by the hash of its id, so that
    the orders of a staged part are read and written in one stretch. BRIN finds a batch's rows: they come in order.

    batches: `begun_at` is the moment before the request; without it the batch's attempts do not count. `unchanged`
    is no request: these versions needed none.

    settled_attempts: those that count, with what became of each. order_states: of each order the one of the
    highest version.

    orders_in_doubt: those whose newest attempt is in doubt; `held` ones wait for a person's decision.

    What a state has taken is known by its code alone: payloads were hashed otherwise before.
    """
    op.execute(
        """
        lock table batches, attempts, order_states in access exclusive mode;  -- a sender of before writes no more

        create table destinations (
            id smallint generated always as identity primary key,
            name text not null unique
        );
        insert into destinations (name)
        select destination from batches union select destination from order_states order by 1;

        alter table order_states rename to old_states;
        alter table old_states add order_hash integer;
        -- What a killed sender has left: it is in doubt, and still to be settled.
        create temporary table open_attempts on commit drop as
            select a.*, null::integer as order_hash
            from attempts a join batches b on b.id = a.batch_id where b.outcome is null;
        drop table rejections, attempts;

        alter table batches
            add destination_id smallint references destinations,
            add orders integer not null default 0,
            add begun_at timestamptz,
            drop constraint batches_outcome_check,
            add constraint batches_outcome_check check (outcome in ('answered', 'not_taken', 'in_doubt', 'unchanged'));
        update batches set begun_at = intended_at,
            destination_id = (select id from destinations where name = destination);
        alter table batches
            drop column intended_at,
            drop column destination,
            alter destination_id set not null,
            alter orders drop default;
        create index batches_open on batches (destination_id) where outcome is null;
        create index batches_run on batches (destination_id, run);
        create index batches_in_doubt on batches (destination_id) where outcome = 'in_doubt';

        create table attempts (
            batch_id bigint not null,
            destination_id smallint not null,
            order_hash integer not null,
            order_id text collate "C" not null,
            status_changed_at timestamptz not null,
            updated_at timestamptz not null,
            rank integer not null,
            code text not null,
            payload_hash bigint not null,
            held_if_in_doubt boolean not null,
            primary key (destination_id, order_hash, order_id, batch_id)
        );
        create index attempts_batch on attempts using brin (batch_id);

        create table rejections (
            batch_id bigint not null,
            order_id text collate "C" not null,
            reason text not null,
            primary key (batch_id, order_id)
        );

        create unique index decisions_order on decisions (batch_id, order_id);
        alter table quarantine add order_hash integer;
        """
    )
    _hash("old_states")
    _hash("open_attempts")
    _hash("quarantine")
    op.execute(
        """
        -- What the service has; then what it has rejected since; then what is in doubt.
        create temporary table kinds (kind, outcome) on commit drop as
            values ('taken', 'answered'), ('rejected', 'answered'), ('doubted', 'in_doubt');
        insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome, reason)
        select d.id, 'before 0004', 1, 0, now(), now(), k.outcome, k.kind
        from destinations d, kinds k order by d.id, k.outcome, k.kind desc;

        insert into attempts
        select b.id, d.id, s.order_hash, s.order_id, s.status_changed_at, s.updated_at, s.rank, s.code, 0,
               s.verdict = 'held'
        from old_states s
        join destinations d on d.name = s.destination
        join batches b on b.destination_id = d.id and b.run = 'before 0004'
        where s.code is not null and (
            b.reason = 'taken' and s.verdict in ('accepted', 'rejected')
            or b.reason = 'doubted' and s.verdict in ('in_doubt', 'held'));

        insert into attempts
        select b.id, d.id, s.order_hash, s.order_id, s.status_changed_at, s.updated_at, s.rank, coalesce(s.code, ''),
               0, false
        from old_states s
        join destinations d on d.name = s.destination
        join batches b on b.destination_id = d.id and b.run = 'before 0004' and b.reason = 'rejected'
        where s.verdict = 'rejected';
        insert into rejections
        select b.id, a.order_id, 'rejected before the ledger was rebuilt'
        from attempts a join batches b on b.id = a.batch_id
        where b.run = 'before 0004' and b.reason = 'rejected';

        -- Open batches come last, as they did: their numbers tell what is newer.
        insert into batches (destination_id, run, try, orders, begun_at, reason)
        select destination_id, run, try, 0, begun_at, id from batches
        where id in (select batch_id from open_attempts) order by id;
        insert into attempts
        select b.id, b.destination_id, o.order_hash, o.order_id, o.status_changed_at, o.updated_at, o.rank, o.code, 0,
               o.held_if_in_doubt
        from open_attempts o join batches b on b.outcome is null and b.reason = o.batch_id::text;
        delete from batches where id in (select batch_id from open_attempts);
        update batches set reason = null where outcome is null;

        update batches b set orders = (select count(*) from attempts a where a.batch_id = b.id);
        drop table old_states;

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
        select distinct on (destination_id, order_hash, order_id) * from settled_attempts
        order by destination_id, order_hash, order_id,
            status_changed_at desc, updated_at desc, rank desc, batch_id desc;

        create view orders_in_doubt as
        select s.destination_id, s.order_hash, s.order_id, s.code, s.batch_id, s.verdict = 'held' as held
        from batches b
        join settled_attempts s on s.batch_id = b.id and s.verdict in ('held', 'in_doubt')
        where b.outcome = 'in_doubt' and not exists (
            select from settled_attempts later
            where later.destination_id = s.destination_id and later.order_hash = s.order_hash
              and later.order_id = s.order_id
              and (later.status_changed_at, later.updated_at, later.rank, later.batch_id)
                  > (s.status_changed_at, s.updated_at, s.rank, s.batch_id));
        """
    )


def _hash(table: str) -> None:
    """Fill `order_hash` of a table: PostgreSQL has no CRC-32 before version 18."""
    connection = op.get_bind()
    ids = connection.execute(text(f"select distinct order_id from {table} where order_id is not null")).scalars().all()  # noqa: S608
    connection.execute(
        text(
            f"""
            update {table} t set order_hash = h.order_hash
            from unnest(cast(:ids as text[]), cast(:hashes as integer[])) h (order_id, order_hash)
            where h.order_id = t.order_id
            """  # noqa: S608
        ),
        {"ids": ids, "hashes": [partition_hash(order_id) for order_id in ids]},
    )


def downgrade() -> None:
    """There is no way back: the states of before are not kept."""
    raise NotImplementedError("Restore the ledger's database from a backup to go back to schema 0003.")
