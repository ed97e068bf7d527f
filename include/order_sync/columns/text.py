"""Columns of text between pandas and Arrow, whose functions need no Python for a row."""

import numpy as np
import pandas as pd
import pyarrow as pa


def array_of(values: pd.Series) -> pa.Array:
    """Return a column of text as one Arrow array."""
    array = pa.array(values, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def series_of(values: pa.Array, index: pd.Index) -> pd.Series:
    """Return an Arrow array as a column with this index."""
    series: pd.Series = values.to_pandas()
    return series.set_axis(index)


def may_hold(values: pa.Array, characters: bytes) -> bool:
    """Return False if no text of the column holds one of these ASCII characters or a control character.

    One pass over all bytes is cheaper than a pattern for each text.
    """
    data = np.frombuffer(values.buffers()[2] or b"", np.uint8)
    return bool(data.min(initial=0xFF) < ord(" ") or any((data == character).any() for character in characters))
