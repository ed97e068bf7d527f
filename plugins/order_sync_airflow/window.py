"""What a run is asked to read, as its Airflow context says it; and its window, as tasks hand it on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk.timezone import parse

from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.reading import Asked

if TYPE_CHECKING:
    from airflow.sdk import Context

WINDOW_KEY = "window"


def asked_of(context: Context) -> Asked:
    """Return what the run is asked to read."""
    run_type = context["dag_run"].run_type
    start = context.get("data_interval_start")
    return Asked(
        by={"manual": "person", "backfill": "backfill"}.get(run_type, "schedule"),
        # A manual run without a logical date has no data interval: the keys are absent.
        interval=Window(start, context["data_interval_end"]) if start else None,
        start=param_time(context, "from"),
        end=param_time(context, "to"),
        order_ids=frozenset(order_id.strip() for order_id in context["params"].get("order_ids") or ()),
    )


def push(context: Context, window: Window | None) -> None:
    """Hand the window that extract has read on; None where its end says nothing about what is read up to then."""
    texts = None if window is None else {"start": window.start.isoformat(), "end": window.end.isoformat()}
    context["ti"].xcom_push(WINDOW_KEY, texts)


def pull(context: Context) -> Window | None:
    """Return the window that extract has handed on."""
    texts = context["ti"].xcom_pull(task_ids="extract", key=WINDOW_KEY)
    return None if texts is None else Window(*(datetime.fromisoformat(texts[name]) for name in ("start", "end")))


def param_time(context: Context, name: str) -> datetime | None:
    """Return the time of a param, or None where it is empty; without an offset it is UTC."""
    text = context["params"].get(name)
    if not text:
        return None
    try:
        time = parse(text)
    except ValueError:
        raise StopError(f"The param `{name}` is {text!r}: give a time as 2026-11-21T13:00:00+02:00.") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
