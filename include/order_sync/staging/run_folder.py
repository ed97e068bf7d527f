"""A run's staged parts: tasks hand on the folder's path, never rows.

    raw-2/rows-00000.arrow       rows as the source gave them, as text; more files as more rows come
    raw-items-2/rows-00000.arrow their items, where a second query gives them
    ready-2/part-00000.arrow     orders with their payloads (READY_COLUMNS of transform.py)
    rejected/part-00000.parquet  rows that can't be sent, with their reasons
    files.parquet                versions of the drop's files that were read

What only a run's tasks read is in Arrow's file format; Parquet is what people open. Raw rows are partitioned by a hash
of the order id: each file holds one record batch a part, and says in its schema's metadata how many rows and bytes
each has. Ready and rejected parts are those of the group of raw parts that was worked off at once, named by its first.

Paths are UPath: a folder of this machine, or of any object storage.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from include.order_sync import tuning
from include.order_sync.errors import StopError
from include.order_sync.model import ORIGIN_COLUMNS, FileVersion
from include.order_sync.staging import partitions
from include.order_sync.staging.partition_hash import part_numbers
from include.order_sync.staging.partitions import Partitions

if TYPE_CHECKING:  # extract needs no pandas, and it is slow to import
    import pandas as pd

# Their number is raised with each change of what their files hold, also of the hash: so no release takes up what
# another has left, but asks for a clear.
RAW, RAW_ITEMS, READY = "raw-2", "raw-items-2", "ready-2"


_FILES_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("modified_at", pa.timestamp("us", "UTC")),
        pa.field("content_hash", pa.string()),
    ]
)


class Staging:
    """The staged parts of one run, in one folder."""

    def __init__(self, folder: UPath) -> None:
        self.folder = folder

    def clear(self, *names: str) -> None:
        """Remove the named subfolders, or everything: a task that runs again starts anew."""
        for folder in [self.folder / name for name in names] or [self.folder]:
            if folder.exists():
                folder.fs.rm(folder.path, recursive=True)

    def stage_raw(self, orders: Iterable[pa.Table], items: Iterable[pa.Table]) -> tuple[int, int]:
        """Write raw rows and items in parts; all rows of an order lie in one part, in source order.

        Args:
            orders: tables with `order_id`, if it is given; they may differ in their columns.
            items: likewise; read after the orders.

        Returns:
            Rows of orders, and parts.
        """
        buffered: list[pa.Table] = []
        rest = iter(orders)
        while sum(table.num_rows for table in buffered) <= tuning.ONE_PART_ROWS:
            table = next(rest, None)
            if table is None:
                break
            buffered.append(table)
        rows = sum(table.num_rows for table in buffered)
        if rows == 0:
            return 0, 0
        parts = 1 if rows <= tuning.ONE_PART_ROWS else tuning.LARGE_WINDOW_PARTS
        rows = partitions.write(self.folder / RAW, chain(buffered, rest), parts)
        partitions.write(self.folder / RAW_ITEMS, items, parts)
        return rows, parts

    def raw_parts(self, columns: Collection[str]) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame | None]]:
        """Yield groups of neighbouring parts, so that each is worth its overhead and memory does not grow.

        Args:
            columns: to read, beside ORIGIN_COLUMNS.

        Yields:
            A name for what becomes of the group; its raw rows, with those columns that the source gave; and their
            items, None where no query gave any.
        """
        raw, raw_items = self._raw({*columns, *ORIGIN_COLUMNS}), self._raw_items()
        for parts in _groups(raw, raw_items):
            # Nothing keeps the frames here while they are worked on.
            yield (
                f"part-{parts[0]:05d}",
                raw.of(parts).to_pandas(),
                raw_items.of(parts).to_pandas() if raw_items else None,
            )

    def raw_rows(self, orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the raw rows of these orders, in their order, and the orders' items (None if no query gave any).

        No part is read but theirs: some are asked for after each request.

        Args:
            orders: `partition_hash` and `position`, as ready_parts() and rejected_parts() give them.
        """
        raw, raw_items = self._raw(), self._raw_items()
        parts = np.unique(part_numbers(orders["partition_hash"].to_numpy(), len(raw.rows))).tolist()
        rows = raw.of(parts, "position", pa.array(orders["position"]))
        items = None
        if raw_items:
            items = raw_items.of(parts, "order_id", pc.utf8_trim_whitespace(rows["order_id"])).to_pandas()
        return rows.to_pandas().set_index("position", drop=False).loc[orders["position"].tolist()], items

    def rejected_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the rows that transform has rejected, with their reasons."""
        for path in self._paths("rejected", "*.parquet"):
            yield pq.read_table(pa.BufferReader(path.read_bytes())).to_pandas()

    def ready_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the ready orders of each group of parts: first those of the lowest `partition_hash`."""
        for path in self._there(READY):
            yield pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all().to_pandas()

    def write_ready(self, part: str, frame: pd.DataFrame) -> None:
        """Write what is ready of one part; nothing where that is empty."""
        if frame.empty:
            return
        table = _table_of(frame)
        with self._new_file(READY, f"{part}.arrow") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    def write_rejected(self, part: str, frame: pd.DataFrame) -> None:
        """Write what was rejected of one part; nothing where that is empty."""
        if frame.empty:
            return
        with self._new_file("rejected", f"{part}.parquet") as file:
            pq.write_table(_table_of(frame), file)

    def write_files(self, versions: Sequence[FileVersion]) -> None:
        """Write down which versions of which files were read; nothing where there are none."""
        if not versions:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "files.parquet").open("wb") as file:
            pq.write_table(pa.Table.from_pylist([asdict(version) for version in versions], _FILES_SCHEMA), file)

    def files(self) -> list[FileVersion]:
        """Return these versions; none where the source has no files."""
        path = self.folder / "files.parquet"
        if not path.exists():
            return []
        with path.open("rb") as file:
            return [FileVersion(**row) for row in pq.read_table(file).to_pylist()]

    def _new_file(self, folder: str, name: str) -> AbstractContextManager[BinaryIO]:
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        return (self.folder / folder / name).open("wb")

    def _raw(self, columns: Collection[str] | None = None) -> Partitions:
        return Partitions(self._there(RAW), columns)

    def _raw_items(self) -> Partitions:
        return Partitions(self._paths(RAW_ITEMS, "*.arrow"))

    def _there(self, name: str) -> list[UPath]:
        paths = self._paths(name, "*.arrow")
        if not paths:
            raise StopError(
                f"The staged parts {self.folder} are gone (a run that succeeded deletes them), or another release's. "
                "Clear the run from its extract task on, to read the source again."
            )
        return paths

    def _paths(self, name: str, pattern: str) -> list[UPath]:
        return sorted((self.folder / name).glob(pattern), key=lambda path: path.name)


def _groups(raw: Partitions, raw_items: Partitions) -> Iterator[list[int]]:
    """Yield the numbers of neighbouring parts that are worth being worked off at once."""
    group: list[int] = []
    for part in np.flatnonzero(raw.rows).tolist():
        more = [*group, part]
        size = raw.bytes[more].sum() + (raw_items.bytes[more].sum() if raw_items else 0)
        if group and (raw.rows[more].sum() > tuning.GROUP_ROWS or size > tuning.GROUP_BYTES):
            yield group
            more = [part]
        group = more
    yield group


def _table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
