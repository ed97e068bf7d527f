"""The three tasks and the ledger: the window of a run, and its windows and files after its end."""

import json
import os
import re
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from airflow.sdk import crypto
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from cryptography.fernet import Fernet
from order_sync_airflow import ledger as ledger_command
from order_sync_airflow import ledger_connection
from order_sync_airflow.operators import ExtractOrdersOperator, LoadOrdersOperator, TransformOrdersOperator

from demo.airflow_api import service_connection
from include.order_sync.configuration import sql_source
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import schema
from include.order_sync.ledger.status import status
from sandbox.registry import SERVICES
from tests.sandbox.conftest import Client, serve

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
CONFIGURATION = """
staging: {folder}/staging
sources:
  drop:
    type: csv
    path: {folder}/drop/*.csv
    timezone: UTC
    statuses: {{paid: paid, sent: shipped}}
  warehouse:
    type: sql
    connection: warehouse
    query: orders.sql
    by_ids_query: orders_by_ids.sql
    timezone: UTC
    statuses: {{paid: paid, sent: shipped, back: returned}}
destinations:
  {drop}: {{provider: justclick, connection: account, source: drop, start_date: 2026-01-01, {starts}}}
  {warehouse}: {{provider: justclick, connection: account, source: warehouse, start_date: 2026-01-01, {starts}}}
"""

STARTS = "live: true, first_run: window"


class Runs:
    """A destination's runs without a scheduler: the three tasks, one after the other."""

    def __init__(self, destination, folder, engine):
        self.destination = destination
        self.folder = folder
        self.engine = engine
        self.count = 0

    def put(self, name, *ids, status="paid", modified=NOON + timedelta(minutes=1)):
        """Write a file with these orders into the drop, modified shortly after noon."""
        rows = [f"{order_id},{status},2026-11-21,{order_id},RR1" for order_id in ids]
        header = "order_id,status,status_changed_at,bill_id,tracking_number"
        file = self.folder / "drop" / name
        file.write_text("\n".join([header, *rows]) + "\n")
        os.utime(file, (modified.timestamp(), modified.timestamp()))

    def run(self, hours=0, run_type="scheduled", *, interval=True, pushed=None, **params):
        """Run the hour that begins this number of hours after noon; return the values that its tasks have pushed."""
        self.count += 1
        start = NOON + hours * HOUR
        pushed = {} if pushed is None else pushed
        names = {"from_": "from"}
        context = {
            "run_id": f"run {self.count}",
            "dag_run": SimpleNamespace(run_type=run_type, dag_id="dag", run_id=f"run {self.count}", start_date=NOON),
            "params": {names.get(name, name): value for name, value in params.items()},
            "dag": SimpleNamespace(params=dict.fromkeys(names.get(name, name) for name in params)),
            **({"data_interval_start": start, "data_interval_end": start + HOUR} if interval else {}),
        }
        staged = {}
        for task in (ExtractOrdersOperator, TransformOrdersOperator, LoadOrdersOperator):
            name = task.__name__.removesuffix("OrdersOperator").lower()
            ti = SimpleNamespace(
                task_id=name,
                try_number=1,
                xcom_push=lambda key, value, name=name: pushed.update({(name, key): json.loads(json.dumps(value))}),
                xcom_pull=lambda *, task_ids, key: pushed.get((task_ids, key)),
            )
            operator = task(task_id=name, destination=self.destination, **staged)
            staged = {"staged": operator.execute({**context, "ti": ti})}
        return pushed

    def counts(self, *arguments, **params):
        """Run and return the counts; None if there was nothing to send."""
        try:
            return self.run(*arguments, **params)["load", "counts"]
        except (AirflowSkipException, DownstreamTasksSkipped):
            return None

    def run_extract(self, hours):
        """Run and return the window that was read, whether or not there was anything to send."""
        pushed = {}
        with suppress(AirflowSkipException, DownstreamTasksSkipped):
            self.run(hours, pushed=pushed)
        return pushed["extract", "window"]

    def status(self):
        """Return the destination's state: hours after noon that are read, gaps, and held orders."""
        with schema.transaction(self.engine, "order_sync_ledger") as connection:
            found = status(connection, self.destination)
        return found.read_up_to and (found.read_up_to - NOON) / HOUR, len(found.gaps), found.held_orders


@pytest.fixture(scope="module")
def sandbox_address():
    """One sandbox for this module."""
    yield from serve()


@pytest.fixture
def sandbox(sandbox_address, monkeypatch):
    """The sandbox with an empty memory, and a connection to its JustClick."""
    client = Client(sandbox_address)
    client.request("POST", "/__admin/reset")
    login, secret = SERVICES["justclick"].account
    account = service_connection("justclick", f"{client.url}/justclick", login, secret)
    monkeypatch.setenv("AIRFLOW_CONN_ACCOUNT", json.dumps(account))
    yield client
    client.session.close()


