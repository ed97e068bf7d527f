"""Attempts: written as text by COPY, read in binary, and the states that follow from them. Whole columns at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync.columns.text import array_of, series_of
from include.order_sync.model import VERSION

# An attempt's columns, but for its batch and destination.
COLUMNS = (
    "partition_hash",
    "order_id",
    "status_changed_at",
    "updated_at",
    "rank",
    "code",
    "payload_hash",
    "held_if_in_doubt",
    "source_hash",
)
COPY_IN = f"copy attempts (batch_id, destination_id, {', '.join(COLUMNS)}) from stdin"

# The state of an order: its highest version and that version's verdict; code and payload_hash that the service has or
# may have; the payload, the row and the batch of the newest attempt, which may have been rejected. `source_hash` is 0
# of an attempt of an earlier release, which did not keep it.
STATE_COLUMNS = [
    "order_id",
    "status_changed_at",
    "updated_at",
    "rank",
    "verdict",
    "code",
    "payload_hash",
    "attempted_hash",
    "source_hash",
    "batch_id",
]
# All rows come as a few large values in PostgreSQL's binary formats: one message for each row, or numbers as text,
# would take longer than the query itself. https://www.postgresql.org/docs/current/protocol-overview.html
_NUMBERS = np.dtype(
    [(name, ">i8") for name in ("status_changed_at", "updated_at", "rank", "batch_id", "payload_hash", "source_hash")]
)
_TEXTS = ("order_id", "verdict", "code")
_SELECT = f"""
    select string_agg(
            timestamptz_send(status_changed_at) || timestamptz_send(updated_at) || int8send(rank) || int8send(batch_id)
            || int8send(payload_hash) || int8send(source_hash), ''
        ), {", ".join(f"string_agg({name}, chr(10))" for name in _TEXTS)}
    from settled_attempts where destination_id = %(destination)s and {{which}}
