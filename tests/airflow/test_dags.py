"""The DAG files, read by Airflow's own DagBag."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import CronDataIntervalTimetable, RetryAction
from order_sync_airflow.retry import OrderSyncRetryPolicy

from include.order_sync.errors import StopError
from include.order_sync.providers import PROVIDERS
from tests.airflow.conftest import ROOT

OWN = {"order_sync_redrive", "order_sync_maintenance", "order_sync_watch"}
# The sample configuration has one destination for each provider, of the same name.
SAMPLE = {f"order_sync_{name}" for name in PROVIDERS}


@pytest.fixture
def bag():
    """Read the project's DAG folder again."""
    return DagBag(ROOT / "dags")


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    """Return a function that puts a text in force as the configuration."""

    def write(text: str) -> None:
        (tmp_path / "order_sync.yaml").write_text(text, "utf-8")
        monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))

    return write


def test_the_sample_configuration_gives_one_dag_a_destination(bag):
    """The folder gives exactly the sample's DAGs, without import errors."""
    assert bag.import_errors == {}
    assert set(bag.dags) == SAMPLE | OWN


def test_a_destinations_dag_is_as_designed(bag):
    """Each DAG is hourly with a data interval, has no catch-up, and runs one run and one load at a time."""
    for dag in (bag.dags[name] for name in SAMPLE):
        assert isinstance(dag.timetable, CronDataIntervalTimetable)
        assert (dag.catchup, dag.max_active_runs) == (False, 1)
        assert dag.task_ids == ["extract", "transform", "approve", "load"]
        assert dag.get_task("load").upstream_task_ids == {"transform", "approve"}
        assert dag.get_task("load").trigger_rule == "none_failed_min_one_success"
        assert dag.get_task("approve").upstream_task_ids == {"transform"}
        assert dag.get_task("transform").upstream_task_ids == {"extract"}
        assert dag.get_task("load").max_active_tis_per_dag == 1
        assert set(dag.params) == {"from", "to", "order_ids", "mode", "resend", "trust"}
        assert "order-sync" in dag.tags
        assert "status" in dag.doc_md
        for task in dag.tasks:
            assert isinstance(task.retry_policy, OrderSyncRetryPolicy)
            assert (task.retries, task.retry_delay) == (0 if task.task_id == "approve" else 30, timedelta(minutes=1))
            assert task.max_retry_delay == timedelta(hours=1)
            assert task.retry_exponential_backoff


def test_a_redrive_is_dry_by_default_and_has_a_limit(bag):
    """Whoever triggers a redrive without a change of its params sees a list, and sends nothing."""
    params = bag.dags["order_sync_redrive"].params
    assert (params["dry_run"], params["at_most"], params["decision"]) == (True, 1000, None)


def test_every_task_and_run_has_a_time_limit(bag):
    """Nothing can hang for ever; a load may outlast a day, and a run its load's tries through an outage of a day."""
    for dag in bag.dags.values():
        assert dag.dagrun_timeout == (timedelta(hours=1) if dag.dag_id == "order_sync_watch" else timedelta(days=8))
        for task in dag.tasks:
            hours = {"load": 25, "approve": 1 / 6, "watch": 0.5}.get(task.task_id, 4)
            assert task.execution_timeout == timedelta(hours=hours)
            if task.task_id == "approve":
                assert task.response_timeout == timedelta(days=1)


def test_an_unknown_error_ends_every_task_soon(bag):
    """No task of any DAG is tried for hours because of an error that nobody knows: the third try is the last."""
    for task in (task for dag in bag.dags.values() for task in dag.tasks):
        assert task.retry_policy.evaluate(ZeroDivisionError(), 2, 30).action == RetryAction.RETRY
        assert task.retry_policy.evaluate(ZeroDivisionError(), 3, 30).action == RetryAction.FAIL


def test_a_mistake_takes_no_dag_away_and_is_listed(configuration):
    """Destinations with mistakes keep DAGs of the same tasks; Airflow's import errors show all mistakes with cures."""
    sample = (ROOT / "include/config/order_sync.yaml").read_text("utf-8")
    configuration(sample.replace("provider: yespo", "provider: yespoo").replace("connection: rees46", "conection: x"))
    bag = DagBag(ROOT / "dags")
    assert set(bag.dags) == SAMPLE | OWN
    for name, is_good in (("yespo", False), ("rees46", False), ("justclick", True)):
        dag = bag.dags[f"order_sync_{name}"]
        assert dag.task_ids == ["extract", "transform", "approve", "load"]
        assert dag.schedule.expression == "0 * * * *"
        assert "order-sync" in dag.tags
        assert ("MISTAKES" not in dag.description) == is_good
        assert name in bag.dags["order_sync_redrive"].params.get_param("destination").schema["enum"]
    ((file, error),) = bag.import_errors.items()
    assert file.endswith("order_sync_config.py")
    for text in ("destinations.yespo.provider", "'yespoo'", "did you mean 'yespo'", "destinations.rees46.conection"):
        assert text in error


