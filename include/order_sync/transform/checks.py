"""Checks: what can be wrong with an order, and the text forms that several checks share.

Providers import this while Airflow parses DAG files, so it must not import pandas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.order_sync.reason import Reason
from include.order_sync.transform.row_problems import LOST_ITEM

if TYPE_CHECKING:  # DAG parsing imports this module, and pandas is slow to import
    import pandas as pd

# A number as JSON writes it, so that the source's own digits can leave unchanged.
NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
WHOLE_NUMBER = r"(?:0|[1-9][0-9]*)(?:\.0+)?"
CURRENCY = "[A-Z]{3}"  # ISO 4217

# A spreadsheet shows a long number so, and keeps 15 of its digits; or signs alone, if its column is narrow.
LOST_DIGITS = r"#?[0-9]{1,3}(?:(?:[.,][0-9]+)?[Ee]\+|[.,][0-9]+[Ee])[0-9]+|##+"

# How a cure shows a time, with its offset.
TIME_EXAMPLE = "2026-11-21 13:45:00+02:00"


@dataclass(frozen=True)
class Check(Reason):
    """One fault that an order can have; its `reason` is column and fault.

    Args:
        fails: canonical orders and their items -> mask of the orders with the fault. Items carry the `position` of
            their order's row.
    """

    fails: Callable[[pd.DataFrame, pd.DataFrame], pd.Series[bool]]


def missing(column: str) -> Callable[[pd.DataFrame, Any], pd.Series[bool]]:
    """Return a check's function: True where `column` is missing."""
    return lambda orders, _items: orders[column].isna()


def flagged(column: str) -> Callable[[pd.DataFrame, Any], pd.Series[bool]]:
    """Return a check's function: True where transform has set the flag `column`."""
    return lambda orders, _items: orders[column]


def items_unreadable(*, is_lost: bool) -> Callable[[pd.DataFrame, Any], pd.Series[bool]]:
    """Return a check's function: True where items can't be read: a line of them is lost, or they are no JSON."""

    def fails(orders: pd.DataFrame, _items: Any) -> pd.Series[bool]:
        unreadable = orders["items_unreadable"]
        if unreadable.any():
            unreadable = unreadable & (orders["items"].str.endswith(f'"{LOST_ITEM}"]', na=False) == is_lost)
        return unreadable | orders["line_lost"] if is_lost else unreadable

    return fails


def matches(column: str, pattern: str, signs: bytes) -> Callable[[pd.DataFrame, Any], pd.Series[bool]]:
    """Return a check's function: True where `column` has a value that fully matches `pattern`.

    Each match has one of the ASCII `signs`. Usually no value has, and to see that is cheaper than to compare them all.
    """

    def fails(orders: pd.DataFrame, _items: Any) -> pd.Series[bool]:
        from include.order_sync.columns.text import array_of, may_hold  # not at the top: it brings pandas

        if not may_hold(array_of(orders[column]), signs):
            return orders[column].isna() & False  # none
        return orders[column].str.fullmatch(pattern, na=False)

    return fails


def no_match(column: str, pattern: str) -> Callable[[pd.DataFrame, Any], pd.Series[bool]]:
    """Return a check's function: True where `column` has a value that does not fully match `pattern`."""

    def fails(orders: pd.DataFrame, _items: Any) -> pd.Series[bool]:
        given = orders[column].notna()
        return given & ~orders[column].str.fullmatch(pattern, na=False) if given.any() else given

    return fails
