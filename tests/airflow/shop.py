"""A shop with a CSV drop and a Yespo destination, whose runs' operators are called one after the other."""

import json
import os
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import crypto
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from order_sync_airflow import operators

from tests.sandbox.conftest import Client

NOW = datetime.now(UTC)
CONFIGURATION = """
staging: {tmp}/staging
{top}
sources:
  drop:
    type: csv
    path: {tmp}/drop/*.csv
    timezone: UTC
    statuses: {{paid: paid, done: delivered, off: cancelled{more}}}
destinations:
  {name}:
    provider: yespo
    connection: yespo
    source: drop
    start_date: 2026-01-01
    live: {live}
    first_run: window
"""
HEADER = "order_id,status,status_changed_at,created_at,customer_id,email,phone,total_cost,currency"


def row(order_id: str, status: str, hour: int = 10, email: str = "anna@shop.example") -> str:
    """Return a row of the drop."""
    return f"{order_id},{status},2026-11-01T{hour}:00:00Z,2026-11-01T08:00:00Z,C1,{email},,19.90,UAH"


@dataclass
class Task:
    """The parts of a task instance that the operators use; XComs belong to the run."""

    task_id: str
    try_number: int
    xcoms: dict[tuple[str, str], Any]

    def xcom_push(self, key: str, value: Any) -> None:
        """Store a value, which must be JSON."""
        self.xcoms[self.task_id, key] = json.loads(json.dumps(value))

    def xcom_pull(self, task_ids: str, key: str) -> Any:
        """Return the value that a task has pushed, or None."""
        return self.xcoms.get((task_ids, key))


@dataclass
class Shop:
    """A configuration of one Yespo destination, and runs of it."""

    tmp: Path
    sandbox: Client
    name: str = field(default_factory=lambda: f"yespo_{uuid.uuid4().hex[:8]}")
    runs: int = 0
    xcoms: dict[tuple[str, str], Any] = field(default_factory=dict)

    def configure(self, more: str = "", top: str = "", live: str = "true") -> None:
        """Write the configuration; `more` extends the status map, `top` is a line of the top level."""
        text = CONFIGURATION.format(tmp=self.tmp, name=self.name, more=more, top=top, live=live)
        (self.tmp / "order_sync.yaml").write_text(text, "utf-8")

    def drop(self, *rows: str) -> None:
        """Replace the drop's files by one file; an equal row in it is the same version."""
        folder = self.tmp / "drop"
        folder.mkdir(exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        file = folder / f"orders-{self.runs}.csv"
        file.write_text("\n".join([HEADER, *rows, ""]), "utf-8")
        os.utime(file, (NOW.timestamp(), NOW.timestamp()))

    def context(self, run_id: str, user: str | None = None, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the context of a run's load; other tasks have another `ti` with the same XComs."""
        dag_run = SimpleNamespace(
            dag_id="dag", run_id=run_id, start_date=NOW, run_type="backfill", triggering_user_name=user
        )
        return {
            "dag_run": dag_run,
            "run_id": run_id,
            "params": params or {},
            "dag": SimpleNamespace(params=params or {}),
            "data_interval_start": NOW - timedelta(hours=1),
            "data_interval_end": NOW + timedelta(hours=1),
            "ti": Task("load", 1, {}),
        }

    def run(
        self,
        *,
        redrive: bool = False,
        user: str | None = None,
        load_kills: int = 0,
        run_id: str | None = None,
        **params: Any,
    ) -> dict[str, int]:
        """Run the three tasks and return the counts; an error carries them as `counts`.

        With the `run_id` of an earlier run it is that run, cleared. The load is killed `load_kills` times after its
        work, before Airflow records its success.
        """
        self.runs += 1
        defaults = {
            "reason": None,
            "from": None,
            "to": None,
            "order_ids": None,
            "entries": None,
            "note": None,
            "batch": None,
            "decision": None,
            "dry_run": False,
            "at_most": 9,
        }
        context = self.context(run_id or f"run {self.runs}", user, (defaults if redrive else {}) | params)
        xcoms = self.xcoms = context["ti"].xcoms
        first = operators.StageQuarantineOperator if redrive else operators.ExtractOrdersOperator
        name = {"destination": self.name}
        try:
            extract = first(task_id="extract", **name)
            folder = extract.execute({**context, "ti": Task("extract", 1, xcoms)})
            transform = operators.TransformOrdersOperator(task_id="transform", staged=folder, **name)
            transform.execute({**context, "ti": Task("transform", 1, xcoms)})
            load = operators.LoadOrdersOperator(task_id="load", staged=folder, retry_rejected=redrive, **name)
            for number in range(load_kills + 1):
                loading = {**context, "ti": Task("load", number + 1, xcoms), "task": load}
                try:
                    load.execute(loading)
                    callbacks = load.on_success_callback
                except AirflowSkipException:
                    callbacks = load.on_skipped_callback
            for callback in callbacks:
                callback(loading)
        except DownstreamTasksSkipped:
            pass
        except Exception as error:
            error.counts = xcoms.get(("load", "counts"))  # type: ignore[attr-defined]
            raise
        counts = xcoms.get(("load", "counts")) or xcoms["transform", "counts"]
        return {name: count for name, count in counts.items() if count}

    def stage(self, context: dict[str, Any]) -> str:
        """Run extract and transform of a run, and return the folder that load gets."""
        name = {"destination": self.name}
        ti = context["ti"].xcoms
        extract = operators.ExtractOrdersOperator(task_id="extract", **name)
        folder = extract.execute({**context, "ti": Task("extract", 1, ti)})
        transform = operators.TransformOrdersOperator(task_id="transform", staged=folder, **name)
        transform.execute({**context, "ti": Task("transform", 1, ti)})
        return folder

    def staged(self) -> set[str]:
        """Return the names of the folders that are left in the runs."""
        return {path.name for path in (self.tmp / "staging").glob("*/*/*/*") if path.is_dir()}

    def taken(self) -> dict[str, list[str]]:
        """Return order id -> the codes that the sandbox has taken."""
        listed = self.sandbox.admin("orders", provider="yespo")["orders"]
        return {order["id"]: [change["status"] for change in order["history"]] for order in listed}


def use_keys(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    """Replace the deployment's encryption keys."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", keys)
    crypto.get_fernet.cache_clear()
