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


class Supervisor:
    """The supervisor of a task, for Variables alone: it keeps them in memory, where Airflow asks its API server.

    Attributes:
        variables: key -> value.
        failing: types of the messages that fail.
    """

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}
        self.failing: tuple[type, ...] = ()

    def send(self, message: Any) -> Any:
        """Answer as Airflow's supervisor does; messages of the types `failing` get its error."""
        if isinstance(message, self.failing):
            raise AirflowRuntimeError(comms.ErrorResponse(error=ErrorType.API_SERVER_ERROR))
        match message:
            case comms.GetVariable(key=key):
                if key not in self.variables:
                    return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
                return comms.VariableResult(key=key, value=self.variables[key])
            case comms.GetVariableKeys(prefix=prefix):
                keys = [key for key in self.variables if key.startswith(prefix or "")]
                return comms.VariableKeysResult(keys=keys, total_entries=len(keys))
            case comms.PutVariable(key=key, value=value):
                self.variables[key] = str(value)
            case comms.DeleteVariable(key=key):
                del self.variables[key]
        return comms.OKResponse(ok=True)


@pytest.fixture(autouse=True)
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    """The supervisor of all tasks of a test."""
    made = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", made, raising=False)
    return made
