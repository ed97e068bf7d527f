"""`GET /order-sync/health`: whether the watch finds all destinations well. For a monitor outside of Airflow.

It needs no login, so it tells no more than names and kinds: neither numbers nor texts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.models.variable import Variable
from starlette.requests import Request
from starlette.responses import JSONResponse

from order_sync_airflow import alarms

# The watch looks every ten minutes: so it has missed two looks.
LOOKED_WITHIN = timedelta(minutes=30)


def health(request: Request) -> JSONResponse:  # noqa: ARG001  (Starlette calls it in a thread: it reads the database)
    """Answer 200 if all is well, else 503, with the kinds of problems by destination."""
    state = alarms.read_state(Variable.get(alarms.VARIABLE, default_var=None))
    wrong: dict[str, list[str]] = {}
    for problem in state.open.values():
        wrong.setdefault(problem["destination"], []).append(problem["kind"])
    if state.failed:
        wrong["alarms"] = ["unsent"]
    looked_at = datetime.fromisoformat(state.looked_at) if state.looked_at else None
    if looked_at is None or looked_at < datetime.now(UTC) - LOOKED_WITHIN:
        wrong["watch"] = ["late"]
    said = {"ok": not wrong, "wrong": wrong, "looked_at": state.looked_at}
    return JSONResponse(said, 503 if wrong else 200, {"Cache-Control": "no-store"})
