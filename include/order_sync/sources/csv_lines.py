"""Joins the lines of an order, where a file has a line for each item: one row, with the items of all its lines.

- `items`: each line repeats the order's columns. A line of another status or time begins another row.
- `continuation`: further lines leave the order's columns empty, also its id, or repeat them.
- `last`: the last line is the order, and the lines before it are passed over.

The lines of an order stand together. Where they do not, transform refuses the order (`scattered`). A line that could
not be read ends its order: nobody knows whose line it was, and whose lines come after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import pyarrow as pa

_STATE = ("status", "status_changed_at", "updated_at")

_Row = dict[str, str | None]


class LineMerger:
    """Joins the lines of one file.

    Args:
        how: `lines` of the source.
        fields: canonical column -> the name of the table's column.
        items: key of an item -> the column's index in the file.
        missing: words for nothing, in any case.

    Attributes:
        joined: how many lines were joined with the first line of their order, or passed over for its last one.
    """

    def __init__(
        self,
        how: Literal["items", "continuation", "last"],
        fields: Mapping[str, str],
        items: Mapping[str, int],
        missing: Sequence[str] = (),
    ) -> None:
        self._missing = {word.lower() for word in missing}
        self._how, self._fields, self._item_columns = how, fields, items
        self._row: _Row | None = None  # the order whose lines may go on
        self._line = 0
        self._items: list[_Row] = []
        self._ready: list[tuple[int, _Row]] = []
        self.joined = 0

    def add(self, table: pa.Table, lines: pa.Array, unread: Iterable[int]) -> None:
        """Take the next rows of the file.

        Args:
            table: of them.
            lines: of each, in the file.
            unread: lines between or beside them that could not be read.
        """
        breaks = sorted(unread)
        wanted = [*self._fields.values(), *map(str, self._item_columns.values())]
        columns = [table.column(name).to_pylist() for name in wanted]
        width = len(self._fields)
        for line, *values in zip(lines.to_pylist(), *columns, strict=True):
            row = dict(zip(self._fields, values[:width], strict=True))
            item = {key: value for key, value in zip(self._item_columns, values[width:], strict=True) if value}
            if breaks and breaks[0] < line:
                self._finish()
                breaks = [other for other in breaks if other > line]
            if self._row is not None and self._goes_on(self._row, row):
                self.joined += 1
                if self._how == "last":
                    self._row, self._line, self._items = row, line, []
            else:
                self._finish()
                self._row, self._line = row, line
            self._items += [item] if item else []
        if breaks:
            self._finish()

    def rows(self, *, ended: bool) -> tuple[pa.Table, pa.Array]:
        """Return the whole rows so far, by canonical columns, and their lines.

        Args:
            ended: whether the file has: then the last order is whole too.
        """
        if ended:
            self._finish()
        lines = pa.array([line for line, _ in self._ready], pa.int64())
        columns = [*(column for column in self._fields if column != "items"), "items"]
        table = {name: pa.array([row.get(name) for _, row in self._ready], pa.string()) for name in columns}
        self._ready = []
        return pa.table(table), lines

    def _goes_on(self, order: _Row, row: _Row) -> bool:
        order_id, own = self._text(order, "order_id"), self._text(row, "order_id")
        state = [(self._text(order, column), self._text(row, column)) for column in _STATE if column in self._fields]
        if self._how == "continuation":
            return own in ("", order_id) and all(given in ("", known) for known, given in state)
        return own == order_id != "" and (self._how == "last" or all(given == known for known, given in state))

    def _text(self, row: _Row, column: str) -> str:
        text = (row.get(column) or "").strip()
        return "" if text.lower() in self._missing else text

    def _finish(self) -> None:
        if self._row is not None:
            items = json.dumps(self._items, ensure_ascii=False) if self._items else None
            self._ready.append((self._line, self._row | {"items": items}))
        self._row, self._items = None, []
