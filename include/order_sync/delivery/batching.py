"""Batches: orders that go in one request, cut from lots that are written down at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from include.order_sync import tuning

# What a batch needs of its orders: to be written down, to be sent, and to find their rows for the quarantine.
BATCH_COLUMNS = ["order_id", "attempt", "payload", "held_if_in_doubt", "partition_hash", "position", "rank"]


@dataclass(frozen=True)
class Batch:
    """Orders that go in one request, and are written down in the ledger.

    Args:
        number: in the ledger.
        order_ids: no order twice.
        payloads: one an order.
        lot: BATCH_COLUMNS of these orders and others.
        start: where in the lot these begin.
    """

    number: int
    order_ids: Sequence[str]
    payloads: Sequence[str]
    lot: pd.DataFrame
    start: int

    def __len__(self) -> int:
        return len(self.order_ids)

    @property
    def orders(self) -> pd.DataFrame:
        """BATCH_COLUMNS of its orders."""
        return self.lot.iloc[self.start : self.start + len(self)]


def sizes_of(lot: pd.DataFrame, max_orders: int) -> list[int]:
    """Return how many orders each batch of a lot has."""
    return [min(max_orders, len(lot) - start) for start in range(0, len(lot), max_orders)]


def batches_of(lot: pd.DataFrame, numbers: Sequence[int], max_orders: int) -> list[Batch]:
    """Return the batches of a lot, that have got these numbers."""
    order_ids, payloads = lot["order_id"].tolist(), lot["payload"].tolist()
    return [
        Batch(number, order_ids[start : start + max_orders], payloads[start : start + max_orders], lot, start)
        for number, start in zip(numbers, range(0, len(lot), max_orders), strict=True)
    ]


class LedgerWrites:
    """Gathers orders part by part, and gives them out in lots that are cut into batches as they are.

    No lot is empty, no batch has an order twice, an order's changes come one after the other, and only the last batch
    before an order's next change, or before the end, is not full.

    Args:
        max_orders: the most that a batch may hold.
    """

    def __init__(self, max_orders: int) -> None:
        self._max_orders = max_orders
        self._waiting: list[pd.DataFrame] = []

    def of(self, part: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the lots that a part's orders complete.

        Args:
            part: `order_id`, `partition_hash`, and what else an order carries; all changes of an order, in order.
        """
        # Only orders of the same hash can be the same order.
        several = not part["partition_hash"].is_unique
        changes = part.groupby(part.groupby("order_id").cumcount()) if several else [(0, part)]
        for change, orders in changes:
            if change:
                # The orders' earlier changes must have their verdict first.
                yield from self.rest()
            self._waiting.append(orders)
            if sum(map(len, self._waiting)) >= self._max_orders:
                yield from self._taken(whole_batches=True)

    def rest(self) -> Iterator[pd.DataFrame]:
        """Yield what is left."""
        yield from self._taken(whole_batches=False)

    def _taken(self, *, whole_batches: bool) -> Iterator[pd.DataFrame]:
        if not self._waiting:
            return
        orders = pd.concat(self._waiting, ignore_index=True)
        self._waiting.clear()
        end = len(orders) - len(orders) % self._max_orders if whole_batches else len(orders)
        step = max(tuning.LEDGER_WRITE_ORDERS - tuning.LEDGER_WRITE_ORDERS % self._max_orders, self._max_orders)
        for start in range(0, end, step):
            yield orders.iloc[start : min(start + step, end)]
        if end < len(orders):
            self._waiting.append(orders.iloc[end:])
