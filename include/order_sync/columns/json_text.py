"""Builds JSON text from whole columns; numbers keep the digits that the source wrote."""

import json
from collections.abc import Iterable, Mapping
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, may_hold, series_of


def objects(texts: Mapping[str, pd.Series], values: Mapping[str, pd.Series]) -> pd.Series:
    """Return one JSON object for each row; a missing value leaves its key out.

    Args:
        texts: key -> column of text, written as a JSON string. The first column has no missing value.
        values: key -> column of JSON text, written as it is, after the texts. All columns have one index.
    """
    fields = chain(
        ((key, _escaped(array_of(column)), '"') for key, column in texts.items()),
        ((key, array_of(column), "") for key, column in values.items()),
    )
    pieces: list[pa.Array | pa.Scalar] = []
    between = "{"
    for key, array, quote in fields:
        if len(array) and array.null_count == len(array):
            continue
        before = f'{"," if pieces else ""}"{key}":{quote}'
        if array.null_count:
            # A missing value makes its whole piece missing, and a missing piece is joined as nothing.
            pieces += [_text(between), _joined([_text(before), array, _text(quote)])]
            between = ""
        else:
            pieces += [_text(between + before), array]
            between = quote
    joined = _joined([*pieces, _text(between + "}")], null_handling="replace", null_replacement="")
    return series_of(joined, next(iter(texts.values())).index)


def arrays(texts: pd.Series, owners: pd.Series, wanted: pd.Series) -> pd.Series:
    """Return one JSON array for each wanted owner; missing for an owner without elements.

    Args:
        texts: JSON text of each element; an owner's elements keep this order.
        owners: the owner of each element; the same index as `texts`.
        wanted: the owners.
    """
    order = owners.to_numpy().argsort(kind="stable")
    numbers = owners.to_numpy()[order]
    starts = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
    bounds = pa.array(np.append(starts, len(numbers)), pa.int64())
    lists = pa.LargeListArray.from_arrays(bounds, array_of(texts).take(pa.array(order)))
    joined = _joined([_text("["), pc.binary_join(lists, _text(",")), _text("]")])
    rows = pc.index_in(pa.array(wanted), value_set=pa.array(numbers[starts], pa.int64()))
    return series_of(joined.take(rows), wanted.index)


def utc_times(times: pd.Series) -> pd.Series:
    """Return UTC times as ISO 8601 to the second, with the offset +00:00."""
    texts = pc.utf8_replace_slice(_seconds(times).cast(pa.large_string()), start=10, stop=11, replacement="T")
    return series_of(_joined([texts, _text("+00:00")]), times.index)


def unix_seconds(times: pd.Series) -> pd.Series:
    """Return UTC times as whole seconds since 1970, as text."""
    return series_of(_seconds(times).cast(pa.int64()).cast(pa.large_string()), times.index)


def _seconds(times: pd.Series) -> pa.Array:
    return pc.floor_temporal(pa.array(times, pa.timestamp("us")), unit="second").cast(pa.timestamp("s"))


def _escaped(values: pa.Array) -> pa.Array:
    """Return each text as it stands between the quotes of a JSON string; missing stays missing."""
    if not may_hold(values, b'"\\'):
        return values
    awkward = pc.fill_null(pc.match_substring_regex(values, r'["\\\x00-\x1f]'), fill_value=False)
    escaped = [json.dumps(value, ensure_ascii=False)[1:-1] for value in values.filter(awkward).to_pylist()]
    return pc.replace_with_mask(values, awkward, pa.array(escaped, pa.large_string()))


def _joined(pieces: Iterable[pa.Array | pa.Scalar], **options: str) -> pa.Array:
    return pc.binary_join_element_wise(*pieces, _text(""), **options)


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())
