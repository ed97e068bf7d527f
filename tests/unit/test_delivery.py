"""Batches: no order lost, none twice in a request, an order's changes one after the other."""

from collections import Counter

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from include.order_sync.delivery import batches
from include.order_sync.planner import payload_hashes

# Parts: for each, how many changes each of its orders has.
PARTS = st.lists(st.lists(st.integers(1, 4), max_size=12), max_size=5)


def frames(parts: list[list[int]]) -> list[pd.DataFrame]:
    """Return parts whose orders have so many changes, each order in one part, rows in any order of orders."""
    made = []
    for number, part in enumerate(parts):
        rows = [(f"{number}-{order}", change) for order, changes in enumerate(part) for change in range(changes)]
        made.append(pd.DataFrame(rows, columns=["order_id", "change"]).astype({"change": "int64"}))
    return made


@given(PARTS, st.integers(1, 7))
def test_batches_keep_the_promise(parts, max_orders):
    """Each change is in one batch; no batch is empty, too large, or has an order twice; changes keep their order."""
    made = list(batches(frames(parts), max_orders))
    for batch in made:
        assert 1 <= len(batch) <= max_orders
        assert batch["order_id"].is_unique
    sent = [tuple(row) for batch in made for row in batch[["order_id", "change"]].itertuples(index=False)]
    assert Counter(sent) == Counter(tuple(row) for part in frames(parts) for row in part.itertuples(index=False))
    changes_seen: dict[str, int] = {}
    for order_id, change in sent:
        assert change == changes_seen.get(order_id, 0)
        changes_seen[order_id] = change + 1


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(1, 7))
def test_batches_are_full_over_parts(sizes, max_orders):
    """Orders of one change each fill their batches across parts: no request more than needed."""
    made = list(batches(frames([[1] * size for size in sizes]), max_orders))
    assert len(made) == -(-sum(sizes) // max_orders)


def test_payloads_hash_as_they_always_did():
    """Other hashes than the ledger's would make every order look changed, once."""
    hashes = payload_hashes(pd.Series(['{"id":"1","status":0}', "Шевченко"], dtype="str"))
    assert hashes.tolist() == [2952551920460606950, 7992230073795117284]
