"""Stale orders: which of them the source has changed, and how a run that trusts the source overrules the ledger."""

from __future__ import annotations

import numpy as np
import pandas as pd

from include.order_sync.delivery.decision_table import SendOptions
from include.order_sync.delivery.relations import Relation, relations
from include.order_sync.ledger.reasons import OLDER, SET_BACK_REASON, UNDECIDED_REASON
from include.order_sync.model import NO_TIME, VERSION


def reasons_of(
    orders: pd.DataFrame, known: pd.DataFrame, relation: dict[Relation, np.ndarray], options: SendOptions
) -> pd.Series[str]:
    """Return the reason why each order would be stale.

    An older row is a change of the source if it says something else than the attempted row, would give the service
    another code (or payload), and was written later, or is the newest that the source has.

    Args:
        orders: READY_COLUMNS and `payload_hash`, an order's changes in order.
        known: STATE_COLUMNS of the ledger, row by row.
        relation: of the orders to these.
        options: of the run.
    """
    reasons = pd.Series(OLDER, index=orders.index, dtype="str").mask(relation[Relation.OTHER], UNDECIDED_REASON)
    older = relation[Relation.OLDER]
    if not older.any():
        return reasons
    column = "code" if options.send_when == "status" else "payload_hash"
    changed = orders[column].ne(known[column]).fillna(True) & orders["source_hash"].ne(known["source_hash"])
    written_later = (orders["updated_at"] > known["updated_at"]) & known["updated_at"].ne(NO_TIME)
    is_newest = ~orders["order_id"].duplicated(keep="last")
    return reasons.mask(older & is_newest & changed & (written_later | options.shows_newest), SET_BACK_REASON)


def as_newest(orders: pd.DataFrame, known: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series[bool]]:
    """Return the orders with versions that count as newer than the ledger's, and a mask of those that were older.

    Only the last row of an order is lifted, to the times of the ledger's version. Its rank is one more if the row says
    something else than the attempted one. So the ledger's versions still only grow.

    Args:
        orders: READY_COLUMNS with comparable ranks, an order's changes in order.
        known: STATE_COLUMNS of the ledger, row by row.
    """
    older = pd.Series(relations(orders, known, reads_present=False)[Relation.OLDER], index=orders.index)
    older &= ~orders["order_id"].duplicated(keep="last")
    if not older.any():
        return orders, older
    other = orders["source_hash"].ne(known["source_hash"])
    lifted = {column: orders[column].mask(older, known[column]) for column in VERSION[:2]}
    rank = orders["rank"].mask(older, known["rank"] + other.astype("int64")).astype("int64")
    return orders.assign(**lifted, rank=rank), older & other
