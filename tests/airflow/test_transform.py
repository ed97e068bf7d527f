from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.sdk.exceptions import DownstreamTasksSkipped
from order_sync_airflow import run_figures
from order_sync_airflow.operators import TransformOrdersOperator


def test_a_window_of_blank_rows_alone_skips_load(tmp_path):
    """A window with only blank rows stages nothing, which is no error, and skips load."""
    figures = run_figures.ZERO | {"rows": 1, "skipped": 1}
    pushed = {"counts": figures, "window": None, "read_at": "now"}
    ti = Mock(task_id="transform", **{"xcom_pull.side_effect": lambda key, **_: pushed.get(key)})
    dag_run = SimpleNamespace(dag_id="dag", run_id="run", run_type="scheduled", start_date=datetime.now(UTC))
    with DAG("dag", schedule=None):
        transform = TransformOrdersOperator(task_id="transform", destination="rees46", staged=str(tmp_path / "run"))
        transform >> BaseOperator(task_id="load")
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        transform.execute({"ti": ti, "dag_run": dag_run, "params": {}})
    assert skipped.value.tasks == ["load"]
    ti.xcom_push.assert_called_once_with(run_figures.COUNTS_KEY, figures)