"""  # noqa: S608
Found = Sequence[Any]  # the values of _SELECT
_POSTGRES_EPOCH_US = 946_684_800_000_000  # 2000-01-01 UTC


@dataclass(frozen=True)
class OwnBatches:
    """Numbers of the batches that earlier tries of a run have concluded.

    Args:
        answered, adopted: by their outcome.
        of_resends: of a resend: concluded before a person cleared the run, or in doubt.
    """

    answered: np.ndarray
    adopted: np.ndarray
    of_resends: np.ndarray


@dataclass(frozen=True)
class Sender:
    """The author of attempts: one try of a run.

    Args:
        destination: its name.
        destination_id: its number; 0 if nothing was ever sent to it.
        run: the key of the run; a run that a person clears gets another key.
        try_number: of the task.
    """

    destination: str
    destination_id: int
    run: str
    try_number: int


def lines(orders: pd.DataFrame, destination_id: int) -> pd.Series[str]:
    """Return each attempt as a line of COPY, without the batch in front and the line's end.

    Args:
        orders: COLUMNS.
        destination_id: of the attempts.
    """
    # Ids hold no control characters (transform/order_checks.py): COPY would misread only the backslash.
    ids = pc.replace_substring(array_of(orders["order_id"]), "\\", "\\\\")
    texts = [ids if name == "order_id" else _texts(pa.array(orders[name])) for name in COLUMNS]
    destination = pa.scalar(str(destination_id), pa.large_string())
    joined = pc.binary_join_element_wise(destination, *texts, pa.scalar("\t", pa.large_string()))
    if joined.null_count:
        # COPY would leave the whole line out: an order would be sent that the ledger does not know.
        lacking = [name for name in COLUMNS if orders[name].isna().any()]
        raise ValueError(f"an attempt lacks {', '.join(lacking)}: this is a fault of Order Sync")
    return series_of(joined, orders.index)


def _texts(values: pa.Array) -> pa.Array:
    """Return values as text; equal times are turned into text once."""
    if not pa.types.is_timestamp(values.type):
        return values.cast(pa.large_string())
    encoded = values.dictionary_encode()
    return encoded.dictionary.cast(pa.large_string()).take(encoded.indices)


def write(cursor: psycopg.Cursor[Any], sender: Sender, attempts: pd.Series[str], sizes: Sequence[int]) -> list[int]:
    """Record batches that have not begun, with their attempts; return their numbers.

    Args:
        cursor: in a transaction, so that no batch is without its attempts.
        sender: of the attempts.
        attempts: `lines`, batch after batch.
        sizes: the number of attempts of each batch.
    """
    rows = cursor.execute(
        """
        insert into batches (destination_id, run, try, orders)
        select %s, %s, %s, * from unnest(%s::int[]) returning id
        """,
        (sender.destination_id, sender.run, sender.try_number, list(sizes)),
    ).fetchall()
    numbers = [number for (number,) in rows]
    batches = pa.array(np.repeat(numbers, sizes)).cast(pa.large_string())
    tab, end, nothing = (pa.scalar(text, pa.large_string()) for text in ("\t", "\n", ""))
    joined = pc.binary_join_element_wise(batches, tab, array_of(attempts), end, nothing)
    with cursor.copy(COPY_IN) as copy:
        copy.write(memoryview(joined.buffers()[2]))
    return numbers


def find(cursor: psycopg.Cursor[Any], which: str, values: Mapping[str, Any]) -> Found:
    """Return the settled attempts of some orders.

    Args:
        cursor: in a transaction.
        which: a condition on settled_attempts, with placeholders.
        values: of the placeholders, and `destination`, the number of the destination.
    """
    return cursor.execute(_SELECT.format(which=which), values, binary=True).fetchone() or ()


def settled(found: Found) -> pd.DataFrame:
    """Return the attempts that were found: STATE_COLUMNS but `attempted_hash`."""
    numbers = np.frombuffer(found[0] or b"", _NUMBERS)
    # No id holds a control character (transform/order_checks.py), and no code or verdict.
    texts = [pc.split_pattern(pa.array([text], pa.large_string()), "\n").flatten() for text in found[1:]]
    columns: dict[str, Any] = {name: numbers[name].astype("int64") for name in _NUMBERS.names or ()}
    for name in ("status_changed_at", "updated_at"):
        columns[name] = pd.DatetimeIndex((columns[name] + _POSTGRES_EPOCH_US).view("datetime64[us]"), tz="UTC")
    columns["payload_hash"] = pd.array(columns["payload_hash"], "Int64")
    for name, values in zip(_TEXTS, texts, strict=True):
        columns[name] = series_of(values, pd.RangeIndex(len(values)))
    return pd.DataFrame(columns)


def states(rows: pd.DataFrame) -> pd.DataFrame:
    """Return STATE_COLUMNS of the orders of settled attempts, one row for each order.

    The view `order_states` has the same rule; a test compares them.
    """
    newest = taken = rows
    again = rows["order_id"].duplicated(keep=False)
    if again.any():
        # Only these are sorted: usually most orders have one attempt.
        attempts = rows[again].sort_values(["status_changed_at", "updated_at", "rank", "batch_id"])
        once = rows[~again]
        newest = pd.concat([once, attempts.drop_duplicates("order_id", keep="last")])
        attempts = attempts[attempts["verdict"] != "rejected"]
        taken = pd.concat([once, attempts.drop_duplicates("order_id", keep="last")])
    known = newest.assign(attempted_hash=newest["payload_hash"])
    rejected = newest.loc[newest["verdict"].eq("rejected"), "order_id"]
    if len(rejected):
        # After a rejection the service still has the code that it took before; none is certain if that was in doubt.
        was_in_doubt = taken["verdict"].eq("in_doubt") & taken["order_id"].isin(rejected)
        taken = taken.loc[taken["verdict"].ne("rejected") & ~was_in_doubt, ["order_id", "code", "payload_hash"]]
        known = known.drop(columns=["code", "payload_hash"]).merge(taken, on="order_id", how="left")
    return known.loc[:, STATE_COLUMNS]


def own_verdicts(rows: pd.DataFrame, own: OwnBatches) -> pd.DataFrame:
    """Return `order_id`, VERSION and the `verdict` that earlier tries of the run have got, each version once.

    `sent` is what a resend has sent before a person cleared the run, or with an answer that was lost. It counts where
    the service has the order by now: a person or a redrive may have seen to that.

    Args:
        rows: of settled().
        own: the run's batches.
    """
    versions = rows[["order_id", *VERSION]].assign(verdict="")
    if not (own.answered.size or own.adopted.size or own.of_resends.size):
        return versions[:0]
    batches, is_accepted = rows["batch_id"], rows["verdict"].eq("accepted").to_numpy(dtype="bool")
    is_answered = np.isin(batches, own.answered)
    # Of several verdicts on one version the first of these counts.
    by_verdict = {
        "adopted": np.isin(batches, own.adopted),
        "accepted": is_answered & is_accepted,
        "rejected": is_answered,
        "sent": np.isin(batches, own.of_resends),
    }
    found = [versions[mask].assign(verdict=verdict) for verdict, mask in by_verdict.items() if mask.any()]
    return pd.concat(found or [versions[:0]], ignore_index=True).drop_duplicates(["order_id", *VERSION])
