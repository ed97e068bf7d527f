"""Removes staged parts and rows of the ledger that are older than the configuration's `retention`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote

from include.order_sync import tuning
from order_sync_airflow.ledger_connection import ledger_engine
from order_sync_airflow.operators.base import OrderSyncOperator, storage_path

if TYPE_CHECKING:
    from airflow.sdk import Context
    from upath import UPath


class RemoveOldOperator(OrderSyncOperator):
    """Removes old staged parts, attempts and resolved quarantine entries; the states of orders stay."""

    time_limit_s = tuning.MAINTENANCE_TASK_S

    def execute(self, context: Context) -> None:
        """Remove old rows and parts, and log how many."""
        from include.order_sync.ledger.retention import remove_old

        configuration = self.load_configuration()
        retention = configuration.retention
        removed = remove_old(ledger_engine(), attempts_days=retention.attempts, quarantine_days=retention.quarantine)
        parts = self._remove_parts(context, configuration.staging, timedelta(days=retention.staged_parts))
        removed["staged runs"] = parts
        self.log.info("Removed %s", ", ".join(f"{count} {what}" for what, count in removed.items()))

    def _remove_parts(self, context: Context, staging: str, age: timedelta) -> int:
        """Remove the folders of runs that have ended and whose newest file is older than `age`; return how many."""
        root = storage_path(staging)
        removed = 0
        for run in root.glob("*/*") if root.exists() else ():
            written = [run.stat().st_mtime, *(part.stat().st_mtime for part in run.rglob("*.*"))]
            is_old = datetime.fromtimestamp(max(written), UTC) < datetime.now(UTC) - age
            if is_old and not _is_under_way(context, run):
                run.fs.rm(run.path, recursive=True)
                removed += 1
        return removed


def _is_under_way(context: Context, folder: UPath) -> bool:
    """Return whether the run of a folder has not ended: it may send, or wait for a person, for more than a week."""
    count = context["ti"].get_dr_count(
        dag_id=folder.parent.name, run_ids=[unquote(folder.name)], states=["queued", "running"]
    )
    return count > 0
