"""Hides personal data of orders that a person looks at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from include.order_sync.redact import redact

PERSONAL = (
    "customer_id",
    "email",
    "phone",
    "first_name",
    "last_name",
    "delivery_address",
    "additional_info",
    "restore_url",
    "status_description",
)

_SHORTEST_PART = 4


def masked(column: str, text: str) -> str:
    """Return a canonical column's text with only so much of it that a person can see its form."""
    if column == "email" and "@" in text:
        name, _, domain = text.rpartition("@")
        return f"{name[:1]}***@{domain}"
    if column == "phone":
        return f"***{text[-2:]}"
    if column in PERSONAL:
        return f"{text[:1]}***"
    # A shop may have put an address into any other column.
    return redact(text) if "@" in text else text


def masked_order(order: Mapping[str, str]) -> dict[str, str]:
    """Return an order, canonical column -> text, with its personal data masked."""
    return {column: masked(column, text) for column, text in order.items()}


def masked_body(body: Any, order: Mapping[str, str]) -> Any:
    """Return a request's body with every trace of an order's personal data masked.

    Args:
        body: of JSON, or a form as a dict.
        order: that the body holds; canonical column -> text.
    """
    hidden = {column: masked(column, text) for column, text in order.items() if masked(column, text) != text}
    whole = {order[column]: mask for column, mask in hidden.items()}
    # A short text, or a number, may stand in any other one by chance.
    parts = {
        order[column]: mask
        for column, mask in hidden.items()
        if column != "customer_id" and len(order[column]) >= _SHORTEST_PART
    }
    phone = order.get("phone")
    if phone and (digits := re.sub(r"\D", "", phone)):
        # A service gets the digits, maybe with the country's code before them.
        parts |= {f"+{digits}": masked("phone", phone), digits: masked("phone", phone)}
    longest_first = sorted(parts, key=len, reverse=True)

    def hide(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: hide(inner) for name, inner in value.items()}
        if isinstance(value, list):
            return [hide(inner) for inner in value]
        if isinstance(value, str):
            if value in whole:
                return whole[value]
            for trace in longest_first:
                value = value.replace(trace, parts[trace])
        return value

    return hide(body)
