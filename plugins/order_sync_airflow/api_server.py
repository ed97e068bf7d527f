"""Tells an api-server that can't be reached from a Variable or a connection that is missing.

To a task Airflow says the same of both: that there is no such thing.
"""

from __future__ import annotations

from airflow.sdk import Variable
from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.sdk.execution_time import task_runner

from include.order_sync.errors import TryAgainError


def read_variable(name: str) -> str | None:
    """Return the text of a Variable, None if there is none; raise TryAgainError if the api-server does not give it."""
    try:
        found: str | None = Variable.get(name, default=None)
        is_there = found is not None or name in Variable.keys(prefix=name)
    except AirflowRuntimeError as error:
        raise unreachable(f"the Variable {name!r}", error) from None
    if found is None and is_there:
        raise TryAgainError(f"Airflow does not give the Variable {name!r}, which exists. Nothing more was sent.")
    return found


def check(wanted: str) -> None:
    """Raise TryAgainError if the api-server of this task can't be reached; a process that is no task needs none.

    Args:
        wanted: what Airflow says is missing.
    """
    if not hasattr(task_runner, "SUPERVISOR_COMMS"):
        return
    try:
        len(Variable.keys(prefix="order_sync_"))  # it asks when it is looked at
    except AirflowRuntimeError as error:
        raise unreachable(wanted, error) from None


def unreachable(wanted: str, error: AirflowRuntimeError) -> TryAgainError:
    """Return the error of a task whose api-server has not done what was asked."""
    said = error.error.error.value
    return TryAgainError(f"Airflow's api-server does not give or take {wanted} ({said}). Nothing more was sent.")
