"""Turns staged raw rows into payloads, and sets aside the rows that can't be sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.sdk import ObjectStoragePath

from order_sync_airflow import counts
from order_sync_airflow.operators.base import DestinationOperator

if TYPE_CHECKING:
    from airflow.sdk import Context


class TransformOrdersOperator(DestinationOperator):
    """Maps, validates and builds the orders of each staged part.

    :param destination: its name in the configuration. (templated)
    :param staged: the folder that extract has returned. (templated)

    Returns the folder again; `counts` has superseded, orders, rejected and not_for_provider.
    """

    template_fields: Sequence[str] = ("destination", "staged")

    def __init__(self, *, staged: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.staged = staged

    def execute(self, context: Context) -> str:
        """Transform part by part; a try that follows another starts anew."""
        from include.order_sync.staging import Staging
        from include.order_sync.steps import PartsTransformed, transform_parts
        from include.order_sync.transform import Rules, cures

        configuration, destination = self.read_configuration()
        source = configuration.sources[destination.source]
        rules = Rules(
            timezone=source.timezone,
            latest=datetime.now(UTC) + source.ahead,
            statuses=source.statuses,
            codes=destination.codes,
            changes=destination.sends,
            item_columns=source.item_columns,
        )
        done = PartsTransformed()
        extracted = counts.pull(context, "extract")
        if extracted["rows"] > extracted["skipped"]:
            done = transform_parts(Staging(ObjectStoragePath(self.staged)), rules, destination.service)
        if done.reasons:
            self.log.warning(
                "%d of %d orders are rejected; their rows are in %s/rejected\n%s",
                done.counts["rejected"],
                done.counts["orders"],
                self.staged,
                counts.reasons_table(done.reasons, done.first_rows, cures(destination.service)),
            )
        counts.push(context, **done.counts)
        return self.staged