@pytest.fixture
def destinations(request, tmp_path, monkeypatch, ledger, sandbox):
    """Two destinations that are new to the ledger: one of a drop, one of a warehouse. Its param is how they start."""
    (tmp_path / "drop").mkdir()
    (tmp_path / "sql").mkdir()
    columns = "order_id, status, changed_at as status_changed_at, order_id as bill_id, 'RR1' as tracking_number"
    windowed = "changed_at >= :window_start and changed_at < :window_end"
    (tmp_path / "sql/orders.sql").write_text(f"select {columns} from test.changes where {windowed}")
    (tmp_path / "sql/orders_by_ids.sql").write_text(f"select {columns} from test.changes where order_id in :order_ids")
    names = {source: f"{source}_{uuid.uuid4().hex}" for source in ("drop", "warehouse")}
    monkeypatch.setattr(sql_source, "SQL_FOLDER", tmp_path / "sql")
    (tmp_path / "order_sync.yaml").write_text(
        CONFIGURATION.format(folder=tmp_path, starts=getattr(request, "param", STARTS), **names)
    )
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))
    monkeypatch.setattr(ledger_connection, "ledger_engine", lambda: ledger)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", Fernet.generate_key().decode())
    crypto.get_fernet.cache_clear()
    return {source: Runs(name, tmp_path, ledger) for source, name in names.items()}


@pytest.fixture
def drop(destinations):
    """The destination of a drop."""
    return destinations["drop"]


@pytest.fixture
def warehouse(destinations, postgres, monkeypatch):
    """The destination of a warehouse with two changes: one soon after noon, and one of another order a year before."""
    fields = {"conn_type": "postgres", "host": "127.0.0.1", "port": postgres.url.port, "schema": "postgres"}
    login = {"login": postgres.url.username, "password": postgres.url.password}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(fields | login))
    with postgres.begin() as connection:
        connection.exec_driver_sql("create table changes (order_id text, status text, changed_at timestamptz)")
        rows = [("7", "sent", NOON - timedelta(days=365)), ("8", "sent", NOON + HOUR / 2)]
        for row in rows:
            connection.exec_driver_sql("insert into changes values (%s, %s, %s)", row)
    return destinations["warehouse"]


def fail_next(sandbox, **fault):
    """Let the next request fail."""
    sandbox.fault({"provider": "justclick", "next": 1, **fault}).raise_for_status()


def test_what_is_done_is_not_read_again(drop):
    """A run that has ended well has finished its window and taken its files."""
    drop.put("a.csv", "1", "2")
    assert drop.counts(0)["accepted"] == 2
    assert drop.status() == (1, 0, 0)
    assert drop.counts(1) is None
    assert drop.status() == (2, 0, 0)


def test_a_window_is_handed_on_as_texts(drop):
    """The XCom `window` holds only two ISO times."""
    drop.put("a.csv", "1")
    window = {"start": NOON.isoformat(), "end": (NOON + HOUR).isoformat()}
    assert drop.run(0)["extract", "window"] == window


def test_what_a_run_has_left_the_next_takes_up(drop, sandbox):
    """A failed load has finished neither window nor files, so the next good run reads both."""
    assert drop.counts(0) is None
    drop.put("a.csv", "1")
    fail_next(sandbox, kind="status", status=503)
    with pytest.raises(TryAgainError):
        drop.run(1)
    assert drop.status() == (1, 0, 0)
    healed = drop.run(4)
    assert healed["load", "counts"]["accepted"] == 1
    assert healed["extract", "window"]["start"] == (NOON + HOUR).isoformat()
    assert drop.status() == (5, 0, 0)


def test_first_runs_that_fail_are_healed_too(drop, sandbox):
    """A destination whose first run failed still starts with that run's window."""
    drop.put("a.csv", "1")
    fail_next(sandbox, kind="status", status=503)
    with pytest.raises(TryAgainError):
        drop.run(0)
    assert drop.status() == (None, 0, 0)
    assert drop.run(6)["extract", "window"]["start"] == NOON.isoformat()
    assert drop.status() == (7, 0, 0)


def test_held_orders_do_not_keep_a_window_open(drop, sandbox):
    """A held order waits in the ledger: the window is finished, and its file is not taken again."""
    drop.put("a.csv", "1", "2")
    fail_next(sandbox, kind="close", when="after")
    with pytest.raises(StopError, match="1 orders are held"):
        drop.run(0)
    assert drop.status() == (1, 0, 1)
    assert drop.counts(1) is None


def test_a_narrowed_run_finishes_nothing(drop):
    """A run that sends only some orders of a window finishes neither the window nor its files."""
    drop.put("a.csv", "1", "2")
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    assert drop.counts(0, "manual", **times, order_ids=["2"])["accepted"] == 1
    assert drop.status() == (None, 0, 0)
    assert drop.counts(0)["accepted"] == 1


@pytest.mark.parametrize("run_type", ["backfill", "manual"])
def test_a_backfill_and_a_wide_run_take_files_again(drop, run_type):
    """A run with a given window reads files that were taken before; still no order is sent twice."""
    drop.put("a.csv", "1")
    drop.run(0)
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    given = times if run_type == "manual" else {}
    assert drop.counts(0, run_type, **given)["unchanged"] == 1


def test_orders_by_their_ids(warehouse):
    """A run with only order ids sends these orders, however old, and finishes no window."""
    assert warehouse.counts(0, "manual", order_ids=["7"])["accepted"] == 1
    assert warehouse.status() == (None, 0, 0)


