"""A client of Airflow's REST API, with one method for each need of the demo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import requests

from demo.settings import DemoError

UI_USER = "admin"
TIMEOUT_S = 30
ENDED = ("success", "failed")


class AirflowApi:
    """Calls one Airflow as one user; a refusal becomes a DemoError with Airflow's own message."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._url = url
        self._user = user
        self._password = password
        self._session = requests.Session()
        self._session.trust_env = False  # Airflow is on this machine: no proxy

    def log_in(self) -> None:
        """Get the token for the other calls."""
        answer = self.call("POST", "/auth/token", json={"username": self._user, "password": self._password})
        self._session.headers["Authorization"] = f"Bearer {answer['access_token']}"

    def is_healthy(self) -> bool:
        """Whether the database, scheduler, triggerer and DAG processor all report to be healthy."""
        try:
            answer = self.call("GET", "/api/v2/monitor/health")
        except DemoError:
            return False
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all(answer[part]["status"] == "healthy" for part in parts)

    def import_errors(self) -> list[str]:
        """Return the import errors of DAG files, one text a file."""
        answer = self.call("GET", "/api/v2/importErrors")
        return [f"{error['filename']}:\n{error['stack_trace']}" for error in answer["import_errors"]]

    def dag_ids(self) -> set[str]:
        """Return the ids of all DAGs."""
        return {dag["dag_id"] for dag in self.call("GET", "/api/v2/dags", params={"limit": 100})["dags"]}

    def set_connection(self, name: str, fields: dict[str, Any]) -> None:
        """Write a connection into Airflow's list, in place of one with this name."""
        path, body = "/api/v2/connections", {"connection_id": name, **fields}
        if self.call("GET", f"{path}/{name}", or_none=True):
            self.call("PATCH", f"{path}/{name}", json=body)
        else:
            self.call("POST", path, json=body)

    def unpause(self, dag_id: str) -> None:
        """Let the scheduler start the DAG's runs."""
        self.call("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def runs(self, dag_id: str, hours: list[datetime]) -> list[dict[str, Any]]:
        """Return the DAG's runs of these hours, of any type."""
        params = {
            "logical_date_gte": hours[0].isoformat(),
            "logical_date_lte": hours[-1].isoformat(),
            "order_by": "logical_date",
            "limit": 100,
        }
        runs: list[dict[str, Any]] = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params=params)["dag_runs"]
        return runs

    def cancel_backfills(self, dag_id: str, hours: list[datetime]) -> None:
        """Cancel the backfills that an earlier demo has left open, and end their runs of these hours."""
        for backfill in self.call("GET", "/api/v2/backfills", params={"dag_id": dag_id})["backfills"]:
            if backfill["completed_at"] is None:
                self.call("PUT", f"/api/v2/backfills/{backfill['id']}/cancel")
        for run in self.runs(dag_id, hours):
            if run["run_type"] == "backfill" and run["state"] not in ENDED:
                self.call("PATCH", f"/api/v2/dags/{dag_id}/dagRuns/{run['dag_run_id']}", json={"state": "failed"})

    def would_backfill(self, dag_id: str, hours: list[datetime]) -> int:
        """Return how many of the hours a backfill would run now; it leaves out hours whose run is still active."""
        answer = self.call("POST", "/api/v2/backfills/dry_run", json=_backfill(dag_id, hours))
        return int(answer["total_entries"])

    def backfill(self, dag_id: str, hours: list[datetime]) -> None:
        """Create the backfill of these hours; hours that have run before run again."""
        self.call("POST", "/api/v2/backfills", json=_backfill(dag_id, hours))

    def counts(self, dag_id: str, run_id: str) -> dict[str, int]:
        """Return a run's figures: its load's, or its transform's if there was nothing to load."""
        tasks = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances"
        # A skipped load may still have the figures of an earlier try.
        skipped = self.call("GET", f"{tasks}/load")["state"] == "skipped"
        for task in ("transform",) if skipped else ("load", "transform"):
            answer = self.call(
                "GET", f"{tasks}/{task}/xcomEntries/counts", params={"deserialize": "true"}, or_none=True
            )
            if answer:
                return {name: int(value) for name, value in answer["value"].items()}
        raise DemoError(f"Neither load nor transform of {dag_id}, run {run_id}, has left its `counts` as an XCom")

    def unfinished_tasks(self, dag_id: str, run_id: str) -> Iterator[str]:
        """Yield the tasks of a run that did not succeed, each with its state and try."""
        answer = self.call("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        for task in answer["task_instances"]:
            if task["state"] not in ("success", "skipped"):
                yield f"{task['task_id']}: {task['state'] or 'not started'}, try {task['try_number']}"

    def call(self, method: str, path: str, *, or_none: bool = False, **arguments: Any) -> Any:
        """Call Airflow and return the JSON of its answer; None for a 404 with `or_none`."""
        try:
            answer = self._session.request(method, self._url + path, timeout=TIMEOUT_S, **arguments)
        except requests.RequestException as error:
            raise DemoError(f"Airflow does not answer {method} {path}: {error}") from error
        if or_none and answer.status_code == 404:
            return None
        if not answer.ok:
            raise DemoError(f"Airflow refuses {method} {path} with {answer.status_code}: {answer.text[:1000]}")
        return answer.json()


def _backfill(dag_id: str, hours: list[datetime]) -> dict[str, Any]:
    return {
        "dag_id": dag_id,
        "from_date": hours[0].isoformat(),
        "to_date": hours[-1].isoformat(),  # a logical date, and inclusive
        "reprocess_behavior": "completed",
        "max_active_runs": 1,
    }


def service_connection(name: str, address: str, login: str, password: str) -> dict[str, Any]:
    """Return the fields of a connection to one of the services; the sandbox has plain http."""
    port, extra = urlsplit(address).port, json.dumps({"allow_http": True})
    return {"conn_type": name, "host": address, "port": port, "login": login, "password": password, "extra": extra}
