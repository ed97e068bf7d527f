"""Batches lose no order, hold no order twice, and keep an order's changes in sequence."""

import gc
import weakref
from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync import tuning
from include.order_sync.delivery.batching import Batch, LedgerWrites, batches_of, sizes_of
from include.order_sync.staging.partition_hash import partition_hash

# For each part, the number of changes of each of its orders.
PARTS = st.lists(st.lists(st.integers(1, 4), max_size=12), max_size=5)


def frames(parts: list[list[int]]) -> list[pd.DataFrame]:
    """Return parts whose orders have these numbers of changes, each order in one part, in any sequence of orders."""
    made = []
    for number, part in enumerate(parts):
        rows = [
            (f"{number}-{order}", partition_hash(f"{number}-{order}"), change, f"{number}-{order}: {change}")
            for order, changes in enumerate(part)
            for change in range(changes)
        ]
        columns = ["order_id", "partition_hash", "change", "payload"]
        made.append(pd.DataFrame(rows, columns=columns).astype({"change": "int64", "partition_hash": "int32"}))
    return made


def batches(parts: list[pd.DataFrame], max_orders: int) -> list[Batch]:
    """Return the batches of all ledger writes, and check that no write is too large."""
    writes = LedgerWrites(max_orders)
    made = [*[write for part in parts for write in writes.add(part)], *writes.rest()]
    assert all(len(write) <= max(tuning.LEDGER_WRITE_ORDERS, max_orders) for write in made)
    return [batch for write in made for batch in batches_of(write, sizes_of(write, max_orders), max_orders)]


@given(PARTS, st.integers(1, 7))
def test_batches_keep_the_promise(parts, max_orders):
    """Each change is in one batch; none is empty, too large or repeats an order; changes keep their sequence."""
    made = batches(frames(parts), max_orders)
    for batch in made:
        assert 1 <= len(batch) <= max_orders
        assert len(set(batch.order_ids)) == len(batch)
        assert batch.number == len(batch) == len(batch.payloads)
        assert batch.orders["order_id"].tolist() == batch.order_ids
        assert batch.orders["payload"].tolist() == batch.payloads
    sent = [tuple(row) for batch in made for row in batch.orders[["order_id", "change"]].itertuples(index=False)]
    assert Counter(sent) == Counter(
        tuple(row) for part in frames(parts) for row in part[["order_id", "change"]].itertuples(index=False)
    )
    changes_seen: dict[str, int] = {}
    for order_id, change in sent:
        assert change == changes_seen.get(order_id, 0)
        changes_seen[order_id] = change + 1


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 7))
def test_batches_are_full_over_parts(sizes, max_orders):
    """Orders with one change each fill their batches across parts, so no request is wasted."""
    made = batches(frames([[1] * size for size in sizes]), max_orders)
    assert len(made) == -(-sum(sizes) // max_orders)


def test_a_large_part_is_cut_into_ledger_writes(monkeypatch):
    """A ledger write holds as many whole batches as its limit allows, and at least one."""
    monkeypatch.setattr(tuning, "LEDGER_WRITE_ORDERS", 10)
    (part,) = frames([[1] * 30])
    assert [len(write) for write in LedgerWrites(4).add(part)] == [8, 8, 8, 4]
    assert [len(write) for write in LedgerWrites(15).add(part)] == [15, 15]


def test_a_part_with_nothing_to_send_is_not_kept():
    """Its empty frame may be a view: a load whose parts are all unchanged would hold each of them to its end."""
    writes, numbers = LedgerWrites(1000), np.zeros((1000, 2))
    is_there = weakref.ref(numbers)
    part = pd.DataFrame(numbers, columns=["order_id", "partition_hash"], copy=False)
    assert list(writes.add(part[:0])) == []
    del numbers, part
    gc.collect()
    assert is_there() is None
    assert list(writes.rest()) == []
