"""Requests in flight: batches that have left and whose answers are still to come."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any

from include.order_sync.delivery.batching import Batch

# A connection that is kept alive is there at once; a new one takes longer.
AT_ONCE_S = 0.05


class InFlight:
    """Limits the batches in flight: at most `connections` at once, and no two with the same order.

    Its threads only ask the service. The thread that sends a batch also takes it out again, with its answer.

    Args:
        ask: sends one batch, and returns its answer or raises. It calls its second argument once the service is
            connected, right before the request leaves.
        connections: how many batches may be in flight at once.
    """

    def __init__(self, ask: Callable[[Batch, Callable[[], None]], Any], connections: int) -> None:
        self._ask = ask
        self._connections = connections
        self._pool = ThreadPoolExecutor(connections, "request")
        self._batches: dict[Future[Any], Batch] = {}
        self._orders: set[str] = set()
        self._answered: SimpleQueue[Future[Any]] = SimpleQueue()

    def __enter__(self) -> InFlight:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def __len__(self) -> int:
        return len(self._batches)

    def has_room_for(self, batch: Batch) -> bool:
        """Return whether the batch may leave now, without waiting for an answer."""
        if len(self) == self._connections:
            return False
        return not self or self._orders.isdisjoint(batch.order_ids)

    def send(self, batch: Batch, begin: Callable[[], None], if_slow: Callable[[], None]) -> None:
        """Send a batch: connect first, then begin it, then let the request leave.

        Args:
            batch: that has room.
            begin: records that the batch begins; an error of it keeps the request back.
            if_slow: called if the connection is not there at once.

        Raises:
            Exception: of `begin`, or of a request that could not be made or found no connection. Nothing was sent.
        """
        connected: SimpleQueue[bool] = SimpleQueue()
        may_leave: SimpleQueue[bool] = SimpleQueue()

        def leave() -> None:
            connected.put(True)
            if not may_leave.get():
                raise CancelledError

        future = self._pool.submit(self._ask, batch, leave)
        future.add_done_callback(lambda _: connected.put(False))
        try:
            if not _first(connected, if_slow):
                raise future.exception() or RuntimeError("a request left without leave")
            begin()
            self._batches[future] = batch
        except BaseException:
            may_leave.put(False)
            raise
        may_leave.put(True)
        if self._connections > 1:
            self._orders.update(batch.order_ids)
        future.add_done_callback(self._answered.put)

    def wait(self, seconds: float) -> bool:
        """Wait for the next answer, but no longer than this; return whether there is one to take."""
        if self._batches:
            return bool(wait(self._batches, max(seconds, 0), FIRST_COMPLETED).done)
        time.sleep(max(seconds, 0))
        return False

    def take(self) -> tuple[Batch, Future[Any]]:
        """Wait for the next answer; return the batch and the answer."""
        future = self._answered.get()
        batch = self._batches.pop(future)
        if self._connections > 1:
            self._orders.difference_update(batch.order_ids)
        return batch, future


def _first(items: SimpleQueue[bool], if_slow: Callable[[], None]) -> bool:
    try:
        return items.get(timeout=AT_ONCE_S)
    except Empty:
        if_slow()
        return items.get()
