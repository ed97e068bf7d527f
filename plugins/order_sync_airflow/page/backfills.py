"""The view of backfills: the sum of each one's runs. Airflow knows which runs it has, and the ledger what they did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from airflow.models.backfill import Backfill, BackfillDagRun
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from fastapi import APIRouter, Request
from fastapi.responses import Response

from order_sync_airflow.page import airflow_runs, changes, reads
from order_sync_airflow.page.answers import User, answer, not_found
from order_sync_airflow.page.words import OUTCOMES

router = APIRouter()

BACKFILLS_SHOWN = 10
RUNS_SHOWN = 500
ALWAYS = ("accepted", "rejected")
# Rows that are no orders of their own.
NO_ORDERS = ("superseded", "skipped")


@router.get("/backfills")
def backfills(request: Request, access: User) -> Response:
    """List the last backfills of the destinations that the user may see, each with the sum of its runs."""
    dags = _dags(access)
    found = of_airflow(list(dags))
    with reads.reading() as ledger:
        for backfill in found:
            name = dags[backfill["dag_id"]]
            runs = backfill.pop("runs")
            done = reads.sums_of_runs(ledger, name, [run["run"] for run in runs], backfill["created_at"])
            red = sum(run["state"] == "failed" for run in runs)
            end = max((run["end"] for run in runs if run["end"]), default=backfill["to_date"])
            backfill |= {"destination": name, "runs": len(runs), "red": red, "end": end, **done}
    return answer(request, "backfills.html", {"title": "Backfills", "backfills": found, "columns": _columns(found)})


@router.get("/backfills/{number}")
def backfill(request: Request, access: User, number: int) -> Response:
    """List the runs of a backfill, each with what it has done."""
    dags = _dags(access)
    found = of_airflow(list(dags), number)
    if not found:
        return not_found(request, f"There is no backfill {number} of a destination that you may see.")
    (one,) = found
    every = one.pop("runs")
    # A person looks for the red ones.
    red_first = sorted(range(len(every)), key=lambda at: every[at]["state"] != "failed")
    runs = [every[at] for at in sorted(red_first[:RUNS_SHOWN])]
    ids = [run["run"] for run in runs]
    with reads.reading() as ledger:
        done = {row["run"]: row for row in reads.sums_by_run(ledger, dags[one["dag_id"]], ids, one["created_at"])}
        of_all = [run["run"] for run in every]
        changed = reads.changes_of_runs(ledger, dags[one["dag_id"]], one["dag_id"], of_all, one["created_at"])
        sums = reads.sums_of_runs(ledger, dags[one["dag_id"]], of_all, one["created_at"])
    notes = airflow_runs.of_runs(one["dag_id"], [run["run"] for run in runs if run["state"] == "failed"])
    for run in runs:
        run |= {"why": notes.get(run["run"], {}).get("why", ""), "done": done.get(run["run"])}
    columns = _columns([*done.values()])
    about = {"title": f"Backfill {number}", "destination": dags[one["dag_id"]], "more": len(every) - len(runs)}
    destination = access.destinations.get(dags[one["dag_id"]])
    told = changes.told(changed, destination, {"orders": sums["accepted"]})
    return answer(request, "backfill.html", {**one, **about, "runs": runs, "columns": columns, "changes": told})


def _dags(access: User) -> dict[str, str]:
    """Return the DAGs of the destinations that the user may see, with the names of these."""
    dags = {f"order_sync_{name}": name for name in access.names}
    return dags | {destination.dag_id: name for name, destination in access.destinations.items()}


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the parts of `rows` that are shown: those that always are, and those that are not all zero."""
    return [name for name in (*OUTCOMES, *NO_ORDERS) if name in ALWAYS or any(row[name] for row in rows)]


def of_airflow(dag_ids: Sequence[str], number: int | None = None) -> list[dict[str, Any]]:
    """Return the last backfills of these DAGs, the newest first, with their runs; or the one with this number."""
    columns = ("id", "dag_id", "from_date", "to_date", "created_at", "completed_at", "triggering_user_name")
    query = sa.select(*(getattr(Backfill, column) for column in columns)).where(Backfill.dag_id.in_(dag_ids))
    if number is not None:
        query = query.where(Backfill.id == number)
    with create_session() as session:
        last = session.execute(query.order_by(Backfill.id.desc()).limit(BACKFILLS_SHOWN)).all()
        found = {row.id: {**row._asdict(), "runs": []} for row in last}
        columns_of_run = (DagRun.run_id, DagRun.state, DagRun.data_interval_start, DagRun.data_interval_end)
        of_them = sa.select(BackfillDagRun.backfill_id, *columns_of_run).where(
            BackfillDagRun.dag_run_id == DagRun.id, BackfillDagRun.backfill_id.in_(list(found))
        )
        for backfill, run, state, start, end in session.execute(of_them.order_by(DagRun.run_after)):
            found[backfill]["runs"].append({"run": run, "state": str(state), "start": start, "end": end})
    return list(found.values())
