"""Writes each run's outcome into its note, ends open runs of removed destinations, and takes old forms away.

The scheduler calls it when a run of any DAG begins or ends. Tasks have no access to Airflow's database; a listener has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl
from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.utils.state import TaskInstanceState
from sqlalchemy import delete, select
from sqlalchemy.orm import object_session

from order_sync_airflow import removed_destinations, run_note
from order_sync_airflow.run_figures import COUNTS_KEY, KIND_KEY, REASON_KEY, TAG, TASKS, merge

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from sqlalchemy.orm import Session

RAN = {TaskInstanceState.SUCCESS, TaskInstanceState.FAILED}


@hookimpl
def on_dag_run_running(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001  (Airflow's signature)
    """End open runs of removed destinations; let a run that was cleared ask anew."""
    session = object_session(dag_run)
    if session and _is_ours(dag_run):
        _forget_form(dag_run, session)
    _end_open_runs(session)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001
    """Note the outcome of a green run."""
    _ended(dag_run, None)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:
    """Note the outcome of a red run up to its failure."""
    _ended(dag_run, "The run has reached its time limit." if msg == "timed_out" else None)


def _ended(dag_run: DagRun, reason: str | None) -> None:
    session = object_session(dag_run)
    if session and _is_ours(dag_run):
        _note(dag_run, reason, session)
    _end_open_runs(session)


def _is_ours(dag_run: DagRun) -> bool:
    return TAG in {tag.name for tag in dag_run.dag_model.tags}


def _forget_form(dag_run: DagRun, session: Session) -> None:
    """Delete the form of a cleared `approve`, the only task with one: Airflow would show the plan of before the clear.

    Its answer stays in Airflow's history of the task.
    """
    cleared = select(TaskInstance.id).where(
        TaskInstance.dag_id == dag_run.dag_id,
        TaskInstance.run_id == dag_run.run_id,
        TaskInstance.state.is_(None),
    )
    session.execute(delete(HITLDetail).where(HITLDetail.ti_id.in_(cleared)))


def _end_open_runs(session: Session | None) -> None:
    if session:
        for run in removed_destinations.end_open_runs(session):
            _note(run, removed_destinations.ENDED, session)


def _note(dag_run: DagRun, reason: str | None, session: Session) -> None:
    # A task that did not run this time may still have the figures of an earlier time.
    ran = {ti.task_id: ti.state for ti in dag_run.get_task_instances(session=session) if ti.state in RAN}
    rows = session.scalars(
        select(XComModel).where(
            XComModel.dag_id == dag_run.dag_id,
            XComModel.run_id == dag_run.run_id,
            XComModel.key.in_([COUNTS_KEY, KIND_KEY, REASON_KEY]),
        )
    )
    pushed = {(row.key, row.task_id): XComModel.deserialize_value(row) for row in rows if row.task_id in ran}
    counts = merge({task: figures for (key, task), figures in pushed.items() if key == COUNTS_KEY})
    failed = [task for task in TASKS if ran.get(task) == TaskInstanceState.FAILED]
    silent = f"{failed[0]} ended without a word: look at its log." if failed else None
    said = (pushed.get((REASON_KEY, task)) for task in failed or TASKS)
    reason = reason or next(filter(None, said), silent)
    kind = next(filter(None, (pushed.get((KIND_KEY, task)) for task in TASKS)), "")
    dag_run.note = run_note.with_line(dag_run.note, dag_run.start_date, kind, counts, reason)
