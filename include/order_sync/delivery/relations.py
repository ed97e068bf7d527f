"""Relations: how the version of a ready order lies to the one that the ledger knows. Pure pandas."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of
from include.order_sync.model import VERSION


class Relation(StrEnum):
    """How the version of a ready order lies to the highest one that was ever attempted."""

    UNKNOWN = "unknown"  # nothing of this order was ever attempted
    NEWER = "newer"
    SAME = "same"
    OTHER = "other"  # the very same times, and another row of the source: which of the two is later, nobody can tell
    OLDER = "older"


def ranked(ready: pd.DataFrame, known: pd.DataFrame) -> pd.Series:
    """Return the orders' ranks, so that they compare with those of the ledger.

    A rank counts the rows of one window. If another window shows fewer rows of the very same times, its last one has a
    lower rank, though it may well be the latest.

    Args:
        ready: VERSION, source_hash.
        known: VERSION, source_hash and `verdict` of the ledger, row by row.
    """
    comparable = pd.Series(_have_hashes(ready, known), index=ready.index)
    for column in VERSION[:2]:
        comparable &= ready[column] == known[column]
    behind = comparable & (ready["rank"] < known["rank"]).fillna(False).astype("bool")
    return ready["rank"].where(~behind, known["rank"]).astype("int64") if behind.any() else ready["rank"]


def relations(ready: pd.DataFrame, known: pd.DataFrame, *, reads_present: bool) -> dict[Relation, np.ndarray]:
    """Return, for each Relation, a mask of the orders that stand in it. Each order stands in exactly one.

    Args:
        ready: VERSION, source_hash.
        known: VERSION, source_hash and `verdict` of the ledger, row by row; `verdict` is missing where an order is
            unknown.
        reads_present: see SendOptions.
    """
    is_known = known["verdict"].notna().to_numpy(dtype="bool")
    newer, same = np.zeros(len(ready), dtype="bool"), is_known
    for column in VERSION:
        newer = newer | (same & (ready[column] > known[column]).to_numpy(dtype="bool"))
        same = same & (ready[column] == known[column]).to_numpy(dtype="bool")
    # A rejected row has no state at the service that another row could undo.
    other = same & differ(ready["source_hash"], known["source_hash"]) & ~is_(known["verdict"], "rejected")
    other &= _have_hashes(ready, known)
    none = np.zeros(len(ready), dtype="bool")
    return {
        Relation.UNKNOWN: ~is_known,
        Relation.NEWER: newer | (other if reads_present else none),
        Relation.SAME: same & ~other,
        Relation.OTHER: none if reads_present else other,
        Relation.OLDER: is_known & ~newer & ~same,
    }


def repeats(ready: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Return a mask of the orders that say what the accepted row says, at its `status_changed_at`.

    Args:
        ready: VERSION, source_hash.
        known: VERSION, source_hash and `verdict` of the ledger, row by row.
    """
    mask: np.ndarray = is_(known["verdict"], "accepted") & _have_hashes(ready, known)
    for column in ("status_changed_at", "source_hash"):
        mask = mask & is_(ready[column], known[column])
    return mask


def _have_hashes(ready: pd.DataFrame, known: pd.DataFrame) -> np.ndarray:
    """Return a mask of the orders whose hashes say something: 0 is one of several rows, or of an earlier release."""
    mask: np.ndarray = known["verdict"].notna().to_numpy()
    for frame in (ready, known):
        mask = mask & (frame["source_hash"].to_numpy() != 0)
    return mask


def masks_of(column: pd.Series, values: Sequence[str]) -> dict[str, np.ndarray]:
    """Return, for each of these values, a mask of the rows that have it."""
    places = pc.index_in(array_of(column), value_set=pa.array(values, pa.large_string())).fill_null(-1).to_numpy()
    return {value: places == place for place, value in enumerate(values)}


def is_(column: pd.Series, value: str | int | pd.Series) -> np.ndarray:
    """Return a mask of the rows that have the value; a missing one has none."""
    mask: np.ndarray = column.eq(value).fillna(False).to_numpy(dtype="bool")
    return mask


def differ(ours: pd.Series, theirs: pd.Series) -> np.ndarray:
    """Return a mask of the rows in which two columns differ; a missing value differs from every other."""
    mask: np.ndarray = ours.ne(theirs).fillna(True).to_numpy(dtype="bool")
    return mask
