"""Which window a run reads, from its data interval or its params."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow.sdk.timezone import parse

from include.order_sync.errors import StopError
from include.order_sync.model import Window

if TYPE_CHECKING:
    from airflow.sdk import Context


def window_of(context: Context) -> Window:
    """Return the window: a manual run's `from` and `to`, else the run's data interval.

    Raises:
        StopError: a manual run names no window, half of one, or one that ends before it starts; or a run that is
            not manual has `from` or `to`.
    """
    start, end = (param_time(context, name) for name in ("from", "to"))
    if start is None and end is None:
        # A manual run without a logical date has no data interval: the keys are absent.
        if context.get("data_interval_start") is None:
            raise StopError(
                "This run has no data interval, so nothing says which orders to read: trigger it again with the "
                "params `from` and `to`, or with a logical date."
            )
        return Window(context["data_interval_start"], context["data_interval_end"])
    if context["dag_run"].run_type != "manual":
        raise StopError("The params `from` and `to` are for manual runs: this one reads its own data interval.")
    if start is None or end is None:
        raise StopError("Give both params, `from` and `to`, or neither.")
    if start >= end:
        raise StopError(f"The param `from` ({start}) must lie before `to` ({end}).")
    return Window(start, end)


def narrowed_ids(context: Context) -> frozenset[str]:
    """Return the ids of the param `order_ids`: the only orders that the run may send; empty means all."""
    return frozenset(order_id.strip() for order_id in context["params"].get("order_ids") or ())


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
