"""Attempts as text, made and parsed column by column: written by COPY, read as one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

# An attempt's columns, but for its batch and destination.
COLUMNS = (
    "order_hash",
    "order_id",
    "status_changed_at",
    "updated_at",
    "rank",
    "code",
    "payload_hash",
    "held_if_in_doubt",
)
COPY_IN = f"copy attempts (batch_id, destination_id, {', '.join(COLUMNS)}) from stdin"

# What is known of an order: the newest version and what became of it; the code and the payload that the service has
# or may have; the payload of the newest attempt, which may have been rejected.
STATE_COLUMNS = [
    "order_id",
    "status_changed_at",
    "updated_at",
    "rank",
    "verdict",
    "code",
    "payload_hash",
    "attempted_hash",
]
_READ = {
    "order_hash": pa.int32(),
    "order_id": pa.string(),
    "batch_id": pa.int64(),
    "status_changed_at": pa.timestamp("us", "UTC"),
    "updated_at": pa.timestamp("us", "UTC"),
    "rank": pa.int64(),
    "verdict": pa.string(),
    "code": pa.string(),
    "payload_hash": pa.int64(),
}
# One text for all rows: a row a message, as COPY sends them, would take longer to receive than to find.
_SELECT = f"""
    select string_agg(concat_ws(E'\\t', {", ".join(_READ)}), E'\\n')
    from settled_attempts where destination_id = %(destination)s and {{which}}
"""  # noqa: S608


def lines(orders: pd.DataFrame, destination_id: int) -> pd.Series[str]:
    """Return each attempt as COPY reads it, but for the batch in front and the line's end.

    Args:
        orders: COLUMNS.
        destination_id: whose attempts.
    """
    # Ids hold no control characters (validate.py), so the backslash is all that COPY would misread.
    ids = pc.replace_substring(pa.array(orders["order_id"], pa.string()), "\\", "\\\\")
    texts = [ids if name == "order_id" else _texts(pa.array(orders[name])) for name in COLUMNS]
    joined = pc.binary_join_element_wise(pa.scalar(str(destination_id)), *texts, pa.scalar("\t"))
    return pd.Series(joined.to_pandas().to_numpy(), index=orders.index, dtype="str")


def _texts(values: pa.Array) -> pa.Array:
    """Return values as text; times, which are many orders', are each turned into text once."""
    if not pa.types.is_timestamp(values.type):
        return values.cast(pa.string())
    encoded = values.dictionary_encode()
    return encoded.dictionary.cast(pa.string()).take(encoded.indices)


def of_batch(batch: int, attempts: pd.Series[str]) -> bytes:
    """Return the `lines` of one batch, as COPY_IN takes them."""
    start = f"{batch}\t"
    return (start + f"\n{start}".join(attempts.tolist()) + "\n").encode()


def states(cursor: psycopg.Cursor[Any], which: str, values: Mapping[str, Any]) -> pd.DataFrame:
    """Return STATE_COLUMNS of orders, one row an order.

    Args:
        cursor: in a transaction.
        which: a condition on settled_attempts, with placeholders.
        values: of the placeholders, and `destination`, its number.
    """
    (text,) = cursor.execute(_SELECT.format(which=which), values).fetchone() or (None,)
    table = pa.schema(_READ).empty_table()
    if text:
        table = pa_csv.read_csv(
            pa.py_buffer(text.encode()),
            pa_csv.ReadOptions(column_names=list(_READ), use_threads=False),
            pa_csv.ParseOptions(delimiter="\t", quote_char=False),
            pa_csv.ConvertOptions(column_types=_READ),
        )
    rows: pd.DataFrame = table.to_pandas()
    rows["payload_hash"] = rows["payload_hash"].astype("Int64")
    if rows["order_hash"].is_unique:
        # The usual case: one attempt an order, or none.
        newest = taken = rows
    else:
        rows = rows.sort_values(["status_changed_at", "updated_at", "rank", "batch_id"])
        newest = rows.drop_duplicates("order_id", keep="last")
        taken = rows[rows["verdict"] != "rejected"].drop_duplicates("order_id", keep="last")
    known = newest.assign(attempted_hash=newest["payload_hash"])
    if newest["verdict"].eq("rejected").any():
        # What was rejected leaves what was taken before.
        taken = taken.loc[taken["verdict"] != "rejected", ["order_id", "code", "payload_hash"]]
        known = known.drop(columns=["code", "payload_hash"]).merge(taken, on="order_id", how="left")
    return known.loc[:, STATE_COLUMNS]
