"""Turns staged raw rows into payloads, and sets aside the rows that can't be sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath
from airflow.sdk.exceptions import DownstreamTasksSkipped

from order_sync_airflow import counts
from order_sync_airflow.operators.base import DestinationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class TransformOrdersOperator(DestinationOperator):
    """Maps, validates and builds the orders of each staged part.

    :param destination: its name in the configuration. (templated)
    :param staged: the folder that extract has returned. (templated)

    Returns the folder again; `counts` has superseded, orders, rejected and not_for_provider. Where there are no orders,
    the window is done with, and load is skipped.
    """

    template_fields: Sequence[str] = ("destination", "staged")

    def __init__(self, *, staged: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = staged

    def execute(self, context: Context) -> str:
        """Transform part by part; a try that follows another starts anew."""
        configuration, destination = self.read_configuration()
        source = configuration.sources[destination.source]
        figures: Counter[str] = Counter(superseded=0, orders=0, rejected=0, not_for_provider=0)
        reasons: Counter[str] = Counter()
        first_rows: dict[str, str] = {}
        extracted = counts.pull(context, "extract")
        if extracted["rows"] > extracted["skipped"]:
            # Not before: they bring pandas, which takes longer to import than an hour without rows takes in all.
            from include.order_sync.staging import Staging
            from include.order_sync.transform import Rules, cures, transform

            rules = Rules(
                timezone=source.timezone,
                latest=datetime.now(UTC) + source.ahead,
                statuses=source.statuses,
                codes=destination.codes,
                changes=destination.sends,
                item_columns=source.item_columns,
            )
            staging = Staging(ObjectStoragePath(self.staged))
            staging.clear("ready", "rejected")
            for name, raw, raw_items in staging.raw_parts():
                part = transform(raw, raw_items, rules, destination.service)
                staging.write("ready", name, part.ready)
                staging.write("rejected", name, part.rejected)
                figures.update(part.counts)
                reasons += part.reasons
                first_rows = part.first_rows | first_rows
        if reasons:
            self.log.warning(
                "%d of %d orders are rejected; their rows are in %s/rejected\n%s",
                figures["rejected"],
                figures["orders"],
                self.staged,
                counts.reasons_table(reasons, first_rows, cures(destination.service)),
            )
        counts.push(context, **figures)
        if not figures["orders"]:
            self.log.info("No orders in this window.")
            if context["params"].get("mode") != "plan":
                self.finish_window(context, source, self.staged)
            # Load would start only to skip itself, and Airflow learns of that up to five seconds late.
            raise DownstreamTasksSkipped(tasks=list(self.downstream_task_ids))
        return self.staged
