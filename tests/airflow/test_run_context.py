"""The run request from a task's context, and the window that tasks pass on."""

import re
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
        ("asset_materialization", "person"),
        ("asset_triggered", "person"),
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


class TaskInstance:
    """A task instance whose pushed values another task can pull by its task's id."""

    def __init__(self, task_id: str = "extract") -> None:
        self.task_id = task_id
        self.pushed: dict[str, object] = {}

    def xcom_push(self, key: str, value: object) -> None:
        """Keep a value; Airflow takes only what JSON can hold."""
        assert value is None or isinstance(value, str | dict)
        self.pushed[key] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> object:
        """Return a value that the task has pushed; None without one."""
        assert task_ids == self.task_id
        return self.pushed.get(key)


LIVE, NOT_LIVE = SimpleNamespace(live=True), SimpleNamespace(live=False)


@pytest.mark.parametrize(
    ("params", "destination", "mode", "kind"),
    [
        ({}, LIVE, "deliver", ""),
        ({"mode": "deliver"}, LIVE, "deliver", ""),
        ({"mode": "plan"}, LIVE, "plan", "PLAN"),
        ({"mode": "adopt"}, LIVE, "adopt", "ADOPT"),
        ({}, NOT_LIVE, "plan", "PLAN ONLY"),
        ({"mode": "deliver"}, NOT_LIVE, "plan", "PLAN ONLY"),
        ({"mode": "adopt"}, NOT_LIVE, "plan", "PLAN ONLY"),
    ],
)
def test_a_run_delivers_only_to_a_destination_that_is_live(params, destination, mode, kind):
    """The note says whatever a run does beside delivering."""
    given = context(**params)
    assert (run_context.mode(given, destination), run_context.kind(given, destination)) == (mode, kind)


@pytest.mark.parametrize(
    ("params", "destination", "is_plan"),
    [
        ({}, LIVE, False),
        ({"mode": "adopt"}, LIVE, False),
        ({"dry_run": False}, LIVE, False),
        ({"mode": "plan"}, LIVE, True),
        ({"dry_run": True}, LIVE, True),
        ({}, NOT_LIVE, True),
    ],
)
def test_a_plan_and_a_dry_run_send_nothing(params, destination, is_plan):
    """So does any run of a destination that is not live."""
    assert run_context.is_plan(context(**params), destination) is is_plan


@pytest.mark.parametrize(("params", "trusts"), [({}, False), ({"trust": "ledger"}, False), ({"trust": "source"}, True)])
def test_only_a_person_makes_a_run_trust_the_source(params, trusts):
    """Without the param the ledger keeps older rows back."""
    assert run_context.trusts_source(context(**params)) is trusts


@pytest.mark.parametrize("time", [TEN, None])
def test_the_time_of_adoption_is_handed_on(time):
    """Load pulls the time that extract has pushed; without one nothing is adopted."""
    given = {"ti": TaskInstance()}
    assert run_context.pull_adopt_before(given) is None
    run_context.push_adopt_before(given, time)
    assert run_context.pull_adopt_before(given) == time


@pytest.mark.parametrize("time", [TEN, None])
def test_the_newest_change_is_handed_on(time):
    """Load pulls the time that transform has pushed; a redrive has none."""
    given = {"ti": TaskInstance("transform")}
    assert run_context.pull_newest_read(given) is None
    run_context.push_newest_read(given, time)
    assert run_context.pull_newest_read(given) == time


def test_the_things_that_are_handed_on_do_not_mix():
    """Window, message, and all times have keys of their own, and a redrive has none of them."""
    given = {"ti": TaskInstance(), **context()}
    assert run_context.pull_window(given) is None
    run_context.push_window(given, Window(TEN, ELEVEN))
    assert run_context.pull_adopt_but_at(given) is None
    run_context.push_adopt_before(given, ELEVEN, TEN)
    run_context.push_left_out(given, "older orders")
    read_at = run_context.push_read_at(given)
    assert run_context.pull_window(given) == Window(TEN, ELEVEN)
    assert (run_context.pull_adopt_before(given), run_context.pull_adopt_but_at(given)) == (ELEVEN, TEN)
    assert given["ti"].pushed == {
        "window": {"start": TEN.isoformat(), "end": ELEVEN.isoformat()},
        "adopt_before": ELEVEN.isoformat(),
        "adopt_but_at": TEN.isoformat(),
        "left_out": "older orders",
        "read_at": read_at.isoformat(),
    }
    assert read_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("message", "params", "stops"),
    [("older orders", {}, True), ("older orders", {"mode": "plan"}, False), (None, {}, False)],
    ids=["a delivery", "a plan", "nothing left out"],
)
def test_a_run_that_left_older_orders_out_is_red(message, params, stops):
    """A plan only warns; the message is the one that extract has pushed."""
    given = {"ti": TaskInstance(), **context(**params)}
    run_context.push_left_out(given, message)
    if not stops:
        run_context.stop_if_left_out(given, LIVE)
        return
    with pytest.raises(StopError, match="older orders"):
        run_context.stop_if_left_out(given, LIVE)


