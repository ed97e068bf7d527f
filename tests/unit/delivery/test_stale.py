"""Stale orders: the reason of each, and how a run that trusts the source overrules the ledger."""

import pandas as pd
import pytest

from include.order_sync.delivery.decision_table import SendOptions
from include.order_sync.delivery.relations import relations
from include.order_sync.delivery.stale import OLDER, as_newest, reasons_of
from include.order_sync.ledger.reasons import SET_BACK_REASON, UNDECIDED_REASON
from include.order_sync.model import NO_TIME

TEN, ELEVEN = (pd.Timestamp(f"2026-11-21T{hour}:00Z") for hour in (10, 11))


def frames(*orders: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the ready orders and the ledger's state of each, from their differences.

    Without one, the ready row says something else at an earlier time than the attempted one, and was written later.
    """
    ready, known = [], []
    for number, differences in enumerate(orders):
        order = {"order_id": str(number), "code": "PAID", "payload_hash": 1, "source_hash": 1, "rank": 0}
        order |= {"status_changed_at": TEN, "updated_at": ELEVEN}
        state = {"code": "SENT", "payload_hash": 2, "source_hash": 2, "rank": 0, "verdict": "accepted"}
        state |= {"status_changed_at": ELEVEN, "updated_at": TEN}
        for name, value in differences.items():
            (state if name.startswith("known_") else order)[name.removeprefix("known_")] = value
        ready.append(order)
        known.append(state)
    integers = {"payload_hash": "Int64"}
    return pd.DataFrame(ready).astype(integers), pd.DataFrame(known).astype(integers).astype({"source_hash": "Int64"})


def reasons(*orders: dict, **options) -> list[str]:
    """Return the reason of each order."""
    ready, known = frames(*orders)
    send_options = SendOptions(**options)
    relation = relations(ready, known, reads_present=False)
    return reasons_of(ready, known, relation, send_options).tolist()


@pytest.mark.parametrize(
    ("order", "options", "reason"),
    [
        ({}, {}, SET_BACK_REASON),
        ({"known_code": "PAID"}, {}, OLDER),
        ({"known_code": "PAID"}, {"send_when": "content"}, SET_BACK_REASON),
        ({"known_payload_hash": 1}, {"send_when": "content"}, OLDER),
        ({"known_payload_hash": pd.NA}, {"send_when": "content"}, SET_BACK_REASON),
        ({"known_source_hash": 1}, {}, OLDER),
        ({"updated_at": TEN}, {}, OLDER),
        ({"updated_at": TEN}, {"shows_newest": True}, SET_BACK_REASON),
        ({"known_updated_at": NO_TIME}, {}, OLDER),
        ({"known_status_changed_at": TEN, "known_updated_at": ELEVEN}, {}, UNDECIDED_REASON),
    ],
    ids=[
        "written later",
        "the same code",
        "another payload",
        "the same payload",
        "an unknown payload",
        "the very same row",
        "written at the same time",
        "the newest of the source",
        "nobody knows when the other was written",
        "the very same times",
    ],
)
def test_an_order_is_stale_for_a_reason(order, options, reason):
    """An older row is a change of the source only if it says something else and was written later, or is the newest."""
    assert reasons(order, **options) == [reason]


def test_only_the_last_row_of_an_order_is_a_change_of_the_source():
    """Its earlier rows are simply older; the other orders of the part keep their own reasons."""
    found = reasons(
        {"order_id": "A"},
        {"order_id": "A"},
        {"order_id": "B", "known_status_changed_at": TEN, "known_updated_at": ELEVEN},
        {"order_id": "C", "known_source_hash": 1},
    )
    assert found == [OLDER, SET_BACK_REASON, UNDECIDED_REASON, OLDER]


def test_a_trusted_source_lifts_the_last_row_of_each_older_order():
    """It gets the times of the ledger and the next rank; the other rows stay as they are."""
    ready, known = frames(
        {"order_id": "A"},
        {"order_id": "A", "known_rank": 4},
        {"order_id": "B", "known_rank": 4, "known_source_hash": 1},
        {"order_id": "C", "status_changed_at": ELEVEN, "rank": 7},
    )
    lifted, overruled = as_newest(ready, known)
    assert overruled.tolist() == [False, True, False, False]
    assert lifted["status_changed_at"].tolist() == [TEN, ELEVEN, ELEVEN, ELEVEN]
    assert lifted["updated_at"].tolist() == [ELEVEN, TEN, TEN, ELEVEN]
    assert lifted["rank"].tolist() == [0, 5, 4, 7]
    assert lifted["rank"].dtype == "int64"
    assert lifted["code"].tolist() == ["PAID"] * 4


def test_a_trusted_source_that_is_not_older_lifts_nothing():
    """Orders that are newer than the ledger's stay as they are."""
    ready, known = frames({"status_changed_at": ELEVEN})
    lifted, overruled = as_newest(ready, known)
    assert lifted is ready
    assert overruled.tolist() == [False]
