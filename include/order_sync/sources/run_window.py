"""Decides which orders a run reads, from its request and the ledger's windows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.order_sync import stops
from include.order_sync.errors import StopError
from include.order_sync.model import Window

_DAY = timedelta(days=1)


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
class Healing:
    """How far back a run takes up the time and the files that earlier runs have left.

    Args:
        began: nothing older is read by itself.
        reach: the oldest time that this run may take up.
        left_out: times since `began` that were not read, and are too old for this run.
    """

    began: datetime
    reach: datetime
    left_out: tuple[Window, ...] = ()


@dataclass(frozen=True)
class RunWindow:
    """The orders that a run reads.

    Args:
        window: the time to read; None to read the orders `order_ids` of any time.
        order_ids: the only orders that it may send; empty for all.
        healing: for a run that takes up hours that earlier runs have left.
    """

    window: Window | None
    order_ids: frozenset[str] = frozenset()
    healing: Healing | None = None


@dataclass(frozen=True)
class HealingRule:
    """How far back the scheduled runs of a destination read.

    Args:
        lookback: time before the data interval, for rows that are committed late.
        reconcile: rows that are committed so late are found: one run of each UTC day reads again, from so long before
            the end of the last such reading, or of the day before.
        at_most: time before the window's end that both may reach back. The data interval is always read.
        start_date: of the destination.
        first_run: of the destination.
        began: since when the destination's changes are read by themselves; None before its first scheduled run.
        has_first_reading: whether a run has finished the first reading, which `first_run` chooses.
        reconciled_up_to: the end of the last window that reaches as far back as `reconcile_reach`; None without one.
        unread: times since `began` up to the data interval that no run has read, oldest first.
    """

    lookback: timedelta
    reconcile: timedelta
    at_most: timedelta
    start_date: datetime
    first_run: Literal["adopt", "send", "window"] = "window"
    began: datetime | None = None
    has_first_reading: bool = False
    reconciled_up_to: datetime | None = None
    unread: tuple[Window, ...] = ()

    def begin(self, interval: Window) -> datetime:
        """Return since when changes are read by themselves, if the run with this data interval is the first one."""
        return {"adopt": interval.end, "send": self.start_date, "window": interval.start}[self.first_run]

    def run_window(self, interval: Window) -> RunWindow:
        """Return the orders that the scheduled run with this data interval reads."""
        if self.first_run != "window" and not self.has_first_reading:
            start = min(self.start_date, interval.start)
            return RunWindow(Window(start, interval.end), healing=Healing(start, start))
        began = self.begin(interval) if self.began is None else self.began
        # A person may run an older data interval.
        start = max(interval.start - self.lookback, min(began, interval.start))
        reach = min(start, max(interval.end - self.at_most, began))
        starts = [start, *(max(time.start, reach) for time in self.unread if time.end > reach)]
        last = self.reconciled_up_to
        if self.reconcile and not (last and last.date() >= interval.end.astimezone(UTC).date()):
            # What the last reading has seen need not be read again. Nobody asked for orders before the first window.
            since = min(last or interval.end, interval.end - _DAY)
            starts.append(max(since - self.reconcile, reach))
        left_out = tuple(Window(time.start, min(time.end, reach)) for time in self.unread if time.start < reach)
        return RunWindow(Window(min(starts), interval.end), healing=Healing(began, reach, left_out))


def reconcile_reach(reconcile: timedelta, at_most: timedelta) -> timedelta:
    """Return how far before its end a run must read to be the reconcile of its day."""
    return min(reconcile + _DAY, at_most)


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
    if window := given_window(request):
        return RunWindow(window, request.order_ids)
    if request.by == "backfill" and request.interval:
        return RunWindow(request.interval, request.order_ids)
    if request.order_ids:
        if has_ids_query:
            return RunWindow(None, request.order_ids)
        raise StopError(
            stops.NO_IDS_QUERY,
            "The source has no `by_ids_query`, so orders can't be read by their ids alone: trigger the run again with "
            "the params `from` and `to` of a time in which they changed, or give the source such a query.",
        )
    if request.interval is None:
        raise StopError(
            stops.NO_WINDOW,
            "This run has no data interval, so nothing says which orders to read: trigger it again with the "
            "params `from` and `to`, or with a logical date.",
        )
    return healing.run_window(request.interval)


def given_window(request: RunRequest) -> Window | None:
    """Return the time from `from` up to `to`; None without them.

    Raises:
        StopError: one of them is missing, `to` does not lie after `from`, or the run is no manual one.
    """
    start, end = request.start, request.end
    if start is None and end is None:
        return None
    if request.by != "person":
        given = " and ".join(f"`{name}` ({time})" for name, time in (("from", start), ("to", end)) if time)
        raise StopError(
            stops.WRONG_PARAM,
            f"Only manual runs take `from` and `to`, and this one has {given}: it reads its own data interval. Leave "
            "them empty.",
        )
    if start is None or end is None:
        has, lacks = ("to", "from") if start is None else ("from", "to")
        raise StopError(
            stops.WRONG_PARAM,
            f"The param `{has}` is {start or end}, and `{lacks}` is empty: give both params, or neither.",
        )
    if start >= end:
        raise StopError(
            stops.WRONG_PARAM, f"The param `from` ({start}) must lie before `to` ({end}). Correct one of them."
        )
    return Window(start, end)