def test_order_ids_that_are_not_found_are_said(warehouse, drop, capsys):
    """If none of the named orders is found, the run is red and names them; some unknown ones are named in the log."""
    with pytest.raises(StopError, match=r"not in what was read: '7, 8'.*one id a line"):
        warehouse.run(0, "manual", order_ids=["7, 8"])
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    with pytest.raises(StopError, match="'no such order'"):
        drop.run(0, "manual", **times, order_ids=["no such order"])
    capsys.readouterr()
    assert warehouse.counts(0, "manual", order_ids=["7", "no such order"])["accepted"] == 1
    assert "1 orders of the param `order_ids` not in what was read: 'no such order'." in capsys.readouterr().out


def test_ids_alone_of_a_drop_are_refused_with_a_cure(drop):
    """The message names the file in which an order was seen and the params that read it; and they do."""
    drop.put("a.csv", "1")
    assert drop.counts(0)["accepted"] == 1
    with pytest.raises(StopError, match=r"OS-604.*'A-7': in no file") as stop:
        drop.run(0, "manual", order_ids=["1", "A-7"])
    assert f"'1': {drop.folder / 'drop' / 'a.csv'}" in str(stop.value)
    times = dict(re.findall("`(from|to)` ([^ ]+[0-9])", str(stop.value)))
    given = {"from_": times["from"], "to": times["to"], "order_ids": ["1"]}
    assert drop.counts(0, "manual", **given)["unchanged"] == 1
    with pytest.raises(StopError, match="put a file with them into the drop"):
        drop.run(0, "manual", order_ids=["A-7"])


def test_a_gap_is_open_until_it_is_read(warehouse):
    """A manual run of a later window leaves a gap, and the next scheduled run closes it."""
    assert warehouse.counts(0)["accepted"] == 1
    later_window = {"from_": (NOON + 3 * HOUR).isoformat(), "to": (NOON + 4 * HOUR).isoformat()}
    assert warehouse.counts(0, "manual", interval=False, **later_window) is None
    assert warehouse.status() == (1, 1, 0)
    assert warehouse.counts(4) is None
    assert warehouse.status() == (5, 0, 0)


def test_another_status_of_the_very_same_time_is_sent_by_a_scheduled_run(warehouse, postgres, sandbox, capsys):
    """A shop that writes dates without times: the second status of a day arrives, and is sent once."""

    def becomes(status):
        with postgres.begin() as connection:
            connection.exec_driver_sql("update changes set status = %s where order_id = '8'", (status,))

    assert warehouse.counts(0)["accepted"] == 1
    becomes("back")
    times = {"from_": NOON.replace(hour=0).isoformat(), "to": (NOON + HOUR).isoformat()}
    figures = warehouse.counts(0, "manual", interval=False, **times)
    assert (figures["stale"], figures["unchanged"], figures["requests"]) == (1, 0, 0)
    assert figures["stale_changed"] == 1
    assert re.search(r"stale: another row of the very same times was attempted +1 +8 ", capsys.readouterr().out)
    assert warehouse.counts(0, "backfill")["stale"] == 1
    assert warehouse.counts(0)["accepted"] == 1
    assert warehouse.counts(0)["unchanged"] == 1
    becomes("sent")
    assert warehouse.counts(0)["accepted"] == 1
    taken = sandbox.admin("orders", provider="justclick")["orders"]
    (history,) = [[change["status"] for change in order["history"]] for order in taken if order["id"] == "8"]
    assert history == ["sent", "return", "sent"]


UP_TO_NOW = {"from_": NOON.isoformat(), "to": (NOON + 10 * DAY).isoformat(), "trust": "source"}


def test_a_status_that_was_set_back_is_listed_and_sent_by_a_run_that_trusts_the_source(
    warehouse, postgres, sandbox, capsys, caplog
):
    """A shop sets a status back with its own old time: it is stale and listed until a person trusts the source."""

    def becomes(status, changed_at):
        with postgres.begin() as connection:
            values = (status, changed_at)
            connection.exec_driver_sql("update changes set status = %s, changed_at = %s where order_id = '8'", values)

    def resolutions():
        with warehouse.engine.begin() as ledger:
            query = "select reasons, times_seen, resolution from quarantine where destination = %s"
            return [tuple(row) for row in ledger.exec_driver_sql(query, (warehouse.destination,))]

    def stale(*arguments, **params):
        figures = warehouse.counts(*arguments, **params)
        return figures["stale"], figures["stale_changed"], figures["requests"]

    assert warehouse.counts(0)["accepted"] == 1
    becomes("paid", NOON + HOUR / 6)
    # A run of the past can't know whether there is a newer row.
    assert stale(0, "backfill") == (1, 0, 0)
    assert resolutions() == []
    assert stale(0) == stale(1) == (1, 1, 0)
    reason = "stale: the source has changed to a row that is older than the attempted one"
    assert resolutions() == [([reason], 2, None)]
    assert re.search(rf"{reason} +1 +8 ", capsys.readouterr().out)
    assert warehouse.counts(0, "manual", interval=False, mode="plan", **UP_TO_NOW)["not_sent"] == 1
    assert warehouse.counts(0, "manual", interval=False, **UP_TO_NOW)["accepted"] == 1
    assert "trusts the source: 8" in caplog.text
    assert resolutions() == [([reason], 2, "a good row of the order was delivered")]
    # The ledger knows the row now: it is sent once, and is no change any more.
    assert warehouse.counts(0, "manual", interval=False, **UP_TO_NOW)["unchanged"] == 1
    assert stale(1) == (1, 0, 0)
    becomes("sent", NOON + HOUR * 0.9)
    assert warehouse.counts(1)["accepted"] == 1
    taken = sandbox.admin("orders", provider="justclick")["orders"]
    (history,) = [[change["status"] for change in order["history"]] for order in taken if order["id"] == "8"]
    assert history == ["sent", "paid", "sent"]


