"""The run request from a task's context, and the window that tasks pass on."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from airflow.sdk._shared.timezones import timezone
from order_sync_airflow import run_context
from order_sync_airflow.run_context import run_request

from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.run_window import RunRequest

TEN, ELEVEN = datetime(2026, 11, 21, 10, tzinfo=UTC), datetime(2026, 11, 21, 11, tzinfo=UTC)


def context(run_type: str = "scheduled", *, interval: bool = True, **params) -> dict:
    """Return the parts of a task's context that a run request needs."""
    keys = {"data_interval_start": TEN, "data_interval_end": ELEVEN} if interval else {}
    names = {"from_": "from"}
    return {
        "dag_run": SimpleNamespace(run_type=run_type),
        "params": {names.get(name, name): value for name, value in params.items()},
        **keys,
    }


@pytest.mark.parametrize(
    ("run_type", "by"),
    [
        ("scheduled", "schedule"),
        ("backfill", "backfill"),
        ("manual", "person"),
        ("operator_triggered", "person"),
        ("asset_triggered", "schedule"),
    ],
)
def test_a_run_has_its_data_interval(run_type, by):
    """Without params the request is for the run's data interval."""
    assert run_request(context(run_type)) == RunRequest(by, Window(TEN, ELEVEN))


def test_a_manual_run_may_have_no_data_interval():
    """Without a logical date a run has no data interval."""
    assert run_request(context("manual", interval=False)) == RunRequest("person")


def test_a_dag_that_triggers_ours_may_give_params():
    """The params of TriggerDagRunOperator count as those of a person."""
    given = context("operator_triggered", interval=False, from_=TEN.isoformat(), to=ELEVEN.isoformat())
    asked = run_request(given)
    assert (asked.by, asked.start, asked.end) == ("person", TEN, ELEVEN)


def test_params_are_read():
    """A time without an offset is UTC, and order ids lose the blanks around them."""
    given = context(
        "manual", from_="2026-11-01T00:00:00+02:00", to="2026-11-02T00:00:00", order_ids=[" 007 ", "1e5", "007"]
    )
    assert run_request(given) == RunRequest(
        "person",
        Window(TEN, ELEVEN),
        start=datetime(2026, 10, 31, 22, tzinfo=UTC),
        end=datetime(2026, 11, 2, tzinfo=UTC),
        order_ids=frozenset({"007", "1e5"}),
    )


def test_a_time_without_an_offset_is_utc_in_every_airflow(monkeypatch):
    """Airflow's default time zone does not count for params."""
    monkeypatch.setattr(timezone._Timezone, "initialized_timezone", timezone.parse_timezone("Europe/Kyiv"))
    assert run_request(context("manual", to="2026-11-02T00:00:00")).end == datetime(2026, 11, 2, tzinfo=UTC)


def test_a_time_that_is_none_is_refused_with_one_that_is():
    """The message about a wrong time shows a right one in the param's form."""
    with pytest.raises(StopError, match="`from` is 'soon'") as stop:
        run_request(context("manual", from_="soon"))
    example = str(stop.value).removesuffix(".").split("as ")[-1]
    start = run_request(context("manual", from_=example)).start
    assert start == datetime(2026, 11, 21, 11, 45, tzinfo=UTC)


@pytest.mark.parametrize("handed_on", [Window(TEN, ELEVEN), None], ids=["one", "none"])
def test_a_window_is_handed_on(handed_on):
    """Load pulls the same window that extract has pushed."""
    pushed = {}
    ti = SimpleNamespace(
        xcom_push=lambda key, value: pushed.update({key: value}),
        xcom_pull=lambda *, task_ids, key: {"extract": pushed}[task_ids][key],
    )
    run_context.push_window({"ti": ti}, handed_on)
    assert run_context.pull_window({"ti": ti}) == handed_on


@pytest.mark.parametrize("given", ["A-1", [7], [""], ["A-1", " "], {"A-1": 1}])
def test_order_ids_that_are_no_list_of_texts_are_said(given):
    """A text would be read as its letters, and an empty id as no id at all."""
    with pytest.raises(StopError, match=r"param `order_ids` is .*give a list of texts"):
        run_request(context("manual", interval=False, order_ids=given))
