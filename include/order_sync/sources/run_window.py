"""Which orders a run reads: times in, a window out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from include.order_sync.errors import StopError
from include.order_sync.model import Window


@dataclass(frozen=True)
class RunRequest:
    """What a run is asked to read.

    Args:
        by: what started it.
        interval: its data interval; a manual run without a logical date has none.
        start, end: a manual run's `from` and `to`.
        order_ids: the only orders that it may send; empty means all.
    """

    by: Literal["schedule", "backfill", "person"]
    interval: Window | None = None
    start: datetime | None = None
    end: datetime | None = None
    order_ids: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RunWindow:
    """What a run reads.

    Args:
        window: the time; None where it reads the orders `order_ids` whatever their time.
        order_ids: the only orders that it may send; empty means all.
        heals: whether it takes up what earlier runs have left, or reads this window and no more.
    """

    window: Window | None
    order_ids: frozenset[str] = frozenset()
    heals: bool = False


@dataclass(frozen=True)
class HealingRule:
    """How far back a destination's scheduled runs read.

    Args:
        lookback: before the data interval, for rows that are committed late.
        reconcile: once a day, before the window's end.
        gapless: what the destination has read without a hole, as the ledger knows; None before its first run.
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
                # The first run of a UTC day. What lies before the destination's first window, nobody asked for.
                start = min(start, max(interval.end - self.reconcile, self.gapless.start))
        return Window(start, interval.end)


def run_window(asked: RunRequest, reach: HealingRule, *, has_ids_query: bool) -> RunWindow:
    """Return what a run reads.

    Args:
        asked: what it is asked to read.
        reach: how far back it reads if it is a scheduled one, or a person's with a data interval alone.
        has_ids_query: whether the source can give orders by their ids, without a window.

    Raises:
        StopError: it names no window, half of one, or one that ends before it starts; or a run that is not a
            person's has `from` or `to`.
    """
    narrowed = RunWindow(None, asked.order_ids)
    if asked.start is not None or asked.end is not None:
        return replace(narrowed, window=_from_to(asked))
    if asked.by == "backfill" and asked.interval:
        return replace(narrowed, window=asked.interval)
    if asked.order_ids:
        if has_ids_query:
            return narrowed
        raise StopError(
            "The source has no `by_ids_query`, so orders can't be read by their ids alone: trigger the run again with "
            "the params `from` and `to` of a time in which they changed, or give the source such a query."
        )
    if asked.interval is None:
        raise StopError(
            "This run has no data interval, so nothing says which orders to read: trigger it again with the "
            "params `from` and `to`, or with a logical date."
        )
    return RunWindow(reach.window_for(asked.interval), heals=True)


def _from_to(asked: RunRequest) -> Window:
    if asked.by != "person":
        raise StopError("The params `from` and `to` are for manual runs: this one reads its own data interval.")
    if asked.start is None or asked.end is None:
        raise StopError("Give both params, `from` and `to`, or neither.")
    if asked.start >= asked.end:
        raise StopError(f"The param `from` ({asked.start}) must lie before `to` ({asked.end}).")
    return Window(asked.start, asked.end)
