"""Raw rows in Arrow files, partitioned by order.

Each file holds one record batch for each part, so that one part can be read alone. The metadata of a file's schema has
the number of rows of each part, and the bytes of a row in each column.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from fsspec.implementations.local import LocalFileSystem
from upath import UPath

from include.order_sync import tuning
from include.order_sync.staging.partition_hash import part_numbers, partition_hash, partition_hashes

_NO_ID = partition_hash("")  # and of some ids, as 816


class Partitions:
    """Reads rows from files that `write` has made.

    Args:
        paths: of the files, in the order they were written; maybe none. No file stays open: a large window has more
            files than a process may have open, and each open one keeps a buffer of an object storage.
        columns: to read, where a file has them; None for all.
    """

    def __init__(self, paths: Sequence[UPath], columns: Collection[str] | None = None) -> None:
        rows, sizes = [np.zeros(0)], [np.zeros(0)]
        self._files: list[tuple[UPath, list[int]]] = []
        for path in paths:
            with _opened(path) as reader:
                schema = reader.schema
            fields = [number for number, name in enumerate(schema.names) if columns is None or name in columns]
            self._files.append((path, fields))
            rows.append(np.array(json.loads(schema.metadata[b"rows"])))
            bytes_a_row = json.loads(schema.metadata[b"bytes_a_row"])
            sizes.append(rows[-1] * sum(bytes_a_row[schema.names[number]] for number in fields))
        self.rows = np.sum(rows[1:], axis=0)
        self.bytes = np.sum(sizes[1:], axis=0)

    def __bool__(self) -> bool:
        return bool(self._files)

    def of(self, parts: Sequence[int], column: str = "", values: pa.Array | None = None) -> pa.Table:
        """Return the rows of these parts, part by part, in the order they were written.

        Args:
            parts: numbers of parts.
            column: if given, return only rows with one of `values` in this column; surrounding blanks are ignored.
            values: of that column.
        """
        tables = []
        for path, fields in self._files:
            with _opened(path, fields) as reader:
                table = pa.Table.from_batches([reader.get_batch(part) for part in parts])
            if column:
                given = table[column]
                given = pc.utf8_trim_whitespace(given) if pa.types.is_string(given.type) else given
                table = table.filter(pc.is_in(given, value_set=values, skip_nulls=True))
            tables.append(table)
        return concatenated(tables).combine_chunks()


@contextmanager
def _opened(path: UPath, fields: Sequence[int] = ()) -> Iterator[pa.RecordBatchFileReader]:
    # Arrow reads local files itself: thousands of small reads through Python would be slow.
    local = isinstance(path.fs, LocalFileSystem)
    with pa.OSFile(path.path) if local else path.fs.open(path.path, "rb", block_size=tuning.FILE_BUFFER_BYTES) as file:
        yield pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=list(fields), use_threads=False))


def write(folder: UPath, tables: Iterable[pa.Table], parts: int) -> int:
    """Write rows by part; return the number of rows. Without rows no folder is made.

    Args:
        folder: does not exist yet.
        tables: with `order_id`; they may differ in their other columns.
        parts: the number of parts.
    """
    rows = 0
    for number, table in enumerate(gathered(tables)):
        folder.mkdir(parents=True, exist_ok=True)
        rows += table.num_rows
        _write(folder / f"rows-{number:05d}.arrow", *_by_part(table, parts))
    return rows


def concatenated(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all tables; a column that a table lacks is missing in its rows."""
    return pa.concat_tables(tables, promote_options="default")


def gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of small tables together, in tables of about the size of a file."""
    few: list[pa.Table] = []
    size = 0
    for table in tables:
        if table.num_rows:
            few.append(table)
            size += table.nbytes
        if size > tuning.PARTITION_FILE_BYTES:
            whole = concatenated(few)
            few.clear()
            size = 0
            yield whole
    if few:
        yield concatenated(few)


def _by_part(table: pa.Table, parts: int) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """Return one batch of rows for each part, and their schema with the sizes of the parts."""
    hashes = _hashes(table)
    numbers = part_numbers(hashes, parts)
    by_part = table.append_column("partition_hash", pa.array(hashes)).take(np.argsort(numbers, kind="stable"))
    (whole,) = by_part.combine_chunks().to_batches()
    rows = np.bincount(numbers, minlength=parts)
    # Arrow writes an empty slice with all the text of the table that it was cut from.
    none = whole.take(pa.array([], pa.int64()))
    starts = np.cumsum(rows) - rows
    batches = [whole.slice(start, length) if length else none for start, length in zip(starts, rows, strict=True)]
    sizes = dict(zip(whole.schema.names, [column.nbytes / whole.num_rows for column in whole.columns], strict=True))
    sizes_of_parts = {"rows": json.dumps(rows.tolist()), "bytes_a_row": json.dumps(sizes)}
    return whole.schema.with_metadata(sizes_of_parts), batches


def _hashes(table: pa.Table) -> np.ndarray:
    """Return the partition hash of each row. Rows without an id are no one order: they are spread over the parts.

    A file whose ids are all missing, or whose lines can't be read, would be one part, which no memory holds.
    """
    hashes = partition_hashes(table["order_id"])
    rows = np.flatnonzero(hashes == _NO_ID)  # only these are read as texts: all would cost time
    if rows.size and "position" in table.column_names:
        ids = pc.fill_null(pc.utf8_trim_whitespace(table["order_id"].take(rows)), "")
        rows = rows[pc.equal(ids, "").to_numpy()]
        hashes[rows] = partition_hashes(table["position"].take(rows).cast(pa.string()))
    return hashes


def _write(path: UPath, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with (
        path.open("wb") as file,
        pa.BufferedOutputStream(pa.PythonFile(file, "w"), tuning.FILE_BUFFER_BYTES) as buffered,
        pa.ipc.new_file(buffered, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
