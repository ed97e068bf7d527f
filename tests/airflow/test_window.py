"""Which window a run reads."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from order_sync_airflow.window import narrowed_ids, window_of

from include.order_sync.errors import StopError
from include.order_sync.model import Window

TEN, ELEVEN = datetime(2026, 11, 21, 10, tzinfo=UTC), datetime(2026, 11, 21, 11, tzinfo=UTC)


def context(run_type: str = "scheduled", *, interval: bool = True, **params) -> dict:
    """Return what of a task's context counts here."""
    keys = {"data_interval_start": TEN, "data_interval_end": ELEVEN} if interval else {}
    names = {"from_": "from"}
    return {
        "dag_run": SimpleNamespace(run_type=run_type),
        "params": {names.get(name, name): value for name, value in params.items()},
        **keys,
    }


@pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
def test_a_run_reads_its_data_interval(run_type):
    """Without params a run reads its data interval."""
    assert window_of(context(run_type)) == Window(TEN, ELEVEN)


@pytest.mark.parametrize("interval", [True, False])
def test_a_manual_run_reads_what_its_params_say(interval):
    """`from` and `to` win over the data interval; a time without an offset is UTC."""
    given = context("manual", interval=interval, from_="2026-11-01T00:00:00+02:00", to="2026-11-02T00:00:00")
    assert window_of(given) == Window(datetime(2026, 10, 31, 22, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (context("manual", interval=False), "no data interval.*`from` and `to`"),
        (context("manual", from_="2026-11-01T00:00:00Z"), "both params"),
        (context("manual", to="2026-11-01T00:00:00Z"), "both params"),
        (context("manual", from_="2026-11-02T00:00:00Z", to="2026-11-01T00:00:00Z"), "must lie before"),
        (context("backfill", from_="2026-11-01T00:00:00Z", to="2026-11-02T00:00:00Z"), "for manual runs"),
        (context("scheduled", from_="2026-11-01T00:00:00Z", to="2026-11-02T00:00:00Z"), "for manual runs"),
    ],
    ids=["none", "no to", "no from", "backwards", "backfill", "scheduled"],
)
def test_a_window_that_is_none_is_refused(given, said):
    """A run that does not know what to read stops, and says what to give."""
    with pytest.raises(StopError, match=said):
        window_of(given)


@pytest.mark.parametrize(
    ("order_ids", "expected"), [(None, set()), ([], set()), ([" 007 ", "1e5"], {"007", "1e5"})], ids=str
)
def test_order_ids_narrow(order_ids, expected):
    """The param `order_ids` names the only orders to send."""
    assert narrowed_ids(context(order_ids=order_ids)) == expected
