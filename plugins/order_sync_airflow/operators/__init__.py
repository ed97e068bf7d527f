"""Extract, transform, load: one operator each, for every destination."""

from order_sync_airflow.operators.extract import ExtractOrdersOperator
from order_sync_airflow.operators.load import LoadOrdersOperator
from order_sync_airflow.operators.maintenance import RemoveOldOperator
from order_sync_airflow.operators.redrive import StageQuarantineOperator
from order_sync_airflow.operators.transform import TransformOrdersOperator

__all__ = [
    "ExtractOrdersOperator",
    "LoadOrdersOperator",
    "RemoveOldOperator",
    "StageQuarantineOperator",
    "TransformOrdersOperator",
]
