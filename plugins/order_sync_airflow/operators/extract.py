"""Reads a window of the destination's source and stages it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from include.order_sync import stops, tuning
from include.order_sync.configuration.csv_source import CsvSource
from include.order_sync.configuration.sql_source import SqlSource
from include.order_sync.counted import ORDERS_NAMED, counted
from include.order_sync.errors import StopError
from include.order_sync.model import Window
from include.order_sync.sources.run_window import HealingRule, reconcile_reach, run_window
from order_sync_airflow import param_rules, run_context, run_figures
from order_sync_airflow.ledger_connection import check_marks, history_name, ledger_transaction
from order_sync_airflow.operators.base import DestinationOperator, read_folder
from order_sync_airflow.operators.extract_messages import (
    ids_of_a_drop_message,
    left_out_message,
    not_found_message,
    replay_message,
    unusable_message,
)
from order_sync_airflow.operators.source_readers import reader_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from include.order_sync.configuration.models import Destination
    from include.order_sync.configuration.source import Source
    from include.order_sync.sources.csv_drop import CsvDropReader
    from include.order_sync.sources.run_window import RunRequest, RunWindow
    from include.order_sync.sources.warehouse import WarehouseReader


FILES_NOT_READ_KEPT = 1000
LATEST = datetime.max.replace(tzinfo=UTC)


class FirstReading(NamedTuple):
    """The first reading of a destination, which `first_run` chooses.

    Args:
        began: since when changes are read by themselves; None before the first scheduled run.
        is_done: whether it is finished.
    """

    began: datetime | None
    is_done: bool


class ExtractOrdersOperator(DestinationOperator):
    """Stages the raw rows of the run's window, partitioned by order.

    :param destination: its name in the configuration.

    Returns the folder of the staged parts. The XCom `counts` has rows and skipped; `window` has the window read.
    """

    time_limit_s = tuning.EXTRACT_TASK_S

    def execute(self, context: Context) -> str:
        """Read and stage; a retry starts anew."""
        from include.order_sync.pipeline import extract
        from include.order_sync.staging.run_folder import Staging

        configuration, destination = self.read_configuration()
        run_context.refuse_unknown_params(context)
        request = run_context.run_request(context)
        param_rules.check_run(context["params"], request)
        run_figures.push_kind(context, run_context.kind(context, destination))
        source = configuration.sources[destination.source]
        mode = run_context.mode(context, destination)
        if not destination.live:
            self.log.warning(
                "PLAN ONLY: nothing is sent until destination %r has `live: true` in the configuration.",
                destination.name,
            )
        if mode != "plan":
            check_marks(context, destination, adopts=mode == "adopt")
        if isinstance(source, CsvSource) and request.by == "person" and request.order_ids and request.start is None:
            self._refuse_ids_alone(destination, source, request.order_ids)
        run, first_reading = self._run_window(request, destination, source, plan_only=mode == "plan")
        if run_context.trusts_source(context):
            _refuse_trust_in_the_past(request, run)
        self._push_adoption(context, destination, source, first_reading)
        self._log_what_is_read(request, source, run)
        staging = Staging(read_folder(configuration.staging, context, run_context.push_read_at(context)))
        started = datetime.now(UTC)
        reader = reader_of(source, destination, run, self._history)
        done = extract(reader, staging, run.order_ids)
        if done.not_found:
            message = not_found_message(done.not_found, source.name)
            if done.not_found == run.order_ids:
                raise StopError(stops.ORDERS_NOT_FOUND, message)
            self.log.warning("%s", message)
        if isinstance(source, CsvSource) and run.healing and mode != "plan":
            self._keep_not_read(reader)
        self._push_left_out(context, destination, source, run, reader)
        rows, parts = counted(done.rows - done.skipped, "row"), counted(done.parts, "part")
        self.log.info("Staged %s in %s; skipped %d", rows, parts, done.skipped)
        run_figures.push(context, rows=done.rows, skipped=done.skipped)
        # A narrowed run has not read all orders of its window or files.
        run_context.push_window(context, None if run.order_ids else _read_by_now(run.window, started))
        return str(staging.folder)

    def _push_adoption(
        self, context: Context, destination: Destination, source: Source, first_reading: FirstReading
    ) -> None:
        """Push which changes load adopts, and log it."""
        params = context["params"]
        adopted = adopt_before(
            destination,
            first_reading.began,
            wholly=params.get("mode") == "adopt",
            insists=bool(params.get("resend")) or run_context.trusts_source(context),
        )
        if adopted:
            which = "All changes that are read" if adopted == LATEST else f"Changes from before {adopted}"
            self.log.info("%s are adopted: %s counts as having them", which, destination.service.title)
        # A date alone says nothing of the hour, so it is older once its whole day is. What stands there at the begin,
        # the first reading adopts.
        is_first = destination.first_run == "adopt" and not first_reading.is_done
        but_at = first_day(adopted, source.timezone) if adopted and adopted != LATEST and not is_first else None
        run_context.push_adopt_before(context, adopted, but_at)

    def _log_what_is_read(self, request: RunRequest, source: Source, run: RunWindow) -> None:
        replayed = replay_message(source, request)
        if replayed:
            self.log.warning("%s", replayed)
        if run.window:
            self.log.info("Reading %s from %s up to %s", source.name, run.window.start, run.window.end)
        else:
            self.log.info("Reading %s of %s by id", counted(len(run.order_ids), "order"), source.name)

    def _push_left_out(
        self,
        context: Context,
        destination: Destination,
        source: Source,
        run: RunWindow,
        reader: WarehouseReader | CsvDropReader,
    ) -> None:
        """Push the message that makes the run red at its end: of older orders, and of files that could not be used."""
        message = left_out_message(destination, run.healing, reader)
        if message:
            self.log.warning("%s", message)
        if isinstance(source, CsvSource):
            message = " ".join(filter(None, [message, unusable_message(source, reader)])) or None
        if reader.notice:
            self.log.warning("%s", reader.notice)
            run_figures.push_reason(context, reader.notice)
        run_context.push_left_out(context, message)

    def _run_window(
        self, request: RunRequest, destination: Destination, source: Source, *, plan_only: bool
    ) -> tuple[RunWindow, FirstReading]:
        """Return what the run reads, and what is known of the destination's first reading."""
        from include.order_sync.ledger import lateness, windows

        name, interval = history_name(destination), request.interval
        self._history = name
        with ledger_transaction() as ledger:
            began = windows.began(ledger, name)
            reconcile = timedelta(days=destination.reconcile)
            lookback = lateness.widened(ledger, name, destination.lookback, reconcile)
            if lookback > destination.lookback:
                self.log.info(
                    "A scheduled run reads %s before its data interval instead of `lookback` (%s): rows came late.",
                    lookback,
                    destination.lookback,
                )
            healing = HealingRule(
                lookback,
                reconcile,
                destination.heal_at_most,
                destination.start_date,
                destination.first_run,
                began,
                windows.has_first_reading(ledger, name),
                windows.reconciled_up_to(ledger, name, reconcile_reach(reconcile, destination.heal_at_most)),
                tuple(windows.unread(ledger, name, interval.start) if interval else ()),
            )
            has_ids_query = isinstance(source, SqlSource) and source.by_ids_query is not None
            decided = run_window(request, healing, has_ids_query=has_ids_query)
            if request.by == "schedule" and interval and not plan_only:
                began = began or healing.begin(interval)
                windows.begin(ledger, name, began)
        return decided, FirstReading(began, healing.has_first_reading)

    def _refuse_ids_alone(self, destination: Destination, source: CsvSource, order_ids: frozenset[str]) -> None:
        """Raise StopError with the files in which the ledger has seen the orders, and the params that read them."""
        from include.order_sync.ledger import files

        named = sorted(order_ids)[:ORDERS_NAMED]
        with ledger_transaction() as ledger:
            found = {each: files.of_order(ledger, history_name(destination), each) for each in named}
        times = [time for seen in found.values() for _, time in seen]
        raise StopError(stops.NO_IDS_QUERY, ids_of_a_drop_message(source, found, times, len(order_ids) - len(named)))

    def _keep_not_read(self, reader: WarehouseReader | CsvDropReader) -> None:
        """Record for the page the files that no scheduled run reads as they are."""
        from include.order_sync.ledger import files

        with ledger_transaction() as ledger:
            files.keep_not_read(ledger, self._history, reader.not_read[:FILES_NOT_READ_KEPT])


