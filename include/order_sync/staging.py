"""A run's staged parts, as Parquet: tasks hand on the folder's path, never rows.

    raw/part-00000.parquet        rows as the source gave them, as text, partitioned by a hash of the order id
    raw-items/part-00000.parquet  their items, where a second query gives them, partitioned alike
    ready/part-00000.parquet      orders with their payloads (READY_COLUMNS of transform.py)
    rejected/part-00000.parquet   rows that can't be sent, with their reasons
    files.parquet                 versions of the drop's files that were read

Paths are UPath: a folder of this machine, or of any object storage.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from upath import UPath

from include.order_sync.errors import StopError
from include.order_sync.model import FileVersion

# A window of up to so many rows is one part; a larger one is split, so that memory does not grow with it.
ROWS_OF_ONE_PART = 50_000
PARTS_OF_A_LARGE_WINDOW = 64
ROWS_BUFFERED = 100_000

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
            orders: tables of one schema, with `order_id`.
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
        """Yield the name, the raw rows and the items (None where no query gave any) of each part."""
        has_items = (self.folder / "raw-items").exists()
        for path in self._paths("raw"):
            items = self.folder / "raw-items" / path.name
            raw = _read(path)
            if not has_items:
                yield path.name, raw, None
            elif items.exists():
                yield path.name, raw, _read(items)
            else:
                yield path.name, raw, pd.DataFrame({"order_id": pd.Series(dtype="str")})

    def raw_rows(self, orders: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame | None]:
        """Return the raw rows of these orders, in their order, and the orders' items (None if their parts have none).

        No part is read but theirs: some are asked for after each request.

        Args:
            orders: `part` and `position`, as ready_parts() and rejected_parts() give them.
        """
        raw = self._folder("raw")
        found, found_items = [], []
        for part in orders["part"].unique():
            positions = orders.loc[orders["part"] == part, "position"].tolist()
            rows = _read(raw / part, pc.field("position").isin(positions))
            found.append(rows)
            items = self.folder / "raw-items" / part
            if items.exists():
                ids = pa.array(rows["order_id"].dropna().str.strip().tolist(), pa.string())
                found_items.append(_read(items, pc.utf8_trim_whitespace(pc.field("order_id")).isin(ids)))
        rows = pd.concat(found).set_index("position", drop=False).loc[orders["position"].tolist()]
        return rows, pd.concat(found_items) if found_items else None

    def rejected_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the rows that transform has rejected, with their reasons and the name of their `part`."""
        if (self.folder / "rejected").exists():
            for path in self._paths("rejected"):
                yield _read(path).assign(part=path.name)

    def ready_parts(self) -> Iterator[pd.DataFrame]:
        """Yield the ready orders of each part, with its name as `part`."""
        for path in self._paths("ready"):
            yield _read(path).assign(part=path.name)

    def write(self, name: str, part: str, frame: pd.DataFrame) -> None:
        """Write one part of `ready` or `rejected`; an empty one is left out."""
        if frame.empty:
            return
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / part).open("wb") as file:
            frame.to_parquet(file, index=False)

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


class _PartWriters:
    """One Parquet file a part; rows are buffered, so that each write is worth a row group."""

    def __init__(self, folder: UPath, parts: int) -> None:
        self._folder = folder
        self._parts = parts
        self._open = ExitStack()
        self._writers: dict[int, pq.ParquetWriter] = {}
        self._pending: dict[int, list[pa.Table]] = {}
        self._rows_pending = 0

    def __enter__(self) -> _PartWriters:
        return self

    def __exit__(self, *failure: Any) -> None:
        with self._open:
            if failure == (None, None, None):
                self._flush()

    def write(self, table: pa.Table) -> None:
        numbers = part_numbers(table["order_id"], self._parts)
        by_part = np.argsort(numbers, kind="stable")
        ordered = table.take(pa.array(by_part))
        bounds = np.searchsorted(numbers[by_part], np.arange(self._parts + 1))
        for part in range(self._parts):
            length = int(bounds[part + 1] - bounds[part])
            if length:
                self._pending.setdefault(part, []).append(ordered.slice(int(bounds[part]), length))
        self._rows_pending += table.num_rows
        if self._rows_pending > ROWS_BUFFERED:
            self._flush()

    def _flush(self) -> None:
        for part, tables in self._pending.items():
            table = pa.concat_tables(tables)
            if part not in self._writers:
                self._folder.mkdir(parents=True, exist_ok=True)
                file = self._open.enter_context((self._folder / f"part-{part:05d}.parquet").open("wb"))
                self._writers[part] = self._open.enter_context(pq.ParquetWriter(file, table.schema))
            self._writers[part].write_table(table)
        self._pending.clear()
        self._rows_pending = 0


def part_numbers(order_ids: pa.ChunkedArray, parts: int) -> np.ndarray:
    """Return the part, from 0, that each row belongs to: the same for equal ids, whatever blanks surround them."""
    ids = pc.fill_null(pc.utf8_trim_whitespace(order_ids), "").to_numpy()
    return pd.util.hash_array(ids, categorize=False) % parts


def _read(path: UPath, where: pc.Expression | None = None) -> pd.DataFrame:
    with path.open("rb") as file:
        frame: pd.DataFrame = pq.read_table(file, filters=where).to_pandas()
        return frame
