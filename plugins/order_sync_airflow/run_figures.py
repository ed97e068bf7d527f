"""The figures of a run: each task pushes those it knows as the XCom `counts`; a later task's figures win."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from airflow.sdk._shared.secrets_masker import redact  # airflow.sdk.log exports mask_secret alone

from include.order_sync.delivery.accounting import OUTCOMES

if TYPE_CHECKING:
    from airflow.sdk import Context

# Marks the DAGs of destinations, for the listener and for people.
TAG = "order-sync"

COUNTS_KEY = "counts"
# What the run is to do, where it is not to deliver; and the first reason why it is red, or why orders are rejected.
KIND_KEY = "kind"
REASON_KEY = "reason"
# The task that waits for a person, if a run would send more notifications than usual.
APPROVE = "approve"
REDRIVE = "order_sync_redrive"
TASKS = ("extract", "transform", APPROVE, "load")
ZERO = dict.fromkeys(("rows", "superseded", "skipped", "orders", *OUTCOMES, "not_for_provider", "requests"), 0)


def merge(by_task: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return all figures of a run: rows = orders + superseded + skipped, and the orders by outcome."""
    figures = dict(ZERO)
    for task in TASKS:
        figures |= by_task.get(task, {})
    return figures


def push_kind(context: Context, kind: str) -> None:
    """Push what the run is to do, as PLAN ONLY, for its note; empty for a run that delivers."""
    context["ti"].xcom_push(KIND_KEY, kind)


def pull_kind(context: Context) -> str:
    """Return what the run is to do, as extract has pushed it."""
    return context["ti"].xcom_pull(task_ids="extract", key=KIND_KEY) or ""


def push_reason(context: Context, reason: str) -> None:
    """Push the reason why the running task fails, or why it rejects orders, for the run's note.

    It may name a path that holds a secret, which Airflow masks in logs alone.
    """
    context["ti"].xcom_push(REASON_KEY, str(redact(reason)))


def push(context: Context, **figures: int) -> None:
    """Push the figures of the running task, together with those of the tasks before it."""
    ti = context["ti"]
    # Figures of the tasks after it are left out: in a run that is cleared they are still the old ones.
    earlier = TASKS[: TASKS.index(ti.task_id)]
    before = {task: ti.xcom_pull(task_ids=task, key=COUNTS_KEY) or {} for task in earlier}
    ti.xcom_push(COUNTS_KEY, merge(before) | figures)


def pull(context: Context, task: str) -> dict[str, int]:
    """Return the figures that `task` pushed."""
    figures: dict[str, int] = context["ti"].xcom_pull(task_ids=task, key=COUNTS_KEY)
    return figures


def ready(figures: Mapping[str, int]) -> int:
    """Return how many orders transform has made ready to be sent."""
    return figures["orders"] - figures["rejected"] - figures["not_for_provider"]
