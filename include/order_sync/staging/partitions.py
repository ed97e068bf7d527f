"""Raw rows in Arrow files, partitioned by order: each file holds one record batch a part, so that a part is read alone.

How many rows each of its parts has is told by a file's schema, in its metadata.
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
from include.order_sync.staging.partition_hash import part_numbers, partition_hashes


class Partitions:
    """Some columns of the rows in files that `write` has made; none in no files.

    Args:
        paths: of the files, in the order they were written. None stays open: a large window has more than a process may
            have open, and each open one keeps what an object storage has sent ahead.
        columns: to read, where they are there; None for all.
    """

    def __init__(self, paths: Sequence[UPath], columns: Collection[str] | None = None) -> None:
        rows, sizes = [np.zeros(0)], [np.zeros(0)]
        self._files: list[tuple[UPath, list[int]]] = []
        for path in paths:
            with _opened(path) as reader:
                schema = reader.schema
            fields = [place for place, name in enumerate(schema.names) if columns is None or name in columns]
            self._files.append((path, fields))
            rows.append(np.array(json.loads(schema.metadata[b"rows"])))
            bytes_a_row = json.loads(schema.metadata[b"bytes_a_row"])
            sizes.append(rows[-1] * sum(bytes_a_row[schema.names[place]] for place in fields))
        self.rows = np.sum(rows[1:], axis=0)
        self.bytes = np.sum(sizes[1:], axis=0)

    def __bool__(self) -> bool:
        return bool(self._files)

    def of(self, parts: Sequence[int], column: str = "", values: pa.Array | None = None) -> pa.Table:
        """Return the rows of these parts; each part's in the order they were written.

        Args:
            parts: their numbers.
            column: if it is given, only rows with one of `values` in it, whatever blanks surround it.
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
    # Of this machine's files Arrow reads many small pieces by itself, which spares Python the calls.
    local = isinstance(path.fs, LocalFileSystem)
    with pa.OSFile(path.path) if local else path.fs.open(path.path, "rb", block_size=tuning.FILE_BUFFER_BYTES) as file:
        yield pa.ipc.open_file(file, options=pa.ipc.IpcReadOptions(included_fields=list(fields), use_threads=False))


def write(folder: UPath, tables: Iterable[pa.Table], parts: int) -> int:
    """Write rows by part; return how many. Without rows, there is no folder.

    Args:
        folder: that is not there yet.
        tables: with `order_id`; they may differ in their other columns.
        parts: in how many.
    """
    rows = 0
    for number, table in enumerate(gathered(tables)):
        folder.mkdir(parents=True, exist_ok=True)
        rows += table.num_rows
        _write(folder / f"rows-{number:05d}.arrow", *_by_part(table, parts))
    return rows


def concatenated(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all; where a table lacks another's column, that is missing."""
    return pa.concat_tables(tables, promote_options="default")


def gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of several tables as one that is worth a file."""
    few: list[pa.Table] = []
    for table in tables:
        few += [table] if table.num_rows else []
        if sum(table.nbytes for table in few) > tuning.PARTITION_FILE_BYTES:
            whole = concatenated(few)
            few.clear()
            yield whole
    if few:
        yield concatenated(few)


def _by_part(table: pa.Table, parts: int) -> tuple[pa.Schema, list[pa.RecordBatch]]:
    """Return a batch of rows for each part, and their schema, which says how large they are."""
    hashes = partition_hashes(table["order_id"])
    numbers = part_numbers(hashes, parts)
    by_part = table.append_column("partition_hash", pa.array(hashes)).take(np.argsort(numbers, kind="stable"))
    (whole,) = by_part.combine_chunks().to_batches()
    rows = np.bincount(numbers, minlength=parts)
    # Of an empty slice Arrow would write all the text that it was cut from.
    none = whole.take(pa.array([], pa.int64()))
    starts = np.cumsum(rows) - rows
    batches = [whole.slice(start, length) if length else none for start, length in zip(starts, rows, strict=True)]
    sizes = dict(zip(whole.schema.names, [column.nbytes / whole.num_rows for column in whole.columns], strict=True))
    told = {"rows": json.dumps(rows.tolist()), "bytes_a_row": json.dumps(sizes)}
    return whole.schema.with_metadata(told), batches


def _write(path: UPath, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with (
        path.open("wb") as file,
        pa.BufferedOutputStream(pa.PythonFile(file, "w"), tuning.FILE_BUFFER_BYTES) as buffered,
        pa.ipc.new_file(buffered, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
