"""The figures of a run: each task pushes those it knows as the XCom `counts`, and the later task's win."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from airflow.sdk import Context

# What marks the DAGs of destinations, for the listener and for people.
TAG = "order-sync"

COUNTS_KEY = "counts"
TASKS = ("extract", "transform", "load")
# What can become of an order in load.
OUTCOMES = ("accepted", "rejected", "unchanged", "stale", "held", "not_sent")
ZERO = dict.fromkeys(("rows", "superseded", "skipped", "orders", *OUTCOMES, "not_for_provider", "requests"), 0)


def merge(by_task: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return all figures of a run: rows = orders + superseded + skipped; orders by what became of them."""
    figures = dict(ZERO)
    for task in TASKS:
        figures |= by_task.get(task, {})
    return figures


def push(context: Context, **figures: int) -> None:
    """Push figures that the running task knows, on top of those of the tasks before it."""
    ti = context["ti"]
    # Not those of the tasks after it: where a run is run again, they are still the old ones.
    earlier = TASKS[: TASKS.index(ti.task_id)]
    before = {task: ti.xcom_pull(task_ids=task, key=COUNTS_KEY) or {} for task in earlier}
    ti.xcom_push(COUNTS_KEY, merge(before) | figures)


def pull(context: Context, task: str) -> dict[str, int]:
    """Return the figures that `task` pushed."""
    return context["ti"].xcom_pull(task_ids=task, key=COUNTS_KEY)


def reasons_table(reasons: Counter[str], first_rows: Mapping[str, str], cures: Mapping[str, str]) -> str:
    """Return how many orders each reason rejected, where the first stands, and the cure: a table for the task log."""
    from tabulate import tabulate

    rows = [
        (reason, orders, first_rows.get(reason, ""), cures.get(reason, "")) for reason, orders in reasons.most_common()
    ]
    return tabulate(rows, headers=["reason", "orders", "first row", "cure"], tablefmt="simple")


def plan_table(orders: pd.DataFrame) -> str:
    """Return orders with the code that the service has and the one that it would be sent, as a table."""
    from tabulate import tabulate

    return tabulate(orders.fillna("-").to_numpy().tolist(), headers=list(orders), disable_numparse=True)


def entries_table(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return entries of the quarantine as a table for the task log: ids, reasons and places, and no row."""
    from tabulate import tabulate

    rows = [(e["id"], e["order_id"], "; ".join(e["reasons"]), e["origin"], e["line"]) for e in entries]
    return tabulate(
        rows, headers=["entry", "order", "reasons", "origin", "line"], tablefmt="simple", disable_numparse=True
    )
