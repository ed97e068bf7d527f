"""Rows that are committed after the run that should have read them: what finds them, and what does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.order_sync.model import Window
from tests.unit.conftest import whole
from tests.unit.sources.conftest import Warehouse

BY_UPDATED_AT = "updated_at"
BY_COMMIT = "pg_xact_commit_timestamp(xmin)"


@pytest.mark.parametrize(
    ("time", "lookback", "found"),
    [
        pytest.param(BY_UPDATED_AT, timedelta(0), [], id="nothing"),
        pytest.param(BY_UPDATED_AT, timedelta(hours=1), ["1"], id="lookback"),
        pytest.param(BY_COMMIT, timedelta(0), ["1"], id="commit timestamp"),
    ],
)
def test_what_finds_a_row_that_is_committed_late(
    copied: Warehouse, time: str, lookback: timedelta, found: list[str]
) -> None:
    """A row of a long transaction is not there when its time is read; lookback or the time of its commit finds it."""
    copied.execute("create table orders (id text, updated_at timestamptz)")
    query = (
        "select id as order_id, 'paid' as status, updated_at as status_changed_at from orders "
        f"where {time} >= :window_start and {time} < :window_end"
    )

    def read(start: datetime, end: datetime) -> list[str]:
        with replace(copied.reader(query), window=Window(start, end)).open() as (orders, _):
            return whole(orders)["order_id"].to_pylist()

    began = datetime.now(UTC)
    with copied.engine.begin() as shop:
        shop.execute(sa.text("insert into orders values ('1', clock_timestamp())"))
        first_end = datetime.now(UTC)
        assert read(began, first_end) == []

    # The next run's window, with `lookback` before it.
    assert read(first_end - lookback, datetime.now(UTC)) == found
