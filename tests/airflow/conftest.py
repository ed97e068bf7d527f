"""An Airflow home for these tests, set before any import of Airflow. It has no scheduler: see tests/e2e for that."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
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

from demo.airflow_api import service_connection  # noqa: E402
from sandbox.registry import SERVICES  # noqa: E402
from simulation.tasks import Store  # noqa: E402
from tests.airflow.shop import Shop, use_keys  # noqa: E402
from tests.sandbox.conftest import Client, serve  # noqa: E402


class Supervisor(Store):
    """The supervisor of a task, for Variables alone, some of whose messages may fail.

    Attributes:
        failing: types of the messages that fail.
    """

    failing: tuple[type, ...] = ()

    def send(self, message: Any) -> Any:
        """Answer as Airflow's supervisor does; messages of the types `failing` get its error."""
        if isinstance(message, self.failing):
            raise AirflowRuntimeError(comms.ErrorResponse(error=ErrorType.API_SERVER_ERROR))
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
