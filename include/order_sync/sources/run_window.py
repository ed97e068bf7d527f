"""Decides which orders a run reads, from its request and the ledger's windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.order_sync.errors import StopError
from include.order_sync.model import Window


@dataclass(frozen=True)
class RunRequest:
    """The request of a run: its origin, data interval and params.

    Args:
        by: the origin of the run.
        interval: its data interval; None for a manual run without a logical date.
        start, end: a manual run's `from` and `to`.
        order_ids: the only orders that it may send; empty for all.
    """

    by: Literal["schedule", "backfill", "person"]
    interval: Window | None = None
    start: datetime | None = None
    end: datetime | None = None
    order_ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RunWindow:
    """The orders that a run reads.

    Args:
        window: the time to read; None to read the orders `order_ids` of any time.
        order_ids: the only orders that it may send; empty for all.
        heals: whether the window also covers hours that earlier runs have left.
    """

    window: Window | None
    order_ids: frozenset[str] = frozenset()
    heals: bool = False


@dataclass(frozen=True)
class HealingRule:
    """How far back the scheduled runs of a destination read.

    Args:
        lookback: time before the data interval, for rows that are committed late.
        reconcile: time before the window's end that the first run of a UTC day reads again.
        gapless: the time that the destination has read without a hole; None before its first run.
    """

    lookback: timedelta
    reconcile: timedelta
    gapless: Window | None = None

    def window_for(self, interval: Window) -> Window:
        """Return the window of the scheduled run with this data interval."""
        start = interval.start - self.lookback
        if self.gapless:
            start = min(start, self.gapless.end)
            if interval.start.astimezone(UTC).date() < interval.end.astimezone(UTC).date():
                # The first run of a UTC day. Nobody asked for orders before the destination's first window.
                start = min(start, max(interval.end - self.reconcile, self.gapless.start))
        return Window(start, interval.end)


def run_window(request: RunRequest, healing: HealingRule, *, has_ids_query: bool) -> RunWindow:
    """Return the orders that a run reads.

    Args:
        request: of the run.
        healing: for a scheduled run, or a manual one with a data interval alone.
        has_ids_query: whether the source can give orders by their ids, without a window.

    Raises:
        StopError: the request names no window, half of one, or one that ends before it starts; or it has `from` or
            `to` and is no manual run.
    """
    narrowed = RunWindow(None, request.order_ids)
    if request.start is not None or request.end is not None:
        return replace(narrowed, window=_from_to(request))
    if request.by == "backfill" and request.interval:
        return replace(narrowed, window=request.interval)
    if request.order_ids:
        if has_ids_query:
            return narrowed
        raise StopError(
            "The source has no `by_ids_query`, so orders can't be read by their ids alone: trigger the run again with "
            "the params `from` and `to` of a time in which they changed, or give the source such a query."
        )
    if request.interval is None:
        raise StopError(
            "This run has no data interval, so nothing says which orders to read: trigger it again with the "
            "params `from` and `to`, or with a logical date."
        )
    return RunWindow(healing.window_for(request.interval), heals=True)


def _from_to(request: RunRequest) -> Window:
    if request.by != "person":
        raise StopError("The params `from` and `to` are for manual runs: this one reads its own data interval.")
    if request.start is None or request.end is None:
        raise StopError("Give both params, `from` and `to`, or neither.")
    if request.start >= request.end:
        raise StopError(f"The param `from` ({request.start}) must lie before `to` ({request.end}).")
    return Window(request.start, request.end)
