"""How a session with the ledger is opened: what it refuses, and what it waits for."""

import psycopg
import pytest
import sqlalchemy as sa

from include.order_sync.errors import StopError
from include.order_sync.ledger import schema
from include.order_sync.ledger.opening import open_session


class Pooled(psycopg.Connection):
    """A connection through a pooler: the server's process is another one in each transaction."""

    def execute(self, query, *arguments, **options):
        """Answer as another server process than the one that the connection was opened with."""
        query = "select pg_backend_pid() + 1" if query == "select pg_backend_pid()" else query
        return super().execute(query, *arguments, **options)


def test_a_pooler_is_refused(ledger: sa.Engine) -> None:
    """Its database sessions are lent to others, so that two loads could hold one lock."""
    url = ledger.url.set(drivername="postgresql").render_as_string(hide_password=False)
    pooled = sa.create_engine(ledger.url, creator=lambda: Pooled.connect(url.replace("a password", "a%20password")))
    with (
        pytest.raises(StopError, match=r"'the ledger' goes through a pooler"),
        open_session(pooled, "the ledger", destination="pooled", run="run", try_number=1),
    ):
        pytest.fail("a session was opened through a pooler")
    with open_session(ledger, "the ledger", destination="pooled", run="run", try_number=1):
        pass


def test_only_the_intent_waits_for_the_disk(postgres: sa.Engine) -> None:
    """A server crash must not forget a batch that was sent; it may forget an outcome: then the batch is in doubt."""
    schema.upgrade(postgres)
    noted = """
        create table waits (step text, setting text);
        create function note_wait() returns trigger language plpgsql as $$ begin
            insert into waits values (
                coalesce(new.outcome, case when new.begun_at is null then 'write' else 'begin' end),
                current_setting('synchronous_commit'));
            return new;
        end $$;
        create trigger note_wait before insert or update on batches for each row execute function note_wait();
    """
    with postgres.begin() as connection:
        connection.exec_driver_sql(noted)
    with open_session(postgres, "the ledger", destination="waits", run="run", try_number=1) as session:
        with session.transaction() as cursor:
            query = "insert into batches (destination_id, run, try, orders) values (%s, 'run', 1, 1) returning id"
            (number,) = cursor.execute(query, (session.sender.destination_id,)).fetchone()
        session.begin(number)
        session.conclude(number, "not_taken", reason="a test")
    with postgres.connect() as connection:
        waits = dict(map(tuple, connection.exec_driver_sql("select step, setting from waits")))
    assert waits == {"write": "off", "begin": "on", "not_taken": "off"}
