"""The time of a destination's runs in a real Airflow, against the runs of a DAG of three empty tasks.

`python -m benchmarks.scheduler` prints the figures as one line of JSON.
"""

from __future__ import annotations

import json
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import requests

from demo.airflow_api import ENDED
from demo.processes import free_port, wait_for
from demo.settings import ROOT, Settings
from demo.story import Demo

HOUR = timedelta(hours=1)
HOURS = 72
ORDERS_AN_HOUR = 1000
ROUNDS = 10
RUN_TIMEOUT_S = 300
BACKFILL_TIMEOUT_S = 3600

OURS = "order_sync_shop"
EMPTY = "empty_tasks"

# Two days without orders, then days with orders. All are before the hours that scheduled runs read.
QUIET = datetime(2026, 1, 10, tzinfo=UTC)
BUSY = datetime(2026, 1, 12, tzinfo=UTC)

CONFIGURATION = """
staging: {folder}/staging
sources:
  warehouse:
    type: sql
    connection: order_sync_warehouse
    query: {folder}/orders.sql
    timezone: UTC
    statuses: {{new: created, paid: paid, sent: shipped, done: delivered}}
destinations:
  shop:
    provider: rees46
    connection: rees46
    source: warehouse
    start_date: 2026-01-01
    live: true
    # The brake would stop the backfill: all changes are old, and old ones count as notifications.
    approve_above: {all_orders}
"""

QUERY = """
select order_id, status, changed_at as status_changed_at, total_cost, email
from benchmark_orders where changed_at >= :window_start and changed_at < :window_end
order by changed_at, order_id
"""

FILL = """
create table benchmark_orders as
select (100000 + number)::text as order_id,
       (array['new', 'paid', 'sent', 'done'])[1 + number %% 4] as status,
       %(busy)s::timestamptz + number * interval '1 hour' / %(orders)s as changed_at,
       (number %% 9000 + 100)::numeric / 100 as total_cost,
       'customer' || number || '@shop.example' as email
from generate_series(0, %(hours)s * %(orders)s - 1) as number;
create index on benchmark_orders (changed_at)
"""


def measure() -> dict[str, float]:
    """Return the seconds of runs and tasks, and their ratios to those of the empty tasks.

    Raises:
        DemoError: a process did not start, or took too long.
        RuntimeError: a run failed, or the sandbox has not taken exactly the orders of the hours.
    """
    with _airflow() as demo:
        for dag_id in (EMPTY, OURS):
            demo.api.unpause(dag_id)
        # The scheduler starts a run of the last hour by itself. And each DAG's first run finds cold caches.
        for dag_id in (EMPTY, OURS):
            _wait_until_idle(demo, dag_id)
            _run(demo, dag_id, QUIET)
        quiet = [QUIET + number * HOUR for number in range(1, ROUNDS + 1)]
        runs = [{dag_id: _run(demo, dag_id, hour) for dag_id in (EMPTY, OURS)} for hour in quiet]
        figures = _figures_of_quiet_hours(runs)
        busy = [BUSY + number * HOUR for number in range(HOURS)]
        empty_s = _backfill(demo, EMPTY, busy)
        ours_s = _backfill(demo, OURS, busy)
        _check_orders(demo)
    return figures | {
        "backfill_empty_s": empty_s,
        "backfill_ours_s": ours_s,
        "backfill_ratio": ours_s / empty_s,
    }


@contextmanager
def _airflow() -> Iterator[Demo]:
    """Yield a running Airflow with both DAGs, a sandbox, and a warehouse with orders; end them afterwards."""
    with tempfile.TemporaryDirectory(prefix="order-sync-benchmark-") as name:
        folder = Path(name)
        dags = folder / "dags"
        shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "benchmarks" / "dags" / "empty_tasks.py", dags)
        (folder / "order_sync.yaml").write_text(CONFIGURATION.format(folder=folder, all_orders=HOURS * ORDERS_AN_HOUR))
        (folder / "orders.sql").write_text(QUERY)
        demo = Demo(
            Settings(folder, airflow_port=free_port(), sandbox_port=free_port(), shop_orders=60, shop_seed=1),
            {
                "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
                "ORDER_SYNC_CONFIG": str(folder / "order_sync.yaml"),
            },
            dag_ids={OURS, EMPTY},
        )
        demo.lock()
        try:
            with redirect_stdout(sys.stderr):  # its messages are no figures
                demo.start()
            with psycopg.connect(demo.postgres.uri("shop")) as warehouse:
                # The client binds the parameters: the server binds none in a CREATE TABLE.
                psycopg.ClientCursor(warehouse).execute(FILL, {"busy": BUSY, "orders": ORDERS_AN_HOUR, "hours": HOURS})
            yield demo
        finally:
            demo.stop()


