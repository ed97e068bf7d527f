"""A run's staged parts, as Parquet: tasks hand on the folder's path, never rows.

    raw/part-00000-00.parquet        rows as the source gave them, as text, partitioned by a hash of the order id
    raw-items/part-00000-00.parquet  their items, where a second query gives them, partitioned alike
    ready/part-00000.parquet         orders with their payloads (READY_COLUMNS of transform.py)
    rejected/part-00000.parquet      rows that can't be sent, with their reasons
    files.parquet                    versions of the drop's files that were read

A part has a second file, part-00000-01, where the source gives a column only later, as one file of a drop may. Ready
and rejected parts are those of the group of raw parts that was worked off at once, and named by its first.

Paths are UPath: a folder of this machine, or of any object storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from include.order_sync.errors import StopError
from include.order_sync.model import FileVersion
from include.order_sync.order_hash import order_hashes, part_numbers

if TYPE_CHECKING:  # extract needs no pandas, and it is slow to import
    import pandas as pd

# A window of up to so many rows is one part; a larger one is split, so that memory does not grow with it.
ROWS_OF_ONE_PART = 50_000
PARTS_OF_A_LARGE_WINDOW = 64
BYTES_BUFFERED = 24 * 1024 * 1024

# Parts are worked off in groups of up to so many rows and bytes, with their items: each frame costs some milliseconds,
# whatever its size.
ROWS_OF_A_GROUP = 50_000
BYTES_OF_A_GROUP = 8 * 1024 * 1024

# Parts are written once, read once and deleted: what makes a file small or quick to search costs more than it saves.
_PARQUET = {"compression": "none", "use_dictionary": ["origin"], "write_statistics": False}

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
        while sum(table.num_rows for table in buffered) <= ROWS_OF_ONE_PART:
            table = next(rest, None)
            if table is None:
                break
            buffered.append(table)
        rows = sum(table.num_rows for table in buffered)
        if rows == 0:
            return 0, 0
        parts = 1 if rows <= ROWS_OF_ONE_PART else PARTS_OF_A_LARGE_WINDOW
        rows = self._write_parts("raw", chain(buffered, rest), parts)
        self._write_parts("raw-items", items, parts)
        return rows, parts

    def _write_parts(self, name: str, tables: Iterable[pa.Table], parts: int) -> int:
        rows = 0
        with _PartWriters(self.folder / name, parts) as writers:
            for table in tables:
                writers.write(table)
                rows += table.num_rows
        return rows

    def raw_parts(self) -> Iterator[tuple[str, pd.DataFrame, pd.DataFrame | None]]:
        """Yield groups of neighbouring parts, so that each is worth its overhead and memory does not grow.

        Yields:
            A name for what becomes of the group; its raw rows, with the columns that the source gave; and their items,
            None where no query gave any.
        """
        has_items = (self.folder / "raw-items").exists()
        no_items = pa.table({"order_id": pa.array([], pa.string())})
        paths_of_items = self._paths_by_part("raw-items") if has_items else {}
        group: list[tuple[str, pa.Table, pa.Table]] = []
        for part, paths in self._paths_by_part("raw").items():
            rows, items = _read(paths), _read(paths_of_items[part]) if part in paths_of_items else no_items
            if group and _is_full([*group, (part, rows, items)]):
                yield _taken_as_frames(group, has_items=has_items)
            group.append((part, rows, items))
        yield _taken_as_frames(group, has_items=has_items)

    def raw_rows(self, orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the raw rows of these orders, in their order, and the orders' items (None if their parts have none).

        No part is read but theirs: some are asked for after each request.

        Args:
            orders: `order_hash` and `position`, as ready_parts() and rejected_parts() give them.
        """
        raw = self._paths_by_part("raw")
        raw_items = self._paths_by_part("raw-items") if (self.folder / "raw-items").exists() else {}
        parts = 1 if raw.keys() == {_part_name(0)} else PARTS_OF_A_LARGE_WINDOW
        numbers = part_numbers(orders["order_hash"].to_numpy(), parts)
        found, found_items = [], []
        for number in np.unique(numbers):
            part, positions = _part_name(number), pa.array(orders["position"][numbers == number])
            rows = _read(raw[part])
            rows = rows.filter(pc.is_in(rows["position"], value_set=positions))
            found.append(rows)
            if part in raw_items:
                items = _read(raw_items[part])
                ids, item_ids = (pc.utf8_trim_whitespace(table["order_id"]) for table in (rows, items))
                found_items.append(items.filter(pc.is_in(item_ids, value_set=ids, skip_nulls=True)))
        frame = _concat(found).to_pandas().set_index("position", drop=False).loc[orders["position"].tolist()]
        return frame, _concat(found_items).to_pandas() if found_items else None

    def rejected_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the rows that transform has rejected, with their reasons."""
        if (self.folder / "rejected").exists():
            for path in self._paths("rejected"):
                yield _read([path]).to_pandas()

    def ready_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the ready orders of each group of parts: first those of the lowest `order_hash`."""
        for path in self._paths("ready"):
            yield _read([path]).to_pandas()

    def write(self, name: str, part: str, frame: pd.DataFrame) -> None:
        """Write one part of `ready` or `rejected`; an empty one is left out."""
        if frame.empty:
            return
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / part).open("wb") as file:
            pq.write_table(pa.Table.from_pandas(frame, preserve_index=False, nthreads=1), file, **_PARQUET)

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

    def _paths(self, name: str) -> list[UPath]:
        return sorted(self._folder(name).glob("*.parquet"), key=lambda path: path.name)

    def _folder(self, name: str) -> UPath:
        if not (self.folder / name).exists():
            raise StopError(
                f"The staged parts {self.folder} are gone: a run that succeeded deletes them. "
                "Clear the run from its extract task on, to read the source again."
            )
        return self.folder / name

    def _paths_by_part(self, name: str) -> dict[str, list[UPath]]:
        by_part = groupby(self._paths(name), lambda path: path.name.rpartition("-")[0])
        return {part: list(paths) for part, paths in by_part}


