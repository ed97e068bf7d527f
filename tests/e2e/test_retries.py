"""What Airflow's own try history shows when a service refuses."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

import pytest
import requests


def run_once(backfilled, dag_id: str) -> tuple[str, str]:
    """Run a DAG by hand over the last of the six hours; returns its path in the API and its end state."""
    demo = backfilled.demo
    demo.api.unpause(dag_id)
    window = {"from": demo.hours[-1].isoformat(), "to": (demo.hours[-1] + timedelta(hours=1)).isoformat()}
    run = demo.api.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": window})
    path = f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}"
    deadline = time.monotonic() + 180
    while run["state"] not in ("success", "failed"):
        demo.check()
        assert time.monotonic() < deadline, f"{path} is still {run['state']}: {load_tries(backfilled, path)}"
        time.sleep(0.5)
        run = demo.api.call("GET", path)
    return path, run["state"]


def load_tries(backfilled, path: str) -> list[dict[str, Any]]:
    """Return the tries of a run's load, the first one first."""
    tries = backfilled.demo.api.call("GET", f"{path}/taskInstances/load/tries")["task_instances"]
    return sorted(tries, key=lambda each: each["try_number"])


@pytest.fixture
def faults(backfilled):
    """Put a fault in force at the sandbox, until the test ends."""
    url = f"{backfilled.demo.sandbox_url}/__admin/faults"

    def add(**fault: Any) -> None:
        requests.post(url, json=fault, timeout=30).raise_for_status()

    yield add
    requests.delete(url, timeout=30).raise_for_status()


def test_a_retry_after_is_obeyed_by_airflows_own_retry(backfilled, faults):
    """A 429 with Retry-After 7 is tried again after some 7 s, although the task's retry_delay is ten minutes."""
    delay = backfilled.demo.api.call("GET", "/api/v2/dags/order_sync_yespo/tasks/load")["retry_delay"]
    assert (delay["days"], delay["seconds"]) == (0, 600)
    faults(provider="yespo", kind="status", status=429, retry_after=7, next=1)
    path, state = run_once(backfilled, "order_sync_yespo")
    first, second = load_tries(backfilled, path)
    waited = datetime.fromisoformat(second["start_date"]) - datetime.fromisoformat(first["end_date"])
    assert state == "success"
    assert 7 <= waited.total_seconds() < 30


def test_a_wrong_credential_ends_at_the_first_try(backfilled):
    """A wrong secret fails the task at its first try, though it has retries, and the log says which connection."""
    dag_id = "order_sync_wrong_secret"
    assert backfilled.demo.api.call("GET", f"/api/v2/dags/{dag_id}/tasks/load")["retries"] > 1
    path, state = run_once(backfilled, dag_id)
    assert state == "failed"
    assert [each["state"] for each in load_tries(backfilled, path)] == ["failed"]
    log = str(backfilled.demo.api.call("GET", f"{path}/taskInstances/load/logs/1"))
    assert "rees46_wrong" in log
    assert "not-the-demo-secret" not in log
