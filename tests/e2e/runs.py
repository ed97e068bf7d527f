"""A run of the demo's Airflow: started, watched and cleared through its REST API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from demo.airflow_api import ENDED
from demo.processes import wait_for
from demo.story import Demo

TIMEOUT_S = 300


@dataclass(frozen=True)
class Run:
    """One run of a destination's DAG."""

    demo: Demo
    dag_id: str
    run_id: str

    @classmethod
    def start(cls, demo: Demo, destination: str, **params: Any) -> Run:
        """Start a run by hand over the last of the six hours."""
        dag_id = f"order_sync_{destination}"
        window = {"from": demo.hours[-1].isoformat(), "to": (demo.hours[-1] + timedelta(hours=1)).isoformat()}
        demo.api.unpause(dag_id)
        body = {"logical_date": None, "conf": window | params}
        return cls(demo, dag_id, demo.api.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def get(self, resource: str = "") -> Any:
        """Return the run, or a resource of it, from Airflow's API."""
        return self.demo.api.call("GET", f"/api/v2/dags/{self.dag_id}/dagRuns/{self.run_id}{resource}")

    def end_state(self) -> str:
        """Wait for the run's end; return `success` or `failed`."""
        self.wait("to end", lambda: self.get()["state"] in ENDED)
        return str(self.get()["state"])

    def wait(self, event: str, ready: Callable[[], bool]) -> None:
        """Wait until the run is `ready()`."""
        wait_for(f"{self.dag_id}, {self.run_id}, {event}", TIMEOUT_S, ready, self.demo.check, every_s=1)

    def clear(self, *task_ids: str) -> None:
        """Clear the run's tasks, or only these, as a person does in the UI."""
        chosen = {"task_ids": task_ids} if task_ids else {}
        body = {"dag_run_id": self.run_id, "dry_run": False, "only_failed": False, **chosen}
        self.demo.api.call("POST", f"/api/v2/dags/{self.dag_id}/clearTaskInstances", json=body)

    def load_tries(self) -> list[dict[str, Any]]:
        """Return the tries of the run's load, oldest first."""
        return sorted(self.get("/taskInstances/load/tries")["task_instances"], key=lambda each: each["try_number"])

    def last_load_log(self) -> str:
        """Return the log of the last try of the run's load."""
        return str(self.get(f"/taskInstances/load/logs/{self.load_tries()[-1]['try_number']}"))

    def states(self) -> dict[str, str]:
        """Return the state of each task of the run."""
        return {each["task_id"]: each["state"] for each in self.get("/taskInstances")["task_instances"]}

    def figures(self) -> dict[str, int]:
        """Return the run's counts."""
        return self.demo.api.counts(self.dag_id, self.run_id)
