"""A hash of what the source says of an order at one time: tells a row that was read again from another one."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd

from include.order_sync.columns.text import array_of
from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS, TIES

# These are not what a row says: the order and its version.
_KEYS = ("order_id", "status_changed_at", "updated_at")


def source_hashes(
    raw: pd.DataFrame, orders: pd.DataFrame, alike: pd.Series[bool], send_when: Literal["status", "content"]
) -> pd.Series[int]:
    """Return a 64-bit hash for each row, of all rows of the order that have its very same times.

    It is of the source's words, so a new status map or release changes none. Rows of the very same times share it, in
    any sequence: a query without `order by` may give them in another one each time.

    Args:
        raw: ORDER_COLUMNS that the provider reads, as text.
        orders: its canonical orders, with the same index.
        alike: mask of the rows whose partition hash another row has too: no other rows can be of one order.
        send_when: what makes an order changed: its status label alone, or all columns.
    """
    texts = {"status": orders["status"]}
    if send_when == "content":
        texts |= {column: raw[column] for column in ORDER_COLUMNS if column in raw and column not in (*_KEYS, "status")}
    hashes = pd.Series(_combined(texts), index=orders.index)
    if alike.any():
        said = orders.loc[alike, TIES].assign(source_hash=hashes[alike])
        once = said.drop_duplicates().groupby(TIES, dropna=False)["source_hash"].sum()  # it may overflow
        hashes[alike] = said[TIES].merge(once.reset_index(), on=TIES, how="left")["source_hash"].to_numpy()
    return hashes


def item_hashes(items: pd.DataFrame) -> pd.Series[int]:
    """Return a 64-bit hash of each order's items, in any sequence, by the `position` of its row.

    Args:
        items: canonical items.
    """
    hashes = pd.Series(_combined({column: items[column] for column in ITEM_COLUMNS}), index=items.index)
    return hashes.groupby(items["position"]).sum()


def _combined(texts: dict[str, pd.Series]) -> np.ndarray:
    """Return a hash of each row of some text columns; a missing text is an empty one."""
    combined = np.zeros(len(next(iter(texts.values()))), dtype="uint64")
    for column in texts.values():
        encoded = array_of(column).fill_null("").dictionary_encode()
        words = np.array(encoded.dictionary.to_pylist(), dtype="object")
        hashes = pd.util.hash_array(words, categorize=False) if len(words) else np.zeros(0, dtype="uint64")
        combined = combined * np.uint64(31) + hashes[encoded.indices.to_numpy()]
    return combined.view("int64")
