"""Joins the lines of an order, where a file has a line for each item: one row, with the items of all its lines.

- `items`: each line repeats the order's columns. A line of another status or time begins another row.
- `continuation`: further lines leave the order's columns empty, also its id, or repeat them.
- `last`: the last line is the order, and the lines before it are passed over.

The lines of an order stand together. Where they do not, transform refuses the order (`scattered`). A line that could
not be read may have its id all the same: then its order's items have LOST_ITEM, for services that take items. With
`last` the order is refused, because its newest line is lost.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

import pyarrow as pa

from include.order_sync.sources.raw_forms import RawForms
from include.order_sync.transform.row_problems import LAST_LINE_LOST, LOST_ITEM
from include.order_sync.transform.values import plain_word

_STATE = ("status", "status_changed_at", "updated_at")

_Row = dict[str, str | None]

# The lines of an order stand together, so the lines right before its first good one tell; all of a file would not fit
# into memory.
_UNREAD_KEPT = 100
_UNREAD_BYTES = 16 * 1024
# What stands for each byte that is no text.
_NO_TEXT = "\ufffd"


class LineMerger:
    """Joins the lines of one file.

    Args:
        how: `lines` of the source.
        fields: canonical column -> the name of the table's column.
        items: key of an item -> the column's index in the file.
        item_id: the key of its id.
        delimiter: of the file.
        forms: of the source's ids and times, by which lines are compared.
        missing: words for nothing, in any case.

    Attributes:
        joined: how many lines were joined with the first line of their order, or passed over for its last one.
    """

    def __init__(
        self,
        how: Literal["items", "continuation", "last"],
        fields: Mapping[str, str],
        items: Mapping[str, int],
        item_id: str,
        delimiter: str,
        forms: RawForms,
        missing: Sequence[str] = (),
    ) -> None:
        self._missing = {word.lower() for word in missing}
        self._how, self._fields, self._item_columns, self._item_id = how, fields, items, item_id
        self._delimiter, self._forms = delimiter, forms
        self._compared = [column for column in ("order_id", *_STATE) if column in fields]
        self._row: _Row | None = None  # the order whose lines may go on
        self._key: list[str] = []  # its id and state, as they are compared
        self._line = 0
        self._items: list[_Row] = []
        self._has_bare_lines = self._has_lost_line = False
        # The fields of the lines that could not be read since the last row.
        self._unread: deque[list[str]] = deque(maxlen=_UNREAD_KEPT)
        self._ready: list[tuple[int, _Row]] = []
        self.joined = 0

    def add(self, table: pa.Table, lines: pa.Array, unread: Mapping[int, bytes]) -> None:
        """Take the next rows of the file.

        Args:
            table: of them.
            lines: of each, in the file.
            unread: lines between or beside them that could not be read, and their bytes.
        """
        breaks = sorted(unread, reverse=True)
        columns = [table.column(name).to_pylist() for name in self._fields.values()]
        for key, at in self._item_columns.items():
            texts = table.column(str(at))
            columns.append((self._forms.apply("item_id", texts) if key == self._item_id else texts).to_pylist())
        width = len(self._fields)
        for line, key, *values in zip(lines.to_pylist(), self._keys(table), *columns, strict=True):
            row = dict(zip(self._fields, values[:width], strict=True))
            item = {name: value for name, value in zip(self._item_columns, values[width:], strict=True) if value}
            while breaks and breaks[-1] < line:
                self._take_unread(unread[breaks.pop()])
            if self._row is not None and self._goes_on(key):
                self.joined += 1
                self._has_bare_lines |= _is_bare(key)
                if self._how == "last":
                    self._begin(line, key, row)
            else:
                self._finish()
                self._begin(line, key, row)
                self._has_lost_line = self._how != "last" and any(self._names(key[0], each) for each in self._unread)
            self._unread.clear()
            self._items += [item] if item else []
        for line in reversed(breaks):
            self._take_unread(unread[line])

    def rows(self, *, ended: bool) -> tuple[pa.Table, pa.Array]:
        """Return the whole rows so far, by canonical columns and `problem`, and their lines.

        Args:
            ended: whether the file has: then the last order is whole too.
        """
        if ended:
            self._finish()
        lines = pa.array([line for line, _ in self._ready], pa.int64())
        columns = [*(column for column in self._fields if column != "items"), "items", "problem"]
        table = {name: pa.array([row.get(name) for _, row in self._ready], pa.string()) for name in columns}
        self._ready = []
        return pa.table(table), lines

    def _keys(self, table: pa.Table) -> Iterable[list[str]]:
        """Return id and state of each row, as they are compared: in the source's forms, without words for nothing."""
        columns = [
            [self._text(text) for text in self._forms.apply(column, table.column(self._fields[column])).to_pylist()]
            for column in self._compared
        ]
        for column, texts in zip(self._compared, columns, strict=True):
            if column == "status":
                texts[:] = map(_plain_word, texts)
        return map(list, zip(*columns, strict=True))

    def _goes_on(self, key: list[str]) -> bool:
        order_id, state = key[0], key[1:]
        repeats = all(given in ("", known) for given, known in zip(state, self._key[1:], strict=True))
        if self._how == "continuation":
            # After lines that leave the status empty, one that has it is another copy of its order.
            is_copy = self._has_bare_lines and not _is_bare(key)
            return order_id in ("", self._key[0]) and repeats and not is_copy
        return order_id == self._key[0] != "" and (self._how == "last" or repeats)

    def _take_unread(self, record: bytes) -> None:
        texts = record[:_UNREAD_BYTES].decode("utf-8", "replace").split(self._delimiter)
        fields = [self._text(text.strip(' \t\r\n"')) for text in texts]
        self._unread.append(fields)
        if self._row is None:
            return
        at = int(self._fields["order_id"])
        has_no_id = self._how == "continuation" and at < len(fields) and not fields[at]
        if has_no_id or self._names(self._key[0], fields):
            self._has_lost_line = True
        else:
            self._finish()

    def _names(self, order_id: str, fields: Sequence[str]) -> bool:
        """Return whether a line that could not be read has the id of an order, or may have.

        It may stand in another place than the header says: a field too many may be the line's fault.
        """
        if not order_id:
            return False
        if order_id in self._forms.apply("order_id", pa.array(fields, pa.string())).to_pylist():
            return True
        at = int(self._fields["order_id"])
        pieces = fields[at].split(_NO_TEXT) if at < len(fields) else []
        if len(pieces) < 2 or not any(pieces):
            return False
        has_ends = order_id.startswith(pieces[0]) and order_id.endswith(pieces[-1])
        return has_ends and all(piece in order_id for piece in pieces)

    def _text(self, text: str | None) -> str:
        trimmed = (text or "").strip()
        return "" if trimmed.lower() in self._missing else trimmed

    def _begin(self, line: int, key: list[str], row: _Row) -> None:
        self._row, self._key, self._line, self._items = row, key, line, []
        self._has_bare_lines = self._has_lost_line = False

    def _finish(self) -> None:
        if self._row is not None:
            is_last = self._how == "last"
            every = [*self._items, *([LOST_ITEM] if self._has_lost_line and not is_last else [])]
            items = json.dumps(every, ensure_ascii=False) if every else None
            problem = LAST_LINE_LOST if self._has_lost_line and is_last else None
            self._ready.append((self._line, self._row | {"items": items, "problem": problem}))
        self._row, self._items = None, []


_plain_word = lru_cache(maxsize=64)(plain_word)  # a field may have megabytes


def _is_bare(key: Sequence[str]) -> bool:
    """Return whether a line leaves its order's status empty."""
    return not any(key[1:2])
