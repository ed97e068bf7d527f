"""The operators one after the other, as in a run, from a CSV drop to the sandbox and the ledger."""

import contextlib
import errno
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from airflow.sdk import Asset, AssetAlias, crypto
from airflow.sdk._shared.secrets_masker import _secrets_masker
from airflow.sdk.definitions.asset import AssetUniqueKey
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout, DownstreamTasksSkipped
from airflow.sdk.execution_time.context import OutletEventAccessors
from cryptography.fernet import Fernet
from order_sync_airflow import metrics, operators, progress, run_figures

from demo.airflow_api import service_connection
from include.order_sync import tuning
from include.order_sync.delivery import http
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.ledger import encrypted_rows, run_records
from include.order_sync.ledger.session import LedgerSession
from include.order_sync.providers import PROVIDERS
from include.order_sync.staging.run_folder import RAW, READY, Staging
from sandbox.registry import SERVICES
from tests.sandbox.conftest import Client, serve

NOW = datetime.now(UTC)
CONFIGURATION = """
staging: {tmp}/staging
{top}
sources:
  drop:
    type: csv
    path: {tmp}/drop/*.csv
    timezone: UTC
    statuses: {{paid: paid, done: delivered, off: cancelled{more}}}
destinations:
  {name}:
    provider: yespo
    connection: yespo
    source: drop
    start_date: 2026-01-01
    live: {live}
    first_run: window
"""
HEADER = "order_id,status,status_changed_at,created_at,customer_id,email,phone,total_cost,currency"


def row(order_id: str, status: str, hour: int = 10, email: str = "anna@shop.example") -> str:
    """Return a row of the drop."""
    return f"{order_id},{status},2026-11-01T{hour}:00:00Z,2026-11-01T08:00:00Z,C1,{email},,19.90,UAH"


