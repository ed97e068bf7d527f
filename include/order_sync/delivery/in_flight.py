"""Batches under way: requests that have left and whose answers are still to come."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from types import TracebackType
from typing import Any

from include.order_sync.delivery.batching import Batch


class InFlight:
    """At most so many batches at once, and of no order two.

    Threads do nothing but ask the service; whoever has put a batch in here takes it out again, with its answer.

    Args:
        ask: sends one batch, and returns what came of it or raises.
        connections: how many batches may be under way at once.
    """

    def __init__(self, ask: Callable[[Batch], Any], connections: int) -> None:
        self._ask = ask
        self._connections = connections
        self._pool = ThreadPoolExecutor(connections, "request")
        self._under_way: dict[Future[Any], Batch] = {}
        self._orders: set[str] = set()
        self._answered: SimpleQueue[Future[Any]] = SimpleQueue()

    def __enter__(self) -> InFlight:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def __len__(self) -> int:
        return len(self._under_way)

    def has_place_for(self, batch: Batch) -> bool:
        """Tell whether the batch may leave now: no answer is to come first."""
        if len(self) == self._connections:
            return False
        return not self or self._orders.isdisjoint(batch.order_ids)

    def send(self, batch: Batch) -> None:
        """Let a batch leave."""
        future = self._pool.submit(self._ask, batch)
        self._under_way[future] = batch
        if self._connections > 1:
            self._orders.update(batch.order_ids)
        future.add_done_callback(self._answered.put)

    def take(self) -> tuple[Batch, Future[Any]]:
        """Wait for the next answer, and return the batch and what came of it."""
        future = self._answered.get()
        batch = self._under_way.pop(future)
        if self._connections > 1:
            self._orders.difference_update(batch.order_ids)
        return batch, future
