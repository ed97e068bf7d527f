"""The ledger's schema, and the version that this release needs."""

import uuid

import psycopg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from include.order_sync import tuning
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import lost_sender, schema
from include.order_sync.ledger.opening import open_session
from tests.unit.conftest import TimeLimit, ended_after


def test_the_needed_version_is_the_last_migrations() -> None:
    """The constant that tasks compare equals the newest migration."""
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))

    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


@pytest.mark.parametrize("version", ["none", "0002"])
def test_another_schema_is_refused(ledger: sa.Engine, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """The message about missing or other tables names both versions and the command to run."""
    with ledger.connect() as connection:
        connection.exec_driver_sql("set search_path = pg_temp")
        if version != "none":
            connection.exec_driver_sql(f"create temporary table alembic_version as select '{version}' version_num")
        connection.commit()
        with pytest.raises(TryAgainError) as refusal:
            schema.check(connection, "order_sync_ledger")
        connection.invalidate()

    assert f"has schema {version}, and this release needs {schema.HEAD}" in str(refusal.value)
    assert schema.UPGRADE_COMMAND in str(refusal.value)


def test_a_newer_schema_needs_newer_code(postgres: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade by old code can't help, so neither a task nor the upgrade asks for it."""
    schema.upgrade(postgres)
    with postgres.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    newer = f"has schema 9999, of a newer release than this code, which needs {schema.HEAD}"
    with pytest.raises(TryAgainError, match=newer) as refusal, schema.transaction(postgres, "order_sync_ledger"):
        pytest.fail("a newer schema was used")
    assert "'order_sync_ledger'" in str(refusal.value)
    assert schema.UPGRADE_COMMAND not in str(refusal.value)
    with pytest.raises(TryAgainError, match=newer):
        schema.upgrade(postgres)


@pytest.mark.parametrize("error", [TryAgainError("asked to stop"), TimeLimit()], ids=["stop", "limit"])
def test_a_stop_in_mid_statement_stays_the_error(ledger: sa.Engine, error: BaseException) -> None:
    """No fault of the session that the stop leaves takes its place, nor is the session used again."""
    with pytest.raises(type(error)) as raised, ended_after(1, error):  # noqa: SIM117
        with schema.transaction(ledger, "order_sync_ledger") as connection:
            connection.exec_driver_sql("select pg_sleep(20)")
    assert raised.value is error
    with schema.transaction(ledger, "order_sync_ledger") as connection:
        assert connection.exec_driver_sql("select 1").scalar() == 1


def test_a_stop_during_the_wait_for_the_lock_stays_the_error(ledger: sa.Engine) -> None:
    """Extract compares the marks with the lock, which another load may hold for minutes."""
    error = TryAgainError("asked to stop")
    wanted = {"destination": f"stops {uuid.uuid4()}", "run": "run", "try_number": 1}
    with open_session(ledger, "order_sync_ledger", **wanted):
        with pytest.raises(TryAgainError) as raised, ended_after(1, error):  # noqa: SIM117
            with open_session(ledger, "order_sync_ledger", **wanted):
                pytest.fail("two loads have one lock")
        assert raised.value is error


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_ledger_that_is_not_utf8_is_refused(postgres_server: sa.URL, encoding: str) -> None:
    """An upgrade and a load refuse a database that can't hold every order id, and name its encoding and the cure."""
    name = f"ledger_{uuid.uuid4().hex[:8]}"
    with sa.create_engine(postgres_server, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql(f"create database {name} encoding '{encoding}' template template0 locale 'C'")
    # As the ledger's connection does: psycopg gives bytes instead of text where nothing names an encoding.
    engine = sa.create_engine(postgres_server.set(database=name), connect_args={"client_encoding": "UTF8"})
    with pytest.raises(StopError, match=f"encoding {encoding}.*UTF8"):
        schema.upgrade(engine)
    with engine.connect() as connection, pytest.raises(StopError, match=f"encoding {encoding}"):
        schema.check(connection, "order_sync_ledger")
    engine.dispose()


def statement(ledger: sa.Engine, *statements: str) -> None:
    """Run statements in one database session, as a load does."""
    with ledger.connect() as connection:
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.autocommit = True
        try:
            with schema.guarded("The session is lost", "Nothing was sent."):
                for text in statements:
                    raw.execute(text)
        finally:
            connection.invalidate()


def test_an_ended_session_is_lost(ledger: sa.Engine) -> None:
    """A session that the server ends is told as lost."""
    with pytest.raises(TryAgainError, match=r"The session is lost.*Nothing was sent"):
        statement(ledger, "select pg_terminate_backend(pg_backend_pid())")


def test_a_session_that_ends_while_it_is_set_up_is_lost(ledger: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that restarts between two settings of a new session means another try, as at any later time."""
    monkeypatch.setattr(schema, "LIMIT_STATEMENTS", "select pg_terminate_backend(pg_backend_pid())")
    lost = pytest.raises(TryAgainError, match=r"session is lost.*Nothing was sent")
    with lost, open_session(ledger, "ledger", destination=str(uuid.uuid4()), run="run", try_number=1):
        pass


@pytest.mark.parametrize(
    ("statements", "cure"),
    [
        (("set statement_timeout = '10ms'", "select pg_sleep(5)"), "statement_timeout"),
        (("set default_transaction_read_only = on", "create table x ()"), "read-only"),
        (("set lock_timeout = '10ms'", "begin", "lock table batches"), "Another session holds a lock"),
    ],
    ids=["time-out", "read-only", "lock"],
)
def test_a_refused_statement_is_no_lost_session(ledger: sa.Engine, statements: tuple[str, ...], cure: str) -> None:
    """A statement that the server refuses is told by its kind, with its cure."""
    with ledger.begin() as other:
        other.exec_driver_sql("lock table batches in access exclusive mode")
        with pytest.raises(TryAgainError, match=cure) as refused:
            statement(ledger, *statements)
    assert "lost" not in str(refused.value)


def test_a_full_disk_is_told_as_that() -> None:
    """A full disk is no lost session either."""
    with pytest.raises(TryAgainError, match=r"DiskFull.*make room"), schema.guarded("The session is lost", "x"):
        raise psycopg.errors.DiskFull("could not extend file")


def test_missing_rights_need_a_person() -> None:
    """A user without the rights is no reason to try again."""
    with pytest.raises(StopError, match="rights"), schema.guarded("The session is lost", "x"):
        raise psycopg.errors.InsufficientPrivilege("permission denied for table batches")


@pytest.mark.parametrize(("given", "limit"), [("0", "15min"), ("7s", "7s")])
def test_statements_have_a_time_limit(ledger: sa.Engine, given: str, limit: str) -> None:
    """A hung statement ends, in a load and in a transaction beside it; a limit of the user's own stays."""
    engine = sa.create_engine(ledger.url, connect_args={"options": f"-c statement_timeout={given}"})
    with open_session(engine, "order_sync_ledger", destination="limits", run="run", try_number=1) as session:
        for connection in (session.connection, session.look_ahead.connection):
            assert connection.execute("show statement_timeout").fetchone() == (limit,)
    with schema.transaction(engine, "order_sync_ledger") as connection:
        assert connection.exec_driver_sql("show statement_timeout").scalar() == limit
    engine.dispose()


def test_a_load_s_sessions_do_not_depend_on_the_user_s_settings(ledger: sa.Engine) -> None:
    """They may be idle during slow requests, read any id, and read times in one form."""
    given = {"idle_session_timeout": "5s", "client_encoding": "LATIN1", "datestyle": "German", "timezone": "Asia/Tokyo"}
    options = " ".join(f"-c {name}={value}" for name, value in given.items())
    engine = sa.create_engine(ledger.url, connect_args={"options": options})
    with open_session(engine, "order_sync_ledger", destination="settings", run="run", try_number=1) as session:
        for connection in (session.connection, session.look_ahead.connection):
            shown = {name: connection.execute(f"show {name}".encode()).fetchone()[0] for name in given}
            assert shown == {
                "idle_session_timeout": "0",
                "client_encoding": "UTF8",
                "datestyle": "ISO, DMY",
                "timezone": "UTC",
            }
    engine.dispose()


@pytest.mark.parametrize("opened", ["load", "transaction"])
@pytest.mark.parametrize(
    ("options", "error", "cure"),
    [
        ("-c default_transaction_read_only=on", TryAgainError, "read-only"),
        ("-c role=without_rights", StopError, "lacks rights"),
    ],
    ids=["read-only", "rights"],
)
def test_a_ledger_that_refuses_is_told_by_its_kind(
    ledger: sa.Engine, opened: str, options: str, error: type[Exception], cure: str
) -> None:
    """A load that begins, and a transaction beside it, say what is wrong with the ledger, and what to do."""
    with ledger.begin() as connection:
        connection.exec_driver_sql("drop role if exists without_rights")
        connection.exec_driver_sql("create role without_rights")
    engine = sa.create_engine(ledger.url, connect_args={"options": options})
    with pytest.raises(error, match=cure):  # noqa: PT012  (the opening of either may raise)
        if opened == "load":
            name = uuid.uuid4().hex
            with open_session(engine, "order_sync_ledger", destination=name, run="run", try_number=1):
                pass
        else:
            with schema.transaction(engine, "order_sync_ledger") as connection:
                connection.exec_driver_sql("insert into destinations (name) values ('x')")
    engine.dispose()
    with ledger.begin() as connection:
        connection.exec_driver_sql("drop role without_rights")


def test_a_clock_that_was_set_back_is_not_waited_for(ledger: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost sender's batch that began ahead of the ledger's clock is waited for no longer than one of now."""
    opening = {"destination": uuid.uuid4().hex, "run": "run", "try_number": 1}
    with open_session(ledger, "order_sync_ledger", **opening) as lost, lost.transaction() as cursor:
        cursor.execute(
            "insert into batches (destination_id, run, try, orders, begun_at) "
            "values (%s, 'run', 1, 0, now() + interval '1 hour')",
            (lost.sender.destination_id,),
        )
    waits: list[float] = []
    monkeypatch.setattr(lost_sender.time, "sleep", waits.append)
    with open_session(ledger, "order_sync_ledger", **opening):
        pass
    assert waits == [2 * tuning.CONNECT_S + tuning.ANSWER_S]


def test_a_time_limit_of_the_ledgers_user_ends_a_wait_for_the_lock(ledger: sa.Engine) -> None:
    """If the user's own statement_timeout ends a load's wait for another one, the message says so, and the cure."""
    engine = sa.create_engine(ledger.url, connect_args={"options": "-c statement_timeout=200ms"})
    opening = {"destination": uuid.uuid4().hex, "run": "run", "try_number": 1}
    with (
        open_session(ledger, "order_sync_ledger", **opening),
        pytest.raises(TryAgainError, match=r"wait for another load.*statement_timeout.*Remove that setting"),
        open_session(engine, "order_sync_ledger", **opening),
    ):
        pass
    engine.dispose()
