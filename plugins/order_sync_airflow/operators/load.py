"""Sends the ready orders to the destination's service."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.exceptions import AirflowSkipException

from include.order_sync import tuning
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.counted import counted
from include.order_sync.delivery.accounting import OUTCOMES, check_balance, check_thresholds
from order_sync_airflow import assets, brake, log_tables, progress, run_context, run_figures
from order_sync_airflow.hooks import hook_for
from order_sync_airflow.ledger_connection import REDRIVEN_KEY, deployment_cipher, ledger_transaction, open_ledger
from order_sync_airflow.operators.base import DestinationOperator, storage_path

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from include.order_sync.configuration.loading import Configuration
    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.delivery.decision_table import SendOptions
    from include.order_sync.delivery.result import DeliveryResult
    from include.order_sync.ledger.attempts import Sender
    from include.order_sync.ledger.encrypted_rows import RowEncryptor
    from include.order_sync.ledger.session import LedgerSession
    from include.order_sync.model import Window
    from include.order_sync.staging.run_folder import Staging


@dataclass(frozen=True)
class _Run:
    """The run of a load, as it was when the task began.

    Args:
        context: of the task.
        configuration: read anew.
        destination: of the orders.
        source: of the orders.
        window: that was read; None if not all its orders were.
        before: the figures of extract and transform.
    """

    context: Context
    configuration: Configuration
    destination: Destination
    source: Source
    window: Window | None
    before: dict[str, int]


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
        self._may_send = self._is_stopping = False
        # Not in execute: after a kill before Airflow has recorded the success, the retry needs the parts.
        self.on_success_callback = [*self.on_success_callback, delete_parts]
        self.on_skipped_callback = [*self.on_skipped_callback, delete_parts]

    def execute(self, context: Context) -> None:
        """Deliver; the staged parts are deleted once Airflow has recorded the success or the skip."""
        configuration, destination = self.read_configuration()
        destination = run_context.as_begun(context, destination)
        self._ends_at = time.monotonic() + tuning.LOAD_S
        before = run_figures.pull(context, "transform")
        run = _Run(
            context,
            configuration,
            destination,
            configuration.sources[destination.source],
            # Now: the run may be cleared while it is under way, and another window read.
            run_context.pull_window(context),
            before,
        )
        if not before["orders"]:
            # Transform has skipped this task, and a person has cleared only this one.
            raise AirflowSkipException("No orders in this window.")

        # Imported late: pandas takes longer to import than a whole hour without orders.
        from include.order_sync.ledger.encrypted_rows import RowEncryptor
        from include.order_sync.staging.run_folder import Staging

        staging = Staging(storage_path(self.staged))
        encryptor = RowEncryptor(staging, run.source.timezone, deployment_cipher())
        mode = run_context.mode(context, destination)
        if mode == "plan":
            self._plan(run, staging)
            return
        with open_ledger(context, destination, adopts=mode == "adopt") as ledger:
            self._may_send = True
            _list_rejected(staging, encryptor, ledger)
            if not run_figures.ready(before):
                self.finish_window(ledger.sender.run, run.source, self.staged, run.window)
                self.record_run(context, ledger.sender.run, destination, before, run.window)
                check_thresholds(self._with_newly_rejected(before, ledger), destination)
                run_context.stop_if_left_out(context, destination)
                raise AirflowSkipException("No orders to send in this window.")
            outcomes = self._deliver(run, staging, encryptor, ledger)
            _resolve_redriven(context, ledger)
            counts = self._with_newly_rejected(before | outcomes, ledger)
        check_thresholds(counts, destination)
        run_context.stop_if_left_out(context, destination)

    def _deliver(self, run: _Run, staging: Staging, encryptor: RowEncryptor, ledger: LedgerSession) -> dict[str, int]:
        """Send the ready orders and return their outcomes; report and record them also if the load fails.

        Raises:
            StopError: of pipeline.load, or the sums are off.
            TryAgainError: of pipeline.load.
        """
        from include.order_sync import pipeline
        from include.order_sync.delivery.client import Client
        from include.order_sync.delivery.result import DeliveryResult

        context, destination = run.context, run.destination
        ready = run_figures.ready(run.before)
        options = self._send_options(run, ledger)
        hook = hook_for(destination.provider, destination.connection)
        result = DeliveryResult()
        with hook.get_conn() as session:
            try:
                with progress.shown(self.log, ready, lambda: sum([*result.orders.values()])):
                    pipeline.load(
                        staging,
                        destination,
                        Client(destination.service, hook.credentials, session),
                        ledger,
                        encryptor,
                        options,
                        run.configuration.requests_a_second(destination),
                        result,
                        self._must_stop,
                        brake.of_load(context, destination, ledger, ready),
                    )
            finally:
                outcomes = self._report(context, result, run.before["rejected"])
                is_finished = False
                try:
                    if result.complete:
                        # First: a window whose balance is off is not finished, so that the next run reads it again.
                        check_balance(run.before | outcomes, ledger.own_accepted())
                        late_by = self._measure_lateness(run, outcomes, ledger.sender)
                        self.finish_window(ledger.sender.run, run.source, self.staged, run.window, late_by)
                        is_finished = True
                finally:
                    # Also if its balance is off: what it has sent is sent.
                    self.record_run(
                        context,
                        ledger.sender.run,
                        destination,
                        run.before | outcomes,
                        run.window,
                        is_complete=is_finished,
                        request_s=result.request_s,
                        changes=result.code_changes,
                    )
        return outcomes

    def _send_options(self, run: _Run, ledger: LedgerSession) -> SendOptions:
        return brake.send_options(run.context, run.destination, run.source, ledger, retry_rejected=self.retry_rejected)

    def _with_newly_rejected(self, counts: dict[str, int], ledger: LedgerSession) -> dict[str, int]:
        """Return the counts with `newly_rejected`: in a redrive, which is to cure them, all that were rejected."""
        newly = counts["rejected"] if self.retry_rejected or not counts["rejected"] else ledger.newly_rejected()
        return counts | {"newly_rejected": newly}

    def on_kill(self) -> None:
        """Let the requests in flight get their answers, and send nothing more; end at once if none may have been sent.

        Airflow calls it when the task's process gets SIGTERM, in the middle of `execute`. An error raised here could
        come between the intent of a batch and its request. Before, the load may wait long: for another load of its
        destination, or for the requests of a lost one.
        """
        if not self._may_send:
            super().on_kill()
        elif not self.has_timed_out():
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

    def _plan(self, run: _Run, staging: Staging) -> None:
        """Log, push and record what the run would send: ids and codes only."""
        from include.order_sync.delivery.decision_table import Action
        from include.order_sync.delivery.plan_mode import plan_outcomes
        from include.order_sync.delivery.planning import Planner
        from include.order_sync.delivery.result import NOT_SENT

        outcomes: dict[str, int] = {}
        with open_ledger(run.context, run.destination, read_only=True) as ledger:
            planner = Planner.of(run.destination.service, ledger, self._send_options(run, ledger))
            if run_figures.ready(run.before):
                outcomes, first = plan_outcomes(planner, staging.ready_parts())
                self.log.info(
                    "Plan only, nothing is sent. %s. The first to be sent:\n%s",
                    dict(outcomes),
                    log_tables.plan_table(first),
                )
        planned = {name: run.before.get(name, 0) + outcomes.get(name, 0) for name in OUTCOMES}
        if kept := outcomes.get(Action.KEPT, 0):
            self.log.info("Not sent: %s that wait in the quarantine for a redrive.", counted(kept, "order"))
            planned[NOT_SENT] += kept
        run_figures.push(run.context, **planned)
        assets.describe_event(run.context, self.outlets, self.destination, planned)
        self.record_run(run.context, ledger.sender.run, run.destination, run.before | planned, run.window)

    def _measure_lateness(self, run: _Run, outcomes: dict[str, int], sender: Sender) -> timedelta | None:
        """Push how many rows of a scheduled run came late; return the longest lateness, None where it is not measured.

        Log it if `lookback` has missed some of them.
        """
        is_scheduled = run_context.run_request(run.context).by == "schedule"
        if run.window is None or not isinstance(run.source, SqlSource) or not is_scheduled:
            return None
        from include.order_sync.ledger import lateness

        destination = run.destination
        with ledger_transaction() as ledger:
            reconcile = timedelta(days=destination.reconcile)
            lookback = lateness.widened(ledger, destination.name, destination.lookback, reconcile)
            late = lateness.measure(ledger, sender, run.window.start, run.source.timezone, lookback)
        if late.missed:
            self.log.warning(
                "%s came late: that time had been read before, without the row. It was written at least %s after its "
                "time, which is more than the lookback (%s), and waited for this run. "
                "For seven days scheduled runs read twice as far back, up to `reconcile`. If this goes on, give the "
                "destination a longer `lookback`, or let the source write sooner.",
                counted(late.missed, "order"),
                late.longest,
                lookback,
            )
        run_figures.push(run.context, **outcomes, late=late.missed)
        return late.longest

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
        self.log.info("%s; %s", counted(result.requests, "request"), said)
        outcomes["rejected"] += rejected_before
        outcomes["requests"], outcomes["stale_changed"] = result.requests, result.stale_changed
        run_figures.push(context, **outcomes)
        assets.describe_event(context, self.outlets, self.destination, outcomes)
        return outcomes


def _list_rejected(staging: Staging, encryptor: RowEncryptor, ledger: LedgerSession) -> None:
    """Put the rows that transform has rejected into the quarantine, once in a run."""
    if not staging.is_listed(ledger.sender.run):
        for rows in staging.rejected_parts():
            ledger.quarantine(encryptor.encrypt_rejected(rows))
        staging.note_listed(ledger.sender.run)


def _resolve_redriven(context: Context, ledger: LedgerSession) -> None:
    """Close the entries whose rows a redrive has staged and has not put into the quarantine again."""
    from include.order_sync.ledger.quarantine import resolve_redriven

    redriven = context["ti"].xcom_pull(task_ids="extract", key=REDRIVEN_KEY)
    if redriven:
        with ledger.transaction() as cursor:
            resolve_redriven(cursor, ledger.sender.run, redriven)


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