@pytest.mark.parametrize(
    ("started", "params", "text"),
    [(TEN, {}, TEN.isoformat()), (None, {}, "None"), (TEN, {"resend": True}, f"resend,{TEN.isoformat()}")],
)
def test_a_run_that_a_person_clears_has_another_key(started, params, text):
    """The key has the DAG, the run, its start with the mark of a resend, and the time of reading."""
    ti = TaskInstance()
    ti.xcom_push("read_at", "then")
    dag_run = SimpleNamespace(dag_id="order_sync_x", run_id="scheduled 1", start_date=started)
    given = {"ti": ti, "dag_run": dag_run, "params": params}
    assert run_context.run_key(given) == f"order_sync_x scheduled 1 {text} then"


def test_half_a_data_interval_is_none():
    """Only both ends make a data interval."""
    for missing in ("data_interval_start", "data_interval_end"):
        given = context("manual")
        del given[missing]
        assert run_request(given) == RunRequest("person")


@pytest.mark.parametrize("given", [None, []])
def test_no_order_ids_are_all_orders(given):
    """An empty param narrows nothing, and neither does an empty time."""
    assert run_request(context(order_ids=given, from_=None, to="")).order_ids == frozenset()


@pytest.mark.parametrize("name", ["Mode", "order_id", "dryrun"])
def test_a_param_that_the_dag_has_not_is_refused(name):
    """A misspelt param would count as not given: what is meant as a plan would deliver."""
    dag = SimpleNamespace(params={"mode": "deliver", "order_ids": None, "dry_run": True})
    run = {"dag": dag, "dag_run": SimpleNamespace(conf=None)}
    run_context.refuse_unknown_params({"params": {"mode": "plan"}, **run})
    with pytest.raises(StopError, match=f"no param '{name}'; did you mean .*Nothing was read or sent"):
        run_context.refuse_unknown_params({"params": {"mode": "plan", name: 1}, **run})


def test_a_param_that_airflow_ignores_is_refused():
    """With dag_run_conf_overrides_params = False what is meant as a plan would deliver."""
    run = {"dag": SimpleNamespace(params={"mode": "deliver"}), "dag_run": SimpleNamespace(conf={"mode": "plan"})}
    run_context.refuse_unknown_params({"params": {"mode": "plan"}, **run})
    with pytest.raises(StopError, match=r"`mode`, and Airflow has ignored it.*dag_run_conf_overrides_params"):
        run_context.refuse_unknown_params({"params": {"mode": "deliver"}, **run})


def test_a_param_of_a_time_is_a_field_for_times():
    """It is empty at first, and shows only what it is given; the format gives it a calendar in Airflow's form."""
    bare = run_context.time_param("From")
    assert (bare.value, bare.description) == (None, None)
    assert {name: bare.schema[name] for name in ("title", "type", "format")} == {
        "title": "From",
        "type": ["null", "string"],
        "format": "date-time",
    }
    assert bare.schema.keys() <= {"title", "type", "format", "pattern"}
    shown = run_context.time_param("From", "since when", "Choice")
    assert (shown.description, shown.schema["section"]) == ("since when", "Choice")


@pytest.mark.parametrize(
    ("value", "is_time"),
    [("2026-11-01", True), ("2026-11-01T00:00:00.5+02:00", True), ("", True), ("soon", False), ("2026-11-1", False)],
)
def test_a_param_of_a_time_refuses_other_texts(value, is_time):
    """A text is matched with the pattern of times."""
    pattern = run_context.time_param("From").schema["pattern"]
    assert bool(re.match(pattern, value)) is is_time