@dataclass
class Task:
    """The parts of a task instance that the operators use; XComs belong to the run."""

    task_id: str
    try_number: int
    xcoms: dict[tuple[str, str], Any]

    def xcom_push(self, key: str, value: Any) -> None:
        """Store a value, which must be JSON."""
        self.xcoms[self.task_id, key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        """Return the value that a task has pushed, or None."""
        return self.xcoms.get((task_ids, key))


@dataclass
class Shop:
    """A configuration of one Yespo destination, and runs of it."""

    tmp: Path
    sandbox: Client
    name: str = field(default_factory=lambda: f"yespo_{uuid.uuid4().hex[:8]}")
    runs: int = 0
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)

    def configure(self, more: str = "", top: str = "", live: str = "true") -> None:
        """Write the configuration; `more` extends the status map, `top` is a line of the top level."""
        text = CONFIGURATION.format(tmp=self.tmp, name=self.name, more=more, top=top, live=live)
        (self.tmp / "order_sync.yaml").write_text(text, "utf-8")

    def drop(self, *rows: str) -> None:
        """Replace the drop's files by one file; an equal row in it is the same version."""
        folder = self.tmp / "drop"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        file = folder / f"orders-{self.runs}.csv"
        file.write_text("\n".join([HEADER, *rows, ""]), "utf-8")
        os.utime(file, (NOW.timestamp(), NOW.timestamp()))

    def context(self, run_id: str, user: str | None = None, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the context of a run's load; other tasks have another `ti` with the same XComs."""
        dag_run = SimpleNamespace(
            dag_id="dag", run_id=run_id, start_date=NOW, run_type="backfill", triggering_user_name=user
        )
        return {
            "dag_run": dag_run,
            "run_id": run_id,
            "params": params or {},
            "dag": SimpleNamespace(params=params or {}),
            "data_interval_start": NOW - timedelta(hours=1),
            "data_interval_end": NOW + timedelta(hours=1),
            "ti": Task("load", 1, {}),
        }

    def run(
        self,
        *,
        redrive: bool = False,
        user: str | None = None,
        load_kills: int = 0,
        run_id: str | None = None,
        **params: Any,
    ) -> dict[str, int]:
        """Run the three tasks and return the counts; an error carries them as `counts`.

        With the `run_id` of an earlier run it is that run, cleared. The load is killed `load_kills` times after its
        work, before Airflow records its success.
        """
        self.runs += 1
        defaults = {
            "reason": None,
            "from": None,
            "to": None,
            "order_ids": None,
            "entries": None,
            "note": None,
            "batch": None,
            "decision": None,
            "dry_run": False,
            "at_most": 9,
        }
        context = self.context(run_id or f"run {self.runs}", user, (defaults if redrive else {}) | params)
        xcoms = self.xcoms = context["ti"].xcoms
        first = operators.StageQuarantineOperator if redrive else operators.ExtractOrdersOperator
        name = {"destination": self.name}
        try:
            extract = first(task_id="extract", **name)
            folder = extract.execute({**context, "ti": Task("extract", 1, xcoms)})
            transform = operators.TransformOrdersOperator(task_id="transform", staged=folder, **name)
            transform.execute({**context, "ti": Task("transform", 1, xcoms)})
            load = operators.LoadOrdersOperator(task_id="load", staged=folder, retry_rejected=redrive, **name)
            for number in range(load_kills + 1):
                loading = {**context, "ti": Task("load", number + 1, xcoms), "task": load}
                try:
                    load.execute(loading)
                    callbacks = load.on_success_callback
                except AirflowSkipException:
                    callbacks = load.on_skipped_callback
            for callback in callbacks:
                callback(loading)
        except DownstreamTasksSkipped:
            pass
        except Exception as error:
            error.counts = xcoms.get(("load", "counts"))  # type: ignore[attr-defined]
            raise
        counts = xcoms.get(("load", "counts")) or xcoms["transform", "counts"]
        return {name: count for name, count in counts.items() if count}

    def stage(self, context: dict[str, Any]) -> str:
        """Run extract and transform of a run, and return the folder that load gets."""
        name = {"destination": self.name}
        ti = context["ti"].xcoms
        extract = operators.ExtractOrdersOperator(task_id="extract", **name)
        folder = extract.execute({**context, "ti": Task("extract", 1, ti)})
        transform = operators.TransformOrdersOperator(task_id="transform", staged=folder, **name)
        transform.execute({**context, "ti": Task("transform", 1, ti)})
        return folder

    def staged(self) -> set[str]:
        """Return the names of the folders that are left in the runs."""
        return {path.name for path in (self.tmp / "staging").glob("*/*/*/*") if path.is_dir()}

    def taken(self) -> dict[str, list[str]]:
        """Return order id -> the codes that the sandbox has taken."""
        listed = self.sandbox.admin("orders", provider="yespo")["orders"]
        return {order["id"]: [change["status"] for change in order["history"]] for order in listed}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """One sandbox for this module."""
    yield from serve()


@pytest.fixture
def shop(tmp_path: Path, address: str, ledger: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A configured shop, with a ledger, a sandbox with an empty memory, and an encryption key."""
    url = ledger.url
    login, secret = SERVICES["yespo"].account
    connections = {
        "yespo": service_connection("yespo", f"{address}/yespo", login, secret),
        "order_sync_ledger": {
            "conn_type": "postgres",
            "host": url.host,
            "port": url.port,
            "login": url.username,
            "password": url.password,
            "schema": url.database,
        },
    }
    for name, fields in connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))
    use_keys(monkeypatch, Fernet.generate_key().decode())
    sandbox = Client(address)
    sandbox.request("POST", "/__admin/reset")
    made = Shop(tmp_path, sandbox)
    made.configure()
    return made


def use_keys(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    """Replace the deployment's encryption keys."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", keys)
    crypto.get_fernet.cache_clear()


@pytest.fixture
def entries(shop: Shop, ledger: sa.Engine) -> Callable[..., list[Any]]:
    """Return a function that selects columns of the shop's quarantine entries."""

    def select(columns: str, where: str = "true") -> list[Any]:
        query = f"select {columns} from quarantine where destination = :name and {where} order by id"
        with ledger.connect() as connection:
            return [tuple(found) for found in connection.execute(sa.text(query), {"name": shop.name})]

    return select


@pytest.mark.parametrize("fate", ["rejected", "held"])
def test_a_clear_of_extract_in_mid_load_mixes_no_orders_up(shop, entries, ledger, monkeypatch, fate):
    """While a load waits for its answer, its run is cleared and reads other rows: its own order is kept."""
    keys = Fernet(os.environ["AIRFLOW__CORE__FERNET_KEY"])
    fault = {"rejected": {"kind": "refuse_orders", "order_ids": ["1"]}, "held": {"kind": "close"}}[fate]
    shop.sandbox.fault({"provider": "yespo", "next": 1, **fault}).raise_for_status()
    shop.drop(row("1", "paid"), row("2", "paid"))
    context = shop.context("run")
    folder = shop.stage(context)
    window = context["ti"].xcom_pull("extract", "window")
    send = http.send

    def cleared_send(*arguments: Any) -> Any:
        shop.drop(row("8", "paid"), row("9", "paid"), row("1", "done", 11), row("2", "done", 11))
        shop.stage(context)
        return send(*arguments)

    monkeypatch.setattr(http, "send", cleared_send)
    load = operators.LoadOrdersOperator(task_id="load", staged=folder, destination=shop.name)
    with pytest.raises(StopError, match="held") if fate == "held" else contextlib.nullcontext():
        load.execute(context)
    kept = [
        (order_id, json.loads(keys.decrypt(bytes(token)))["row"])
        for order_id, token in entries("order_id, encrypted_row")
    ]
    orders = [(order_id, content["order_id"], content["status"]) for order_id, content in kept]
    assert sorted(orders) == [("1", "1", "paid"), ("2", "2", "paid")][: 2 if fate == "held" else 1]
    with ledger.connect() as connection:
        query = sa.text("select window_end = cast(:end as timestamptz) from windows where destination = :name")
        ended = connection.execute(query, {"name": shop.name, "end": window["end"]}).scalars().all()
    assert ended == [True]  # of the window that this load has read
    load.on_success_callback[-1]({**context, "task": load})
    assert shop.staged() == {RAW, READY}  # the later read's


def test_an_extract_that_fails_leaves_nothing(shop, monkeypatch):
    """Tries that fail fill no disk: each stages in a folder of its own."""
    shop.drop(row("1", "paid"))
    full = OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr(Staging, "write_files", lambda *_: (_ for _ in ()).throw(full))
    with pytest.raises(TryAgainError, match="Make room"):
        shop.run()
    assert shop.staged() == set()


def test_a_cleared_resend_sends_nothing_again(shop):
    """A run with `resend` sends each version once: cleared, it sends what is new alone; another run sends all again."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.run()
    assert shop.run(resend=True, run_id="again") == {"rows": 2, "orders": 2, "accepted": 2, "requests": 1}
    shop.drop(row("1", "paid"), row("2", "done", 11), row("3", "paid"))
    cleared = shop.run(resend=True, run_id="again")
    assert cleared == {"rows": 3, "orders": 3, "accepted": 2, "unchanged": 1, "requests": 1}
    assert {order: len(codes) for order, codes in shop.taken().items()} == {"1": 2, "2": 3, "3": 1}
    shop.drop(row("1", "paid"), row("2", "done", 11), row("3", "paid"))
    (newer,) = (shop.tmp / "drop").iterdir()
    os.utime(newer, (NOW.timestamp() + 60, NOW.timestamp() + 60))
    assert shop.run(resend=True, run_id="again") == {"rows": 3, "orders": 3, "unchanged": 3}
    assert shop.run(resend=True) == {"rows": 3, "orders": 3, "accepted": 3, "requests": 1}


def test_a_scheduled_run_records_the_files_that_it_does_not_read(shop, ledger):
    """The page can list them; the next scheduled run writes the list anew; plans and other runs leave it as it is."""
    shop.drop(row("1", "paid"))
    lost = shop.tmp / "drop" / "lost.csv"

    def extract(run_type: str) -> list[str]:
        context = shop.context(f"run of {run_type}")
        context["dag_run"].run_type = run_type
        task = operators.ExtractOrdersOperator(task_id="extract", destination=shop.name)
        context["ti"].task_id = "extract"
        task.execute(context)
        query = sa.text("select path from files_not_read_v1 where destination = :name")
        with ledger.connect() as connection:
            return list(connection.execute(query, {"name": shop.name}).scalars())

    lost.symlink_to("nothing")
    assert extract("backfill") == []
    assert extract("scheduled") == [str(lost)]
    lost.unlink()
    assert extract("backfill") == [str(lost)]
    shop.configure(live="false")
    assert extract("scheduled") == [str(lost)]
    shop.configure()
    assert extract("scheduled") == []


def test_a_run_delivers_and_the_next_sends_nothing(shop):
    """A run sends the drop's orders; the next run over the same file sends nothing."""
    shop.drop(row("1", "paid"), row("2", "done"))
    assert shop.run() == {"rows": 2, "orders": 2, "accepted": 2, "requests": 1}
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 2}
    assert shop.taken() == {"1": ["IN_PROGRESS"], "2": ["DELIVERED"]}


def test_a_secret_in_the_configuration_is_masked_in_logs(shop, monkeypatch):
    """A value that a path took from the environment is masked, if its variable's name tells of a secret."""
    monkeypatch.setenv("DROP_PASSWORD", "s3cret-word")
    monkeypatch.setenv("DROP_FOLDER", "drop-of-today")
    file = shop.tmp / "order_sync.yaml"
    file.write_text(file.read_text("utf-8").replace("/drop/", "/${DROP_FOLDER}/${DROP_PASSWORD}/"), "utf-8")
    with pytest.raises(StopError, match="s3cret-word"):
        shop.run()
    said = f"there is no folder {shop.tmp}/drop-of-today/s3cret-word"
    assert _secrets_masker().redact(said) == said.replace("s3cret-word", "***")


def test_what_is_staged_only_its_user_can_read(shop):
    """Staged rows are personal data: the files and folders of a task are closed to all other users."""
    shop.drop(row("1", "paid"))
    context = shop.context("run")
    usual = os.umask(0o022)
    try:
        extract = operators.ExtractOrdersOperator(task_id="extract", destination=shop.name)
        extract.pre_execute({**context, "task": extract})
        shop.stage(context)
    finally:
        os.umask(usual)
    staged = list((shop.tmp / "staging").rglob("*"))
    assert any(path.is_file() for path in staged)
    assert {path.stat().st_mode & 0o077 for path in staged} == {0}


def test_without_a_key_nothing_is_sent(shop, monkeypatch):
    """Rows of the quarantine are personal data: a deployment that can't encrypt them ends red, and says what to set."""
    use_keys(monkeypatch, "")
    shop.drop(row("1", "paid"))
    with pytest.raises(StopError, match="fernet_key"):
        shop.run()
    assert shop.taken() == {}
    use_keys(monkeypatch, Fernet.generate_key().decode())  # get_fernet remembers the key


@pytest.mark.parametrize("lost", ["an order of load", "an order of the ledger", "a row of transform"])
def test_a_run_whose_sums_are_off_is_red_and_finishes_no_window(shop, ledger, monkeypatch, lost):
    """Whichever figure lacks one, the run is red, and the next one reads the window again."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    if lost == "an order of the ledger":
        monkeypatch.setattr(LedgerSession, "own_accepted", lambda _: 1)
    elif lost == "an order of load":
        report = operators.LoadOrdersOperator._report
        monkeypatch.setattr(
            operators.LoadOrdersOperator, "_report", lambda *arguments: report(*arguments) | {"unchanged": -1}
        )
    else:
        pull = run_figures.pull
        monkeypatch.setattr(run_figures, "pull", lambda *arguments: pull(*arguments) | {"rows": 3})
    with pytest.raises(StopError, match="The sums are off"):
        shop.run()
    with ledger.connect() as connection:
        query = sa.text("select count(*) from windows where destination = :name")
        assert connection.execute(query, {"name": shop.name}).scalar() == 0


@pytest.mark.parametrize(
    ("setting", "rows", "limit"),
    [
        ("max_rejected: 1", [row(str(number), "paid" if number > 1 else "hurra") for number in range(9)], "rejected"),
        (
            "max_rejected_share: 0.1",
            [row(str(number), "paid" if number > 2 else "hurra") for number in range(20)],
            "rejected_share",
        ),
        ("none_good_of: 2", [row("1", "hurra"), row("2", "hurra")], "none_good_of"),
    ],
)
def test_each_threshold_makes_a_run_red(shop, setting, rows, limit):
    """A run beyond one of the three limits of its destination is red, after the good orders were sent."""
    shop.drop(*rows)
    file = shop.tmp / "order_sync.yaml"
    file.write_text(f"{file.read_text('utf-8')}    {setting}\n", "utf-8")
    with pytest.raises(StopError, match=limit):
        shop.run()
    assert len(shop.taken()) == sum(",paid," in line for line in rows)


def test_rejected_orders_are_good_for_one_red_run(shop):
    """A run with nothing good is red for newly rejected orders, whatever is unchanged; not for known ones."""
    shop.drop(row("9", "paid"))
    shop.run()
    bad = [row(str(number), "paid", email="no-address") for number in range(1, 4)]
    shop.drop(row("9", "paid"), *bad)
    with pytest.raises(StopError, match="none_good_of"):
        shop.run()
    shop.drop(row("9", "paid"), *bad)
    assert shop.run()["rejected"] == 3
    with pytest.raises(StopError, match="none_good_of"):
        shop.run(redrive=True)


def test_a_changed_map_resends_nothing_that_a_newer_file_repeats(shop):
    """A full export gives each order a newer version; after a changed map only the orders that changed are sent."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.run()
    file = shop.tmp / "order_sync.yaml"
    file.write_text(file.read_text("utf-8").replace("paid: paid", "paid: delivered"), "utf-8")
    shop.drop(row("1", "paid"), row("2", "paid", 11))
    (newer,) = (shop.tmp / "drop").iterdir()
    os.utime(newer, (NOW.timestamp() + 60, NOW.timestamp() + 60))
    assert shop.run() == {"rows": 2, "orders": 2, "accepted": 1, "unchanged": 1, "requests": 1}
    assert shop.run(resend=True)["accepted"] == 2


def test_a_full_export_costs_no_row_for_an_unchanged_order(shop, entries, ledger):
    """An order that each newer file repeats is written once; another status is sent, an older file's is not.

    It is written again where that closes an entry of the quarantine.
    """

    def attempts() -> int:
        query = "select count(*) from attempts where destination_id = (select id from destinations where name = :name)"
        with ledger.connect() as connection:
            return connection.execute(sa.text(query), {"name": shop.name}).scalar()

    def export(minute: int, *rows: str) -> dict[str, int]:
        shop.drop(*rows)
        (file,) = (shop.tmp / "drop").iterdir()
        at = NOW.timestamp() + 60 * minute
        os.utime(file, (at, at))
        return shop.run()

    export(0, row("1", "paid"), row("2", "paid"))
    for minute in (5, 10):
        assert export(minute, row("1", "paid"), row("2", "paid")) == {"rows": 2, "orders": 2, "unchanged": 2}
    assert attempts() == 2
    assert export(15, row("1", "done"), row("2", "paid", 11))["accepted"] == 1
    assert export(12, row("1", "paid"), row("2", "done")) == {"rows": 2, "orders": 2, "stale": 2}
    assert shop.taken() == {"1": ["IN_PROGRESS", "DELIVERED"], "2": ["IN_PROGRESS"]}
    assert attempts() == 4
    export(20, row("1", "done"), row("2", "paid", 11, email="no-address"))
    assert len(entries("id", "resolved_at is null")) == 1
    for minute in (25, 30):
        export(minute, row("1", "done"), row("2", "paid", 11))
    assert entries("resolution") == [("a good row of the order was delivered",)]
    assert attempts() == 5


@pytest.mark.parametrize(("top", "slots"), [("", 0), ("pace: {yespo: 100}", 1)])
def test_a_load_keeps_the_pace_of_its_connection(shop, ledger, top, slots):
    """Requests take slots of the account that its connection names, if the configuration gives it a pace."""
    with ledger.begin() as connection:
        connection.exec_driver_sql("delete from request_slots where connection = 'yespo'")
    shop.configure(top=top)
    shop.drop(row("1", "paid"))
    shop.run()
    assert shop.taken() == {"1": ["IN_PROGRESS"]}
    with ledger.connect() as connection:
        count = "select count(*) from request_slots where connection = 'yespo'"
        assert connection.exec_driver_sql(count).scalar() == slots


def test_a_bad_row_is_one_entry_however_often_it_is_seen(shop, entries):
    """A row that each run rejects is one encrypted entry, with its times and their number."""
    shop.drop(row("1", "paid", email="no-address"), row("2", "done"))
    for _ in range(3):
        shop.run()
    assert entries("order_id, reasons, times_seen, line") == [("1", ["email: not an address"], 3, 2)]
    ((encrypted,),) = entries("encrypted_row")
    assert b"no-address" not in bytes(encrypted)


def test_rejected_rows_are_written_in_bulk_once_a_run(shop, entries, ledger, monkeypatch):
    """One statement writes many rejected rows, and a retry writes none; a cleared run writes them again."""
    monkeypatch.setattr(tuning, "REJECTED_ROWS_AT_ONCE", 3)
    with ledger.begin() as connection:
        connection.exec_driver_sql(
            """
            create table statements (at bigserial);
            create function count_statement() returns trigger language plpgsql as
                $$ begin insert into statements default values; return null; end $$;
            create trigger count_statements after insert on quarantine execute function count_statement();
            """
        )
    try:
        shop.drop(*(row(str(number), "paid", email="no-address") for number in range(7)), row("8", "paid"))
        shop.run(load_kills=2, run_id="once")
        with ledger.connect() as connection:
            counted = connection.exec_driver_sql("select count(*) from statements").scalar()
    finally:
        with ledger.begin() as connection:
            connection.exec_driver_sql("drop function count_statement cascade; drop table statements")
    assert counted == 3
    assert entries("times_seen") == [(1,)] * 7
    shop.run(run_id="once")  # nothing is good in it, and nothing newly rejected
    assert entries("times_seen") == [(2,)] * 7


def test_rows_without_an_id_are_kept_too(shop, entries):
    """A row without an order id is kept with its reasons, also if the window has nothing to send."""
    shop.drop(row("", "paid"), "too,short")
    assert shop.run() == {"rows": 2, "orders": 2, "rejected": 2}
    assert [reasons for _, reasons in entries("order_id, reasons")] == [
        ["order_id: missing"],
        ["row: not as many fields as the header"],
    ]


def test_a_newer_good_row_resolves_an_entry(shop, entries):
    """A good row of the same order that is not older than the bad one closes its entry."""
    shop.drop(row("1", "paid", 11, email="no-address"))
    shop.run()
    shop.drop(row("1", "done", 10))
    shop.run()
    assert len(entries("id", "resolved_at is null")) == 1
    shop.drop(row("1", "done", 12))
    shop.run()
    assert entries("resolution") == [("a good row of the order was delivered",)]


def test_a_redrive_sends_with_todays_map(shop, entries):
    """A redrive sends rows that were rejected for an unknown status label, once the map has the label."""
    shop.drop(row("1", "hurra"), row("2", "hurra", email="bad"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    assert shop.run(redrive=True, reason="status map") == {
        "rows": 2,
        "orders": 2,
        "accepted": 1,
        "rejected": 1,
        "requests": 1,
    }
    assert shop.taken() == {"1": ["DELIVERED"]}
    assert entries("order_id, reasons", "resolved_at is null") == [("2", ["email: not an address"])]
    assert shop.run(redrive=True, order_ids=["1"]) == {}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, "123"),
        ({"from": "2026-01-02T00:00:00Z"}, "23"),
        ({"to": "2026-01-02T00:00:00Z"}, "1"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-03T00:00:00Z"}, "2"),
        ({"at_most": 2}, "12"),
        ({"order_ids": ["3"]}, "3"),
        ({"reason": "not in the status"}, "123"),
        ({"reason": "email"}, ""),
    ],
    ids=str,
)
def test_a_redrive_takes_the_entries_that_its_params_choose(shop, entries, ledger, params, found):
    """`from` and `to` are about the time at which a row was last seen, and `at_most` takes the oldest entries."""
    shop.drop(*(row(order_id, "hurra") for order_id in "123"))
    with contextlib.suppress(StopError):  # none of three is good
        shop.run()
    set_times = """
        update quarantine set last_seen_at = make_timestamptz(2026, 1, order_id::int, 0, 0, 0, 'UTC')
        where destination = :name
    """
    with ledger.begin() as connection:
        connection.execute(sa.text(set_times), {"name": shop.name})
    shop.configure(more=", hurra: delivered")
    shop.run(redrive=True, **params)
    assert "".join(sorted(shop.taken())) == found
    closed = entries("order_id, resolution", "resolved_at is not null")
    assert closed == [(order_id, "a good row of the order was delivered") for order_id in found]


def test_a_redrive_closes_an_entry_that_does_not_fail_again(shop, entries):
    """An entry whose row is older than the delivered one has nothing to send: the redrive closes it all the same."""
    shop.drop(row("1", "paid", 12))
    shop.run()
    shop.drop(row("1", "hurra", 11))
    with contextlib.suppress(StopError):
        shop.run()
    assert entries("order_id", "resolved_at is null") == [("1",)]
    shop.configure(more=", hurra: paid")
    shop.run(redrive=True)
    assert entries("resolution") == [("redriven",)]


def test_a_dry_run_changes_nothing(shop, entries):
    """A dry run of a redrive lists entries; it neither sends nor resolves them."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    assert shop.run(redrive=True, dry_run=True) == {}
    assert shop.taken() == {}
    assert entries("resolved_at") == [(None,)]


def test_a_redrive_of_a_destination_that_is_not_live_is_dry(shop, entries):
    """Until a destination is live, a redrive only lists, whatever its params."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.configure(more=", hurra: delivered", live="false")
    assert shop.run(redrive=True) == {}
    assert shop.taken() == {}
    assert entries("resolved_at") == [(None,)]


@pytest.mark.parametrize(
    ("live", "params", "kind"),
    [
        ("true", {}, ""),
        ("true", {"mode": "plan"}, "PLAN"),
        ("true", {"mode": "adopt"}, "ADOPT"),
        ("false", {"mode": "adopt"}, "PLAN ONLY"),
        ("true", {"redrive": True}, "REDRIVE"),
        ("true", {"redrive": True, "dry_run": True}, "REDRIVE, dry run"),
        ("false", {"redrive": True}, "PLAN ONLY"),
        ("true", {"redrive": True, "dry_run": True, "decision": "accept"}, "REDRIVE, dry run of accept"),
        (
            "true",
            {"redrive": True, "decision": "dismiss", "reason": "status", "note": "a test"},
            "REDRIVE, dismissed 1 entry",
        ),
    ],
)
def test_a_run_says_what_it_is_to_do(shop, live, params, kind):
    """The kind of a run, for its note, is what it really does, whatever its params."""
    shop.drop(row("1", "нове"))
    shop.run()
    assert shop.xcoms["transform", "reason"] == "1 orders rejected: OS-129 status: not in the status map (нове 1)."
    shop.configure(live=live)
    shop.run(**params)
    assert shop.xcoms["extract", "kind"] == kind


def test_a_killed_adoption_is_counted_alike(shop):
    """A load that adopted and was killed counts the same orders at its next try, and sends none."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    assert shop.run(mode="adopt", load_kills=1) == {"rows": 2, "orders": 2, "adopted": 2}
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 2}
    assert shop.taken() == {}


def test_an_adoption_covers_what_the_service_rejected(shop, entries):
    """Where the service has refused an order as known already, a person may say so."""
    shop.drop(row("1", "paid"))
    shop.sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["1"], "next": 1})
    shop.run()
    assert shop.run(mode="adopt") == {"rows": 1, "orders": 1, "adopted": 1}
    assert entries("id", "resolved_at is null") == []


def test_an_adoption_closes_the_quarantine_of_its_orders(shop, entries):
    """What the service counts as having need not be redriven."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.drop(row("1", "paid", 12))
    shop.run(mode="adopt")
    assert entries("id", "resolved_at is null") == []


def test_what_the_service_rejected_is_sent_again_by_a_redrive_alone(shop, entries):
    """An order that the service rejected goes to the quarantine, and only a redrive repeats it."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["2"], "next": 1})
    shop.run()
    assert entries("order_id, reasons") == [("2", ["Yespo lists the order as failed"])]
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 1, "rejected": 1}
    assert shop.run(redrive=True) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert entries("id", "resolved_at is null") == []


def test_a_run_that_reads_anew_counts_anew(shop):
    """A run whose extract is cleared counts only the rows that it reads now."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.run()
    shop.runs -= 1  # the same run, with its first start time
    shop.drop(row("1", "done", 11), row("2", "paid"))
    assert shop.run() == {"rows": 2, "orders": 2, "accepted": 1, "unchanged": 1, "requests": 1}


def test_requests_of_all_tries_count(shop):
    """A load's retry counts the requests of earlier tries too; another run starts at zero."""
    shop.drop(row("1", "paid"))
    assert shop.run(load_kills=2)["requests"] == 1
    assert "requests" not in shop.run()


GOOD, BAD = row("1", "paid"), row("2", "paid", email="no-address")


@pytest.mark.parametrize(("rows", "mode"), [((GOOD, BAD), "deliver"), ((BAD,), "deliver"), ((GOOD, BAD), "plan")])
def test_parts_stay_until_success_is_recorded(shop, rows, mode):
    """A load that is killed after its work finds its parts in the retry; then only the rejected rows stay."""
    shop.drop(*rows)
    counts = shop.run(mode=mode, load_kills=1)
    assert counts["rows"] == counts["rejected"] + counts.get("accepted", 0) + counts.get("not_sent", 0)
    assert shop.staged() == {"rejected"}


def test_parts_of_a_red_run_stay(shop):
    """A run that is red for its rejected rows keeps its parts, so that its load alone can be cleared."""
    shop.drop(*(row(order_id, "paid", email="no-address") for order_id in "123"))
    with pytest.raises(StopError, match="none_good_of"):
        shop.run()
    assert shop.staged() == {RAW, "rejected"}


@pytest.mark.parametrize("fate", ["rejected by transform", "rejected by the service", "held"])
def test_a_redrive_knows_the_later_of_two_rows_of_one_time(shop, fate):
    """A quarantined row that followed another with the same two times is still the newer one in its redrive."""
    shop.drop(row("1", "paid"))
    shop.run()
    faults = {"rejected by the service": {"kind": "refuse_orders", "order_ids": ["1"]}, "held": {"kind": "close"}}
    if fate in faults:
        shop.sandbox.fault({"provider": "yespo", "next": 1, **faults[fate]}).raise_for_status()
    shop.drop(row("1", "paid"), row("1", "hurra" if fate == "rejected by transform" else "done"))
    with pytest.raises(StopError, match="held") if fate == "held" else contextlib.nullcontext():
        shop.run()
    shop.configure(more=", hurra: delivered")
    decision = {"decision": "resend", "order_ids": ["1"]} if fate == "held" else {}
    assert shop.run(redrive=True, **decision) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert shop.taken() == {"1": ["IN_PROGRESS", "DELIVERED"]}


def test_a_redrive_in_the_hour_that_comes_twice_sends_nothing_older(shop, capsys):
    """A quarantined row of the first pass is older than a delivered one of the second, also without that beside it."""
    file = shop.tmp / "order_sync.yaml"
    night = "2025-10-26 03:{}:00".format
    times = [("1", "hurra", night(40)), ("1", "done", night(10)), ("2", "done", night(20))]
    for more in ("", ", hurra: paid"):
        shop.configure(more=more)
        text = file.read_text("utf-8").replace("timezone: UTC", "timezone: Europe/Kyiv")
        file.write_text(text + "    changes: every\n", "utf-8")
        if not more:
            shop.drop(*(row(order_id, word).replace("2026-11-01T10:00:00Z", at) for order_id, word, at in times))
            assert shop.run() == {"rows": 3, "orders": 3, "rejected": 1, "accepted": 2, "requests": 1}
            (warning,) = [
                line for line in capsys.readouterr().out.splitlines() if "in the hour that comes twice" in line
            ]
            assert "1 orders have a time" in warning
            assert "Orders: 2 [" in warning
    assert shop.run(redrive=True) == {}
    assert shop.taken() == {"1": ["DELIVERED"], "2": ["DELIVERED"]}


def test_a_dry_run_shows_what_the_service_said(shop, capsys):
    """The service's message on a rejected order is in the dry run's list, without personal data."""
    shop.drop(row("1", "paid"))
    said = {"message": "the phone of anna@shop.example is too short"}
    shop.sandbox.fault({"provider": "yespo", "kind": "refuse_orders", "order_ids": ["1"], "next": 1} | said)
    shop.run()
    assert shop.xcoms["load", "reason"] == "1 orders rejected: OS-299 Yespo lists the order as failed."
    capsys.readouterr()
    assert shop.run(redrive=True, dry_run=True) == {}
    shown = capsys.readouterr().out
    assert "the phone of <e-mail> is too short" in shown
    assert "anna@shop" not in shown


def test_entries_without_an_id_can_be_dismissed(shop, entries):
    """A row without an order id and an unreadable one are closed with a note, and are not listed when seen again."""
    shop.drop(row("", "paid"), "too,short", row("1", "hurra"), row("2", "paid"))
    shop.run()
    ids = [entry for (entry,) in entries("id", "order_id is null")]
    assert len(ids) == 2
    dismiss = {"redrive": True, "decision": "dismiss", "entries": ids, "note": "a test order", "user": "olena"}
    assert shop.run(**dismiss | {"dry_run": True}) == {}
    assert entries("id", "resolved_at is not null") == []
    assert shop.run(**dismiss) == {}
    assert shop.run() == {"rows": 4, "orders": 4, "rejected": 3, "unchanged": 1}
    assert entries("order_id, resolution, note, times_seen") == [
        (None, "dismissed by olena", "a test order", 1),
        ("1", None, None, 2),
        (None, "dismissed by olena", "a test order", 1),
    ]


def test_a_dismissed_line_is_listed_again_when_its_file_changes(shop, entries):
    """A line that can't be read is known by its place alone: in a newer file it may be another order."""
    shop.drop("too,short", row("1", "paid"))
    shop.run()
    shop.run(redrive=True, decision="dismiss", reason="fields", note="the export was cut")
    shop.runs = 0
    shop.drop("cut,too", row("1", "paid"))
    (file,) = (shop.tmp / "drop").iterdir()
    later = time.time() + 60
    os.utime(file, (later, later))
    shop.run()
    assert [note for (note,) in entries("note")] == ["the export was cut", None]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"entries": [1]}, "param `note`"),
        ({"note": "all"}, "Say which entries"),
        ({"note": "held", "batch": 1}, "Say which entries"),
    ],
)
def test_a_dismissal_needs_its_entries_and_a_note(shop, params, message):
    """A dismissal says which entries, and why."""
    with pytest.raises(StopError, match=message):
        shop.run(redrive=True, decision="dismiss", **params)