class _PartWriters:
    """One Parquet file a part, or more where later rows have more columns; what is buffered is worth a row group."""

    def __init__(self, folder: UPath, parts: int) -> None:
        self._folder = folder
        self._parts = parts
        self._open = ExitStack()
        self._writers: dict[int, list[pq.ParquetWriter]] = {}
        self._pending: dict[int, list[pa.Table]] = {}
        self._bytes_pending = 0

    def __enter__(self) -> _PartWriters:
        return self

    def __exit__(self, *failure: Any) -> None:
        with self._open:
            if failure == (None, None, None):
                self._flush()

    def write(self, table: pa.Table) -> None:
        hashes = order_hashes(table["order_id"])
        numbers = part_numbers(hashes, self._parts)
        by_part = np.argsort(numbers, kind="stable")
        ordered = table.append_column("order_hash", pa.array(hashes)).take(pa.array(by_part))
        bounds = np.searchsorted(numbers[by_part], np.arange(self._parts + 1))
        for part in range(self._parts):
            length = int(bounds[part + 1] - bounds[part])
            if length:
                self._pending.setdefault(part, []).append(ordered.slice(int(bounds[part]), length))
        self._bytes_pending += ordered.nbytes
        if self._bytes_pending > BYTES_BUFFERED:
            self._flush()

    def _flush(self) -> None:
        for part, tables in self._pending.items():
            table = _concat(tables)
            writer = self._writer(part, table.schema)
            writer.write_table(_concat([writer.schema.empty_table(), table]))
        self._pending.clear()
        self._bytes_pending = 0

    def _writer(self, part: int, schema: pa.Schema) -> pq.ParquetWriter:
        writers = self._writers.setdefault(part, [])
        if not writers or set(schema.names) - set(writers[-1].schema.names):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{_part_name(part)}-{len(writers):02d}.parquet"
            whole = pa.unify_schemas([*[writer.schema for writer in writers[-1:]], schema])
            file = self._open.enter_context(path.open("wb"))
            writers.append(self._open.enter_context(pq.ParquetWriter(file, whole, **_PARQUET)))
        return writers[-1]


def _part_name(number: int) -> str:
    return f"part-{number:05d}"


def _is_full(group: Sequence[tuple[str, pa.Table, pa.Table]]) -> bool:
    rows: int = sum(rows.num_rows for _, rows, _ in group)
    size: int = sum(rows.nbytes + items.nbytes for _, rows, items in group)
    return rows > ROWS_OF_A_GROUP or size > BYTES_OF_A_GROUP


def _taken_as_frames(
    group: list[tuple[str, pa.Table, pa.Table]], *, has_items: bool
) -> tuple[str, pd.DataFrame, pd.DataFrame | None]:
    """Return the group's rows and items, and empty it, so that they are not held twice while they are worked on."""
    parts, rows, items = zip(*group, strict=True)
    group.clear()
    return f"{parts[0]}.parquet", _concat(rows).to_pandas(), _concat(items).to_pandas() if has_items else None


def _read(paths: Iterable[UPath]) -> pa.Table:
    # Whole files, which are small: Arrow would ask Python for each column of each.
    return _concat([pq.ParquetFile(pa.BufferReader(path.read_bytes())).read(use_threads=False) for path in paths])


def _concat(tables: Sequence[pa.Table]) -> pa.Table:
    """Return the rows of all; where a table lacks another's column, that is missing."""
    return pa.concat_tables(tables, promote_options="default")
