"""Raw rows in the form that extract stages, and an error that comes from outside."""

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from include.order_sync.sources.raw import RAW_ITEMS_SCHEMA, RAW_SCHEMA
from include.order_sync.staging.partition_hash import partition_hashes

Rows = Callable[..., pd.DataFrame]


def whole(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the raw rows of tables, with all columns added."""
    return pa.concat_tables([RAW_SCHEMA.empty_table(), *tables], promote_options="default")


class TimeLimit(BaseException):
    """As Airflow's AirflowTaskTimeout."""


@contextmanager
def ended_after(seconds: float, error: BaseException) -> Iterator[None]:
    """Raise the error in the main thread, as Airflow's signal handlers do."""

    def end(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def raw_orders() -> Rows:
    """Return a builder of raw rows from dicts that differ from a plain paid order."""

    def build(*rows: dict[str, Any]) -> pd.DataFrame:
        plain = {"order_id": "A-1", "status": "paid", "status_changed_at": "2026-11-21T10:00:00Z", "origin": "query"}
        filled = [{**plain, "line": at + 1, "position": at, **row} for at, row in enumerate(rows)]
        raw = pa.Table.from_pylist(filled, RAW_SCHEMA)
        return raw.append_column("partition_hash", pa.array(partition_hashes(raw["order_id"]))).to_pandas()

    return build


@pytest.fixture(scope="session")
def raw_items() -> Rows:
    """Return a builder of the raw items of an items query."""

    def build(*rows: dict[str, Any]) -> pd.DataFrame:
        return pa.Table.from_pylist(list(rows), RAW_ITEMS_SCHEMA).to_pandas()

    return build
