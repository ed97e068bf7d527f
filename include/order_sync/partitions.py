"""Raw rows in Arrow files, partitioned by order: each file holds one record batch a part, so that a part is read alone.

How many rows each of its parts has is told by a file's schema, in its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from upath import UPath

from include.order_sync.order_hash import order_hashes, part_numbers

# So much is sorted by part at once, and makes one file.
BYTES_A_FILE = 8 * 1024 * 1024

# Arrow writes and reads pieces of some bytes; Python's files and object storages are asked for so many at once.
BYTES_AT_ONCE = 1024 * 1024


class Partitions:
    """Rows in files that `write` has made; none in no files.

    Args:
        paths: of the files, in the order they were written. None stays open: a large window has more than a process may
            have open, and each open one keeps what an object storage has sent ahead.
    """

    def __init__(self, paths: Sequence[UPath]) -> None:
        self._paths = paths
        told = []
        for path in paths:
            with _opened(path) as reader:
                told.append(reader.schema.metadata)
        rows = [np.array(json.loads(metadata[b"rows"])) for metadata in told]
        sizes = [by_part * float(metadata[b"bytes_a_row"]) for by_part, metadata in zip(rows, told, strict=True)]
        self.rows = np.sum(rows, axis=0)
        self.bytes = np.sum(sizes, axis=0)

    def __bool__(self) -> bool:
        return bool(self._paths)

    def of(self, parts: Sequence[int]) -> pa.Table:
        """Return the rows of these parts; each part's in the order they were written."""
        tables = []
        for path in self._paths:
            with _opened(path) as reader:
                tables.append(pa.Table.from_batches([reader.get_batch(part) for part in parts]))
        return concatenated(tables).combine_chunks()


@contextmanager
def _opened(path: UPath) -> Iterator[pa.RecordBatchFileReader]:
    with path.fs.open(path.path, "rb", block_size=BYTES_AT_ONCE) as file:
        yield pa.ipc.open_file(file)


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
        _write(folder / f"rows-{number:05d}.arrow", table, parts)
    return rows


def concatenated(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all; where a table lacks another's column, that is missing."""
    return pa.concat_tables(tables, promote_options="default")


def gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of several tables as one that is worth a file."""
    few: list[pa.Table] = []
    for table in tables:
        few += [table] if table.num_rows else []
        if sum(table.nbytes for table in few) > BYTES_A_FILE:
            whole = concatenated(few)
            few.clear()
            yield whole
    if few:
        yield concatenated(few)


def _write(path: UPath, table: pa.Table, parts: int) -> None:
    hashes = order_hashes(table["order_id"])
    numbers = part_numbers(hashes, parts)
    by_part = table.append_column("order_hash", pa.array(hashes)).take(np.argsort(numbers, kind="stable"))
    (whole,) = by_part.combine_chunks().to_batches()
    rows = np.bincount(numbers, minlength=parts)
    batches = [whole.slice(start, length) for start, length in zip(np.cumsum(rows) - rows, rows, strict=True)]
    told = {"rows": json.dumps(rows.tolist()), "bytes_a_row": str(whole.nbytes / whole.num_rows)}
    schema = whole.schema.with_metadata(told)
    with (
        path.open("wb") as file,
        pa.BufferedOutputStream(pa.PythonFile(file, "w"), BYTES_AT_ONCE) as buffered,
        pa.ipc.new_file(buffered, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
