"""Shared by all databases: the columns of a query's answer, and the marks in its rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from include.order_sync import stops
from include.order_sync.errors import StopError

# In the first column, instead of a row that is too long. Random, so that no database holds it.
TOO_LONG_MARK = f"too long-{uuid.uuid4()}"


@dataclass
class Columns:
    """The columns of a query's answer, by their number.

    Args:
        names: in their order; a query may give a name twice.
        binary: those that hold bytes, as far as they are known: a database without fixed types shows it with its rows.
        days: those that hold dates without a time.
    """

    names: list[str]
    binary: set[int] = field(default_factory=set)
    days: set[int] = field(default_factory=set)

    def empty_table(self) -> pa.Table:
        """Return a table of these columns without rows, all text."""
        return pa.table({str(number): pa.array([], pa.string()) for number in range(len(self.names))})

    def refuse_bytes(self, used: Iterable[int], where: str) -> None:
        """Raise StopError if a column that is used holds bytes: their text would be another in each database."""
        names = sorted(self.names[number] for number in self.binary & set(used))
        if names:
            raise StopError(
                stops.BYTES,
                f"{where}: column {', '.join(map(repr, names))} is bytes, not text: cast it in the query, "
                "for example to hexadecimal digits.",
            )


def too_long(chunk: pa.Table) -> pa.ChunkedArray:
    """Return a mask of the rows that stand for one that is too long."""
    return pc.fill_null(pc.equal(chunk.column(0), TOO_LONG_MARK), False)