def _run(demo: Demo, dag_id: str, hour: datetime) -> dict[str, float]:
    """Run one hour by hand; return the seconds of the whole run and of each task."""
    body = {"logical_date": hour.isoformat()}
    run_id = demo.api.call("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
    _wait_until_idle(demo, dag_id)
    run = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
    tasks = demo.api.call("GET", f"{run}/taskInstances")["task_instances"]
    return {"run": _seconds(demo.api.call("GET", run))} | {task["task_id"]: _seconds(task) for task in tasks}


def _figures_of_quiet_hours(runs: list[dict[str, dict[str, float]]]) -> dict[str, float]:
    """Return the medians of runs and tasks, and the median ratio of paired runs."""
    figures = {}
    for dag_id, label in ((EMPTY, "empty"), (OURS, "ours")):
        for name in runs[0][dag_id]:
            figures[f"quiet_{label}_{name}_s"] = statistics.median(each[dag_id][name] for each in runs)
    figures["quiet_ratio"] = statistics.median(each[OURS]["run"] / each[EMPTY]["run"] for each in runs)
    return figures


def _backfill(demo: Demo, dag_id: str, hours: list[datetime]) -> float:
    """Backfill the hours, one run at a time; return the seconds from the first start to the last end."""
    demo.api.backfill(dag_id, hours)
    wait_for(
        f"the backfill of {dag_id}",
        BACKFILL_TIMEOUT_S,
        lambda: len(_ended(demo, dag_id, hours)) == len(hours),
        demo.check,
    )
    ended = _ended(demo, dag_id, hours)
    return (
        max(_time(run["end_date"]) for run in ended) - min(_time(run["start_date"]) for run in ended)
    ).total_seconds()


def _ended(demo: Demo, dag_id: str, hours: list[datetime]) -> list[dict[str, Any]]:
    """Return the runs of these hours that have ended; each must be green."""
    ended = [run for run in demo.api.runs(dag_id, hours) if run["state"] in ENDED]
    _check_green(ended)
    return ended


def _wait_until_idle(demo: Demo, dag_id: str) -> None:
    def idle() -> bool:
        runs = demo.api.call("GET", f"/api/v2/dags/{dag_id}/dagRuns", params={"limit": 100})["dag_runs"]
        _check_green([run for run in runs if run["state"] in ENDED])
        return bool(runs) and all(run["state"] in ENDED for run in runs)

    wait_for(f"the runs of {dag_id}", RUN_TIMEOUT_S, idle, demo.check)


def _check_green(runs: list[dict[str, Any]]) -> None:
    failed = [run["dag_run_id"] for run in runs if run["state"] != "success"]
    if failed:
        raise RuntimeError(f"These runs have failed: {', '.join(failed)}")


def _check_orders(demo: Demo) -> None:
    answer = requests.get(f"{demo.sandbox_url}/__admin/stats", timeout=30)
    answer.raise_for_status()
    taken = answer.json()["rees46"]
    expected = HOURS * ORDERS_AN_HOUR
    if (taken["orders"], taken["accepted"]) != (expected, expected):
        raise RuntimeError(f"The sandbox has taken {taken}; it should have taken {expected} orders, each once")


def _seconds(entry: dict[str, Any]) -> float:
    return (_time(entry["end_date"]) - _time(entry["start_date"])).total_seconds()


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that a stopped benchmark leaves nothing behind
    print(json.dumps(measure()))
