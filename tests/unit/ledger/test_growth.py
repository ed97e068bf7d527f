"""Nothing in the ledger runs out with time: counters, keys and identities outlive ten years."""

from collections.abc import Mapping

import sqlalchemy as sa

from include.order_sync.ledger import schema
from include.order_sync.ledger.opening import open_session

DESTINATIONS = 20
# Far more than needed: as if each hourly load used up a hundred numbers of every sequence.
NUMBERS_IN_TEN_YEARS = 100 * DESTINATIONS * 24 * 3653

IDENTITIES = """
    select c.relname as sequence, s.seqmax as highest
    from pg_sequence s join pg_class c on c.oid = s.seqrelid
    where c.relnamespace = current_schema::regnamespace
"""


def numbers_used(connection: sa.Connection) -> Mapping[str, int]:
    """Return the count of numbers that each identity column's sequence has given out."""
    sequences = connection.exec_driver_sql(IDENTITIES).mappings().all()
    assert len(sequences) >= 5
    state = "select case when is_called then last_value else last_value - 1 end from {}"
    return {
        row["sequence"]: connection.exec_driver_sql(state.format(row["sequence"])).scalar_one() for row in sequences
    }


def load(postgres: sa.Engine, destination: str) -> int:
    """Open and close a load's session; return the destination's number."""
    with open_session(postgres, "ledger", destination=destination, run="run", try_number=1) as session:
        return session.sender.destination_id


def test_a_load_uses_up_no_number(postgres: sa.Engine):
    """A load of a known destination that sends nothing takes no number from any sequence."""
    schema.upgrade(postgres)
    load(postgres, "known")
    with postgres.connect() as connection:
        before = numbers_used(connection)
    for _ in range(3):
        load(postgres, "known")
    with postgres.connect() as connection:
        assert numbers_used(connection) == before


def test_an_installation_of_ten_years_goes_on(postgres: sa.Engine):
    """With all sequences advanced by ten years of hourly loads, old and new destinations still load."""
    schema.upgrade(postgres)
    old = [load(postgres, f"old {number}") for number in range(DESTINATIONS)]
    with postgres.begin() as connection:
        for row in connection.exec_driver_sql(IDENTITIES).mappings().all():
            assert row["highest"] > NUMBERS_IN_TEN_YEARS, f"{row['sequence']} runs out within ten years"
            connection.exec_driver_sql(f"alter sequence {row['sequence']} restart with {NUMBERS_IN_TEN_YEARS}")
    assert [load(postgres, f"old {number}") for number in range(DESTINATIONS)] == old
    new = load(postgres, "new")
    assert new == NUMBERS_IN_TEN_YEARS
    with postgres.begin() as connection:
        connection.exec_driver_sql(
            f"insert into batches (destination_id, run, try, orders, outcome) values ({new}, 'run', 1, 1, 'answered')"
        )
        connection.exec_driver_sql(
            "insert into attempts select id, destination_id, 1, 'a', now(), now(), 0, 'PAID', 0, false from batches"
        )
        assert connection.exec_driver_sql("select verdict from order_states").scalars().all() == ["accepted"]
