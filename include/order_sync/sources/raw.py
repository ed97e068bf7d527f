"""Shared by all sources: finds the canonical columns among a source's own, and lays out raw rows."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence

import pyarrow as pa

from include.order_sync.errors import StopError
from include.order_sync.model import IDENTITY_COLUMNS, ITEM_COLUMNS, ORDER_COLUMNS

Required = Sequence[str | tuple[str, ...]]

# No name of a column has these: an address, a date, a year, a long number, or nothing but a number.
_DATA = re.compile(r"@|\d{4}-\d\d|\d\d[./]\d\d[./]\d\d|\b(?:19|20)\d\d\b|\d{5}|^[+\d\s().:,/-]+$")
# Of the names of a message.
_SHOWN_NAMES = 50
_SHOWN_CHARACTERS = 60

# Up to which length a row is read: WAREHOUSE_ROW_MAX_BYTES and CSV_BLOCK_BYTES in tuning.py.
TOO_LONG = "row: too long to be read"

RAW_SCHEMA = pa.schema(
    [
        *[pa.field(column, pa.string()) for column in ORDER_COLUMNS],
        pa.field("origin", pa.dictionary(pa.int32(), pa.string())),
        pa.field("line", pa.int64()),
        pa.field("position", pa.int64()),
        pa.field("file_modified_at", pa.timestamp("us", "UTC")),
        pa.field("problem", pa.string()),
        pa.field("rank", pa.int64()),
        pa.field("source_hash", pa.string()),
    ]
)
RAW_ITEMS_SCHEMA = pa.schema([pa.field(column, pa.string()) for column in ("order_id", *ITEM_COLUMNS)])


def find_columns(names: Sequence[str], columns: Mapping[str, str], required: Required, where: str) -> dict[str, int]:
    """Return canonical column -> its index among the source's own columns.

    Args:
        names: the source's own columns, in their order.
        columns: canonical column -> the source's name, from the configuration; the others have their canonical name.
        required: canonical columns that must be there; of a tuple in it, at least one.
        where: the source and the query or file, for the message.

    Raises:
        StopError: columns are missing or there twice; the message has all of them.
    """
    wanted = {column: columns.get(column, column) for column in ORDER_COLUMNS}
    found = {column: names.index(name) for column, name in wanted.items() if name in names}
    faults = []
    for column, name in columns.items():
        if column not in found:
            close = difflib.get_close_matches(name, names, 1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            faults.append(f"`columns` takes {column} from {name!r}, which is not there{hint}")
    for need in (*IDENTITY_COLUMNS, *required):
        any_of = (need,) if isinstance(need, str) else need
        if not found.keys() & set(any_of) and not columns.keys() & set(any_of):
            faults.append(f"no column {' or '.join(any_of)}")
    faults += [f"column {names[at]!r} is there twice" for at in found.values() if names.count(names[at]) > 1]
    if faults:
        shown = [repr(name[:_SHOWN_CHARACTERS]) for name in names[:_SHOWN_NAMES] if not _DATA.search(name)]
        more = f" and {len(names) - len(shown)} more" if len(shown) < len(names) else ""
        raise StopError(
            f"{where}: {'; '.join(faults)}. It has {', '.join(shown)}{more}. "
            "Name them in the source's `columns`, or add them to the source."
        )
    return found


def looks_like_data(names: Sequence[str], columns: Mapping[str, str]) -> bool:
    """Return whether the first line of a file is one of its rows, which may hold personal data.

    Args:
        names: the fields of that line.
        columns: canonical column -> the source's name, from the configuration.
    """
    known = {*ORDER_COLUMNS, *columns.values()}
    return sum(name in known for name in names) < 2 and any(_DATA.search(name) for name in names)


def raw_table(
    given: pa.Table | pa.RecordBatch,
    found: Mapping[str, int],
    *,
    origin: str,
    lines: pa.Array,
    position: int,
    file_modified_at: object = None,
) -> pa.Table:
    """Return a chunk of the source, all text, as raw rows.

    Args:
        given: a chunk of the source.
        found: canonical column -> its index in `given`.
        origin: the query's or file's name.
        lines: each row's number there.
        position: of the first row in the window.
        file_modified_at: when the file was last modified (a time with a zone); None for a query.
    """
    rows = given.num_rows
    columns = {column: given.column(found[column]) for column in ORDER_COLUMNS if column in found}
    columns["origin"] = constant(origin, rows)
    columns["line"] = lines
    columns["position"] = pa.arange(position, position + rows)
    if file_modified_at is not None:
        columns["file_modified_at"] = pa.repeat(pa.scalar(file_modified_at, pa.timestamp("us", "UTC")), rows)
    return pa.table(columns)


def problem_rows(problems: Mapping[int, str], origin: str, position: int, file_modified_at: object = None) -> pa.Table:
    """Return a raw row without content for each row of the source that could not be read.

    Args:
        problems: the row's number in the source -> what made it unreadable.
        origin: the query's or file's name.
        position: of the first of these rows in the window.
        file_modified_at: when the file was last modified (a time with a zone); None for a query.
    """
    rows = len(problems)
    columns = {
        "order_id": pa.nulls(rows, pa.string()),
        "origin": constant(origin, rows),
        "line": pa.array(problems.keys(), pa.int64()),
        "position": pa.arange(position, position + rows),
        "problem": pa.array(problems.values(), pa.string()),
    }
    if file_modified_at is not None:
        columns["file_modified_at"] = pa.repeat(pa.scalar(file_modified_at, pa.timestamp("us", "UTC")), rows)
    return pa.table(columns)


def constant(text: str, rows: int) -> pa.DictionaryArray:
    """Return a column with one text in all rows, without a copy for each."""
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), rows), pa.array([text]))
