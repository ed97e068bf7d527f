"""Sends the ready orders to the destination's service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowSkipException

from order_sync_airflow import counts, window
from order_sync_airflow.hooks import hook_for
from order_sync_airflow.ledger import LEDGER_CONNECTION, ledger_engine, ledger_transaction
from order_sync_airflow.operators.base import DestinationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.delivery import Delivered
    from include.order_sync.staging import Staging


class LoadOrdersOperator(DestinationOperator):
    """Delivers the ready orders in batches; skipped where there are none.

    :param destination: its name in the configuration.
    :param staged: the folder that transform has returned. (templated)

    `counts` has what became of each order, and the requests, also where the task fails.
    """

    template_fields: Sequence[str] = ("staged",)

    def __init__(self, *, staged: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = staged

    def execute(self, context: Context) -> None:
        """Send all that is ready, and delete the staged parts when all of it has a verdict."""
        from include.order_sync.delivery import Choices, Delivery
        from include.order_sync.ledger.session import open_session
        from include.order_sync.staging import Staging

        _, destination = self.read_configuration()
        staging = Staging(ObjectStoragePath(self.staged))
        before = counts.pull(context, "transform")
        if before["orders"] == before["rejected"] + before["not_for_provider"]:
            staging.clear("raw", "raw-items", "ready")
            self._finish_window(context, staging)
            raise AirflowSkipException("No orders to send in this window.")
        hook = hook_for(destination.provider, destination.connection)
        choices = Choices(
            send_when=destination.send_when,
            resend_in_doubt=destination.in_doubt == "resend",
            resend=bool(context["params"].get("resend")),
        )
        with (
            hook.get_conn() as session,
            open_session(
                ledger_engine(),
                LEDGER_CONNECTION,
                destination=destination.name,
                run=run_key(context["dag_run"]),
                try_number=context["ti"].try_number,
            ) as ledger,
        ):
            delivery = Delivery(destination.service, hook.credentials, session, ledger, choices)
            try:
                delivery.run(staging.ready_parts())
            finally:
                self._report(context, delivery.delivered, before["rejected"], staging)
                if delivery.delivered.complete:
                    self._finish_window(context, staging)
        staging.clear("raw", "raw-items", "ready")

    def _finish_window(self, context: Context, staging: Staging) -> None:
        """Write down that all orders of the run's window and files have their verdict; a narrowed run has no window."""
        from include.order_sync.ledger import files, windows

        finished, run = window.pull(context), run_key(context["dag_run"])
        if finished:
            with ledger_transaction() as ledger:
                windows.finish(ledger, self.destination, finished, run)
                files.take(ledger, self.destination, staging.files(), run)

    def _report(self, context: Context, delivered: Delivered, rejected_before: int, staging: Staging) -> None:
        for number, rows in enumerate(delivered.rejected):
            staging.write("rejected", f"load-{context['ti'].try_number:03d}-{number:05d}.parquet", rows)
        outcomes = dict.fromkeys(counts.OUTCOMES, 0) | delivered.orders
        if delivered.reasons:
            self.log.warning("%s rejects\n%s", self.destination, counts.reasons_table(delivered.reasons))
        self.log.info(
            "%d requests; %s", delivered.requests, ", ".join(f"{orders} {name}" for name, orders in outcomes.items())
        )
        outcomes["rejected"] += rejected_before
        counts.push(context, **outcomes, requests=delivered.requests)


def run_key(dag_run: Any) -> str:
    """Return what the ledger counts a run's attempts by: a run that a person clears starts, and counts, anew."""
    return f"{dag_run.dag_id} {dag_run.run_id} {dag_run.start_date.isoformat()}"
