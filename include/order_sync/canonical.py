"""Raw rows, all text, into canonical orders and items: trimmed text, times in UTC, JSON columns read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS, ORIGIN_COLUMNS, TIME_COLUMNS

# Years that every time zone, PostgreSQL and Python can hold; 9999 is some shops' word for "never".
_DATE = r"(?:19|[2-8][0-9]|9[0-8])[0-9]{2}-[0-9]{2}-[0-9]{2}"
_DATE_AND_TIME = _DATE + r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)?"
_OFFSET = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"


def canonical_orders(raw: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """Return one canonical order a raw row, in the rows' order.

    Args:
        raw: any of ORDER_COLUMNS as text, and ORIGIN_COLUMNS.
        timezone: of times without an offset.

    Returns:
        All of ORDER_COLUMNS and ORIGIN_COLUMNS. Text is trimmed, and what is empty is missing. TIME_COLUMNS
        are UTC times; where one could not be read, the flag `<column>_unreadable` is True. `additional_info` is
        a JSON object, with such a flag too. `updated_at` of a file's row is the file's modified time, where the
        row has none of its own.
    """
    orders = raw[list(ORIGIN_COLUMNS)].copy()
    for column in ORDER_COLUMNS:
        orders[column] = _trimmed(raw, column)
    for column in TIME_COLUMNS:
        times = read_times(orders[column], timezone)
        orders[f"{column}_unreadable"] = orders[column].notna() & times.isna()
        orders[column] = times
    orders["updated_at"] = orders["updated_at"].fillna(orders["file_modified_at"])
    info = orders["additional_info"]
    objects = info.map(_json_object, na_action="ignore").astype("str")
    orders["additional_info_unreadable"] = info.notna() & objects.isna()
    orders["additional_info"] = objects
    return orders


def query_items(raw: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Return the items that a second query gave, each with the `position` of every row of its order.

    Args:
        raw: `order_id` and any of ITEM_COLUMNS, as text.
        orders: canonical orders.
    """
    items = pd.DataFrame({column: _trimmed(raw, column) for column in ("order_id", *ITEM_COLUMNS)})
    return items.merge(orders[["order_id", "position"]].dropna(), on="order_id").drop(columns="order_id")


def json_items(orders: pd.DataFrame, columns: Mapping[str, str]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the items in the orders' JSON column, with their order's `position`, and where it could not be read.

    Args:
        orders: canonical orders; `items` holds an array of objects as JSON text.
        columns: canonical item column -> key in those objects, where the names differ.
    """
    unreadable = pd.Series(False, index=orders.index)
    rows: list[dict[str, Any]] = []
    given = orders.loc[orders["items"].notna(), ["items", "position"]]
    for index, text, position in given.itertuples(name=None):
        entries = _json(text)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            unreadable[index] = True
            continue
        for entry in entries:
            item = {column: _scalar(entry.get(columns.get(column, column))) for column in ITEM_COLUMNS}
            rows.append({"position": position, **item})
    raw = pd.DataFrame(rows, columns=["position", *ITEM_COLUMNS])
    items = pd.DataFrame({column: _trimmed(raw, column) for column in ITEM_COLUMNS})
    items["position"] = raw["position"].astype("int64")
    return items, unreadable


def read_times(texts: pd.Series, timezone: str) -> pd.Series:
    """Return ISO 8601 dates and times as UTC, microseconds; what is none is missing.

    A time without an offset is the shop's own. The hour that comes twice when clocks go back is read as
    its second pass, so that it never lies before a time that was written later; the hour that does not exist in
    spring is read as the moment when clocks go forward.
    """
    dated = texts.str.fullmatch(_DATE_AND_TIME + _OFFSET + "?", na=False)
    # A date alone ends like an offset ("-21"), so an offset needs a time before it.
    aware = dated & texts.str.contains(r":[0-9]{2}(?:[.,][0-9]+)?" + _OFFSET + "$", na=False)
    times = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us, UTC]")
    if aware.any():
        times[aware] = _parsed(texts[aware], utc=True)
    naive = dated & ~aware
    if naive.any():
        local = _parsed(texts[naive], utc=False).dt.tz_localize(timezone, ambiguous=False, nonexistent="shift_forward")
        times[naive] = local.dt.tz_convert("UTC")
    return times


def _parsed(texts: pd.Series, *, utc: bool) -> pd.Series:
    # To the microsecond: one time with nanoseconds would make far years unreadable in all the others.
    texts = texts.str.replace(r"[.,](\d{1,6})\d*", r".\1", regex=True)
    return pd.to_datetime(texts, format="ISO8601", utc=utc, errors="coerce").dt.as_unit("us")


def _trimmed(raw: pd.DataFrame, column: str) -> pd.Series:
    if column not in raw:
        return pd.Series(pd.NA, index=raw.index, dtype="str")
    trimmed = raw[column].astype("str").str.strip()
    return trimmed.where(trimmed != "")


def _json(text: str) -> Any:
    """Read JSON with its numbers left as the text they are; None where it is no JSON."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _json_object(text: str) -> str | None:
    """The text itself, where it is a JSON object: so its numbers keep their digits."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return text if isinstance(value, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _scalar(value: Any) -> str | None:
    """An item's field as text; arrays and objects are no field. Half a character, as JSON may hold, becomes "?"."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
