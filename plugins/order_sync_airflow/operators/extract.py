"""Reads a window of the destination's source and stages it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from airflow.sdk import ObjectStoragePath

from include.order_sync.config import Source, SqlSource
from order_sync_airflow import counts
from order_sync_airflow.hooks.base import sql_engine
from order_sync_airflow.operators.base import DestinationOperator, run_folder
from order_sync_airflow.window import narrowed_ids, window_of

if TYPE_CHECKING:
    import pyarrow as pa
    from airflow.sdk import Context

    from include.order_sync.model import Window
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.raw import Required
    from include.order_sync.sources.warehouse import WarehouseReader


class ExtractOrdersOperator(DestinationOperator):
    """Stages the raw rows of the run's window, partitioned by order.

    :param destination: its name in the configuration.

    Returns the folder of the staged parts; `counts` has rows and skipped.
    """

    def execute(self, context: Context) -> str:
        """Read and stage; a try that follows another starts anew."""
        from include.order_sync.staging import Staging

        configuration, destination = self.read_configuration()
        source = configuration.sources[destination.source]
        window, only = window_of(context), narrowed_ids(context)
        self.log.info("Reading %s from %s up to %s", source.name, window.start, window.end)
        folder = run_folder(configuration.staging, context)
        staging = Staging(folder)
        staging.clear()
        reader = self._reader(source, window, destination.service.required)
        with reader.open() as (orders, items):
            rows, parts = staging.stage_raw(_narrowed(orders, only), items)
        self.log.info("Staged %d rows in %d parts; skipped %d", rows, parts, reader.skipped)
        counts.push(context, rows=rows + reader.skipped, skipped=reader.skipped)
        return str(folder)

    def _reader(self, source: Source, window: Window, required: Required) -> WarehouseReader | CsvDropReader:
        if isinstance(source, SqlSource):
            from include.order_sync.sources.warehouse import WarehouseReader

            engine = sql_engine(source.connection)
            return WarehouseReader(engine, source, window, required)
        from include.order_sync.sources.csv_drop import CsvDropReader

        return CsvDropReader(ObjectStoragePath(source.folder, conn_id=source.connection), source, window, required)


def _narrowed(tables: Iterable[pa.Table], only: frozenset[str]) -> Iterator[pa.Table]:
    """Leave all orders out but those of `only`, if it names any."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for table in tables:
        if only:
            ids = pc.utf8_trim_whitespace(table["order_id"])
            yield table.filter(pc.is_in(ids, value_set=pa.array(sorted(only), pa.string())))
        else:
            yield table
