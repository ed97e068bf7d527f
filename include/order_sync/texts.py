"""Columns of text between pandas and Arrow, whose functions need no Python for a row."""

import pandas as pd
import pyarrow as pa

CONTROL_CHARACTERS = bytes(range(0x20))


def array_of(values: pd.Series) -> pa.Array:
    """Return a column of text as Arrow's, all in one piece."""
    array = pa.array(values, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def series_of(values: pa.Array, index: pd.Index) -> pd.Series:
    """Return Arrow's column as one with this index."""
    series: pd.Series = values.to_pandas()
    return series.set_axis(index)


def may_hold(values: pa.Array, characters: bytes) -> bool:
    """Return False where no text holds any of these ASCII characters: one look at all bytes spares a pattern a text."""
    data = values.buffers()[2]
    return data is not None and len(data.to_pybytes().translate(None, characters)) < data.size
