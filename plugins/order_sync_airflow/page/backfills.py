"""The view of backfills: the sum of each one's runs. Airflow knows which runs it has, and the ledger what they did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from airflow.models.backfill import Backfill, BackfillDagRun
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from fastapi import APIRouter, Request
from fastapi.responses import Response

from order_sync_airflow.page import reads
from order_sync_airflow.page.answers import User, answer
from order_sync_airflow.page.words import OUTCOMES

router = APIRouter()

BACKFILLS_SHOWN = 10
ALWAYS = ("accepted", "rejected")


@router.get("/backfills")
def backfills(request: Request, access: User) -> Response:
    """List the last backfills of the destinations that the user may see, each with the sum of its runs."""
    dags = {f"order_sync_{name}": name for name in access.names}
    dags |= {destination.dag_id: name for name, destination in access.destinations.items()}
    found = of_airflow(list(dags))
    with reads.reading() as ledger:
        for backfill in found:
            name = dags[backfill["dag_id"]]
            runs = backfill.pop("runs")
            done = reads.sums_of_runs(ledger, name, runs, backfill["created_at"])
            backfill |= {"destination": name, "runs": len(runs), **done}
    columns = [name for name in OUTCOMES if name in ALWAYS or any(backfill[name] for backfill in found)]
    return answer(request, "backfills.html", {"title": "Backfills", "backfills": found, "columns": columns})


def of_airflow(dag_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the last backfills of these DAGs, the newest first, with the ids of their runs."""
    columns = ("id", "dag_id", "from_date", "to_date", "created_at", "completed_at", "triggering_user_name")
    query = sa.select(*(getattr(Backfill, column) for column in columns)).where(Backfill.dag_id.in_(dag_ids))
    with create_session() as session:
        last = session.execute(query.order_by(Backfill.id.desc()).limit(BACKFILLS_SHOWN)).all()
        found = {row.id: {**row._asdict(), "runs": []} for row in last}
        of_them = sa.select(BackfillDagRun.backfill_id, DagRun.run_id).where(
            BackfillDagRun.dag_run_id == DagRun.id, BackfillDagRun.backfill_id.in_(list(found))
        )
        for backfill, run in session.execute(of_them):
            found[backfill]["runs"].append(run)
    return list(found.values())
