"""A source of either type: a warehouse or a CSV drop."""

from __future__ import annotations

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.sql_source import SqlSource

Source = SqlSource | CsvSource

# As `type` names them.
SOURCE_TYPES: dict[str, type[SqlSource] | type[CsvSource]] = {"sql": SqlSource, "csv": CsvSource}
