"""Makes canonical orders and items of raw rows: text is trimmed, times are in UTC, JSON columns are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, series_of
from include.order_sync.model import ITEM_COLUMNS, ITEM_NUMBERS, ORDER_COLUMNS, ORIGIN_COLUMNS, TIME_COLUMNS, VERSION
from include.order_sync.transform.repeated_hour import tell_passes
from include.order_sync.transform.times import NO_DATE, read_times
from include.order_sync.transform.values import PLAIN, Values

NO_ITEMS = pd.DataFrame(
    {column: pd.Series(dtype="str") for column in ITEM_COLUMNS} | {"position": pd.Series(dtype="int64")}
)


def canonical_orders(
    raw: pd.DataFrame, timezone: str, now: datetime | None = None, values: Values = PLAIN
) -> pd.DataFrame:
    """Return one canonical order a raw row, in the rows' order.

    Args:
        raw: any of ORDER_COLUMNS as text, and of ORIGIN_COLUMNS; an absent column is missing in all rows.
        timezone: of times without an offset.
        now: no row was written after it; None if that is not known.
        values: the forms of the source's values.

    Returns:
        All of ORDER_COLUMNS and ORIGIN_COLUMNS. Text is trimmed; empty text is missing. `values.read` says which flags
        its columns get. TIME_COLUMNS are UTC times;
        the flag `<column>_unreadable` is True where one could not be read. `additional_info` is a JSON object, with
        such a flag too. A row of a file without `updated_at` has the file's modified time. The flag `pass_untold` is
        True where repeated_hour.py can't tell which pass a version's time is of, `skipped_hour` where its local time
        does not exist.
    """
    nowhere = pd.Series(False, index=raw.index)
    no_text, no_time = _nothing(raw.index, pa.large_string()), _nothing(raw.index, pa.timestamp("us", "UTC"))
    absent = {"file_modified_at": no_time, "rank": pd.Series(float("nan"), index=raw.index)}
    orders = {column: raw[column] if column in raw else absent.get(column, no_text) for column in ORIGIN_COLUMNS}
    for column in ORDER_COLUMNS:
        is_given = column in raw or column in values.defaults
        orders[column] = values.text(column, raw.get(column, no_text)) if is_given else no_text
    values.read(orders, {*raw.columns, *values.defaults})
    first_passes: dict[str, pd.Series] = {}
    orders["pass_untold"] = orders["skipped_hour"] = nowhere
    for column in TIME_COLUMNS:
        texts = orders[column]
        orders[column], orders[f"{column}_unreadable"] = no_time, nowhere
        if column not in raw and column not in values.defaults:
            continue
        read = read_times(texts, timezone)
        orders[column] = read.times
        unreadable = texts.notna() & read.times.isna()
        if unreadable.any():
            unreadable &= ~texts.str.contains(NO_DATE, na=False)
        orders[f"{column}_unreadable"] = unreadable
        if len(read.first_passes):
            first_passes[column] = read.first_passes
        if len(read.skipped) and column in VERSION:
            orders["skipped_hour"] = orders["skipped_hour"] | raw.index.isin(read.skipped)
    if first_passes:
        told, untold = tell_passes(orders, first_passes, now)
        orders |= told
        orders["pass_untold"] = pd.Series(raw.index.isin(untold), index=raw.index)
    orders["own_updated_at"] = orders["updated_at"]
    orders["updated_at"] = orders["updated_at"].fillna(orders["file_modified_at"])
    orders["additional_info_unreadable"] = nowhere
    if "additional_info" in raw or "additional_info" in values.defaults:
        info = orders["additional_info"]
        orders["additional_info"] = info.map(_json_object, na_action="ignore").astype("str")
        orders["additional_info_unreadable"] = info.notna() & orders["additional_info"].isna()
    return pd.DataFrame(orders, copy=False)


def query_items(raw: pd.DataFrame, orders: pd.DataFrame) -> pd.DataFrame:
    """Return the items of a second query, each once for every row of its order, with the row's `position`.

    Args:
        raw: `order_id` and any of ITEM_COLUMNS, as text.
        orders: canonical orders.
    """
    no_text = _nothing(raw.index, pa.large_string())
    columns = ("order_id", *ITEM_COLUMNS)
    items = pd.DataFrame({column: PLAIN.text(column, raw[column]) if column in raw else no_text for column in columns})
    owners = orders.loc[orders["order_id"].notna(), ["order_id", "position"]]
    if not owners["order_id"].is_unique:
        return items.merge(owners, on="order_id").drop(columns="order_id")
    # Usually each order has one row: then this gives the same, and is much faster.
    owner_rows = pc.index_in(array_of(items["order_id"]), value_set=array_of(owners["order_id"]))
    if owner_rows.null_count:
        known = owner_rows.is_valid()
        items, owner_rows = items[known.to_numpy(zero_copy_only=False)], owner_rows.filter(known)
    return items.assign(position=owners["position"].to_numpy()[owner_rows.to_numpy()]).drop(columns="order_id")


def json_items(
    orders: pd.DataFrame, columns: Mapping[str, str], decimal: str | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Return the items of the orders' JSON column with their row's `position`, and a mask of unreadable ones.

    Args:
        orders: canonical orders; `items` holds an array of objects as JSON text.
        columns: canonical item column -> key in those objects, where the names differ.
        decimal: the sign before the fraction of the source's amounts. JSON numbers always have a point: they get it.
    """
    unreadable = pd.Series(False, index=orders.index)
    is_given = orders["items"].notna()
    if not is_given.any():
        return NO_ITEMS, unreadable
    # Lists take a third of the memory of a dict for each item.
    fields: dict[str, list[str | None]] = {column: [] for column in ITEM_COLUMNS}
    positions: list[int] = []
    for index, text, position in orders.loc[is_given, ["items", "position"]].itertuples(name=None):
        entries = _json(text)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            unreadable[index] = True
            continue
        positions += [position] * len(entries)
        for column, values in fields.items():
            key = columns.get(column, column)
            point = decimal if column in ITEM_NUMBERS else None
            values += [_scalar(entry.get(key), point or ".") for entry in entries]
    items = pd.DataFrame(
        {column: PLAIN.text(column, pd.Series(values, dtype="str")) for column, values in fields.items()}
    )
    items["position"] = pd.Series(positions, dtype="int64")
    return items, unreadable


def _nothing(index: pd.Index, type_: pa.DataType) -> pd.Series:
    return series_of(pa.nulls(len(index), type_), index)


class _Fraction(str):
    """A JSON number with a point."""


def _json(text: str) -> Any:
    """Return parsed JSON with its numbers as text; None if the text is no JSON."""
    try:
        return json.loads(text, parse_float=_Fraction, parse_int=str, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None


def _json_object(text: str) -> str | None:
    """Return the text itself if it is a JSON object: so its numbers keep their digits."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return text if isinstance(value, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _scalar(value: Any, point: str) -> str | None:
    """Return an item's field as text, None for an array or object. Half a surrogate pair becomes "?".

    Args:
        value: of the field; a JSON number is text.
        point: what a JSON number gets for its point.
    """
    if isinstance(value, _Fraction):
        return value.replace(".", point)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