@pytest.fixture
def held(shop) -> Shop:
    """A shop with the held orders 1 and 2."""
    shop.drop(row("1", "paid"), row("2", "paid"))
    shop.sandbox.fault({"provider": "yespo", "kind": "close", "when": "before", "next": 1})
    with pytest.raises(StopError, match="2 orders are held") as stop:
        shop.run()
    assert stop.value.counts["held"] == 2
    return shop


def test_a_decision_to_resend_sends_held_orders(held, entries, ledger):
    """A redrive sends the held orders that a person decides to resend, and records the person; the others stay."""
    assert held.run(redrive=True, decision="resend", order_ids=["1"], user="olena") == {
        "rows": 1,
        "orders": 1,
        "accepted": 1,
        "requests": 1,
    }
    assert held.taken() == {"1": ["IN_PROGRESS"]}
    assert entries("order_id", "resolved_at is null") == [("2",)]
    with ledger.connect() as connection:
        query = "select order_id, decision, decided_by from decisions where destination = :name"
        decided = connection.execute(sa.text(query), {"name": held.name}).all()
    assert [tuple(decision) for decision in decided] == [("1", "resend", "olena")]


def test_a_decision_to_accept_sends_nothing(held, entries):
    """Held orders that a person accepts, also by batch, are accepted without a request."""
    ((batch,),) = entries(
        "(select batch_id from orders_in_doubt o join destinations d on d.id = o.destination_id "
        "where d.name = destination limit 1)",
        "order_id = '1'",
    )
    assert held.run(redrive=True, decision="accept", batch=batch, user="olena") == {}
    assert held.xcoms["extract", "kind"] == "REDRIVE, decided to accept 2 held orders"
    assert held.taken() == {}
    assert entries("resolution") == [("accepted by olena",)] * 2
    held.drop(row("1", "paid"), row("2", "paid"))
    assert held.run() == {"rows": 2, "orders": 2, "unchanged": 2}


