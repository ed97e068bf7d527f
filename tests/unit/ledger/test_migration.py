"""The ledger of an earlier release: the upgrade keeps its states when they become attempts."""

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import ProgrammingError

from include.order_sync.ledger import schema
from include.order_sync.ledger.opening import open_session
from include.order_sync.staging.partition_hash import partition_hash

BEFORE = """
    insert into batches (destination, run, try, outcome, concluded_at) values ('yespo', 'run', 1, 'answered', now());
    insert into order_states values
        ('yespo', 'a', '2026-11-21 10:00Z', '1970-01-01Z', 0, 'accepted', 'PAID', '\\x01', '\\x01', 'run', 1),
        ('yespo', 'b', '2026-11-21 11:00Z', '1970-01-01Z', 1, 'rejected', 'PAID', '\\x01', '\\x02', 'run', 1),
        ('yespo', 'c', '2026-11-21 12:00Z', '1970-01-01Z', 0, 'rejected', null, null, '\\x02', 'run', 1),
        ('yespo', 'd', '2026-11-21 13:00Z', '1970-01-01Z', 0, 'held', 'PAID', '\\x01', '\\x01', 'run', 1),
        ('rees46', 'a', '2026-11-21 14:00Z', '1970-01-01Z', 0, 'in_doubt', '0', '\\x01', '\\x01', 'run', 1);
    insert into batches (destination, run, try, intended_at) values ('yespo', 'killed', 1, now() - interval '1 hour');
    insert into attempts values (2, 'a', '2026-11-21 15:00Z', '1970-01-01Z', 0, 'SENT', '\\x02', true);
    insert into quarantine (destination, order_id, row_hash, reasons, sealed_row, origin, run)
        values ('yespo', 'd', '\\x01', '{held}', '\\x01', 'q', 'run'),
               ('yespo', null, '\\x02', '{x}', '\\x01', 'q', 'run');
"""


# Hashes have the form from before 0005.
HASHED_OTHERWISE = """
    insert into destinations (name) values ('yespo');
    insert into batches (destination_id, run, try, orders, begun_at, concluded_at, outcome)
        select 1, 'run ' || number, 1, 3, now(), now(), 'answered' from generate_series(1, 3) number;
    insert into attempts
        select batch, 1, 10 * number - batch, 'ORD-' || (1000 + number), '2026-11-21 10:00Z', '2026-11-21 11:00Z',
               batch, 'PAID', number, true
        from generate_series(1, 3) batch, generate_series(1, 3) number order by 1, 3;
    insert into quarantine (destination, order_id, order_hash, row_hash, reasons, sealed_row, origin, run)
        values ('yespo', 'ORD-1002', 7, '\\x01', '{held}', '\\x01', 'q', 'run'),
               ('yespo', null, null, '\\x02', '{x}', '\\x01', 'q', 'run');
"""
ALL_BUT_HASHES = """
    select batch_id, destination_id, order_id, status_changed_at::text, updated_at::text, rank, code, payload_hash,
           held_if_in_doubt
    from attempts order by batch_id, order_id
"""


def migrate(postgres: sa.Engine, revision: str, then: str) -> None:
    """Upgrade the tables to an old revision, and fill them."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    with postgres.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.exec_driver_sql(then.replace("%", "%%"))


def test_states_of_before_are_kept(postgres: sa.Engine):
    """The upgrade keeps the version, verdict and code of each state, and settles a killed sender's batches."""
    migrate(postgres, "0003", BEFORE)
    schema.upgrade(postgres)
    with postgres.connect() as connection:
        states = connection.exec_driver_sql(
            """
            select d.name, s.order_id, s.partition_hash, extract(hour from s.status_changed_at at time zone 'UTC')::int,
                   s.rank, s.verdict
            from order_states s join destinations d on d.id = s.destination_id order by 1, 2
            """
        ).all()
        assert [tuple(state) for state in states] == [
            ("rees46", "a", partition_hash("a"), 14, 0, "in_doubt"),
            ("yespo", "a", partition_hash("a"), 10, 0, "accepted"),
            ("yespo", "b", partition_hash("b"), 11, 1, "rejected"),
            ("yespo", "c", partition_hash("c"), 12, 0, "rejected"),
            ("yespo", "d", partition_hash("d"), 13, 0, "held"),
        ]
        taken = "select order_id, code from settled_attempts where verdict = 'accepted' order by 1"
        assert [tuple(row) for row in connection.exec_driver_sql(taken)] == [("a", "PAID"), ("b", "PAID")]
        open_batch = (
            "select b.run, a.order_id, a.partition_hash, a.code, a.held_if_in_doubt, b.orders "
            "from batches b join attempts a on a.batch_id = b.id where b.outcome is null and b.begun_at is not null"
        )
        assert [tuple(row) for row in connection.exec_driver_sql(open_batch)] == [
            ("killed", "a", partition_hash("a"), "SENT", True, 1)
        ]
        hashes = connection.exec_driver_sql("select partition_hash from quarantine order by id").scalars().all()
        assert hashes == [partition_hash("d"), None]
    with open_session(postgres, "ledger", destination="yespo", run="next", try_number=1):
        pass
    with postgres.connect() as connection:
        settled = "select verdict from order_states where order_id = 'a' and code = 'SENT'"
        assert connection.exec_driver_sql(settled).scalars().all() == ["held"]


def test_orders_get_their_new_hash(postgres: sa.Engine):
    """The upgrade gives each attempt and each entry its order's new hash, and keeps everything else, by batch."""
    migrate(postgres, "0004", HASHED_OTHERWISE)
    with postgres.connect() as connection:
        before = connection.exec_driver_sql(ALL_BUT_HASHES).all()
    schema.upgrade(postgres)
    with postgres.connect() as connection:
        assert connection.exec_driver_sql(ALL_BUT_HASHES).all() == before
        assert len(before) == 9
        hashes = connection.exec_driver_sql(
            "select order_id, partition_hash, batch_id from attempts order by ctid"
        ).all()
        assert all(found == partition_hash(order_id) for order_id, found, _ in hashes)
        assert [batch for *_, batch in hashes] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        entries = connection.exec_driver_sql("select partition_hash from quarantine order by id").scalars().all()
        assert entries == [partition_hash("ORD-1002"), None]
        key = "select pg_get_constraintdef(oid) from pg_constraint where conname = 'attempts_pkey'"
        assert connection.exec_driver_sql(key).scalar() == (
            "PRIMARY KEY (destination_id, partition_hash, order_id, batch_id)"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "explain select from attempts where destination_id = 1 and {column} between 1 and 2",
        "copy attempts (batch_id, destination_id, {column}, order_id) from stdin",
        "insert into quarantine (destination, {column}) values ('yespo', 1)",
    ],
)
@pytest.mark.parametrize("column", ["order_hash", "order_place"])  # of 0004 and of 0005
def test_a_load_of_an_earlier_release_finds_and_writes_nothing(postgres: sa.Engine, statement: str, column: str):
    """A load that checked the schema before the upgrade can't find or write orders under their old hash."""
    schema.upgrade(postgres)
    with postgres.connect() as connection, pytest.raises(ProgrammingError, match=f'"{column}".* does not exist'):
        connection.exec_driver_sql(statement.format(column=column))