def test_a_corrected_timezone_is_no_change_of_rows(warehouse, postgres):
    """Rows that are read again with earlier times are stale and not listed; later changes that are overtaken are."""
    assert warehouse.counts(0)["accepted"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set changed_at = changed_at - interval '20 minutes'")
    figures = warehouse.counts(0)
    assert (figures["stale"], figures["stale_changed"]) == (1, 0)
    with postgres.begin() as connection:
        connection.exec_driver_sql(
            "update changes set status = 'back', changed_at = changed_at + interval '10 minutes' where order_id = '8'"
        )
    figures = warehouse.counts(0)
    assert (figures["stale"], figures["stale_changed"]) == (1, 1)


@pytest.mark.parametrize(
    ("run_type", "params"),
    [
        ("scheduled", {}),
        ("backfill", {}),
        ("manual", {}),
        ("manual", {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}),
    ],
    ids=["scheduled", "backfill", "a logical date", "a window of the past"],
)
def test_a_run_of_the_past_may_not_trust_the_source(warehouse, run_type, params):
    """It would send old states over newer ones."""
    with pytest.raises(StopError, match="read the present"):
        warehouse.run(0, run_type, trust="source", **params)


def test_a_run_of_order_ids_may_trust_the_source(warehouse, postgres):
    """It reads the present row of these orders."""
    assert warehouse.counts(0)["accepted"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set status = 'back', changed_at = changed_at - interval '1 hour'")
    assert warehouse.counts(0, "manual", order_ids=["8"])["stale"] == 1
    assert warehouse.counts(0, "manual", order_ids=["8"], trust="source")["accepted"] == 1


def test_a_scheduled_run_that_is_cleared_later_overrules_nothing(warehouse, postgres):
    """A later run has read the source since: what an old run reads now may be older."""
    assert warehouse.counts(0)["accepted"] == 1
    assert warehouse.counts(5) is None
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set status = 'back' where order_id = '8'")
    assert warehouse.counts(0)["stale"] == 1


def test_rows_that_come_late_widen_the_lookback(warehouse, postgres, capsys):
    """An order that only the reconcile has found is counted, and the next runs read twice its lateness back."""
    for hour in range(3):
        warehouse.counts(hour)
    with postgres.begin() as connection:
        connection.exec_driver_sql("insert into changes values ('9', 'sent', %s)", (NOON + HOUR / 2,))
    assert warehouse.run(20)["load", "counts"]["late"] == 1
    # The run of one o'clock was the last one that read half past twelve: its window ended at two.
    assert "1 orders came late" in (said := capsys.readouterr().out)
    assert "at least 1:30:00" in said
    with postgres.begin() as connection:
        # Half an hour is within the lookback, and an hour and a half within the wider one.
        for order_id, hours_ago in (("10", 0.5), ("11", 1.5)):
            connection.exec_driver_sql(
                "insert into changes values (%s, 'sent', %s)", (order_id, NOON + (21 - hours_ago) * HOUR)
            )
    healed = warehouse.run(21)
    assert healed["extract", "window"]["start"] == (NOON + 18 * HOUR).isoformat()
    assert (healed["load", "counts"]["accepted"], healed["load", "counts"]["late"]) == (2, 0)
    with warehouse.engine.begin() as ledger:
        forget = "update windows set finished_at = finished_at - interval '8 days' where destination = %s"
        ledger.exec_driver_sql(forget, (warehouse.destination,))
    assert warehouse.run_extract(22)["start"] == (NOON + 21 * HOUR).isoformat()


@pytest.mark.parametrize("why", ["it was rejected", "its time is a date", "a manual run"])
def test_orders_whose_lateness_nobody_knows_are_not_measured(warehouse, postgres, sandbox, why):
    """Only an order that was not there when its time was read is late."""
    time = NOON + (12 if why == "its time is a date" else 0.5) * HOUR

    def comes(status):
        with postgres.begin() as connection:
            connection.exec_driver_sql("delete from changes where order_id = '9'")
            connection.exec_driver_sql("insert into changes values ('9', %s, %s)", (status, time))

    counts = []
    for hour in range(15):
        if hour == 1 and why == "it was rejected":
            comes("a word of no map")
        counts.append(warehouse.counts(hour))
    comes("sent")
    if why == "a manual run":
        times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
        counts.append(warehouse.counts(0, "manual", **times))
    counts.append(warehouse.counts(35))
    assert "9" in mails(sandbox)
    assert not any(figures and figures.get("late") for figures in counts)
    assert warehouse.run_extract(36)["start"] == (NOON + 35 * HOUR).isoformat()


@pytest.mark.parametrize(
    "bad",
    [
        ("a word of no map", f"{NOON + HOUR / 2}"),
        ("sent", "no time"),
    ],
    ids=["of the very same time", "of an unknown time"],
)
def test_an_older_good_row_leaves_the_rejection_of_a_newer_one_open(warehouse, postgres, bad):
    """A rejected row is listed until a newer row of its order is delivered, not because an older one was."""

    def insert(*row):
        with postgres.begin() as connection:
            connection.exec_driver_sql("insert into texts values ('9', %s, %s, %s)", (*row, NOON + HOUR / 2))

    def resolutions():
        with warehouse.engine.begin() as ledger:
            query = "select resolution from quarantine where destination = %s"
            return ledger.exec_driver_sql(query, (warehouse.destination,)).scalars().all()

    with postgres.begin() as connection:
        connection.exec_driver_sql("create table texts (id text, status text, time text, changed_at timestamptz)")
    columns = "id as order_id, status, time as status_changed_at, id as bill_id, 'RR1' as tracking_number"
    windowed = "changed_at >= :window_start and changed_at < :window_end"
    (warehouse.folder / "sql/orders.sql").write_text(f"select {columns} from test.texts where {windowed}")
    insert("paid", f"{NOON + HOUR / 2}")
    insert(*bad)
    counts = warehouse.counts(0)
    assert (counts["accepted"], counts["rejected"]) == (1, 1)
    assert resolutions() == [None]
    assert warehouse.counts(0)["unchanged"] == 1
    assert resolutions() == [None]
    with postgres.begin() as connection:
        connection.exec_driver_sql("delete from texts")
    insert("sent", f"{NOON + 40 * HOUR / 60}")
    assert warehouse.counts(0)["accepted"] == 1
    assert resolutions() == ["a good row of the order was delivered"]


def test_the_first_good_run_of_a_day_reconciles(warehouse, postgres, sandbox):
    """Airflow skips the run over midnight, and the first run after it fails: the next one reads the days again."""

    def comes_late(order_id):
        with postgres.begin() as connection:
            connection.exec_driver_sql("insert into changes values (%s, 'sent', %s)", (order_id, NOON + HOUR / 2))

    for hour in range(3):
        warehouse.counts(hour)
    comes_late("9")
    assert warehouse.counts(3) is None
    fail_next(sandbox, kind="status", status=503)
    with pytest.raises(TryAgainError):
        warehouse.run(20)
    # Healing alone would begin after the third run.
    reconciled = warehouse.run(21)
    assert reconciled["extract", "window"]["start"] == NOON.isoformat()
    assert reconciled["load", "counts"]["accepted"] == 1
    comes_late("10")
    assert warehouse.counts(22) is None
    assert warehouse.counts(22 + 24)["accepted"] == 1


@pytest.mark.parametrize("run_type", ["backfill", "manual"])
def test_a_run_of_an_old_window_opens_nothing(warehouse, run_type):
    """The first scheduled run reads its own hour alone, also after a backfill or a manual run of one day."""
    warehouse.counts(-319 * 24, run_type)
    times = {"from_": (NOON - 300 * DAY).isoformat(), "to": (NOON - 299 * DAY).isoformat()}
    warehouse.counts(0, "manual", interval=False, **times)
    assert warehouse.run(0)["extract", "window"] == {
        "start": NOON.isoformat(),
        "end": (NOON + HOUR).isoformat(),
    }


def test_healing_has_an_end_and_says_what_to_trigger(warehouse, postgres):
    """After two months' pause the newest three days are sent; runs end red until the named range is read."""
    assert warehouse.counts(-60 * 24) is None
    with postgres.begin() as connection:
        for order_id, changed in (("9", NOON - 9 * DAY), ("10", NOON - 2 * DAY)):
            connection.exec_driver_sql("insert into changes values (%s, 'sent', %s)", (order_id, changed))
    left_out = NOON - 60 * DAY + HOUR, NOON + HOUR - 3 * DAY
    message = (
        rf"`heal_at_most`.*`from` {re.escape(left_out[0].isoformat())} and `to` {re.escape(left_out[1].isoformat())}"
    )
    pushed = {}
    with pytest.raises(StopError, match=message):
        warehouse.run(0, pushed=pushed)
    assert pushed["load", "counts"]["accepted"] == 2
    with pytest.raises(StopError, match=message):  # an hour without orders
        warehouse.run(1, pushed=pushed)
    assert pushed["extract", "window"]["start"] == NOON.isoformat()
    times = dict(zip(("from_", "to"), (time.isoformat() for time in left_out), strict=True))
    assert warehouse.counts(0, "manual", interval=False, **times)["accepted"] == 1
    assert warehouse.counts(2) is None
    assert warehouse.status() == (3, 0, 0)


def test_a_run_whose_orders_are_all_rejected_says_it_too(warehouse, postgres):
    """A run with no order to send ends red as well if older time was left out; a plan only warns."""
    assert warehouse.counts(-60 * 24) is None
    with postgres.begin() as connection:
        connection.exec_driver_sql("delete from changes")
        connection.exec_driver_sql("insert into changes values ('no number', 'sent', %s)", (NOON,))
    assert warehouse.counts(0, mode="plan")["rejected"] == 1
    with pytest.raises(StopError, match="heal_at_most"):
        warehouse.run(0)
    assert warehouse.counts(0, mode="plan")["rejected"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("delete from changes")
    assert warehouse.counts(2, mode="plan") is None


def test_a_new_drop_sends_no_old_file(drop):
    """The first scheduled run of a drop leaves files that are older than its window, and so do later runs."""
    drop.put("a.csv", "1")
    assert drop.counts(2) is None
    assert drop.counts(3) is None


def test_a_file_too_old_to_heal_makes_the_run_red(drop):
    """A file from before `heal_at_most` that nobody took is named, until a person reads it."""
    drop.counts(-6 * 24)
    drop.put("late.csv", "1", modified=NOON - 5 * DAY)
    for hour in range(2):
        with pytest.raises(StopError, match=r"late\.csv.*`from`"):
            drop.run(hour)
    times = {"from_": (NOON - 6 * DAY).isoformat(), "to": NOON.isoformat()}
    assert drop.counts(0, "manual", interval=False, **times)["accepted"] == 1
    assert drop.counts(2) is None


def test_a_file_that_could_not_be_used_makes_the_run_red(drop):
    """The other files are delivered. The file is not read again until it or the configuration has changed."""
    drop.put("good.csv", "1")
    drop.put("bad.csv", "2", "3", status="Відправлено")
    bad = drop.folder / "drop" / "bad.csv"
    bad.write_bytes(bad.read_text().encode("cp1251"))
    os.utime(bad, (NOON.timestamp(), NOON.timestamp()))
    pushed = {}
    with pytest.raises(StopError, match=r"1 files could not be used.*bad\.csv: none of its 2 rows.*0xE4 in line 2"):
        drop.run(0, pushed=pushed)
    assert pushed["load", "counts"]["accepted"] == 1
    assert pushed["load", "counts"]["rejected"] == 2
    assert drop.counts(1) is None
    configuration = drop.folder / "order_sync.yaml"
    configuration.write_text(configuration.read_text().replace("type: csv", "type: csv\n    delimiter: ','"))
    with pytest.raises(StopError, match=r"bad\.csv"):
        drop.run(2)
    configuration.write_text(configuration.read_text().replace("type: csv", "type: csv\n    max_unusable_files: 1"))
    drop.put("worse.csv", "2", status="Відправлено")
    worse = drop.folder / "drop" / "worse.csv"
    worse.write_bytes(worse.read_text().encode("cp1251"))
    os.utime(worse, (NOON.timestamp(), NOON.timestamp()))
    assert drop.counts(3) is None


def test_what_came_of_a_file_can_be_asked(drop):
    """The command shows its rows, and the reasons and lines of those that were rejected."""
    drop.put("a.csv", "1", "2")
    file = drop.folder / "drop" / "a.csv"
    file.write_text(file.read_text() + "3,lost,2026-11-21,3,RR1\n\n4,paid\n")
    os.utime(file, (NOON.timestamp(), NOON.timestamp()))
    drop.counts(0)
    first, second = ledger_command.file_tables(str(file)).split("\n\n")
    (taken,) = first.splitlines()[2:]
    assert taken.split()[0] == drop.destination
    assert taken.split()[3:6] == ["5", "1", "2"]
    listed = {line[len(drop.destination) :].strip() for line in second.splitlines()[2:]}
    assert {" ".join(line.split()) for line in listed} == {
        "OS-104 row: not as many fields as the header 1 6 1",
        "OS-129 status: not in the status map (lost) 1 4 1",
    }
    assert "No destination has taken" in ledger_command.file_tables("/none.csv")


def test_a_glob_that_matches_nothing_is_said(drop):
    """The run's note gets the nearest names as its reason."""
    drop.put("orders.CSV", "1")
    pushed = {}
    with suppress(DownstreamTasksSkipped):
        drop.run(0, pushed=pushed)
    assert "0 files match" in pushed["extract", "reason"]
    assert "Nearest: orders.CSV beside *.csv" in pushed["extract", "reason"]


def test_status_is_a_plain_table(warehouse):
    """Each configured destination has a line: end of the read time, gaps, held orders, batches in doubt."""
    warehouse.counts(0)
    later_window = {"from_": (NOON + 3 * HOUR).isoformat(), "to": (NOON + 4 * HOUR).isoformat()}
    warehouse.counts(0, "manual", interval=False, **later_window)
    titles, _, new, read = ledger_command.status_table().splitlines()
    gap = f"{NOON + HOUR:%Y-%m-%d %H:%M} to {NOON + 3 * HOUR:%Y-%m-%d %H:%M}"
    assert titles.startswith("destination ")
    assert new.split()[1:] == ["never", "none", "0", "0"]
    assert re.split(r" {2,}", read.strip())[1:] == [f"{NOON + HOUR:%Y-%m-%d %H:%M}", gap, "0", "0"]


def test_a_ledger_that_is_down(drop, monkeypatch, ledger):
    """If the ledger is down a run reads nothing, and is tried again."""
    down = sa.create_engine(ledger.url.set(port=1))
    monkeypatch.setattr(ledger_connection, "ledger_engine", lambda: down)
    with pytest.raises(TryAgainError, match="'order_sync_ledger'"):
        drop.run(0)


def mails(sandbox):
    """Return the ids of the orders that the service has, in the order of their first sending."""
    return [order["id"] for order in sandbox.admin("orders", provider="justclick")["orders"]]


@pytest.mark.parametrize("destinations", ["live: false, first_run: window", "first_run: window"], indirect=True)
@pytest.mark.parametrize(
    ("run_type", "params"),
    [
        ("scheduled", {}),
        ("backfill", {"resend": True}),
        ("manual", {"mode": "deliver", "from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}),
        ("manual", {"mode": "adopt", "from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}),
    ],
    ids=["scheduled", "backfill", "deliver", "adopt"],
)
def test_a_destination_that_is_not_live_only_plans(warehouse, sandbox, capsys, run_type, params):
    """Whatever a run's params say, it sends and remembers nothing, and its log says why."""
    counts = warehouse.counts(0, run_type, **params)
    assert counts["accepted"] == counts["requests"] == 0
    assert counts["not_sent" if params.get("mode") != "adopt" else "adopted"] == 1
    assert "PLAN ONLY" in capsys.readouterr().out
    assert mails(sandbox) == []
    assert warehouse.status() == (None, 0, 0)


@pytest.mark.parametrize("destinations", ["first_run: window"], indirect=True)
def test_an_empty_plan_finishes_no_window(warehouse):
    """An hour without orders counts as read only if the destination is live."""
    assert warehouse.counts(5) is None
    assert warehouse.status() == (None, 0, 0)


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
def test_a_destination_that_adopts_sends_only_later_changes(warehouse, postgres, sandbox):
    """What had changed before the first run counts as known; the next real change of these orders is sent."""

    def change(order_id, status, changed_at):
        with postgres.begin() as connection:
            values = (order_id, status, changed_at)
            connection.exec_driver_sql("insert into changes values (%s, %s, %s)", values)

    change("9", "paid", NOON - 100 * DAY)
    start = warehouse.run(0)
    assert start["extract", "window"] == {
        "start": "2026-01-01T00:00:00+00:00",
        "end": (NOON + HOUR).isoformat(),
    }
    assert start["load", "counts"]["adopted"] == 2
    assert mails(sandbox) == []
    assert warehouse.status() == (1, 0, 0)
    change("8", "back", NOON + 1.5 * HOUR)
    change("9", "sent", NOON + 1.5 * HOUR)
    change("7", "paid", NOON - 200 * DAY)
    assert warehouse.counts(1)["accepted"] == 2
    assert sorted(mails(sandbox)) == ["8", "9"]
    # A backfill of the time before it began sends nothing either; a person may insist.
    counts = warehouse.counts(-200 * 24, "backfill")
    assert (counts["adopted"], counts["accepted"]) == (1, 0)
    assert warehouse.counts(-200 * 24, "backfill", resend=True)["accepted"] == 1


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
def test_changes_of_the_first_day_are_sent_where_only_dates_are_written(drop, sandbox):
    """A date alone may be of after the begin: what is new on that day is sent; what is older is adopted."""

    def put(minutes, **days_of):
        rows = [
            f"{order_id},{status},{(NOON - days * DAY):%Y-%m-%d},{order_id},RR1"
            for order_id, (status, days) in days_of.items()
        ]
        file = drop.folder / "drop" / f"{minutes}.csv"
        file.write_text("\n".join(["order_id,status,status_changed_at,bill_id,tracking_number", *rows, ""]))
        modified = (NOON + timedelta(minutes=minutes)).timestamp()
        os.utime(file, (modified, modified))

    first = {"1": ("paid", 0), "2": ("paid", 0), "3": ("paid", 1)}
    put(1, **first)
    assert drop.counts(0)["adopted"] == 3
    put(61, **first | {"1": ("sent", 0), "4": ("paid", 0), "5": ("paid", 1)})
    counts = drop.counts(1)
    assert (counts["accepted"], counts["unchanged"], counts["adopted"]) == (2, 2, 1)
    assert sorted(mails(sandbox)) == ["1", "4"]


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
def test_an_adoption_that_failed_is_repeated(warehouse, postgres, sandbox, monkeypatch):
    """If the first run ends before it has adopted, the next one does, and sends only its own hour's changes."""
    with postgres.begin() as connection:
        connection.exec_driver_sql("insert into changes values ('9', 'sent', %s)", (NOON + 1.5 * HOUR,))
    with monkeypatch.context() as broken:
        broken.setattr(LoadOrdersOperator, "execute", None)
        with pytest.raises(TypeError):
            warehouse.run(0)
    counts = warehouse.counts(1)
    assert (counts["adopted"], counts["accepted"]) == (1, 1)
    assert mails(sandbox) == ["9"]
    assert warehouse.run(2)["extract", "window"]["start"] == (NOON + HOUR).isoformat()


@pytest.mark.parametrize("destinations", ["live: true, first_run: adopt"], indirect=True)
@pytest.mark.parametrize("run_type", ["backfill", "manual"])
def test_before_its_first_scheduled_run_it_adopts_whatever_is_read(warehouse, sandbox, run_type):
    """A person who is early with a backfill or the trigger form mails nobody."""
    assert warehouse.counts(0, run_type)["adopted"] == 1
    assert mails(sandbox) == []


@pytest.mark.parametrize("destinations", ["live: true, first_run: send"], indirect=True)
def test_a_destination_that_sends_begins_at_its_start_date(warehouse, sandbox):
    """The first run sends all from `start_date` on, and healing does not cut it."""
    assert warehouse.counts(0)["accepted"] == 1
    assert mails(sandbox) == ["8"]
    assert warehouse.counts(1)["unchanged"] == 1


@pytest.mark.parametrize("destinations", ["live: true, first_run: send"], indirect=True)
def test_old_files_of_a_drop_are_sent_only_if_wanted(drop, sandbox):
    """`send` takes the files since `start_date`."""
    drop.put("old.csv", "1", modified=NOON - 30 * DAY)
    drop.put("older.csv", "2", modified=datetime(2025, 12, 31, tzinfo=UTC))
    assert drop.counts(0)["accepted"] == 1
    assert mails(sandbox) == ["1"]


@pytest.mark.parametrize("destinations", ["live: true, first_run: window"], indirect=True)
def test_adopt_by_hand(warehouse, drop, sandbox):
    """`mode: adopt` remembers a window, a drop or some orders as known; nothing is sent, then or later."""
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    assert warehouse.counts(0, "manual", mode="adopt", **times)["adopted"] == 1
    assert warehouse.counts(0, "manual", mode="adopt", order_ids=["7"])["adopted"] == 1
    drop.put("a.csv", "1", "2")
    assert drop.counts(0, "manual", mode="adopt", **times)["adopted"] == 2
    assert warehouse.counts(0)["unchanged"] == 1
    assert drop.counts(0) is None  # its file is taken
    assert mails(sandbox) == []


def test_an_adoption_covers_another_status_of_the_very_same_time(warehouse, postgres, sandbox):
    """After a restore the ledger has the first status of a day, and the service the second: it is not sent again."""
    assert warehouse.counts(0)["accepted"] == 1
    with postgres.begin() as connection:
        connection.exec_driver_sql("update changes set status = 'back' where order_id = '8'")
    times = {"from_": NOON.isoformat(), "to": (NOON + HOUR).isoformat()}
    assert warehouse.counts(0, "manual", mode="adopt", **times)["adopted"] == 1
    assert warehouse.counts(0)["unchanged"] == 1
    (order,) = sandbox.admin("orders", provider="justclick")["orders"]
    assert [change["status"] for change in order["history"]] == ["sent"]


@pytest.mark.parametrize("destinations", ["live: true, first_run: window, not_older_than: 30d"], indirect=True)
def test_old_changes_are_adopted(warehouse, sandbox):
    """Changes older than `not_older_than` are adopted by each run; `resend` sends them."""
    counts = warehouse.counts(0, "manual", order_ids=["7", "8"])
    assert (counts["adopted"], counts["accepted"]) == (1, 1)
    assert mails(sandbox) == ["8"]
    assert warehouse.counts(0, "manual", order_ids=["7"])["unchanged"] == 1
    assert warehouse.counts(0, "manual", order_ids=["7"], resend=True)["accepted"] == 1


def test_a_status_that_changes_within_one_date(warehouse, postgres, sandbox):
    """Two statuses of one date have equal versions: the second is sent, because the service has another code."""

    def changes(word, hour):
        with postgres.begin() as connection:
            connection.exec_driver_sql("delete from changes")
            connection.exec_driver_sql("insert into changes values ('9', %s, %s)", (word, NOON + (hour + 0.5) * HOUR))

    query = (warehouse.folder / "sql/orders.sql").read_text()
    (warehouse.folder / "sql/orders.sql").write_text(query.replace("changed_at as", "changed_at::date as", 1))
    outcomes = []
    for hour, word in ((0, "paid"), (2, "back"), (4, "back")):
        changes(word, hour)
        counts = warehouse.counts(hour)
        outcomes.append({name: counts[name] for name in ("accepted", "unchanged") if counts[name]})

    assert outcomes == [{"accepted": 1}, {"accepted": 1}, {"unchanged": 1}]


@pytest.mark.parametrize(("kind", "says"), [("current", True), ("history", False)])
def test_a_backfill_says_what_present_states_can_show(warehouse, capsys, kind, says):
    """A backfill of a source of present states replays orders whose last change lies in its interval, and says so."""
    file = warehouse.folder / "order_sync.yaml"
    file.write_text(file.read_text().replace("query: orders.sql", f"query: orders.sql\n    kind: {kind}"))
    assert warehouse.counts(0)["accepted"] == 1
    assert "replays" not in capsys.readouterr().out
    warehouse.counts(0, "backfill")
    assert ("replays the orders whose last change lies in its interval" in capsys.readouterr().out) == says