def test_a_decision_to_resend_outlives_the_task_that_took_it(held, entries, monkeypatch):
    """A redrive that is killed between its decision and its staging stages these orders in its retry."""
    resend = {"redrive": True, "decision": "resend", "order_ids": ["1"], "user": "olena"}
    with monkeypatch.context() as patch:
        patch.setattr(encrypted_rows, "decrypt_rows", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            held.run(**resend)
    with pytest.raises(StopError, match="No order of these is held"):
        held.run(**resend | {"decision": "accept"})
    held.run(**resend | {"decision": "dismiss", "note": "a mistake"})  # closes no send that was decided
    assert held.run(**resend) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert entries("order_id", "resolved_at is null") == [("2",)]
    with pytest.raises(StopError, match="No order of these is held"):
        held.run(**resend)


def test_a_decision_that_finds_nothing_held_is_said(held):
    """A decision about orders that are not held is refused: it may have been meant for others."""
    with pytest.raises(StopError, match="No order of these is held"):
        held.run(redrive=True, decision="accept", order_ids=["no such order"])


def test_ids_that_nobody_can_hold_are_kept_in_the_quarantine(shop, entries):
    """An id with unprintable characters, or of endless length, is rejected and fails no load."""
    shop.drop(row("a\0b", "paid"), row("9" * 5000, "paid"), row("1", "paid"))
    assert shop.run() == {"rows": 3, "orders": 3, "accepted": 1, "rejected": 2, "requests": 1}
    assert {reasons[0] for _, reasons in entries("order_id, reasons")} == {
        "order_id: longer than 255 characters, or with unprintable ones"
    }


def test_orders_that_were_held_before_do_not_make_a_run_red(held, caplog):
    """A later run counts and names them, and is green; so is the same run, cleared."""
    assert held.run() == {"rows": 2, "orders": 2, "held": 2}
    assert "2 orders were held before this run, and still wait for a decision: 1, 2" in caplog.text
    assert held.run(run_id="run 1") == {"rows": 2, "orders": 2, "held": 2}


def test_a_run_is_red_for_what_it_holds_newly(held):
    """An order that is newly held is named alone; so is one whose decided resend is in doubt again."""
    held.drop(row("4", "paid"))  # its answer says that the service is back
    held.run()
    held.drop(row("1", "paid"), row("2", "paid"), row("3", "paid"))
    lost = {"provider": "yespo", "kind": "close", "when": "after", "next": 1}
    held.sandbox.fault(lost)
    with pytest.raises(StopError, match=r"1 orders are held \(3\)"):
        held.run()
    held.drop(row("5", "paid"))
    held.run()
    held.sandbox.fault(lost)
    with pytest.raises(StopError, match=r"1 orders are held \(1\)"):
        held.run(redrive=True, decision="resend", order_ids=["1"], user="olena")


def test_held_orders_are_not_dismissed(held, entries):
    """Only a decision closes a held order: its send may have been taken."""
    ids = [entry for (entry,) in entries("id")]
    held.run(redrive=True, decision="dismiss", entries=ids, note="all of it")
    assert entries("resolved_at") == [(None,), (None,)]


def test_a_decision_needs_its_orders(held):
    """A decision without orders or a batch is refused: its scope would be unclear."""
    with pytest.raises(StopError, match="order_ids"):
        held.run(redrive=True, decision="resend")


def test_a_lost_key_is_said(shop, entries, monkeypatch, caplog):
    """Rows whose encryption key is lost stay in the quarantine, and the log names the cure."""
    shop.drop(row("1", "hurra"))
    old = os.environ["AIRFLOW__CORE__FERNET_KEY"]
    shop.run()
    shop.configure(more=", hurra: delivered")
    new = Fernet.generate_key().decode()
    use_keys(monkeypatch, new)
    assert shop.run(redrive=True) == {}
    assert entries("resolved_at") == [(None,)]
    use_keys(monkeypatch, f"{new},{old}")
    assert shop.run(redrive=True) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}


