"""The figures of a run: each task pushes those it knows as the XCom `counts`, and the later task's win."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

_STATUS_WORD = re.compile(r"[^\W\d]?[\w-]{0,30}|\d{1,3}")

# What marks the DAGs of destinations, for the listener and for people.
TAG = "order-sync"

COUNTS_KEY = "counts"
TASKS = ("extract", "transform", "load")
# What can become of an order in load.
OUTCOMES = ("accepted", "rejected", "unchanged", "stale", "held")
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


def reasons_table(reasons: Counter[str]) -> str:
    """Return how many orders each reason rejected, as a table for the task log."""
    from tabulate import tabulate

    return tabulate(reasons.most_common(), headers=["reason", "orders"], tablefmt="simple")


def entries_table(entries: Iterable[Mapping[str, Any]]) -> str:
    """Return entries of the quarantine as a table for the task log: ids, reasons and places, and no row."""
    from tabulate import tabulate

    rows = [(e["id"], e["order_id"], "; ".join(e["reasons"]), e["origin"], e["line"]) for e in entries]
    return tabulate(
        rows, headers=["entry", "order", "reasons", "origin", "line"], tablefmt="simple", disable_numparse=True
    )


def words_table(words: Counter[str]) -> str:
    """Return how many orders carried each unknown word; what may be no status word at all is not shown.

    A row that has slipped by a column has a name, an address or a phone where its status should be.
    """
    from tabulate import tabulate

    shown: Counter[str] = Counter()
    for word, orders in words.items():
        shown[word if _STATUS_WORD.fullmatch(word) else "(no status word)"] += orders
    return tabulate(shown.most_common(), headers=["word", "orders"], tablefmt="simple")
