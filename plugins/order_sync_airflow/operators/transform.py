"""Turns staged raw rows into payloads, and sets rows aside that can't be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.bases.xcom import BaseXCom
from airflow.sdk.exceptions import DownstreamTasksSkipped

from include.order_sync import tuning
from include.order_sync.counted import counted
from order_sync_airflow import brake, log_tables, run_context, run_figures
from order_sync_airflow.operators.base import DestinationOperator, storage_path

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg

    from include.order_sync.configuration.source import Source
    from include.order_sync.pipeline import TransformResult


class TransformOrdersOperator(DestinationOperator):
    """Maps, validates and builds the orders of each staged part.

    :param destination: its name in the configuration. (templated)
    :param staged: the folder that extract has returned. (templated)
    :param retry_rejected: as of load.

    Returns the folder again. The XCom `counts` has superseded, orders, rejected and not_for_provider. Without orders
    the window is finished here, and load is skipped. Where nothing is to be approved, `approve` is skipped; else the
    XCom `notifications` has what is.
    """

    time_limit_s = tuning.TRANSFORM_TASK_S
    template_fields: Sequence[str] = ("destination", "staged")

    def __init__(self, *, staged: str | XComArg, retry_rejected: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = cast("str", staged)  # a template until it is rendered
        self.retry_rejected = retry_rejected

    def execute(self, context: Context) -> str:
        """Transform part by part; a retry starts anew."""
        configuration, destination = self.read_configuration()
        destination = run_context.as_begun(context, destination)
        source = configuration.sources[destination.source]
        extracted = run_figures.pull(context, "extract")
        if extracted["rows"] == extracted["skipped"]:
            run_figures.push(context)
            self.log.info("No orders in this window.")
            run, window = run_context.run_key(context), run_context.pull_window(context)
            if run_context.mode(context, destination) != "plan":
                self.finish_window(run, source, self.staged, window)
            self.record_run(context, run, destination, extracted, window)
            run_context.stop_if_left_out(context, destination)
            # If load skipped itself, Airflow would often notice five seconds late: see decision 8.
            raise DownstreamTasksSkipped(tasks=list(self.downstream_task_ids))  # type: ignore[no-untyped-call]

        # Imported late: pandas takes longer to import than a whole hour without rows.
        from include.order_sync.pipeline import transform
        from include.order_sync.staging.run_folder import Staging

        staging = Staging(storage_path(self.staged))
        done = transform(staging, source, destination)
        self._report(context, source, done)
        run_context.push_newest_read(context, done.newest_change)
        run_figures.push(context, **done.counts)
        ready = run_figures.ready(done.counts)
        asked = brake.to_be_approved(context, destination, source, staging, ready, retry_rejected=self.retry_rejected)
        context["ti"].xcom_push(brake.NOTIFICATIONS_KEY, asked)
        if asked is None and run_figures.APPROVE in self.downstream_task_ids:
            context["ti"].xcom_push(BaseXCom.XCOM_RETURN_KEY, self.staged)  # Airflow pushes no value beside the error
            raise DownstreamTasksSkipped(tasks=[run_figures.APPROVE])  # type: ignore[no-untyped-call]
        return self.staged

    def _report(self, context: Context, source: Source, done: TransformResult) -> None:
        """Log what was rejected, left out or doubtful, and push the first reason for the run's note."""
        if done.reasons:
            run_figures.push_reason(context, log_tables.first_reason(done.reasons, done.unknown_words))
            self.log.warning(
                "Rejected: %d of %s; the rows are in %s/rejected\n%s",
                done.counts["rejected"],
                counted(done.counts["orders"], "order"),
                self.staged,
                log_tables.reasons_table(done.reasons, done.first_rows),
            )
        if done.unknown_words:
            self.log.warning(
                "Status words that are not in `statuses` of source %r\n%s",
                source.name,
                log_tables.words_table(done.unknown_words, source.statuses),
            )
        for column, orders in done.left_out.items():
            self.log.warning("%s sent without %s, because it is none", counted(orders, "order"), column)
        for doubt, orders in done.doubts.items():
            self.log.warning(
                "%s with a time %s. Give times with an offset, or correct the source's `timezone`. Ids: %s%s",
                counted(orders, "order"),
                doubt,
                ", ".join(done.doubtful[doubt]),
                ", ..." if orders > len(done.doubtful[doubt]) else "",
            )