def test_a_plan_sends_and_remembers_nothing(shop, entries):
    """`mode: plan` counts the orders that it would send, and changes neither service, ledger nor quarantine."""
    shop.drop(row("1", "paid"))
    shop.run()
    shop.drop(row("1", "done", 11), row("2", "paid"), row("3", "paid", email="bad"))
    assert shop.run(mode="plan") == {"rows": 3, "orders": 3, "not_sent": 2, "rejected": 1}
    assert shop.taken() == {"1": ["IN_PROGRESS"]}
    assert entries("id") == []
    assert shop.run() == {"rows": 3, "orders": 3, "accepted": 2, "rejected": 1, "requests": 1}


def test_maintenance_removes_what_is_old(shop, entries, ledger):
    """Maintenance removes old attempts, resolved entries and run folders; states, open entries and held orders stay."""
    shop.drop(row("1", "paid"), row("2", "hurra"), row("3", "paid", email="bad"))
    shop.run()
    shop.drop(row("3", "paid", 11), row("1", "done", 11))
    shop.run()
    folders = {part.parent.parent for part in (shop.tmp / "staging").rglob("rejected/*.parquet")}
    with ledger.begin() as connection:
        for statement in (
            "update batches set concluded_at = now() - interval '91 days' "
            "where destination_id = (select id from destinations where name = :name)",
            "update quarantine set resolved_at = now() - interval '91 days' where destination = :name "
            "and resolved_at is not null",
        ):
            connection.execute(sa.text(statement), {"name": shop.name})
    for part in (shop.tmp / "staging").rglob("*"):
        os.utime(part, (0, 0))
    operators.RemoveOldOperator(task_id="remove").execute({})
    assert folders
    assert not [folder for folder in folders if folder.exists()]
    assert entries("order_id") == [("2",)]
    assert shop.run() == {"rows": 2, "orders": 2, "unchanged": 2}
    with ledger.connect() as connection:
        query = "select order_id, code from attempts a join destinations d on d.id = destination_id and d.name = :name"
        kept = connection.execute(sa.text(f"{query} order by 1"), {"name": shop.name}).all()
    assert [tuple(attempt) for attempt in kept] == [("1", "DELIVERED"), ("3", "IN_PROGRESS")]


