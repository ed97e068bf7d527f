"""Plays Airflow for one try of a task: the real operators, with XComs and Variables in memory, and kills."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped, ErrorType
from airflow.sdk.execution_time import comms, task_runner
from order_sync_airflow.operators.base import OrderSyncOperator

from include.order_sync.errors import OrderSyncError
from include.order_sync.model import Window
from simulation.engines import leave_engines_to_parent

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

# Forked, as Airflow forks its tasks.
_processes = multiprocessing.get_context("fork")


class UnknownError(Exception):
    """A task has failed with an error that is none of ours, and no signal explains it."""


@dataclass
class Store:
    """The part of Airflow's database that tasks write: it outlives them, also if they are killed.

    Args:
        xcoms: (run, task, key) -> value.
        variables: key -> value.
        supervisor: of a forked task; it gets each write.
    """

    xcoms: dict[tuple[str, str, str], Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    supervisor: Connection | None = None

    def put(self, table: str, key: Any, value: Any) -> None:
        """Write a value; None, as which a missing one is read too, removes it."""
        getattr(self, table).pop(key, None)
        if value is not None:
            getattr(self, table)[key] = value
        if self.supervisor:
            self.supervisor.send((table, key, value))

    def of_run(self, run: str) -> dict[tuple[str, str], Any]:
        """Return the XComs of a run, by task and key."""
        return {(task, key): value for (owner, task, key), value in self.xcoms.items() if owner == run}

    def forget(self, run: str) -> None:
        """Remove the XComs of a run."""
        for task, key in self.of_run(run):
            del self.xcoms[run, task, key]

    def send(self, message: Any) -> Any:
        """Answer a task's message about a Variable, as Airflow's supervisor does."""
        match message:
            case comms.GetVariable(key=key):
                if key not in self.variables:
                    return comms.ErrorResponse(error=ErrorType.VARIABLE_NOT_FOUND)
                return comms.VariableResult(key=key, value=self.variables[key])
            case comms.GetVariableKeys(prefix=prefix):
                keys = [key for key in self.variables if key.startswith(prefix or "")]
                return comms.VariableKeysResult(keys=keys, total_entries=len(keys))
            case comms.PutVariable(key=key, value=value):
                self.put("variables", key, str(value))
            case comms.DeleteVariable(key=key):
                self.put("variables", key, None)
        return comms.OKResponse(ok=True)


@contextmanager
def supervised(store: Store) -> Iterator[None]:
    """Let the tasks of this process talk to the store."""
    before = getattr(task_runner, "SUPERVISOR_COMMS", None)
    task_runner.SUPERVISOR_COMMS = store  # type: ignore[assignment]
    try:
        yield
    finally:
        task_runner.SUPERVISOR_COMMS = before  # type: ignore[assignment]


@dataclass
class TaskInstance:
    """The parts of Airflow's task instance that operators use."""

    store: Store
    run: str
    task_id: str
    try_number: int
    max_tries: int

    def xcom_push(self, key: str, value: Any) -> None:
        """Store a value, which must be JSON."""
        self.store.put("xcoms", (self.run, self.task_id, key), json.loads(json.dumps(value)))

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        """Return the value that a task of the run has pushed, or None."""
        return self.store.xcoms.get((self.run, task_ids, key))

    def get_dr_count(self, **_of_run: Any) -> int:
        """Return how many of these runs have not ended: none that is as old as retention."""
        return 0


@dataclass(frozen=True)
class DagRun:
    """A run of a DAG, as its tasks see it."""

    dag_id: str
    run_id: str
    run_type: Literal["scheduled", "backfill", "manual"]
    start_date: datetime
    interval: Window | None = None
    params: dict[str, Any] = field(default_factory=dict)

    def context(self, store: Store, task: OrderSyncOperator, try_number: int, retries: int) -> dict[str, Any]:
        """Return the context of one try of a task."""
        dag_run = SimpleNamespace(
            dag_id=self.dag_id,
            run_id=self.run_id,
            start_date=self.start_date,
            run_type=self.run_type,
            triggering_user_name="a person",
        )
        interval = self.interval
        times = {"data_interval_start": interval.start, "data_interval_end": interval.end} if interval else {}
        ti = TaskInstance(store, self.run_id, task.task_id, try_number, retries)
        dag = SimpleNamespace(params=self.params)
        ours = {"dag": dag, "dag_run": dag_run, "run_id": self.run_id, "params": self.params, "ti": ti, "task": task}
        return ours | times


@dataclass(frozen=True)
class Outcome:
    """How a try has ended.

    Args:
        state: no_rest: the run is done without its other tasks.
        value: that the task has returned.
        delay: until the next try.
        said: the reason of a failure.
    """

    state: Literal["success", "no_rest", "failed", "retry", "killed"]
    value: str | None = None
    delay: timedelta = timedelta()
    said: str = ""


def attempt(task: OrderSyncOperator, context: Any, *, is_stopped: Callable[[], bool] = lambda: False) -> Outcome:
    """Do one try of a task, and decide about the next one by its retry policy."""
    try:
        try:
            task.pre_execute(context)
            value = task.execute(context)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)  # a signal that comes later finds a task that has ended
    except DownstreamTasksSkipped:
        return Outcome("no_rest")
    except AirflowSkipException:
        for callback in task.on_skipped_callback or ():
            callback(context)
        return Outcome("success")
    except Exception as error:
        if not isinstance(error, OrderSyncError) and not is_stopped():
            raise
        ti = context["ti"]
        decision = task.retry_policy.evaluate(error, ti.try_number, ti.max_tries, context)  # type: ignore[union-attr]
        log.info("%s %s, try %d: %s", ti.run, ti.task_id, ti.try_number, error)
        if decision.action == RetryAction.RETRY and ti.try_number <= ti.max_tries:
            return Outcome("retry", delay=decision.retry_delay or timedelta(), said=str(error))
        return Outcome("failed", said=str(error))
    for callback in task.on_success_callback or ():
        callback(context)
    return Outcome("success", value)


def attempt_with_signal(
    store: Store, task: OrderSyncOperator, context: Any, kind: Literal["SIGKILL", "SIGTERM"], after_s: float
) -> Outcome:
    """Do one try of a task in a process of its own, which a signal ends after some seconds."""
    here, there = _processes.Pipe(duplex=False)
    child = _processes.Process(target=_perform, args=(store, there, task, context, kind, after_s))
    child.start()
    there.close()
    outcome = Outcome("killed")
    try:
        while True:
            said = here.recv()
            if isinstance(said, Outcome):
                outcome = said
            else:
                store.put(*said)
    except EOFError:
        child.join()
    if outcome.state == "killed" and child.exitcode != -signal.SIGALRM:
        raise UnknownError(f"{context['run_id']} {task.task_id} ended with exit code {child.exitcode}: see the log")
    return outcome


def _perform(
    store: Store, supervisor: Connection, task: OrderSyncOperator, context: Any, kind: str, after_s: float
) -> None:
    leave_engines_to_parent()
    store.supervisor = supervisor
    stopped: list[bool] = []

    def stop(*_: Any) -> None:
        stopped.append(True)
        task.on_kill()  # as Airflow does

    # The alarm's default action ends the process at once, as SIGKILL does.
    signal.signal(signal.SIGALRM, stop if kind == "SIGTERM" else signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, after_s)
    try:
        outcome = attempt(task, context, is_stopped=lambda: bool(stopped))
    except BaseException:
        log.exception("%s %s", context["run_id"], task.task_id)
        os._exit(1)
    supervisor.send(outcome)
