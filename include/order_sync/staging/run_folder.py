"""The staged files of one read of a run, in one folder. Tasks hand on the folder's path, never rows.

    raw-3/rows-00000.arrow       rows as the source gave them, as text; more files as more rows come
    raw-items-3/rows-00000.arrow their items, where a second query gives them
    ready-4/part-00000.arrow     orders with their payloads (READY_COLUMNS)
    rejected/part-00000.parquet  rows that can't be sent, with their reasons
    rejected/listed              the run has written them into the quarantine
    files.parquet                versions of the drop's files that were read

- Files for tasks alone are in Arrow's file format; files that people open are Parquet.
- Raw rows are partitioned by order: see partitions.py.
- Parts are transformed in groups of neighbours; a ready or rejected file has the name of its group's first part.

Paths are UPath: a folder of this machine, or of any object storage.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from include.order_sync import stops, tuning
from include.order_sync.errors import StopError, TryAgainError
from include.order_sync.model import ORIGIN_COLUMNS, FileVersion
from include.order_sync.staging import partitions
from include.order_sync.staging.partition_hash import part_numbers
from include.order_sync.staging.partitions import Partitions

if TYPE_CHECKING:  # extract needs no pandas, and it is slow to import
    import pandas as pd

# The number goes up with each change of the files' content or of the partition hash: a release never reads the files of
# another one, but asks for a clear.
RAW, RAW_ITEMS, READY = "raw-3", "raw-items-3", "ready-4"

# Beside the rejected rows: the key of the run that has written them into the quarantine.
_LISTED = "listed"

# Full, over a quota or a limit of the process, or mounted read-only.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

_FILES_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("fingerprint", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("modified_at", pa.timestamp("us", "UTC")),
        pa.field("content_hash", pa.string()),
        pa.field("rows", pa.int64()),
        pa.field("skipped", pa.int64()),
    ]
)


@dataclass(frozen=True)
class ReadyParts:
    """Frames of ready orders, read anew each time that they are iterated."""

    paths: Sequence[UPath]

    def __iter__(self) -> Iterator[pd.DataFrame]:
        for path in self.paths:
            yield pa.ipc.open_file(pa.BufferReader(path.read_bytes())).read_all().to_pandas()


class Staging:
    """The staged files of one run.

    Args:
        folder: of this machine or of any object storage.
    """

    def __init__(self, folder: UPath) -> None:
        self.folder = folder

    @contextmanager
    def named(self) -> Iterator[None]:
        """Name the folder and the cure where it can't be written.

        Raises:
            TryAgainError: it is full, or read-only.
            StopError: the worker's user may not write there.
        """
        try:
            yield
        except OSError as error:
            at = f"The staging folder {self.folder} can't be written: {os.strerror(error.errno or 0)}."
            if error.errno in _NO_ROOM:
                raise TryAgainError(
                    f"{at} Make room there (`retention.staged_parts` says how long red runs keep their parts), or let "
                    "`staging` name another folder. Nothing was sent."
                ) from None
            if error.errno in (errno.EACCES, errno.EPERM) and str(error.filename).startswith(self.folder.path):
                raise StopError(
                    stops.STAGING_RIGHTS,
                    f"{at} Give the worker's user the right, or let `staging` name another folder.",
                ) from None
            raise

    def clear(self, *names: str) -> None:
        """Remove the named subfolders, or everything without names: a task that runs again starts anew."""
        for folder in [self.folder / name for name in names] or [self.folder]:
            if folder.exists():
                folder.fs.rm(folder.path, recursive=True)

    def stage_raw(self, orders: Iterable[pa.Table], items: Iterable[pa.Table]) -> tuple[int, int]:
        """Write raw rows and items by part. All rows of an order lie in one part, in source order.

        Args:
            orders: tables with `order_id`; they may differ in their other columns.
            items: likewise; read after the orders.

        Returns:
            The number of order rows, and the number of parts.
        """
        buffered: list[pa.Table] = []
        rest = iter(orders)
        rows = size = 0
        while is_small := (rows <= tuning.ONE_PART_ROWS and size <= tuning.ONE_PART_BYTES):
            table = next(rest, None)
            if table is None:
                break
            buffered.append(table)
            rows += table.num_rows
            size += table.nbytes
        if not any(table.num_rows for table in buffered):
            return 0, 0
        parts = 1 if is_small else tuning.LARGE_WINDOW_PARTS
        rows = partitions.write(self.folder / RAW, chain(buffered, rest), parts)
        partitions.write(self.folder / RAW_ITEMS, items, parts)
        return rows, parts

    def raw_parts(self, columns: Collection[str]) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame | None]]:
        """Yield groups of neighbouring parts: large enough to pay for their overhead, small enough for memory.

        Args:
            columns: to read, beside ORIGIN_COLUMNS.

        Yields:
            The group's name; its raw rows, with the columns that the source gave; and their items, None if no query
            gave items.
        """
        raw, raw_items = self._raw({*columns, *ORIGIN_COLUMNS}), self._raw_items()
        for parts in _groups(raw, raw_items):
            for number, only in enumerate(self._pieces(parts, raw, raw_items)):
                # No variable here: it would keep the frames in memory while the caller works on them.
                yield (
                    f"part-{parts[0]:05d}" + (f"-{number:05d}" if only else ""),
                    raw.of(parts, *only).to_pandas(),
                    raw_items.of(parts, *only).to_pandas() if raw_items else None,
                )

    def _pieces(
        self, parts: list[int], raw: Partitions, raw_items: Partitions
    ) -> Iterator[tuple[()] | tuple[str, pa.Array]]:
        """Yield which orders of these parts to read together, as `Partitions.of` takes it, the lowest hashes first.

        Neighbouring order numbers lie in one part, so one part can be large if its rows are.
        """
        size = _bytes_of(parts, raw, raw_items)
        if size <= tuning.GROUP_BYTES:
            yield ()
            return
        hashes = np.unique(self._raw({"partition_hash"}).of(parts)["partition_hash"].to_numpy())
        for piece in np.array_split(hashes, min(len(hashes), math.ceil(size / tuning.GROUP_BYTES))):
            yield "partition_hash", pa.array(piece)

    def raw_rows(self, orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the raw rows of these orders, in their order, and the orders' items (None if no query gave items).

        It reads only the parts of these orders, because it is called after each request with a rejected order.

        Args:
            orders: `partition_hash` and `position`, as ready_parts() and rejected_parts() give them.
        """
        raw = self._raw()
        parts = np.unique(part_numbers(orders["partition_hash"].to_numpy(), len(raw.rows))).tolist()
        rows = raw.of(parts, "position", pa.array(orders["position"])).to_pandas()
        return rows.set_index("position", drop=False).loc[orders["position"].tolist()], self.raw_items(rows)

    def raw_items(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Return the raw items of the orders of these raw rows; None if no query gave items."""
        raw_items = self._raw_items()
        if not raw_items:
            return None
        parts = np.unique(part_numbers(rows["partition_hash"].to_numpy(), len(raw_items.rows))).tolist()
        ids = pc.utf8_trim_whitespace(pa.array(rows["order_id"], pa.string()))
        items: pd.DataFrame = raw_items.of(parts, "order_id", ids).to_pandas()
        return items

    def rejected_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the rejected rows with their reasons, a bounded number at a time."""
        for path in self._paths("rejected", "*.parquet"):
            part = pq.read_table(pa.BufferReader(path.read_bytes())).to_pandas()
            for start in range(0, len(part), tuning.REJECTED_ROWS_AT_ONCE):
                yield part.iloc[start : start + tuning.REJECTED_ROWS_AT_ONCE]

    def is_listed(self, run: str) -> bool:
        """Return whether note_listed() was called for this run since the rejected rows were written."""
        path = self.folder / "rejected" / _LISTED
        return path.exists() and path.read_text("utf-8") == run

    def note_listed(self, run: str) -> None:
        """Note that the run has written its rejected rows into the quarantine: its next try need not.

        Args:
            run: its key; a run that a person clears gets another one.
        """
        if (self.folder / "rejected").exists():
            with self.named():
                (self.folder / "rejected" / _LISTED).write_text(run, "utf-8")

    def ready_parts(self) -> ReadyParts:
        """Return the ready orders of each group of parts, the lowest partition hashes first."""
        return ReadyParts(self._existing(READY))

    def write_ready(self, part: str, frame: pd.DataFrame) -> None:
        """Write the ready orders of one group of parts, if there are any."""
        if frame.empty:
            return
        table = _table_of(frame)
        with self._new_file(READY, f"{part}.arrow") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)

    def write_rejected(self, part: str, frame: pd.DataFrame) -> None:
        """Write the rejected rows of one group of parts, if there are any."""
        if frame.empty:
            return
        with self._new_file("rejected", f"{part}.parquet") as file:
            pq.write_table(_table_of(frame), file)

    def write_files(self, versions: Sequence[FileVersion]) -> None:
        """Write the list of file versions that were read, if there are any."""
        if not versions:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "files.parquet").open("wb") as file:
            pq.write_table(pa.Table.from_pylist([asdict(version) for version in versions], _FILES_SCHEMA), file)

    def files(self) -> list[FileVersion]:
        """Return the list of file versions that were read; empty if the source has no files."""
        path = self.folder / "files.parquet"
        if not path.exists():
            return []
        with path.open("rb") as file:
            return [FileVersion(**row) for row in pq.read_table(file).to_pylist()]

    def _new_file(self, folder: str, name: str) -> AbstractContextManager[BinaryIO]:
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        return (self.folder / folder / name).open("wb")

    def _raw(self, columns: Collection[str] | None = None) -> Partitions:
        return Partitions(self._existing(RAW), columns)

    def _raw_items(self) -> Partitions:
        return Partitions(self._paths(RAW_ITEMS, "*.arrow"))

    def _existing(self, name: str) -> list[UPath]:
        paths = self._paths(name, "*.arrow")
        if not paths:
            raise StopError(
                stops.STAGED_GONE,
                f"The staged parts {self.folder} are gone (a run that succeeded deletes them), or another release's. "
                "Clear the run from its extract task on, to read the source again.",
            )
        return paths

    def _paths(self, name: str, pattern: str) -> list[UPath]:
        return sorted((self.folder / name).glob(pattern), key=lambda path: path.name)


def _groups(raw: Partitions, raw_items: Partitions) -> Iterator[list[int]]:
    """Yield the numbers of neighbouring parts that are transformed together."""
    group: list[int] = []
    for part in np.flatnonzero(raw.rows).tolist():
        more = [*group, part]
        if group and (raw.rows[more].sum() > tuning.GROUP_ROWS or _bytes_of(more, raw, raw_items) > tuning.GROUP_BYTES):
            yield group
            more = [part]
        group = more
    yield group


def _bytes_of(parts: list[int], raw: Partitions, raw_items: Partitions) -> float:
    return float(raw.bytes[parts].sum() + (raw_items.bytes[parts].sum() if raw_items else 0))


def _table_of(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
