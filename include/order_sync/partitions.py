"""Raw rows in Arrow files, partitioned by order: each file holds one record batch a part, so that a part is read alone.

How many rows and bytes each of its parts has is told by a file's schema, as JSON in its metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np
import pyarrow as pa
from upath import UPath

from include.order_sync.order_hash import order_hashes, part_numbers

# So much is sorted by part at once, and makes one file.
BYTES_A_FILE = 16 * 1024 * 1024

# Arrow writes and reads pieces of some bytes; Python's files and object storages are asked for so many at once.
BYTES_AT_ONCE = 1024 * 1024


class Partitions:
    """Rows in files that `write` has made; none in no files.

    Args:
        readers: of the files, in the order they were written.
    """

    def __init__(self, readers: Sequence[pa.RecordBatchFileReader]) -> None:
        self._readers = readers
        told = [reader.schema.metadata for reader in readers]
        self.rows = np.sum([json.loads(metadata[b"rows"]) for metadata in told], axis=0)
        self.bytes = np.sum([json.loads(metadata[b"bytes"]) for metadata in told], axis=0)

    def __bool__(self) -> bool:
        return bool(self._readers)

    def of(self, parts: Iterable[int]) -> pa.Table:
        """Return the rows of these parts; each part's in the order they were written."""
        return concatenated(
            pa.Table.from_batches([reader.get_batch(part) for part in parts]) for reader in self._readers
        ).combine_chunks()


@contextmanager
def opened(paths: Iterable[UPath]) -> Iterator[Partitions]:
    """Give the rows of these files, which `write` has made."""
    with ExitStack() as files:
        yield Partitions(
            [
                pa.ipc.open_file(files.enter_context(path.fs.open(path.path, "rb", block_size=BYTES_AT_ONCE)))
                for path in paths
            ]
        )


def write(folder: UPath, tables: Iterable[pa.Table], parts: int) -> int:
    """Write rows by part; return how many. Without rows, there is no folder.

    Args:
        folder: that is not there yet.
        tables: with `order_id`; they may differ in their other columns.
        parts: in how many.
    """
    rows = 0
    for number, table in enumerate(_gathered(tables)):
        folder.mkdir(parents=True, exist_ok=True)
        rows += table.num_rows
        _write(folder / f"rows-{number:05d}.arrow", table, parts)
    return rows


def concatenated(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the rows of all; where a table lacks another's column, that is missing."""
    return pa.concat_tables(tables, promote_options="default")


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the rows of several tables as one that is worth a file."""
    gathered: list[pa.Table] = []
    for table in tables:
        gathered += [table] if table.num_rows else []
        if sum(table.nbytes for table in gathered) > BYTES_A_FILE:
            whole = concatenated(gathered)
            gathered.clear()
            yield whole
    if gathered:
        yield concatenated(gathered)


def _write(path: UPath, table: pa.Table, parts: int) -> None:
    hashes = order_hashes(table["order_id"])
    numbers = part_numbers(hashes, parts)
    by_part = table.append_column("order_hash", pa.array(hashes)).take(np.argsort(numbers, kind="stable"))
    (whole,) = by_part.combine_chunks().to_batches()
    rows = np.bincount(numbers, minlength=parts)
    batches = [whole.slice(start, length) for start, length in zip(np.cumsum(rows) - rows, rows, strict=True)]
    told = {"rows": json.dumps(rows.tolist()), "bytes": json.dumps([batch.nbytes for batch in batches])}
    schema = whole.schema.with_metadata(told)
    with (
        path.open("wb") as file,
        pa.BufferedOutputStream(pa.PythonFile(file, "w"), BYTES_AT_ONCE) as buffered,
        pa.ipc.new_file(buffered, schema) as writer,
    ):
        for batch in batches:
            writer.write_batch(batch)
