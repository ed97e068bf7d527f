"""The DAG files, as Airflow's own DagBag reads them."""

import subprocess
import sys
from datetime import timedelta

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import CronDataIntervalTimetable
from order_sync_airflow.retry import OrderSyncRetryPolicy

from tests.airflow.conftest import ROOT

OWN = {"order_sync_redrive", "order_sync_maintenance"}
SAMPLE = {"order_sync_rees46", "order_sync_personaclick", "order_sync_yespo", "order_sync_justclick"}


@pytest.fixture
def bag():
    """Read the project's DAG folder anew."""
    return DagBag(ROOT / "dags")


@pytest.fixture
def configuration(tmp_path, monkeypatch):
    """Return a function that makes a text the configuration."""

    def write(text: str) -> None:
        (tmp_path / "order_sync.yaml").write_text(text, "utf-8")
        monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "order_sync.yaml"))

    return write


def test_the_sample_configuration_gives_one_dag_a_destination(bag):
    """The folder gives exactly the sample's DAGs, and no file of it fails."""
    assert bag.import_errors == {}
    assert set(bag.dags) == SAMPLE | OWN


def test_a_destinations_dag_is_as_designed(bag):
    """Each DAG is hourly with a data interval, without catch-up, one run and one load at a time."""
    for dag in (bag.dags[name] for name in SAMPLE):
        assert isinstance(dag.timetable, CronDataIntervalTimetable)
        assert (dag.catchup, dag.max_active_runs) == (False, 1)
        assert dag.task_ids == ["extract", "transform", "load"]
        assert dag.get_task("load").upstream_task_ids == {"transform"}
        assert dag.get_task("transform").upstream_task_ids == {"extract"}
        assert dag.get_task("load").max_active_tis_per_dag == 1
        assert set(dag.params) == {"from", "to", "order_ids", "mode", "resend"}
        assert "order-sync" in dag.tags
        assert "status" in dag.doc_md
        for task in dag.tasks:
            assert isinstance(task.retry_policy, OrderSyncRetryPolicy)
            assert (task.retries, task.retry_delay) == (30, timedelta(minutes=10))
            assert task.max_retry_delay == timedelta(hours=1)
            assert task.retry_exponential_backoff


def test_good_destinations_keep_their_dags_and_mistakes_are_listed(configuration):
    """A mistake costs its destination alone, and Airflow's import errors say all mistakes, with their cures."""
    sample = (ROOT / "include/config/order_sync.yaml").read_text("utf-8")
    configuration(sample.replace("provider: yespo", "provider: yespoo").replace("connection: rees46", "conection: x"))
    bag = DagBag(ROOT / "dags")
    assert set(bag.dags) == {"order_sync_personaclick", "order_sync_justclick"} | OWN
    ((file, error),) = bag.import_errors.items()
    assert file.endswith("order_sync_config.py")
    for said in ("destinations.yespo.provider", "'yespoo'", "did you mean 'yespo'", "destinations.rees46.conection"):
        assert said in error


def test_parsing_reads_no_data_and_imports_no_pandas():
    """A DAG file is parsed often: it imports neither pandas, pyarrow, SQLAlchemy's engines nor requests for itself."""
    code = (
        "import sys, airflow.sdk; before = set(sys.modules); import runpy; runpy.run_path('dags/order_sync.py');"
        "print(sorted({'pandas', 'pyarrow', 'psycopg', 'numpy'} & (set(sys.modules) - before)))"
    )
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}", "PATH": "", "AIRFLOW_HOME": "/nonexistent"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_missing_configuration_is_said(configuration, tmp_path, monkeypatch):
    """Without its file the project has no DAGs, and says which file is missing."""
    monkeypatch.setenv("ORDER_SYNC_CONFIG", str(tmp_path / "none.yaml"))
    bag = DagBag(ROOT / "dags")
    assert set(bag.dags) == {"order_sync_maintenance"}
    ((_, error),) = bag.import_errors.items()
    assert "none.yaml" in error
