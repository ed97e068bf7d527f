"""A ledger of before: its states are kept when states become their attempts."""

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from include.order_sync.ledger import schema
from include.order_sync.ledger.session import open_session
from include.order_sync.order_hash import order_hash

BEFORE = """
    insert into batches (destination, run, try, outcome, concluded_at) values ('yespo', 'run', 1, 'answered', now());
    insert into order_states values
        ('yespo', 'a', '2026-11-21 10:00Z', '1970-01-01Z', 0, 'accepted', 'PAID', '\\x01', '\\x01', 'run', 1),
        ('yespo', 'b', '2026-11-21 11:00Z', '1970-01-01Z', 1, 'rejected', 'PAID', '\\x01', '\\x02', 'run', 1),
        ('yespo', 'c', '2026-11-21 12:00Z', '1970-01-01Z', 0, 'rejected', null, null, '\\x02', 'run', 1),
        ('yespo', 'd', '2026-11-21 13:00Z', '1970-01-01Z', 0, 'held', 'PAID', '\\x01', '\\x01', 'run', 1),
        ('rees46', 'a', '2026-11-21 14:00Z', '1970-01-01Z', 0, 'in_doubt', '0', '\\x01', '\\x01', 'run', 1);
    insert into batches (destination, run, try) values ('yespo', 'killed', 1);
    insert into attempts values (2, 'a', '2026-11-21 15:00Z', '1970-01-01Z', 0, 'SENT', '\\x02', true);
    insert into quarantine (destination, order_id, row_hash, reasons, sealed_row, origin, run)
        values ('yespo', 'd', '\\x01', '{held}', '\\x01', 'q', 'run'),
               ('yespo', null, '\\x02', '{x}', '\\x01', 'q', 'run');
"""


def test_states_of_before_are_kept(postgres: sa.Engine):
    """Version, verdict and code of each state are the same after the upgrade; what a killed sender left is settled."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    with postgres.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0003")
        connection.exec_driver_sql(BEFORE.replace("%", "%%"))
    schema.upgrade(postgres)
    with postgres.connect() as connection:
        states = connection.exec_driver_sql(
            """
            select d.name, s.order_id, s.order_hash, extract(hour from s.status_changed_at at time zone 'UTC')::int,
                   s.rank, s.verdict
            from order_states s join destinations d on d.id = s.destination_id order by 1, 2
            """
        ).all()
        assert [tuple(state) for state in states] == [
            ("rees46", "a", order_hash("a"), 14, 0, "in_doubt"),
            ("yespo", "a", order_hash("a"), 10, 0, "accepted"),
            ("yespo", "b", order_hash("b"), 11, 1, "rejected"),
            ("yespo", "c", order_hash("c"), 12, 0, "rejected"),
            ("yespo", "d", order_hash("d"), 13, 0, "held"),
        ]
        taken = "select order_id, code from settled_attempts where verdict = 'accepted' order by 1"
        assert [tuple(row) for row in connection.exec_driver_sql(taken)] == [("a", "PAID"), ("b", "PAID")]
        open_batch = (
            "select b.run, a.order_id, a.order_hash, a.code, a.held_if_in_doubt, b.orders "
            "from batches b join attempts a on a.batch_id = b.id where b.outcome is null and b.begun_at is not null"
        )
        assert [tuple(row) for row in connection.exec_driver_sql(open_batch)] == [
            ("killed", "a", order_hash("a"), "SENT", True, 1)
        ]
        hashes = connection.exec_driver_sql("select order_hash from quarantine order by id").scalars().all()
        assert hashes == [order_hash("d"), None]
    with open_session(postgres, "ledger", destination="yespo", run="next", try_number=1):
        pass
    with postgres.connect() as connection:
        settled = "select verdict from order_states where order_id = 'a' and code = 'SENT'"
        assert connection.exec_driver_sql(settled).scalars().all() == ["held"]
