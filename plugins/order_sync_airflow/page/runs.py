"""The view of one run: what it did, try by try, and what became of its rejected and held orders since."""

from __future__ import annotations

from collections import Counter
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from include.order_sync.ledger.reasons import HELD_REASON
from include.order_sync.ledger.run_records import COUNTS
from order_sync_airflow.page import airflow_runs, changes, reads, words
from order_sync_airflow.page.answers import User, answer, not_found, root_of
from order_sync_airflow.run_figures import REDRIVE

router = APIRouter()


@router.get("/run")
def find_run(request: Request, access: User, destination: str, run: str) -> Response:
    """Go to the page of a run of a destination: its own DAG's, or a redrive."""
    if destination not in access.names:
        return not_found(request, f"There is no destination {destination!r} that you may see.")
    with reads.reading() as ledger:
        dag_id = reads.dags_of(ledger, [destination], [run]).get(run, f"order_sync_{destination}")
    return RedirectResponse(f"{root_of(request)}/run/{dag_id}/{quote(run)}", 303)


@router.get("/run/{dag_id}/{run_id:path}")
def run(request: Request, access: User, dag_id: str, run_id: str) -> Response:
    """Show what one run did, with all its tries."""
    own_dags = {f"order_sync_{name}" for name in access.names}
    with reads.reading() as ledger:
        tries = reads.run(ledger, access.names, dag_id, run_id)
        names = sorted({row["destination"] for row in tries})
        sums = {name: sum(row[name] for row in tries) for name in COUNTS}
        entries = reads.entries(ledger, names, run=run_id, is_open=False, with_held=True)
        since = reads.resolutions(ledger, names, run_id)
        later = reads.dags_of(ledger, names, {entry["run"] for entry in entries} - {run_id})
        changed = reads.changes_of_runs(ledger, names[0], dag_id, [run_id]) if sums["accepted"] else []
        # Few runs hold orders, and to look for all held ones takes longer than all else.
        held = [batch for batch in reads.held_batches(ledger, names) if batch["run"] == run_id] if sums["held"] else []
    # A redrive is of a destination that the user may see if one of its tries is.
    known = airflow_runs.of_runs(dag_id, [run_id]) if tries or dag_id in own_dags else {}
    in_airflow = known.get(run_id, {"is_red": False, "why": ""})
    for entry in entries:
        entry["since"] = words.since(entry, run_id, later.get(entry["run"]) == REDRIVE)
    destination = access.destinations.get(names[0]) if names else None
    reasons = Counter(reason for entry in entries for reason in entry["reasons"])
    has_more = len(entries) > reads.ENTRIES_SHOWN
    listed = sum(row["entries"] for row in since)
    model = {
        "title": f"Run {run_id}",
        "dag_id": dag_id,
        "run_id": run_id,
        "names": names,
        "tries": tries,
        "sums": sums,
        "changes": changes.told(changed, destination, {"orders": sums["accepted"]}),
        "outcome": words.run_outcome(
            tries[-1] if tries else None, sums, sum(batch["orders"] for batch in held), is_red=in_airflow["is_red"]
        ),
        **in_airflow,
        "entries": entries[: reads.ENTRIES_SHOWN],
        "has_more": has_more,
        "elsewhere": 0 if has_more else max(sums["rejected"] + sums["held"] - listed, 0),
        "reasons": reasons.most_common(),
        "since": since,
        "held": held,
        "open_rows": any(not entry["resolved_at"] and HELD_REASON not in entry["reasons"] for entry in entries),
    }
    return answer(request, "run.html", model)
