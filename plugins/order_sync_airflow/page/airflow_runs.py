"""What Airflow itself knows of runs: whether they ended red, and why, as their note says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from airflow.models.dagrun import DagRun, DagRunNote
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunType

from order_sync_airflow.run_note import reason_in

_RUNS = sa.select(DagRun.run_id, DagRun.state, DagRunNote.content).outerjoin(DagRunNote)


def of_runs(dag_id: str, run_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return run id -> whether the run `is_red`, and `why`: the reason in its note, empty if it has none."""
    query = _RUNS.where(DagRun.dag_id == dag_id, DagRun.run_id.in_(list(run_ids)))
    with create_session() as session:
        return {row.run_id: _told(row) for row in session.execute(query)}


def last_red(dag_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return DAG id -> its newest ended `run` and `why`, if that run is red. Runs of a backfill do not count."""
    ended = DagRun.state.in_([DagRunState.SUCCESS, DagRunState.FAILED]) & (DagRun.run_type != DagRunType.BACKFILL_JOB)
    found = {}
    with create_session() as session:
        for dag_id in dag_ids:
            query = _RUNS.where(DagRun.dag_id == dag_id, ended).order_by(DagRun.run_after.desc()).limit(1)
            newest = session.execute(query).first()
            if newest and newest.state == DagRunState.FAILED:
                found[dag_id] = {"run": newest.run_id, **_told(newest)}
    return found


def _told(row: Any) -> dict[str, Any]:
    return {"is_red": row.state == DagRunState.FAILED, "why": reason_in(row.content)}
