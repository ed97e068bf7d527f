"""The reader of a destination's source: a query of a warehouse, or the files of a drop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from include.order_sync.configuration.sql_source import SqlSource
from order_sync_airflow.hooks.base import sql_engine
from order_sync_airflow.ledger_connection import ledger_transaction
from order_sync_airflow.operators.base import storage_path

if TYPE_CHECKING:
    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.model import FileVersion
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.run_window import RunWindow
    from include.order_sync.sources.warehouse import WarehouseReader


def reader_of(
    source: Source, destination: Destination, run: RunWindow, history: str
) -> WarehouseReader | CsvDropReader:
    """Return a reader of the orders that a run reads; it is not connected yet.

    Args:
        source: of the destination.
        destination: of the orders.
        run: with a window, if the source is a drop.
        history: the name under which the ledger knows the files that the destination has taken.
    """
    required = destination.service.required
    if isinstance(source, SqlSource):
        from include.order_sync.sources.warehouse import WarehouseReader

        return WarehouseReader(sql_engine(source.connection), source, run.window, required, run.order_ids)
    from include.order_sync.sources.csv_drop import CsvDropReader

    if run.window is None:
        raise AssertionError("a drop has no query by ids")

    def taken(paths: Sequence[str]) -> list[FileVersion]:
        from include.order_sync.ledger import files

        with ledger_transaction() as ledger:
            return files.taken(ledger, history, paths)

    folder = storage_path(source.folder, source.connection)
    return CsvDropReader(folder, source, run.window, required, taken, run.healing)
