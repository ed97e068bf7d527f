"""Batches: the orders of one request. They are cut from ledger writes, groups of batches that are recorded at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync import tuning
from include.order_sync.columns.text import array_of

# The columns that a batch needs: to be recorded, to be sent, and to find its rows for the quarantine.
BATCH_COLUMNS = [
    "order_id",
    "attempt",
    "payload",
    "held_if_in_doubt",
    "partition_hash",
    "position",
    "rank",
    "source_hash",
    "change",
]


@dataclass(frozen=True)
class Batch:
    """The orders of one request, recorded in the ledger.

    Args:
        number: in the ledger.
        order_ids: no order twice.
        payloads: one for each order.
        write: BATCH_COLUMNS of all orders of its ledger write.
        start: the batch's first row there.
    """

    number: int
    order_ids: Sequence[str]
    payloads: Sequence[str]
    write: pd.DataFrame
    start: int

    def __len__(self) -> int:
        return len(self.order_ids)

    @property
    def orders(self) -> pd.DataFrame:
        """BATCH_COLUMNS of its orders."""
        return self.write.iloc[self.start : self.start + len(self)]

    def changes(self, refused: Sequence[bool]) -> dict[str, int]:
        """Return how many of its orders have each change, as planning.py joins its codes.

        Args:
            refused: which of the orders do not count.
        """
        changes = array_of(self.write["change"].iloc[self.start : self.start + len(self)])
        if any(refused):
            changes = changes.filter(pc.invert(pa.array(refused)))
        # Python would take three times as long.
        return {change["values"]: change["counts"] for change in pc.value_counts(changes).to_pylist()}


def sizes_of(write: pd.DataFrame, max_orders: int) -> list[int]:
    """Return the number of orders in each batch of a ledger write."""
    return [min(max_orders, len(write) - start) for start in range(0, len(write), max_orders)]


def batches_of(write: pd.DataFrame, numbers: Sequence[int], max_orders: int) -> list[Batch]:
    """Return the batches of a ledger write.

    Args:
        write: BATCH_COLUMNS.
        numbers: of the batches, in order, as the ledger gave them.
        max_orders: the most that a batch may hold.
    """
    order_ids, payloads = write["order_id"].tolist(), write["payload"].tolist()
    return [
        Batch(number, order_ids[start : start + max_orders], payloads[start : start + max_orders], write, start)
        for number, start in zip(numbers, range(0, len(write), max_orders), strict=True)
    ]


class LedgerWrites:
    """Collects orders part by part, and gives them out in ledger writes, which are cut into batches as they are.

    Invariants:
    - no ledger write is empty, and no batch has an order twice;
    - an order's changes come one after the other;
    - every batch is full but the last one before an order's next change, and the last one of all.

    Args:
        max_orders: the most that a batch may hold.
    """

    def __init__(self, max_orders: int) -> None:
        self._max_orders = max_orders
        self._waiting: list[pd.DataFrame] = []

    def add(self, part: pd.DataFrame) -> Iterator[pd.DataFrame]:
        """Yield the ledger writes that a part's orders complete.

        Args:
            part: `order_id`, `partition_hash`, and any other columns; all changes of an order, in order.
        """
        # Equal hashes are not always one order, but one order always has equal hashes.
        several = not part["partition_hash"].is_unique
        changes = part.groupby(part.groupby("order_id").cumcount()) if several else [(0, part)]
        for change, orders in changes:
            if change:
                # The orders' earlier changes must have their verdict first.
                yield from self.rest()
            if len(orders):  # an empty one may be a view, which keeps its whole part in memory
                self._waiting.append(orders)
            if sum(map(len, self._waiting)) >= self._max_orders:
                yield from self._taken(whole_batches=True)

    def rest(self) -> Iterator[pd.DataFrame]:
        """Yield the orders that are left."""
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
