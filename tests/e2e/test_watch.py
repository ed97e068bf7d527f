"""The watch and its address for an outside monitor, in a running Airflow."""

from __future__ import annotations

import requests

from demo.airflow_server import base_url
from tests.e2e.runs import Run


def test_a_look_is_seen_from_outside_without_a_login(backfilled):
    """After a run of the watch the address says when it has looked, and no destination that is well is named."""
    demo = backfilled.demo
    body = {"logical_date": None}
    run_id = demo.api.call("POST", "/api/v2/dags/order_sync_watch/dagRuns", json=body)["dag_run_id"]
    run = Run(demo, "order_sync_watch", run_id)
    assert run.end_state() == "success"
    answer = requests.get(f"{base_url(demo.settings)}/order-sync/health", timeout=30, allow_redirects=False)
    said = answer.json()
    assert said["looked_at"] > run.get()["start_date"][:19]
    assert answer.status_code == (200 if said["ok"] else 503)
    wrong = {kind for name, kinds in said["wrong"].items() if name != "wrong_secret" for kind in kinds}
    assert wrong <= {"quarantine"}, said  # the sample shop has that many bad rows
