"""Ends the open runs of destinations that were removed or renamed.

Airflow's scheduler leaves out the runs of a DAG that is in no file any more (`is_stale`): they would stay open for
ever.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from airflow.models.dag import DagModel, DagTag
from airflow.models.dagrun import DagRun
from airflow.utils.state import DagRunState, State, TaskInstanceState
from sqlalchemy import select

from include.order_sync.configuration.loading import load
from order_sync_airflow.run_figures import REDRIVE, TAG

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

# A configuration that is put in place anew may be away for a moment.
GONE_AFTER = timedelta(minutes=2)

ENDED = (
    "This destination is not in the configuration any more, so its open run was ended. If it comes back, its next "
    "scheduled run reads what this one has left."
)


def end_open_runs(session: Session) -> list[DagRun]:
    """End the open runs of removed destinations as failed, and return them.

    Tasks that are running are ended as if a person had marked them as failed; those that have not begun are skipped. A
    DAG whose file has an import error is not gone: the file will be mended. Nor is one that the configuration still
    names: Airflow calls a DAG stale too if parsing its file hangs or is killed.
    """
    found = session.scalars(
        select(DagRun)
        .join(DagModel, DagModel.dag_id == DagRun.dag_id)
        .where(
            DagRun.state.in_([DagRunState.QUEUED, DagRunState.RUNNING]),
            DagModel.is_stale,
            ~DagModel.has_import_errors,
            DagModel.last_parsed_time < datetime.now(UTC) - GONE_AFTER,
            DagModel.dag_id.in_(select(DagTag.dag_id).where(DagTag.name == TAG)),
        )
        .with_for_update(of=DagRun, skip_locked=True)
    ).all()
    configured = _configured() if found else set()
    runs = [run for run in found if run.dag_id not in configured]
    for run in runs:
        for task in run.get_task_instances(session=session):
            if task.state in State.unfinished:
                is_running = task.state == TaskInstanceState.RUNNING
                task.set_state(TaskInstanceState.FAILED if is_running else TaskInstanceState.SKIPPED, session=session)
        run.set_state(DagRunState.FAILED)
    return runs


def _configured() -> set[str]:
    """Return the DAGs of all destinations of the configuration, also of those with mistakes, and the redrive's."""
    configuration = load()
    entries = (*configuration.destinations.values(), *configuration.mistaken.values())
    return {REDRIVE, *(each.dag_id for each in entries)}
