"""Requests in flight: batches that have left and whose answers are still to come."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from include.order_sync.delivery.batching import Batch


class InFlight:
    """Limits the batches in flight: at most `connections` at once, and no two with the same order.

    Its threads only ask the service. The thread that sends a batch also takes it out again, with its answer.

    Args:
        ask: sends one batch, and returns its answer or raises.
        connections: how many batches may be in flight at once.
    """

    def __init__(self, ask: Callable[[Batch], Any], connections: int) -> None:
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

    def send(self, batch: Batch) -> None:
        """Send a batch."""
        future = self._pool.submit(self._ask, batch)
        self._batches[future] = batch
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
