"""A destination takes over the history of its old name."""

import uuid

import pytest
import sqlalchemy as sa

from include.order_sync.errors import TryAgainError
from include.order_sync.ledger.opening import open_session
from include.order_sync.ledger.renaming import TABLES


def test_a_load_of_the_old_name_ends_first(ledger: sa.Engine) -> None:
    """While the old name sends, the new one waits: its states are not taken over under a load."""
    old, new = (f"{name}_{uuid.uuid4().hex}" for name in ("old", "new"))
    with (
        open_session(ledger, "ledger", destination=old, run="run", try_number=1) as session,
        pytest.raises(TryAgainError, match=old),
        open_session(ledger, "ledger", destination=new, run="run", try_number=1, lock_wait_s=1, renamed_from=old),
    ):
        pass
    number = session.sender.destination_id
    with open_session(ledger, "ledger", destination=new, run="run", try_number=1, renamed_from=old) as session:
        assert session.sender.destination_id == number


def test_every_table_that_knows_a_destination_by_name_is_taken_over(ledger: sa.Engine) -> None:
    """A table that is forgotten would leave its rows with the old name. Triggers move the counts of open entries."""
    query = """
        select table_name
        from information_schema.columns join information_schema.tables using (table_schema, table_name)
        where table_schema = current_schema and column_name = 'destination' and table_type = 'BASE TABLE'
    """
    with ledger.connect() as connection:
        found = set(connection.exec_driver_sql(query).scalars())
    assert found - {"open_entries"} == set(TABLES)
