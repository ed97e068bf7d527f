from unittest.mock import Mock

from order_sync_airflow import counts
from order_sync_airflow.operators import TransformOrdersOperator


def test_a_window_of_blank_rows_alone_is_no_error(tmp_path):
    """A file that holds nothing but blank rows has nothing staged, which is not for want of parts."""
    figures = counts.ZERO | {"rows": 1, "skipped": 1}
    ti = Mock(task_id="transform", **{"xcom_pull.return_value": figures})
    transform = TransformOrdersOperator(task_id="transform", destination="rees46", staged=str(tmp_path / "run"))
    transform.execute({"ti": ti})
    ti.xcom_push.assert_called_once_with(counts.COUNTS_KEY, figures)
