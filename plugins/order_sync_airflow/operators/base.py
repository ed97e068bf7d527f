"""The base of the operators of a destination's DAG."""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, cast
from urllib.parse import quote

from airflow.sdk import BaseOperator, ObjectStoragePath
from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.log import mask_secret

from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.loading import load
from include.order_sync.errors import OrderSyncError, TryAgainError
from order_sync_airflow import error_block, metrics, run_context, run_figures
from order_sync_airflow.ledger_connection import LEDGER_CONNECTION, driver_connection, ledger_transaction
from order_sync_airflow.retry import OrderSyncRetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context
    from upath import UPath

    from include.order_sync.configuration.loading import Configuration
    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.model import Window


def storage_path(address: str, conn_id: str | None = None) -> UPath:
    """Return a folder or file of this machine or of any object storage; `conn_id` is the storage's connection."""
    path: UPath = cast("Any", ObjectStoragePath(address, conn_id=conn_id))  # a UPath in all but its class
    return path


def read_folder(staging: str, context: Context, read_at: datetime) -> UPath:
    """Return the folder for the staged parts of one read of a run, whose name any file system takes.

    Each read has its own: a load may still be working on those of an earlier one, if its run is cleared meanwhile.
    """
    dag_run = context["dag_run"]
    run = storage_path(staging) / dag_run.dag_id / quote(dag_run.run_id, safe="").replace(".", "%2E")
    return run / f"{read_at:%Y%m%dT%H%M%S%fZ}"


def _ask_again(dropped: Any) -> None:
    """Send SIGTERM once more, if the last one came while Python freed memory: an error that is raised there is dropped.

    From a thread, for here the next error would be dropped as well.
    """
    sys.__unraisablehook__(dropped)
    if isinstance(dropped.exc_value, TryAgainError):
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()


class OrderSyncOperator(BaseOperator):
    """A task with our time limits, retries and way of telling a failure."""

    ui_color = "#e8f0fe"
    time_limit_s: ClassVar[int]  # of the whole task, in tuning.py

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", OrderSyncRetryPolicy())
        kwargs.setdefault("execution_timeout", timedelta(seconds=self.time_limit_s))
        super().__init__(**kwargs)

    def pre_execute(self, context: Context) -> None:
        """Make the task's files readable for this user only: they hold personal data. Show a failure as a block."""
        super().pre_execute(context)
        os.umask(0o077)
        error_block.show_in_log(context, self.place())

    def place(self) -> str:
        """Return what the task works with, for the message of a failure."""
        return f"the ledger (connection {LEDGER_CONNECTION}) and the folder of `staging`"

    def load_configuration(self) -> Configuration:
        """Return the configuration. The values that it took from environment variables are masked from here on."""
        configuration = load()
        for name, value in configuration.environment.items():
            # Airflow masks those whose names tell of a secret, as PASSWORD, SECRET or TOKEN: a path may hold one.
            mask_secret(value, name)
        return configuration


class DestinationOperator(OrderSyncOperator):
    """A task of one destination's DAG.

    :param destination: its name in the configuration, which is read anew when the task runs.
    """

    def __init__(self, *, destination: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.destination = destination

    def place(self) -> str:
        """Return the destination and its source, with their connections; without them if these can't be known."""
        configuration = load()
        destination = configuration.destinations.get(self.destination)
        if not destination:
            return f"destination {self.destination} in {configuration.file}"
        source = configuration.sources[destination.source]
        given = f"files {source.path}" if isinstance(source, CsvSource) else f"connection {source.connection}"
        return (
            f"destination {destination.name} (connection {destination.connection}), source {source.name} ({given}), "
            f"ledger (connection {LEDGER_CONNECTION})"
        )

    def on_kill(self) -> None:
        """End the task when its process gets SIGTERM: Airflow alone would let it run on until SIGKILL.

        Airflow also calls it after its time limit has ended `execute`: then the time-out is the error.
        """
        if self.has_timed_out():
            return
        sys.unraisablehook = _ask_again
        raise TryAgainError("The task was asked to stop. It has sent nothing; the next try starts anew.")

    def has_timed_out(self) -> bool:
        """Say so in the log, and return True, if Airflow calls on_kill because of the task's time limit."""
        if not isinstance(sys.exception(), AirflowTaskTimeout):
            return False
        self.log.error(
            "The task ran for %s, its time limit, so something hangs: look at the last lines above, and at the "
            "database, the staging folder or the drop that they name. It is tried three times in all.",
            self.execution_timeout,
        )
        return True

    def read_configuration(self) -> tuple[Configuration, Destination]:
        """Return the configuration and this task's destination in it."""
        configuration = self.load_configuration()
        return configuration, configuration.destination(self.destination)

    def finish_window(
        self,
        run: str,
        source: Source,
        staged: str,
        finished: Window | None,
        late_by: timedelta | None = None,
    ) -> None:
        """Record that all orders of a window and its files have their verdict. A narrowed run has no window.

        `run` is its key, as record_run takes it; `late_by` is the longest lateness of its rows.
        """
        from include.order_sync.ledger import files, renaming, windows

        if finished:
            with ledger_transaction() as ledger:
                # The destination may have got another name since extract; load has seen that already.
                renaming.refuse_old_name(driver_connection(ledger), self.destination)
                windows.finish(ledger, self.destination, finished, run, late_by)
                if isinstance(source, CsvSource):
                    from include.order_sync.staging.run_folder import Staging

                    files.take(ledger, self.destination, Staging(storage_path(staged)).files(), run)

    def record_run(
        self,
        context: Context,
        run: str,
        destination: Destination,
        counts: Mapping[str, int],
        window: Window | None,
        *,
        is_complete: bool = True,
        request_s: float | None = None,
        changes: Mapping[tuple[str | None, str], int] | None = None,
    ) -> None:
        """Record what this try has done, for the page and the read model. That it can't be is no reason to end red.

        `run` is the key with which the task began: a run that is cleared while it ends has another one by then, and the
        new run would take away what was counted for it. `counts` are of the run so far; `window` is the one that it has
        read; `request_s` is how long a request took; `changes` counts the orders that this try has delivered, by their
        codes before and after.
        """
        from include.order_sync.ledger.run_records import RunRecord, record

        done = RunRecord(
            destination.name,
            run,
            context["ti"].try_number,
            run_figures.pull_kind(context),
            run_context.run_request(context).by,
            counts,
            is_complete,
            run_context.is_plan(context, destination),
            window,
            run_context.pull_newest_read(context),
            changes or {},
        )
        try:
            with ledger_transaction() as ledger:
                recorded = record(ledger, done)
        except OrderSyncError as error:
            self.log.warning("What this run has done is not on the page Order Sync: %s", error)
            return
        metrics.emit(destination.name, recorded, request_s)
