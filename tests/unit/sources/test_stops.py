"""A reading that is asked to stop, or reaches its time limit, in the middle of a query."""

import time

import pytest

from include.order_sync.errors import TryAgainError
from tests.unit.conftest import TimeLimit, ended_after, whole

SLEEP = {"copied": "pg_sleep({}) is null", "mysql": "sleep({}) is null"}
ROWS = {"copied": "generate_series(1, 1000) as row_number", "mysql": "(select seq from seq_1_to_1000) as rows_"}
WINDOWED = "now() >= :window_start and now() < :window_end"


@pytest.mark.parametrize("error", [TryAgainError("asked to stop"), TimeLimit()], ids=["stop", "limit"])
@pytest.mark.parametrize("at", ["first row", "last row", "check of the window"])
@pytest.mark.parametrize("kind", ["copied", "mysql"])
def test_a_stop_in_mid_query_stays_the_error(request, kind, at, error):
    """No fault of the session that the stop leaves takes its place, and nothing waits for the query's end."""
    warehouse = request.getfixturevalue(kind)
    columns = "'1' as order_id, 'paid' as status, '2026-11-21' as status_changed_at"
    sleep = SLEEP[kind].format(20)
    windowed = WINDOWED if at == "check of the window" else ":window_start < :window_end"
    query = f"select {columns} where {windowed} and not {sleep}"
    if at == "last row":
        query = f"select {columns} from {ROWS[kind]} where {windowed} union all {query}"
    begun = time.monotonic()
    with pytest.raises(type(error)) as raised, ended_after(2, error):  # noqa: SIM117
        with warehouse.reader(query).open() as (orders, _):
            whole(orders)
    assert raised.value is error
    assert time.monotonic() - begun < 10