def test_a_stop_in_mid_request_leaves_nothing_in_doubt(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, entries: Callable[[str], list[Any]]
) -> None:
    """On SIGTERM the request in flight gets its answer, nothing more is sent, and the next run sends the rest."""
    monkeypatch.setitem(PROVIDERS, "yespo", replace(PROVIDERS["yespo"], max_orders=1, by_items={}))
    shop.drop(*(row(str(number), "paid") for number in range(5)))
    on_kill = operators.LoadOrdersOperator.on_kill
    loads: list[Any] = []
    monkeypatch.setattr(operators.LoadOrdersOperator, "pre_execute", lambda *_: None)
    execute = operators.LoadOrdersOperator.execute
    monkeypatch.setattr(
        operators.LoadOrdersOperator, "execute", lambda load, context: (loads.append(load), execute(load, context))[1]
    )
    send = http.send

    def stopped_send(session: Any, url: str, request: Any, leave: Callable[[], None]) -> Any:
        def leave_first() -> None:
            leave()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.2)

        return send(session, url, request, leave_first)

    before = signal.signal(signal.SIGTERM, lambda *_: on_kill(loads[-1]))  # as Airflow's task runner does
    try:
        monkeypatch.setattr(http, "send", stopped_send)
        with pytest.raises(TryAgainError, match="asked to stop"):
            shop.run()
    finally:
        signal.signal(signal.SIGTERM, before)
    monkeypatch.setattr(http, "send", send)
    assert entries("order_id") == []
    assert shop.run() == {"rows": 5, "orders": 5, "accepted": 4, "unchanged": 1, "requests": 4}


