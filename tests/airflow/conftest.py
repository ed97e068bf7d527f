"""An Airflow home for these tests, set before any import of Airflow. It has no scheduler: see tests/e2e for that."""

import json
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

ROOT = Path(__file__).parents[2]

os.environ |= {
    "AIRFLOW_HOME": tempfile.mkdtemp(prefix="order-sync-airflow-"),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
}

from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType  # noqa: E402
from airflow.sdk.execution_time import comms, task_runner  # noqa: E402
from order_sync_airflow import ledger_connection  # noqa: E402

from demo.airflow_api import service_connection  # noqa: E402
from include.order_sync.configuration import sql_source  # noqa: E402
from sandbox.registry import SERVICES  # noqa: E402
from simulation.tasks import Store  # noqa: E402
from tests.airflow.runs import CONFIGURATION, HOUR, NOON, STARTS, Runs  # noqa: E402
from tests.airflow.shop import Shop, use_keys  # noqa: E402
from tests.sandbox.conftest import Client, serve  # noqa: E402


class Supervisor(Store):
    """The supervisor of a task, for Variables and forms, some of whose messages may fail.

    Attributes:
        failing: types of the messages that fail.
        form: what Airflow has kept of a task's form; None: it has none yet.
        forms: that tasks have written.
    """

    failing: tuple[type, ...] = ()
    form: dict[str, Any] | None = None

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[comms.CreateHITLDetailPayload] = []

    def send(self, message: Any) -> Any:
        """Answer as Airflow's supervisor does; messages of the types `failing` get its error."""
        if isinstance(message, self.failing):
            raise AirflowRuntimeError(comms.ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        if isinstance(message, comms.CreateHITLDetailPayload):
            assert message.assigned_users is not None, "Airflow's API would refuse it"
            self.forms.append(message)
            return comms.HITLDetailRequestResult(**message.model_dump(exclude={"type"}) | (self.form or {}))
        return super().send(message)


@pytest.fixture(autouse=True)
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """The supervisor of all tasks of a test."""
    made = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
    return made


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


@pytest.fixture
def entries(shop: Shop, ledger: sa.Engine) -> Callable[..., list[Any]]:
    """Return a function that selects columns of the shop's quarantine entries."""

    def select(columns: str, where: str = "true") -> list[Any]:
        query = f"select {columns} from quarantine where destination = :name and {where} order by id"
        with ledger.connect() as connection:
            return [tuple(found) for found in connection.execute(sa.text(query), {"name": shop.name})]

    return select


@pytest.fixture
def sandbox(address, monkeypatch):
    """The sandbox with an empty memory, and a connection to its JustClick."""
    client = Client(address)
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
    use_keys(monkeypatch, Fernet.generate_key().decode())
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
