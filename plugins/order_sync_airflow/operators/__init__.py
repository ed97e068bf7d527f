"""Operators: extract, transform, approve and load of every destination; redrive, maintenance and watch.

They read Airflow's context and call the business in include/order_sync/; no operator knows a service.
"""

from order_sync_airflow.operators.approve import ApproveOperator
from order_sync_airflow.operators.extract import ExtractOrdersOperator
from order_sync_airflow.operators.load import LoadOrdersOperator
from order_sync_airflow.operators.maintenance import RemoveOldOperator
from order_sync_airflow.operators.redrive import StageQuarantineOperator
from order_sync_airflow.operators.transform import TransformOrdersOperator
from order_sync_airflow.operators.watch import WatchOperator

__all__ = [
    "ApproveOperator",
    "ExtractOrdersOperator",
    "LoadOrdersOperator",
    "RemoveOldOperator",
    "StageQuarantineOperator",
    "TransformOrdersOperator",
    "WatchOperator",
]
