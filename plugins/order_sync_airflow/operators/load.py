"""Sends the ready orders to the destination's service."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import Asset, AssetAlias
from airflow.sdk.exceptions import AirflowSkipException

from include.order_sync import tuning
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.delivery.accounting import OUTCOMES, check_balance, check_thresholds
from order_sync_airflow import brake, log_tables, progress, run_context, run_figures
from order_sync_airflow.hooks import hook_for
from order_sync_airflow.ledger_connection import REDRIVEN_KEY, deployment_cipher, ledger_transaction, open_ledger
from order_sync_airflow.operators.base import DestinationOperator, storage_path

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.delivery.decision_table import SendOptions
    from include.order_sync.delivery.planning import Planner
    from include.order_sync.delivery.result import DeliveryResult
    from include.order_sync.ledger.attempts import Sender
    from include.order_sync.ledger.lateness import Lateness
    from include.order_sync.ledger.session import LedgerSession
    from include.order_sync.model import Window
    from include.order_sync.staging.run_folder import Staging


class LoadOrdersOperator(DestinationOperator):
    """Delivers the ready orders in batches; transform skips it if there are none.

    :param destination: its name in the configuration. (templated)
    :param staged: the folder that transform has returned. (templated)
    :param retry_rejected: send orders again that the service has rejected with the same payload, as a redrive does.

    The XCom `counts` has the outcomes of the orders and the number of requests, also if the task fails.
    """

    time_limit_s = tuning.LOAD_TASK_S
    template_fields: Sequence[str] = ("destination", "staged")

    def __init__(self, *, staged: str | XComArg, retry_rejected: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = cast("str", staged)  # a template until it is rendered
        self.retry_rejected = retry_rejected
        self._is_stopping = False
        # Not in execute: after a kill before Airflow has recorded the success, the retry needs the parts.
        self.on_success_callback = [*self.on_success_callback, delete_parts]
        self.on_skipped_callback = [*self.on_skipped_callback, delete_parts]

    def execute(self, context: Context) -> None:
        """Deliver; the staged parts are deleted once Airflow has recorded the success or the skip."""
        configuration, destination = self.read_configuration()
        source = configuration.sources[destination.source]
        self._ends_at = time.monotonic() + tuning.LOAD_S
        before = run_figures.pull(context, "transform")
        mode = run_context.mode(context, destination)
        # Now: the run may be cleared while it is under way, and another window read.
        window = run_context.pull_window(context)
        if not before["orders"]:
            # Transform has skipped this task, and a person has cleared only this one.
            raise AirflowSkipException("No orders in this window.")

        # Imported late: pandas takes longer to import than a whole hour without orders.
        from include.order_sync import pipeline
        from include.order_sync.delivery.planning import Planner
        from include.order_sync.delivery.result import DeliveryResult
        from include.order_sync.ledger.encrypted_rows import RowEncryptor
        from include.order_sync.ledger.quarantine import resolve_redriven
        from include.order_sync.staging.run_folder import Staging

        staging = Staging(storage_path(self.staged))
        hook = hook_for(destination.provider, destination.connection)

        is_scheduled = run_context.run_request(context).by == "schedule"

        def options_of(ledger: LedgerSession) -> SendOptions:
            return brake.send_options(context, destination, source, ledger, retry_rejected=self.retry_rejected)

        encryptor = RowEncryptor(staging, source.timezone, deployment_cipher())
        if mode == "plan":
            with open_ledger(context, destination, read_only=True) as ledger:
                options = options_of(ledger)
                planned = self._show(context, Planner.of(destination.service, ledger, options), staging)
            self.record_run(context, destination, before | planned, window)
            return
        with open_ledger(context, destination, adopts=mode == "adopt") as ledger:
            options = options_of(ledger)
            if not staging.is_listed(ledger.sender.run):
                for rows in staging.rejected_parts():
                    ledger.quarantine(encryptor.encrypt_rejected(rows))
                staging.note_listed(ledger.sender.run)
            if before["orders"] == before["rejected"] + before["not_for_provider"]:
                self.finish_window(context, source, self.staged, window)
                self.record_run(context, destination, before, window)
                check_thresholds(self._with_newly_rejected(before, ledger), destination)
                run_context.stop_if_left_out(context, destination)
                raise AirflowSkipException("No orders to send in this window.")
            ready = before["orders"] - before["rejected"] - before["not_for_provider"]
            with hook.get_conn() as session:
                account, pace = hook.credentials, configuration.requests_a_second(destination)
                result = DeliveryResult()
                total = before["orders"] - before["rejected"] - before["not_for_provider"]
                try:
                    with progress.shown(self.log, total, lambda: sum([*result.orders.values()])):
                        pipeline.load(
                            staging,
                            destination,
                            account,
                            session,
                            ledger,
                            encryptor,
                            options,
                            pace,
                            result,
                            self._must_stop,
                            brake.of_load(context, destination, ledger, ready),
                        )
                finally:
                    outcomes = self._report(context, result, before["rejected"])
                    if result.complete:
                        # First: a window whose balance is off is not finished, so that the next run reads it again.
                        check_balance(before | outcomes, ledger.own_accepted())
                        late_by = None
                        if window and isinstance(source, SqlSource) and is_scheduled:
                            late = self._lateness(destination, source, window, ledger.sender)
                            run_figures.push(context, **outcomes, late=late.missed)
                            late_by = late.longest
                        self.finish_window(context, source, self.staged, window, late_by)
                    self.record_run(
                        context,
                        destination,
                        before | outcomes,
                        window,
                        is_complete=result.complete,
                        request_s=result.request_s,
                        changes=result.code_changes,
                    )
            redriven = context["ti"].xcom_pull(task_ids="extract", key=REDRIVEN_KEY)
            if redriven:
                with ledger.transaction() as cursor:
                    resolve_redriven(cursor, ledger.sender.run, redriven)
            counts = self._with_newly_rejected(before | outcomes, ledger)
        check_thresholds(counts, destination)
        run_context.stop_if_left_out(context, destination)

    def _with_newly_rejected(self, counts: dict[str, int], ledger: LedgerSession) -> dict[str, int]:
        """Return the counts with `newly_rejected`: in a redrive, which is to cure them, all that were rejected."""
        newly = counts["rejected"] if self.retry_rejected or not counts["rejected"] else ledger.newly_rejected()
        return counts | {"newly_rejected": newly}

    def on_kill(self) -> None:
        """Let the requests in flight get their answers, and send nothing more.

        Airflow calls it when the task's process gets SIGTERM, in the middle of `execute`. An error raised here could
        come between the intent of a batch and its request.
        """
        if self.has_timed_out():
            return
        self.log.warning("Asked to stop: the requests in flight get their answers, and nothing more is sent.")
        self._is_stopping = True

    def _must_stop(self) -> bool:
        """Return whether the load is to end: it was asked to, or has reached its own time limit."""
        if not self._is_stopping and time.monotonic() >= self._ends_at:
            self.log.warning(
                "The load has run for %d hours, its time limit; its next try goes on.", tuning.LOAD_S // 3600
            )
            self._is_stopping = True
        return self._is_stopping

    def _show(self, context: Context, planner: Planner, staging: Staging) -> dict[str, int]:
        """Log, push and return the plan of the run: ids and codes only."""
        from include.order_sync.delivery.decision_table import Action
        from include.order_sync.delivery.preview import preview
        from include.order_sync.delivery.result import NOT_SENT

        before = run_figures.pull(context, "transform")
        outcomes: dict[str, int] = {}
        if before["orders"] > before["rejected"] + before["not_for_provider"]:
            outcomes, first = preview(planner, staging.ready_parts())
            self.log.info(
                "Plan only, nothing is sent. %s. The first to be sent:\n%s",
                dict(outcomes),
                log_tables.plan_table(first),
            )
        planned = {name: before.get(name, 0) + outcomes.get(name, 0) for name in OUTCOMES}
        if kept := outcomes.get(Action.KEPT, 0):
            self.log.info("%d orders would not be sent: they wait in the quarantine for a redrive.", kept)
            planned[NOT_SENT] += kept
        run_figures.push(context, **planned)
        self._tell_assets(context, planned)
        return planned

    def _lateness(self, destination: Destination, source: Source, window: Window, sender: Sender) -> Lateness:
        """Return how late the run's rows were; log it if `lookback` has missed some of them."""
        from include.order_sync.ledger import lateness

        with ledger_transaction() as ledger:
            reconcile = timedelta(days=destination.reconcile)
            lookback = lateness.widened(ledger, destination.name, destination.lookback, reconcile)
            late = lateness.measure(ledger, sender, window.start, source.timezone, lookback)
        if late.missed:
            self.log.warning(
                "%d orders came late: their time had been read before, and their rows were not there. They were "
                "written at least %s after their time, which is more than the lookback (%s), and waited for this run. "
                "For seven days scheduled runs read twice as far back, up to `reconcile`. If this goes on, give the "
                "destination a longer `lookback`, or let the source write sooner.",
                late.missed,
                late.longest,
                lookback,
            )
        return late

    def _report(self, context: Context, result: DeliveryResult, rejected_before: int) -> dict[str, int]:
        """Log, push and return the outcomes so far."""
        outcomes = dict.fromkeys(OUTCOMES, 0) | result.orders
        if result.reasons:
            run_figures.push_reason(context, log_tables.first_reason(result.reasons))
            self.log.warning(
                "%s rejects; the rows are in the quarantine\n%s",
                self.destination,
                log_tables.reasons_table(result.reasons, {}),
            )
        if result.stale:
            level = logging.WARNING if result.stale_changed else logging.INFO
            self.log.log(level, "Stale orders, which are not sent\n%s", log_tables.stale_table(result))
        said = ", ".join(f"{orders} {name}" for name, orders in outcomes.items())
        self.log.info("%d requests; %s", result.requests, said)
        outcomes["rejected"] += rejected_before
        outcomes["requests"], outcomes["stale_changed"] = result.requests, result.stale_changed
        run_figures.push(context, **outcomes)
        self._tell_assets(context, outcomes)
        return outcomes

    def _tell_assets(self, context: Context, counts: Mapping[str, int]) -> None:
        """Give the event of the destination's asset, which Airflow makes if the task succeeds, counts and kind of run.

        A redrive's destination is known only now, so it names the asset by an alias.
        https://airflow.apache.org/docs/apache-airflow/stable/authoring-and-scheduling/asset-scheduling.html
        """
        extra: dict[str, Any] = {**counts, "kind": run_figures.pull_kind(context)}
        for outlet in self.outlets:
            event = context["outlet_events"][outlet]
            if isinstance(outlet, AssetAlias):
                event.add(Asset(f"order-sync://{self.destination}"), extra=extra)
            else:
                event.extra = extra


def delete_parts(context: Context) -> None:
    """Delete the staged parts of a load that has ended well, and of earlier reads; rejected rows stay until retention.

    Airflow calls it in the task's process after it has recorded the success; it records a skip some moments later, when
    the process ends. An error here is logged and changes no state.
    """
    from include.order_sync.staging.run_folder import RAW, RAW_ITEMS, READY, Staging

    staged = storage_path(cast("LoadOrdersOperator", context["task"]).staged)
    for read in staged.parent.iterdir():
        # A later read is of a run that was cleared meanwhile: the names are times.
        if read.name <= staged.name:
            Staging(read).clear(RAW, RAW_ITEMS, READY)
