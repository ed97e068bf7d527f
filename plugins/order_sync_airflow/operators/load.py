"""Sends the ready orders to the destination's service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowSkipException

from order_sync_airflow import counts
from order_sync_airflow.hooks import hook_for
from order_sync_airflow.operators.base import DestinationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.delivery import Delivered
    from include.order_sync.staging import Staging


class LoadOrdersOperator(DestinationOperator):
    """Delivers the ready orders in batches; skipped where there are none.

    :param destination: its name in the configuration.
    :param staged: the folder that transform has returned. (templated)

    `counts` has accepted, rejected and requests, also where the task fails.
    """

    template_fields: Sequence[str] = ("staged",)

    def __init__(self, *, staged: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = staged

    def execute(self, context: Context) -> None:
        """Send all that is ready, and delete the staged parts when all of it has a verdict."""
        from include.order_sync.delivery import Delivery
        from include.order_sync.staging import Staging

        _, destination = self.read_configuration()
        staging = Staging(ObjectStoragePath(self.staged))
        before = counts.pull(context, "transform")
        if before["orders"] == before["rejected"] + before["not_for_provider"]:
            staging.clear("raw", "raw-items", "ready")
            raise AirflowSkipException("No orders to send in this window.")
        hook = hook_for(destination.provider, destination.connection)
        with hook.get_conn() as session:
            delivery = Delivery(destination.service, hook.credentials, session)
            try:
                delivery.run(staging.ready_parts())
            finally:
                self._report(context, delivery.delivered, before["rejected"], staging)
        staging.clear("raw", "raw-items", "ready")

    def _report(self, context: Context, delivered: Delivered, rejected_before: int, staging: Staging) -> None:
        rejected = sum(map(len, delivered.rejected))
        for number, rows in enumerate(delivered.rejected):
            staging.write("rejected", f"load-{number:05d}.parquet", rows)
        if rejected:
            self.log.warning(
                "%s rejected %d orders\n%s",
                self.destination,
                rejected,
                counts.reasons_table(delivered.reasons),
            )
        self.log.info("%d requests, %d orders accepted", delivered.requests, delivered.accepted)
        counts.push(
            context,
            accepted=delivered.accepted,
            rejected=rejected_before + rejected,
            requests=delivered.requests,
        )
