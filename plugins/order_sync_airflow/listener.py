"""Writes the outcome of each run into its note, in one line. Airflow calls it in the scheduler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl
from airflow.models.xcom import XComModel
from airflow.utils.state import TaskInstanceState
from sqlalchemy import select
from sqlalchemy.orm import object_session

from order_sync_airflow.run_figures import COUNTS_KEY, TAG, merge

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

RAN = {TaskInstanceState.SUCCESS, TaskInstanceState.FAILED}


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001  (Airflow's signature)
    """Note the outcome of a green run."""
    _note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001
    """Note the outcome of a red run up to its failure."""
    _note(dag_run)


def _note(dag_run: DagRun) -> None:
    session = object_session(dag_run)
    if session is None or TAG not in {tag.name for tag in dag_run.dag_model.tags}:
        return
    rows = session.scalars(
        select(XComModel).where(
            XComModel.dag_id == dag_run.dag_id,
            XComModel.run_id == dag_run.run_id,
            XComModel.key == COUNTS_KEY,
        )
    )
    # A task that did not run this time may still have the figures of an earlier time.
    ran = {ti.task_id for ti in dag_run.get_task_instances(session=session) if ti.state in RAN}
    counts = merge({row.task_id: XComModel.deserialize_value(row) for row in rows if row.task_id in ran})
    also = "".join(f", {name} {counts[name]}" for name in ("unchanged", "stale", "held", "not_sent") if counts[name])
    dag_run.note = (
        f"read {counts['rows']}, accepted {counts['accepted']}, rejected {counts['rejected']}{also}, "
        f"requests {counts['requests']}"
    )
