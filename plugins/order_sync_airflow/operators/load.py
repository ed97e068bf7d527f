"""Sends the ready orders to the destination's service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import AirflowSkipException

from include.order_sync.sums import check_sums, check_thresholds
from order_sync_airflow import counts, window
from order_sync_airflow.hooks import hook_for
from order_sync_airflow.ledger import REDRIVEN_KEY, deployment_cipher, ledger_transaction, open_ledger, run_key
from order_sync_airflow.operators.base import DestinationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.delivery import Delivered
    from include.order_sync.planner import Planner
    from include.order_sync.staging import Staging


class LoadOrdersOperator(DestinationOperator):
    """Delivers the ready orders in batches; skipped where there are none.

    :param destination: its name in the configuration. (templated)
    :param staged: the folder that transform has returned. (templated)
    :param retry_rejected: send again what the service has rejected in this very form, as a redrive does.

    `counts` has what became of each order, and the requests, also where the task fails.
    """

    template_fields: Sequence[str] = ("destination", "staged")

    def __init__(self, *, staged: str, retry_rejected: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = staged
        self.retry_rejected = retry_rejected
        # Not in execute: a kill before Airflow has recorded the success would leave its retry without parts.
        self.on_success_callback = [*self.on_success_callback, delete_parts]
        self.on_skipped_callback = [*self.on_skipped_callback, delete_parts]

    def execute(self, context: Context) -> None:
        """Send what is to be sent; the staged parts are deleted once Airflow has recorded the success, or skip."""
        from include.order_sync.delivery import Delivered, Delivery
        from include.order_sync.ledger.quarantine import resolve_redriven
        from include.order_sync.ledger.sealing import Sealer
        from include.order_sync.planner import Choices, Planner
        from include.order_sync.staging import Staging

        configuration, destination = self.read_configuration()
        source = configuration.sources[destination.source]
        staging = Staging(ObjectStoragePath(self.staged))
        before = counts.pull(context, "transform")
        plan_only = context["params"].get("mode") == "plan"
        if not before["orders"]:
            if not plan_only:
                self._finish_window(context, staging)
            raise AirflowSkipException("No orders in this window.")
        hook = hook_for(destination.provider, destination.connection)
        choices = Choices(
            send_when=destination.send_when,
            resend_in_doubt=destination.in_doubt == "resend",
            resend=bool(context["params"].get("resend")),
            retry_rejected=self.retry_rejected,
        )
        sealer = Sealer(staging, source.timezone, deployment_cipher())
        if plan_only:
            with open_ledger(context, destination.name, read_only=True) as ledger:
                self._show(context, Planner(destination.service, ledger, choices), staging)
            return
        with open_ledger(context, destination.name) as ledger:
            for rows in staging.rejected_parts():
                ledger.quarantine(sealer.seal_rows(rows))
            if before["orders"] == before["rejected"] + before["not_for_provider"]:
                self._finish_window(context, staging)
                check_thresholds(before, destination)
                raise AirflowSkipException("No orders to send in this window.")
            with hook.get_conn() as session:
                delivered = Delivered(requests=ledger.count_batches())
                delivery = Delivery(
                    destination.service, hook.credentials, session, ledger, sealer.seal, choices, delivered
                )
                try:
                    delivery.run(staging.ready_parts())
                finally:
                    outcomes = self._report(context, delivered, before["rejected"])
                    if delivered.complete:
                        self._finish_window(context, staging)
            check_sums(before | outcomes, ledger.count_own()["accepted"])
            redriven = context["ti"].xcom_pull(task_ids="extract", key=REDRIVEN_KEY)
            if redriven:
                with ledger.transaction() as cursor:
                    resolve_redriven(cursor, ledger.run, redriven)
        check_thresholds(before | outcomes, destination)

    def _finish_window(self, context: Context, staging: Staging) -> None:
        """Write down that all orders of the run's window and files have their verdict; a narrowed run has no window."""
        from include.order_sync.ledger import files, windows

        finished, run = window.pull(context), run_key(context)
        if finished:
            with ledger_transaction() as ledger:
                windows.finish(ledger, self.destination, finished, run)
                files.take(ledger, self.destination, staging.files(), run)

    def _show(self, context: Context, planner: Planner, staging: Staging) -> None:
        """Log and push what the run would do, ids and codes alone."""
        before = counts.pull(context, "transform")
        outcomes: dict[str, int] = {}
        if before["orders"] > before["rejected"] + before["not_for_provider"]:
            outcomes, first = planner.preview(staging.ready_parts())
            self.log.info(
                "Plan only, nothing is sent. %s. The first to be sent:\n%s", dict(outcomes), counts.plan_table(first)
            )
        counts.push(context, **{name: before.get(name, 0) + outcomes.get(name, 0) for name in counts.OUTCOMES})

    def _report(self, context: Context, delivered: Delivered, rejected_before: int) -> dict[str, int]:
        """Log and push what has become of the orders so far, and return it."""
        outcomes = dict.fromkeys(counts.OUTCOMES, 0) | delivered.orders
        if delivered.reasons:
            self.log.warning(
                "%s rejects; the rows are in the quarantine\n%s",
                self.destination,
                counts.reasons_table(delivered.reasons, {}, {}),
            )
        said = ", ".join(f"{orders} {name}" for name, orders in outcomes.items())
        self.log.info("%d requests; %s", delivered.requests, said)
        outcomes["rejected"] += rejected_before
        counts.push(context, **outcomes, requests=delivered.requests)
        return outcomes


def delete_parts(context: Context) -> None:
    """Delete the staged parts of a load that has ended well; rejected rows stay until retention.

    Airflow calls it in the task's process, after it has recorded the success (a skip it records some moments later, as
    the process ends). What it raises is logged, and changes no state.
    """
    from include.order_sync.staging import Staging

    Staging(ObjectStoragePath(context["task"].staged)).clear("raw", "raw-items", "ready")
