"""JSON text of whole columns at once: numbers leave exactly as the source wrote them."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc


def strings(values: pd.Series) -> pd.Series:
    """Return each text as a JSON string; missing stays missing."""
    awkward = values.str.contains(r'["\\\x00-\x1f]', na=False)
    if awkward.any():
        escaped = values[awkward].map(lambda value: json.dumps(value, ensure_ascii=False)[1:-1])
        values = values.where(~awkward, escaped)
    return '"' + values + '"'


def objects(fields: dict[str, pd.Series]) -> pd.Series:
    """Glue columns of JSON text into one JSON object a row; a field that is missing is left out of its row.

    Args:
        fields: key -> column of JSON text; all of one index. The first is missing nowhere.
    """
    pieces = [
        pc.binary_join_element_wise(_text(f'{"," if place else ""}"{key}":'), _texts(column), _text(""))
        for place, (key, column) in enumerate(fields.items())
    ]
    # A missing value has made its whole piece missing; it is joined as nothing.
    joined = pc.binary_join_element_wise(
        _text("{"), *pieces, _text("}"), _text(""), null_handling="replace", null_replacement=""
    )
    return pd.Series(joined.to_pandas().to_numpy(), index=next(iter(fields.values())).index, dtype="str")


def arrays(texts: pd.Series, owners: pd.Series) -> pd.Series:
    """Glue JSON texts into one JSON array an owner; the index is the owners.

    Args:
        texts: JSON text of each element, in the order wanted.
        owners: whose it is; of the same index as `texts`.
    """
    owners = owners.sort_values(kind="stable")
    starts = (owners != owners.shift()).to_numpy().nonzero()[0]
    values = _texts(texts.loc[owners.index])
    lists = pa.LargeListArray.from_arrays(pa.array([*starts, len(values)], pa.int64()), values)
    joined = pc.binary_join_element_wise(_text("["), pc.binary_join(lists, _text(",")), _text("]"), _text(""))
    return pd.Series(joined.to_pandas().to_numpy(), index=owners.iloc[starts].to_numpy(), dtype="str")


def _text(value: str) -> pa.Scalar:
    return pa.scalar(value, pa.large_string())


def _texts(values: pd.Series) -> pa.Array:
    array = pa.array(values, pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def utc_times(times: pd.Series) -> pd.Series:
    """Return UTC times as ISO 8601 to the second, with the offset +00:00."""
    naive = times.dt.tz_convert(None).to_numpy().astype("datetime64[s]")
    texts = pd.Series(naive.astype("str"), index=times.index, dtype="str") + "+00:00"
    return texts.where(times.notna())


def unix_seconds(times: pd.Series) -> pd.Series:
    """Return UTC times as whole seconds since 1970, as text."""
    seconds = pd.Series(times.dt.tz_convert(None).to_numpy().astype("datetime64[s]").astype("int64").astype("str"))
    return seconds.set_axis(times.index).astype("str").where(times.notna())