def test_a_stop_ends_a_task_that_sends_nothing(shop: Shop) -> None:
    """Extract and transform end at once when Airflow asks them to stop, and are tried again."""
    with pytest.raises(TryAgainError, match="asked to stop"):
        operators.ExtractOrdersOperator(task_id="extract", destination=shop.name).on_kill()


def test_a_load_ends_well_at_its_time_limit(shop: Shop, monkeypatch: pytest.MonkeyPatch, entries: Any) -> None:
    """A load that reaches its limit sends nothing more and leaves nothing in doubt; the next one sends the rest."""
    shop.drop(row("1", "paid"))
    with monkeypatch.context() as short:
        short.setattr(tuning, "LOAD_S", 0)
        with pytest.raises(TryAgainError, match="asked to stop") as stopped:
            shop.run()
    assert stopped.value.counts["requests"] == 0
    assert entries("order_id") == []
    assert shop.run() == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}


@pytest.mark.parametrize("kind", [operators.ExtractOrdersOperator, operators.LoadOrdersOperator])
def test_a_time_limit_is_told_as_that(kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """After its time limit a task is not said to have been asked to stop, and Airflow's time-out stays the error."""
    more = {"staged": "/nowhere"} if kind is operators.LoadOrdersOperator else {}
    task = kind(task_id="task", destination="yespo", **more)
    with pytest.raises(AirflowTaskTimeout):  # noqa: PT012  (as Airflow's runner does)
        try:
            raise AirflowTaskTimeout("Timeout")
        except AirflowTaskTimeout:
            task.on_kill()
            raise
    said = capsys.readouterr().out
    assert "its time limit" in said
    assert "Asked to stop" not in said


def test_each_try_is_recorded_for_the_page(shop, ledger, monkeypatch):
    """A run, one without orders, a plan, a failed and a dry one: each leaves a record of what it did, and no other."""

    def records() -> list[tuple[Any, ...]]:
        query = """
            select kind, begun_by, is_complete, is_plan, rows, accepted, rejected, requests from runs_v1
            where destination = :name order by recorded_at
        """
        with ledger.connect() as connection:
            return [tuple(found) for found in connection.execute(sa.text(query), {"name": shop.name})]

    shop.drop(row("1", "paid"), row("2", "paid"), row("3", "on hold"))
    shop.run()
    shop.drop()
    shop.run()
    shop.drop(row("4", "paid"))
    shop.run(mode="plan")
    shop.sandbox.fault({"provider": "yespo", "next": 1, "kind": "status", "status": 503}).raise_for_status()
    with pytest.raises(TryAgainError):
        shop.run()
    shop.run(redrive=True, dry_run=True)
    assert records() == [
        ("", "backfill", True, False, 3, 2, 1, 1),
        ("", "backfill", True, False, 0, 0, 0, 0),
        ("PLAN", "backfill", True, True, 1, 0, 0, 0),
        ("", "backfill", False, False, 1, 0, 0, 1),
        ("REDRIVE, dry run", "backfill", True, True, 0, 0, 0, 0),
    ]
    with ledger.connect() as connection:
        query = "select newest_read, read_up_to is null from freshness where destination = :name"
        connection.exec_driver_sql("set datestyle = 'ISO'; set timezone = 'UTC'")
        found = connection.execute(sa.text(query), {"name": shop.name}).one()
    assert tuple(found) == (datetime(2026, 11, 1, 10, tzinfo=UTC), True)


def test_a_run_that_cannot_be_recorded_is_no_red_run(shop, ledger, monkeypatch):
    """The orders are delivered and the window is finished, and the log says that the page does not know it."""

    def refused(*_: Any) -> None:
        raise TryAgainError("the ledger is restarting")

    monkeypatch.setattr(run_records, "record", refused)
    shop.drop(row("1", "paid"))
    assert shop.run()["accepted"] == 1
    assert shop.taken() == {"1": ["IN_PROGRESS"]}


def logged(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was logged, with single blanks."""
    return " ".join(capsys.readouterr().out.split())


def test_a_dry_run_says_what_would_become_of_each_entry(shop, entries, capsys):
    """A row that today's map knows would pass; one that has another fault too, or still has its own, would not."""
    shop.drop(row("1", "hurra"), row("2", "hurra", email=""), row("3", "hossa"))
    with pytest.raises(StopError):  # none of three is good
        shop.run()
    shop.configure(more=", hurra: delivered")
    before = shop.staged()
    capsys.readouterr()
    shop.run(redrive=True, dry_run=True)
    listed = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if "drop/" in line}
    assert "would pass now" in listed["1"]
    assert "still rejected: OS-208 contact: neither email nor phone" in listed["2"]
    assert "still rejected: OS-129 status: not in the status map (hossa)" in listed["3"]
    assert shop.taken() == {}
    assert entries("resolved_at") == [(None,)] * 3
    assert shop.staged() == before  # no row stays


def test_orders_and_entries_that_are_not_there_are_named(shop, capsys):
    """Each id and number of a redrive's params without an entry is named; the others are redriven."""
    shop.drop(row("1", "hurra"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    capsys.readouterr()
    assert shop.run(redrive=True, order_ids=["1", "A-7", "A-8"])["accepted"] == 1
    assert "They are: A-7, A-8" in logged(capsys)
    shop.run(redrive=True, entries=[999999])
    assert "They are: 999999" in logged(capsys)


def test_a_decision_names_orders_that_are_not_held(held, capsys):
    """It counts for those that are held, which it takes by a list of batches or of ids."""
    held.run(redrive=True, dry_run=True, decision="resend")
    listed = [line.split() for line in capsys.readouterr().out.splitlines() if "OS-501" in line]
    batches = sorted({int(line[1]) for line in listed})
    assert len(listed) == 2
    assert held.run(redrive=True, decision="resend", order_ids=["1", "A-7"], user="olena")["accepted"] == 1
    assert "They are: A-7" in logged(capsys)
    assert held.run(redrive=True, decision="accept", batch=[*batches, 999999], user="olena") == {}
    assert held.xcoms["extract", "kind"] == "REDRIVE, decided to accept 1 held order"


def test_a_redrive_refuses_times_that_do_not_fit(shop):
    """`to` must lie after `from`."""
    with pytest.raises(StopError, match=r"OS-602.*must lie before `to`"):
        shop.run(redrive=True, **{"from": "2026-01-02T00:00:00", "to": "2026-01-01T22:00:00-02:00"})


@pytest.mark.parametrize("reason", ["OS-129", "OS-129 status: not in the status map", "not in the status"])
def test_a_redrive_takes_a_reason_by_its_code(shop, reason):
    """A code chooses the rows that are kept with its text, also with the shop's word behind it."""
    shop.drop(row("1", "hurra"), row("2", "paid", email=""), row("3", "paid"))
    shop.run()
    shop.configure(more=", hurra: delivered")
    assert shop.run(redrive=True, reason=reason) == {"rows": 1, "orders": 1, "accepted": 1, "requests": 1}
    assert set(shop.taken()) == {"1", "3"}


def test_a_run_is_told_to_the_metrics(shop, monkeypatch):
    """Each try tells what it has added, and how the destination stands."""
    told: list[tuple[str, float]] = []
    for kind in ("incr", "gauge"):
        monkeypatch.setattr(metrics.stats, kind, lambda name, value, **_: told.append((name, value)))
    shop.drop(row("1", "paid"), row("2", "hurra"), row("3", "paid"))
    shop.run()
    assert {name: value for name, value in told if name != "order_sync.request_seconds"} == {
        "order_sync.accepted": 2,
        "order_sync.rejected": 1,
        "order_sync.held": 0,
        "order_sync.newest_accepted": datetime(2026, 11, 1, 10, tzinfo=UTC).timestamp(),
    }
    assert 0 < dict(told)["order_sync.request_seconds"] < 60


@pytest.mark.parametrize(("params", "kind"), [({}, ""), ({"mode": "plan"}, "PLAN")])
def test_the_event_of_an_asset_has_counts_and_kind(shop, monkeypatch, params, kind):
    """Airflow makes an event if the load succeeds: whoever is scheduled by it sees what was done."""
    asset, event = Asset(f"order-sync://{shop.name}"), SimpleNamespace(extra={})
    monkeypatch.setattr(operators, "LoadOrdersOperator", partial(operators.LoadOrdersOperator, outlets=[asset]))
    make = shop.context
    monkeypatch.setattr(shop, "context", lambda *given: make(*given) | {"outlet_events": {asset: event}})
    shop.drop(row("1", "paid"))
    shop.run(**params)
    assert event.extra["kind"] == kind
    assert event.extra["accepted"] == (0 if kind else 1)


def test_a_redrive_names_the_asset_of_its_destination(shop, monkeypatch):
    """Its destination is a param, so its load has an alias: the event it makes is that of the destination."""
    events, alias = OutletEventAccessors(), AssetAlias("order_sync_redrive")
    monkeypatch.setattr(operators, "LoadOrdersOperator", partial(operators.LoadOrdersOperator, outlets=[alias]))
    make = shop.context
    monkeypatch.setattr(shop, "context", lambda *given: make(*given) | {"outlet_events": events})
    shop.drop(row("1", "paid"))
    shop.run()
    (event,) = events[alias].asset_alias_events
    assert event.dest_asset_key == AssetUniqueKey.from_asset(Asset(f"order-sync://{shop.name}"))
    assert event.extra["accepted"] == 1


def test_a_load_shows_its_progress(shop, monkeypatch, capsys):
    """A long load logs how many of its orders are done."""
    monkeypatch.setattr(progress, "EVERY_S", 0.05)
    shop.sandbox.fault({"provider": "yespo", "kind": "slow", "seconds": 0.5, "when": "before", "next": 1})
    shop.drop(row("1", "paid"), row("2", "hurra"))
    shop.run()
    assert "0 of 1 orders (0%)" in capsys.readouterr().out
