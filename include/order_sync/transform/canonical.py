"""Makes canonical orders and items of raw rows: text is trimmed, times are in UTC, JSON columns are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, series_of
from include.order_sync.model import ITEM_COLUMNS, ORDER_COLUMNS, ORIGIN_COLUMNS, TIME_COLUMNS

# Years that every time zone, PostgreSQL and Python can hold. Some shops write 9999 for "never".
_DATE = r"(?:19|[2-8][0-9]|9[0-8])[0-9]{2}-[0-9]{2}-[0-9]{2}"
_DATE_AND_TIME = _DATE + r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)?"
_OFFSET = r"(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)"

# The length of a time with seconds and without an offset.
_CHARACTERS_TO_THE_SECOND = 19
# Between these, the year fits _DATE in every time zone.
_FIRST_US = int(datetime(1900, 1, 2, tzinfo=UTC).timestamp()) * 1_000_000
_LAST_US = int(datetime(9899, 12, 30, tzinfo=UTC).timestamp()) * 1_000_000

NO_ITEMS = pd.DataFrame(
    {column: pd.Series(dtype="str") for column in ITEM_COLUMNS} | {"position": pd.Series(dtype="int64")}
)


def canonical_orders(raw: pd.DataFrame, timezone: str) -> pd.DataFrame:
    """Return one canonical order a raw row, in the rows' order.

    Args:
        raw: any of ORDER_COLUMNS as text, and of ORIGIN_COLUMNS; an absent column is missing in all rows.
        timezone: of times without an offset.

    Returns:
        All of ORDER_COLUMNS and ORIGIN_COLUMNS. Text is trimmed; empty text is missing. TIME_COLUMNS are UTC times;
        the flag `<column>_unreadable` is True where one could not be read. `additional_info` is a JSON object, with
        such a flag too. A row of a file without `updated_at` has the file's modified time.
    """
    nowhere = pd.Series(False, index=raw.index)
    no_text, no_time = _nothing(raw.index, pa.large_string()), _nothing(raw.index, pa.timestamp("us", "UTC"))
    absent = {"file_modified_at": no_time, "rank": pd.Series(float("nan"), index=raw.index)}
    orders = {column: raw[column] if column in raw else absent.get(column, no_text) for column in ORIGIN_COLUMNS}
    for column in ORDER_COLUMNS:
        orders[column] = _trimmed(raw[column]) if column in raw else no_text
    for column in TIME_COLUMNS:
        texts = orders[column]
        orders[column] = read_times(texts, timezone) if column in raw else no_time
        orders[f"{column}_unreadable"] = texts.notna() & orders[column].isna() if column in raw else nowhere
    orders["updated_at"] = orders["updated_at"].fillna(orders["file_modified_at"])
    orders["additional_info_unreadable"] = nowhere
    if "additional_info" in raw:
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
    items = pd.DataFrame({column: _trimmed(raw[column]) if column in raw else no_text for column in columns})
    owners = orders.loc[orders["order_id"].notna(), ["order_id", "position"]]
    if not owners["order_id"].is_unique:
        return items.merge(owners, on="order_id").drop(columns="order_id")
    # Usually each order has one row: then this gives the same, and is much faster.
    owner_rows = pc.index_in(array_of(items["order_id"]), value_set=array_of(owners["order_id"]))
    if owner_rows.null_count:
        known = owner_rows.is_valid()
        items, owner_rows = items[known.to_numpy(zero_copy_only=False)], owner_rows.filter(known)
    return items.assign(position=owners["position"].to_numpy()[owner_rows.to_numpy()]).drop(columns="order_id")


def json_items(orders: pd.DataFrame, columns: Mapping[str, str]) -> tuple[pd.DataFrame, pd.Series]:
    """Return the items of the orders' JSON column with their row's `position`, and a mask of unreadable ones.

    Args:
        orders: canonical orders; `items` holds an array of objects as JSON text.
        columns: canonical item column -> key in those objects, where the names differ.
    """
    unreadable = pd.Series(False, index=orders.index)
    is_given = orders["items"].notna()
    if not is_given.any():
        return NO_ITEMS, unreadable
    rows: list[dict[str, Any]] = []
    for index, text, position in orders.loc[is_given, ["items", "position"]].itertuples(name=None):
        entries = _json(text)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            unreadable[index] = True
            continue
        for entry in entries:
            item = {column: _scalar(entry.get(columns.get(column, column))) for column in ITEM_COLUMNS}
            rows.append({"position": position, **item})
    raw = pd.DataFrame(rows, columns=["position", *ITEM_COLUMNS])
    items = pd.DataFrame({column: _trimmed(raw[column]) for column in ITEM_COLUMNS})
    items["position"] = raw["position"].astype("int64")
    return items, unreadable


def read_times(texts: pd.Series, timezone: str) -> pd.Series:
    """Return ISO 8601 dates and times as UTC in microseconds; any other text is missing.

    - A time without an offset is in the shop's time zone.
    - A time in the repeated hour of autumn is read as its second pass, so that it never lies before an earlier row's.
    - A time in the hour that spring skips is read as the moment when the clocks go forward.
    """
    plain = _plain_times(texts)
    if plain is not None:
        return plain if plain.dt.tz else _localized(plain, timezone)
    dated = texts.str.fullmatch(_DATE_AND_TIME + _OFFSET + "?", na=False)
    # A date alone ends like an offset ("-21"), so an offset needs a time before it.
    aware = dated & texts.str.contains(r":[0-9]{2}(?:[.,][0-9]+)?" + _OFFSET + "$", na=False)
    times = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[us, UTC]")
    if aware.any():
        times[aware] = _parsed(texts[aware], utc=True)
    naive = dated & ~aware
    if naive.any():
        times[naive] = _localized(_parsed(texts[naive], utc=False), timezone)
    return times


def _plain_times(texts: pd.Series) -> pd.Series | None:
    """Fast path: return all times if Arrow reads every one of them as read_times would; else None.

    Databases write all their times in one form, which Arrow reads at once. It also accepts texts that stop at the hour
    and far years: these are excluded here.
    """
    values = array_of(texts)
    shortest = pc.min(pc.binary_length(values)).as_py() or 0
    if shortest < _CHARACTERS_TO_THE_SECOND:
        return None
    has_zone = shortest > _CHARACTERS_TO_THE_SECOND
    try:
        times = values.cast(pa.timestamp("us", "UTC" if has_zone else None))
    except pa.ArrowInvalid:
        return None
    within = pc.min_max(times.cast(pa.int64()))
    if within["min"].as_py() < _FIRST_US or within["max"].as_py() > _LAST_US:
        return None
    return series_of(times, texts.index)


def _localized(times: pd.Series, timezone: str) -> pd.Series:
    local = times.dt.tz_localize(timezone, ambiguous=False, nonexistent="shift_forward")
    utc: pd.Series = local.dt.tz_convert("UTC")
    return utc


def _parsed(texts: pd.Series, *, utc: bool) -> pd.Series:
    # To the microsecond: one time with nanoseconds would make far years unreadable in all the others.
    texts = texts.str.replace(r"[.,](\d{1,6})\d*", r".\1", regex=True)
    return pd.to_datetime(texts, format="ISO8601", utc=utc, errors="coerce").dt.as_unit("us")


def _nothing(index: pd.Index, type_: pa.DataType) -> pd.Series:
    return series_of(pa.nulls(len(index), type_), index)


def _trimmed(texts: pd.Series) -> pd.Series:
    trimmed = pc.utf8_trim_whitespace(array_of(texts))
    if pc.min(pc.binary_length(trimmed)).as_py() == 0:
        trimmed = pc.if_else(pc.equal(trimmed, ""), None, trimmed)
    return series_of(trimmed, texts.index)


def _json(text: str) -> Any:
    """Return parsed JSON with its numbers as text; None if the text is no JSON."""
    try:
        return json.loads(text, parse_float=str, parse_int=str, parse_constant=lambda _: None)
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


def _scalar(value: Any) -> str | None:
    """Return an item's field as text, None for an array or object. Half a surrogate pair becomes "?"."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None
