"""The button of a task that leads to its run on the page Order Sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import BaseOperatorLink

from order_sync_airflow.operators import (
    ExtractOrdersOperator,
    LoadOrdersOperator,
    StageQuarantineOperator,
    TransformOrdersOperator,
)
from order_sync_airflow.page import NAME, address_in_airflow

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class RunLink(BaseOperatorLink):
    """Leads to what the task's run did. The api-server makes the link: a task need not push it."""

    name = NAME
    operators = [  # noqa: RUF012  (Airflow's own interface)
        ExtractOrdersOperator,
        StageQuarantineOperator,
        TransformOrdersOperator,
        LoadOrdersOperator,
    ]

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  (Airflow's signature)
        """Return the address, relative to the base of Airflow's UI."""
        return address_in_airflow(f"run/{ti_key.dag_id}/{ti_key.run_id}")