def adopt_before(destination: Destination, began: datetime | None, *, wholly: bool, insists: bool) -> datetime | None:
    """Return the time before which a run adopts changes; None if it adopts none.

    Args:
        destination: with `first_run` and `not_older_than`.
        began: since when its changes are read by themselves; None before its first scheduled run.
        wholly: whether the run adopts all that it reads.
        insists: whether a person has asked for more than the changes.
    """
    if wholly:
        return LATEST
    if insists:
        return None
    times = []
    if destination.first_run == "adopt":
        times.append(began or LATEST)
    if destination.not_older_than:
        times.append(datetime.now(UTC) - destination.not_older_than)
    return max(times, default=None)


def first_day(time: datetime, timezone: str) -> datetime:
    """Return the begin of the day of `time` in a source's time zone."""
    return time.astimezone(ZoneInfo(timezone)).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _refuse_trust_in_the_past(request: RunRequest, run: RunWindow) -> None:
    """Raise StopError unless the run reads up to the present: else it would send old states over newer ones."""
    by_ids = run.window is None
    up_to_now = request.end is not None and request.end >= datetime.now(UTC)
    if request.by != "person" or not (by_ids or up_to_now):
        raise StopError(
            stops.TRUST_IN_THE_PAST,
            "The param `trust: source` is for manual runs that read the present, because older states would be sent "
            "over newer ones: give `from` and a `to` in the future, or `order_ids` alone.",
        )


def _read_by_now(window: Window | None, started: datetime) -> Window | None:
    """Return the part of a window that lies in the past: the rest could not be read yet."""
    if window is None or window.start >= started:
        return None
    return Window(window.start, min(window.end, started))
