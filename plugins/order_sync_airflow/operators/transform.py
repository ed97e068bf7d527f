"""Turns staged raw rows into payloads, and sets aside the rows that can't be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.exceptions import DownstreamTasksSkipped

from order_sync_airflow import log_tables, run_figures
from order_sync_airflow.operators.base import DestinationOperator, storage_path

if TYPE_CHECKING:
    from airflow.sdk import Context, XComArg


class TransformOrdersOperator(DestinationOperator):
    """Maps, validates and builds the orders of each staged part.

    :param destination: its name in the configuration. (templated)
    :param staged: the folder that extract has returned. (templated)

    Returns the folder again; `counts` has superseded, orders, rejected and not_for_provider. Where there are no orders,
    the window is done with, and load is skipped.
    """

    template_fields: Sequence[str] = ("destination", "staged")

    def __init__(self, *, staged: str | XComArg, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = cast("str", staged)  # a template until it is rendered

    def execute(self, context: Context) -> str:
        """Transform part by part; a try that follows another starts anew."""
        configuration, destination = self.read_configuration()
        source = configuration.sources[destination.source]
        extracted = run_figures.pull(context, "extract")
        if extracted["rows"] == extracted["skipped"]:
            run_figures.push(context)
            self.log.info("No orders in this window.")
            if context["params"].get("mode") != "plan":
                self.finish_window(context, source, self.staged)
            # Load would start only to skip itself, and Airflow learns of that up to five seconds late.
            raise DownstreamTasksSkipped(tasks=list(self.downstream_task_ids))  # type: ignore[no-untyped-call]

        # Not before: they bring pandas, which takes longer to import than an hour without rows takes in all.
        from include.order_sync.pipeline import transform_parts
        from include.order_sync.staging.run_folder import Staging
        from include.order_sync.transform.transform import cures

        done = transform_parts(Staging(storage_path(self.staged)), source, destination)
        if done.reasons:
            self.log.warning(
                "%d of %d orders are rejected; their rows are in %s/rejected\n%s",
                done.counts["rejected"],
                done.counts["orders"],
                self.staged,
                log_tables.reasons_table(done.reasons, done.first_rows, cures(destination.service.checks)),
            )
        run_figures.push(context, **done.counts)
        return self.staged