FOR_ORDERS = {"numpy", "pandas", "pyarrow", "requests"}
FOR_THE_LEDGER = {"alembic", "psycopg", "sqlalchemy"}


def imported(code, slow):
    """Return the packages of `slow` that a fresh Python imports for this code, and Airflow itself does not."""
    code = (
        f"import sys, airflow.sdk\nbefore = set(sys.modules)\n{code}\n"
        f"print(*sorted({slow} & (set(sys.modules) - before)))"
    )
    environment = {
        "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}",
        "PATH": "",
        "AIRFLOW_HOME": "/nonexistent",
        "AIRFLOW__CORE__FERNET_KEY": os.environ["AIRFLOW__CORE__FERNET_KEY"],
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split()


def test_parsing_imports_nothing_slow():
    """The DAG files, which Airflow parses often, import no package that reads, sends or computes."""
    files = sorted(map(str, (ROOT / "dags").glob("*.py")))
    code = f"import runpy\nfor file in {files}: runpy.run_path(file)"
    assert imported(code, FOR_ORDERS | FOR_THE_LEDGER) == []


@pytest.mark.parametrize("task", ["transform", "load"])
def test_an_hour_without_orders_imports_nothing_slow(task):
    """Without orders, transform and load do not import the packages that process orders."""
    code = f"""
from datetime import datetime
from types import SimpleNamespace
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped
from order_sync_airflow import operators, run_figures
kind = operators.{task.title()}OrdersOperator
pushed = {{("extract", "counts"): run_figures.ZERO, ("transform", "counts"): run_figures.ZERO}}
ti = SimpleNamespace(
    task_id="{task}",
    try_number=1,
    xcom_push=lambda *_: None,
    xcom_pull=lambda task_ids, key: pushed.get((task_ids, key)),
)
dag_run = SimpleNamespace(dag_id="dag", run_id="run", run_type="scheduled", start_date=datetime.now())
context = {{"ti": ti, "params": {{}}, "dag_run": dag_run}}
try:
    kind(task_id="{task}", destination="rees46", staged="/nowhere").execute(context)
except (AirflowSkipException, DownstreamTasksSkipped):
    pass
"""
    assert imported(code, FOR_ORDERS) == []


def test_a_task_parses_its_own_dag_alone(bag, monkeypatch):
    """A task that starts builds only its own destination's DAG."""
    assert {"order_sync_rees46", "order_sync_yespo"} <= set(bag.dags)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "order_sync_rees46")  # Airflow sets it so for a task
    alone = DagBag(ROOT / "dags" / "order_sync.py")
    assert set(alone.dags) == {"order_sync_rees46"}


@pytest.mark.parametrize("task", ["extract", "transform", "load"])
def test_each_task_of_a_destination_with_mistakes_ends_with_them(configuration, task):
    """Each task stops with the mistakes, so that open runs end red too; and a stop is not tried again."""
    sample = (ROOT / "include/config/order_sync.yaml").read_text("utf-8")
    configuration(sample.replace("provider: yespo", "provider: yespoo"))
    failing = DagBag(ROOT / "dags").dags["order_sync_yespo"].get_task(task)
    with pytest.raises(StopError, match=r"yespoo.*did you mean 'yespo'") as stop:
        failing.execute({})
    assert failing.retry_policy.evaluate(stop.value, 1, 30).action == RetryAction.FAIL


def test_a_file_that_is_no_yaml_keeps_the_dags(configuration):
    """A slip that makes the whole file unreadable leaves the DAGs of the destinations that its text still shows."""
    sample = (ROOT / "include/config/order_sync.yaml").read_text("utf-8")
    configuration(sample.replace("sources:", "sources: [", 1))
    bag = DagBag(ROOT / "dags")
    assert set(bag.dags) == SAMPLE | OWN
    assert len(bag.import_errors) == 1


def test_a_dag_that_is_not_live_says_so(configuration):
    """Airflow's list shows PLAN ONLY beside a destination that is not live, and beside no other."""
    sample = (ROOT / "include/config/order_sync.yaml").read_text("utf-8")
    before, yespo, after = sample.partition("  yespo:")
    configuration(before + yespo + after.replace("live: true", "live: false", 1))
    bag = DagBag(ROOT / "dags")
    assert bag.import_errors == {}
    assert {name for name in SAMPLE if "PLAN ONLY" in bag.dags[name].description} == {"order_sync_yespo"}


def test_a_missing_configuration_is_said(configuration, tmp_path, monkeypatch):
    """Without its configuration the project has no DAGs, and an import error names the missing file."""
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "none.yaml"))
    bag = DagBag(ROOT / "dags")
    assert set(bag.dags) == {"order_sync_maintenance", "order_sync_watch"}
    ((_, error),) = bag.import_errors.items()
    assert "none.yaml" in error
