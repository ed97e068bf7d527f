"""An Airflow home for these tests, set before any import of Airflow. It has no scheduler: see tests/e2e for that."""

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
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

from simulation.tasks import Store  # noqa: E402


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
