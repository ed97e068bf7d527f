"""Rows of orders for the tests of transform, and what came of them."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from include.order_sync.model import OrderStatus
from include.order_sync.transform.transform import Transformed

WORDS = {
    "new": OrderStatus.CREATED,
    "paid": OrderStatus.PAID,
    "sent": OrderStatus.SHIPPED,
    "done": OrderStatus.DELIVERED,
}
EARLY, NOON, LATE = (f"2026-11-21T{hour}:00:00Z" for hour in ("08", "12", "16"))
ONE_BAD = "row: not as many fields as the header"
YESPO_ORDER = {
    "created_at": EARLY,
    "customer_id": "c-1",
    "email": "ann@shop.example",
    "total_cost": "19.90",
    "currency": "UAH",
}
ITEM = {
    "item_id": "i",
    "name": "Lamp",
    "quantity": "1",
    "cost": "9.90",
    "url": "https://x/i",
    "image_url": "https://x/j",
}
Run = Callable[..., Transformed]


def payloads(transformed: Transformed) -> list[Any]:
    """Return the payloads, parsed as JSON with numbers as text."""
    return [json.loads(text, parse_int=str, parse_float=str) for text in transformed.ready["payload"]]


def reasons(transformed: Transformed) -> dict[str | None, list[str]]:
    """Return order id -> reasons of the rejected rows."""
    return dict(zip(transformed.rejected["order_id"], transformed.rejected["reasons"], strict=True))


times = st.sampled_from([EARLY, NOON, LATE, None, "soon"])
some_rows = st.lists(
    st.fixed_dictionaries(
        {
            "order_id": st.sampled_from(["1", " 1", "2", "3", None]),
            "status": st.sampled_from([*WORDS, "lost", None]),
            "status_changed_at": times,
            "updated_at": times,
            "bill_id": st.sampled_from(["7", "x", None]),
            "problem": st.sampled_from([None, None, None, ONE_BAD]),
        }
    ),
    max_size=12,
)
